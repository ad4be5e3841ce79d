//! Waiting for a key to go.

use etcd_client::{EventType, WatchOptions, WatchResponse};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::types::Revision;

/// Waits until `key` was deleted at `since` or later, or until the server cannot tell. Either
/// way, what it means is for a new look at the keys to say.
///
/// `since` must be the revision *after* the one that was looked at. It misses nothing, and etcd
/// serves a watch that starts in the future at once, one that starts at the present only every
/// 100 ms.
pub(crate) async fn deleted(client: &Client, key: &[u8], since: Revision) -> Result<()> {
    let options = WatchOptions::new().with_start_revision(since.0);
    let mut watch = client.watch().watch(key, Some(options)).await?;
    while let Some(response) = watch.message().await? {
        if response.canceled() {
            return canceled(&response);
        }
        if response
            .events()
            .iter()
            .any(|event| event.event_type() == EventType::Delete)
        {
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
