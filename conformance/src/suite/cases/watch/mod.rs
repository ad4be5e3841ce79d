//! Watch: one file for each thing that it promises.

use anyhow::{Context, Result};
use latchd_proto::etcdserverpb::{WatchCreateRequest, WatchResponse};

use crate::suite::{Case, Session, create, gather::Watches};

mod events;
mod filters;
mod fragment;
mod ids;
mod order;
mod progress;
mod ranges;
mod start;

pub fn cases() -> Vec<Case> {
    let parts = [
        start::cases(),
        ids::cases(),
        ranges::cases(),
        filters::cases(),
        events::cases(),
        order::cases(),
        progress::cases(),
        fragment::cases(),
    ];
    parts.into_iter().flatten().collect()
}

/// A stream on which these watches have been created, one after the other.
async fn watching(
    s: &mut Session,
    requests: impl IntoIterator<Item = WatchCreateRequest>,
) -> Result<Watches> {
    let mut watches = s.watch("w");
    for request in requests {
        add(s, &mut watches, request).await?;
    }
    Ok(watches)
}

/// Creates one more watch; returns the answer.
async fn add(
    s: &mut Session,
    watches: &mut Watches,
    request: WatchCreateRequest,
) -> Result<WatchResponse> {
    s.send(watches, create(request));
    s.next(watches).await?.context("the stream ended")
}
