//! Waiting for keys to go.

use etcd_client::{EventType, WatchOptions, WatchResponse};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::types::Revision;

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// One key.
    Key(Vec<u8>),
    /// All keys that begin so.
    Prefix(Vec<u8>),
}

impl Watched {
    fn options(&self, since: Revision) -> WatchOptions {
        let options = WatchOptions::new().with_start_revision(since.0);
        match self {
            Watched::Key(_) => options,
            Watched::Prefix(_) => options.with_prefix(),
        }
    }

    fn key(&self) -> &[u8] {
        match self {
            Watched::Key(key) | Watched::Prefix(key) => key,
        }
    }
}

/// Waits until something of these was deleted at `since` or later, or until the server cannot tell.
/// Either way, what it means is for a new look at the keys to say.
///
/// `since` must be the revision *after* the one that was looked at. It misses nothing, and etcd
/// serves a watch that starts in the future at once, one that starts at the present only every
/// 100 ms.
pub(crate) async fn deleted(client: &Client, watched: &[Watched], since: Revision) -> Result<()> {
    let Some((first, others)) = watched.split_first() else {
        return Ok(());
    };
    let options = first.options(since);
    let mut watch = client
        .watch_client()
        .watch(first.key(), Some(options))
        .await?;
    for other in others {
        let options = other.options(since);
        watch.watch(other.key(), Some(options)).await?;
    }
    while let Some(response) = watch.message().await? {
        if response.canceled() {
            return canceled(&response);
        }
        let mut events = response.events().iter();
        if events.any(|event| event.event_type() == EventType::Delete) {
            return Ok(());
        }
    }
    Err(etcd_client::Error::WatchError("the stream ended".into()).into())
}

fn canceled(response: &WatchResponse) -> Result<()> {
    if response.compact_revision() > 0 {
        return Ok(());
    }
    let reason = response.cancel_reason().to_owned();
    // etcd's words for a member that lost its cluster, and for one that stops.
    if reason.is_empty() || reason.contains("no leader") || reason.contains("server stopped") {
        return Err(etcd_client::Error::WatchError(reason).into());
    }
    Err(Error::WatchEnded { reason })
}
