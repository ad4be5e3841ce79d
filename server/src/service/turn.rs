//! Waiting one's turn: the keys under a prefix, by create revision, whoever wrote them.
//!
//! Each waiter waits for the key right before its own, so that a hand-off wakes one of them. A
//! wake-up means "look again", never "granted" (rule R0 of the lock rules).

use bytes::Bytes;
use latchd_proto::etcdserverpb::{
    RangeRequest,
    range_request::{SortOrder, SortTarget},
};
use latchd_proto::mvccpb::event::EventType;

use crate::backend::Backend;
use crate::error::Result;
use crate::mvcc::KeyRange;
use crate::mvcc::key_range::prefix_end;
use crate::types::{LeaseId, Revision, WatchId};
use crate::watch::{Delivery, Filters, WatchSpec};

/// The key of a contender as etcd's clients and services write it: `prefix` (with its `/`), then
/// the lease in lower-case hexadecimal, unpadded.
#[must_use]
pub fn contender_key(prefix: &[u8], lease: LeaseId) -> Bytes {
    Bytes::from([prefix, hex(lease).as_bytes()].concat())
}

/// A lease as keys spell it.
#[must_use]
pub fn hex(lease: LeaseId) -> String {
    lease.hex()
}

/// The directory of a name, in which its contenders lie.
#[must_use]
pub fn prefix_of(name: &[u8]) -> Bytes {
    Bytes::from([name, b"/"].concat())
}

/// The oldest key under `prefix`, as a request.
#[must_use]
pub fn oldest(prefix: &Bytes) -> RangeRequest {
    RangeRequest {
        key: prefix.clone(),
        range_end: end_of(prefix),
        limit: 1,
        sort_order: SortOrder::Ascend as i32,
        sort_target: SortTarget::Create as i32,
        ..Default::default()
    }
}

/// The youngest key under `prefix` that was created before `created`, as a request.
fn right_before(prefix: &Bytes, created: Revision) -> RangeRequest {
    RangeRequest {
        sort_order: SortOrder::Descend as i32,
        max_create_revision: created.0 - 1,
        ..oldest(prefix)
    }
}

/// The end of a prefix's range; `"\0"`, "to the last key", where a prefix has no end.
#[must_use]
pub fn end_of(prefix: &[u8]) -> Bytes {
    prefix_end(prefix).unwrap_or_else(|| vec![0]).into()
}

/// Waits until no key under `prefix` is older than `created`.
pub async fn wait_for_turn(backend: &Backend, prefix: &Bytes, created: Revision) -> Result<()> {
    loop {
        let mut response = backend.range(&right_before(prefix, created)).await?;
        let Some(before) = response.kvs.pop() else {
            return Ok(());
        };
        let seen = response.header.map_or(0, |header| header.revision);
        wait_for_delete(backend, before.key, Revision(seen)).await?;
    }
}

/// What is deleted in `range` from `start` on, as a watch.
#[must_use]
pub fn deletes(range: KeyRange, start: Revision) -> WatchSpec {
    WatchSpec {
        range,
        start: Some(start),
        filters: Filters {
            no_put: true,
            no_delete: false,
        },
        previous: false,
    }
}

/// Waits until `key`, which was there at `seen`, may be gone.
async fn wait_for_delete(backend: &Backend, key: Bytes, seen: Revision) -> Result<()> {
    let mut watches = backend.watches();
    watches.create(WatchId(0), deletes(KeyRange::single(key), seen.next()));
    loop {
        match watches.next().await? {
            Delivery::Events { events, .. } => {
                let deleted = |kind: i32| kind == EventType::Delete as i32;
                if events.iter().any(|event| deleted(event.r#type)) {
                    return Ok(());
                }
            }
            // History went while we caught up: only a look at the keys can tell now.
            Delivery::Compacted { .. } => return Ok(()),
            Delivery::Progress(_) | Delivery::WatchProgress(..) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_named_as_go_names_them() {
        let key = |lease| contender_key(b"job/", LeaseId(lease));
        assert_eq!(key(0x694d_7a1b).as_ref(), b"job/694d7a1b");
        assert_eq!(key(i64::MAX).as_ref(), b"job/7fffffffffffffff");
        assert_eq!(key(-31).as_ref(), b"job/-1f");
    }
}
