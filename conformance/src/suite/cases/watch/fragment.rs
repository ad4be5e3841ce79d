//! Revisions that are larger than a message may be.

use anyhow::Result;
use bytes::Bytes;
use latchd_proto::etcdserverpb::WatchCreateRequest;

use super::watching;
use crate::suite::{Case, IntoOp, Session, all_of, delete_range, put, watch_prefix};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "fragment: a large revision in pieces",
            async |s: &mut Session| large(s, fragmented()).await,
        ),
        Case::new(
            "fragment: not asked for, all in one",
            async |s: &mut Session| large(s, with_prev()).await,
        ),
        Case::new(
            "fragment: a small revision stays whole",
            async |s: &mut Session| {
                let mut w = watching(s, [fragmented()]).await?;
                let puts = (0..50).map(|n| put(format!("k/{n}"), "1").op());
                s.quietly(all_of(puts.collect())).await?;
                s.drain(&mut w).await
            },
        ),
        Case::new(
            "fragment: one large event cannot be parted",
            async |s: &mut Session| {
                let mut w = watching(s, [fragmented()]).await?;
                s.quietly(put("k", big(1_400))).await?;
                s.quietly(put("k", big(1_400))).await?;
                s.drain(&mut w).await
            },
        ),
        Case::new("fragment: in replay", async |s: &mut Session| {
            for n in 0..5 {
                s.quietly(put(format!("k/{n}"), big(600))).await?;
            }
            s.quietly(delete_range("k", "l")).await?;
            let request = WatchCreateRequest {
                start_revision: s.revision(6),
                ..fragmented()
            };
            let mut w = watching(s, [request]).await?;
            s.drain(&mut w).await
        }),
    ]
}

fn with_prev() -> WatchCreateRequest {
    WatchCreateRequest {
        prev_kv: true,
        ..watch_prefix("k")
    }
}

fn fragmented() -> WatchCreateRequest {
    WatchCreateRequest {
        fragment: true,
        ..with_prev()
    }
}

/// So many KiB.
fn big(kib: usize) -> Bytes {
    vec![b'x'; kib << 10].into()
}

/// A DeleteRange whose events weigh 3 MiB, with what was there.
async fn large(s: &mut Session, request: WatchCreateRequest) -> Result<()> {
    for n in 0..5 {
        s.quietly(put(format!("k/{n}"), big(600))).await?;
    }
    let mut w = watching(s, [request]).await?;
    s.call(delete_range("k", "l")).await;
    s.drain(&mut w).await
}
