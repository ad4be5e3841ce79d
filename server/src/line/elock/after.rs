//! What becomes of a session whose connection is lost: it is kept for its timeout, then ended by a
//! Txn on its epoch, so that nothing happens to one that was resumed.
//!
//! The lease's TTL is the timeout that held when the session began. A longer one, set later, is
//! written beside the session, and after a restart the session is renewed for so long.

use std::time::Duration;

use bytes::Bytes;
use latchd_proto::etcdserverpb::{PutRequest, RangeRequest, TxnRequest, request_op::Request};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{Desk, millis};
use crate::clock;
use crate::error::Error;
use crate::service::locks::ask::Holder;
use crate::service::locks::refusal::Result;
use crate::service::locks::session::end;
use crate::service::locks::txns::is_at;
use crate::service::requests::{just, operation};
use crate::service::turn::{end_of, hex};
use crate::types::LeaseId;

/// Where timeouts are that were set after their sessions began.
const TIMEOUTS: &[u8] = b"\0latchd/elock/";

/// What is written beside a session.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    timeout_ms: i64,
}

fn key(lease: LeaseId) -> Bytes {
    // Not the lease alone, which would look like a lock.
    Bytes::from([TIMEOUTS, b"s", hex(lease).as_bytes()].concat())
}

/// Notes a timeout, on the session's lease.
pub async fn write(desk: &Desk, holder: Holder, timeout_ms: i64) -> Result<()> {
    let record = Record { timeout_ms };
    let put = PutRequest {
        key: key(holder.lease),
        // A number is always JSON.
        value: serde_json::to_vec(&record).unwrap_or_default().into(),
        lease: holder.lease.0,
        ..Default::default()
    };
    let request = TxnRequest {
        compare: vec![is_at(holder)],
        success: vec![operation(Request::RequestPut(put))],
        failure: Vec::new(),
    };
    desk.host.keeper().backend().txn(request).await?;
    Ok(())
}

/// The timeout that was noted, in milliseconds.
pub async fn read(desk: &Desk, lease: LeaseId) -> Result<Option<i64>> {
    let found = desk
        .host
        .keeper()
        .backend()
        .range(&just(&key(lease)))
        .await?;
    Ok(found.kvs.first().and_then(|kv| timeout_in(&kv.value)))
}

fn timeout_in(value: &[u8]) -> Option<i64> {
    let record: Option<Record> = serde_json::from_slice(value).ok();
    record.map(|record| record.timeout_ms)
}

/// A session without a connection.
pub struct After {
    pub desk: Desk,
    pub holder: Holder,
    /// Of its lease.
    pub ttl: Duration,
    /// How long it is kept.
    pub timeout: Duration,
}

impl After {
    /// Keeps it, as a task of the door.
    pub fn begin(self) {
        let (tasks, stopping) = (self.desk.tasks.clone(), self.desk.stopping.clone());
        tasks.spawn(stopping.run_until_cancelled_owned(async move {
            renew_for(&self.desk, self.holder.lease, self.ttl, self.timeout).await;
            if !self.desk.present.lock().contains(&self.holder.lease) {
                self.end().await;
            }
        }));
    }

    async fn end(&self) {
        match end(self.desk.host.keeper(), self.holder).await {
            // Either way it is not ours any more.
            Ok(_) => {}
            // Its TTL does it.
            Err(error) => warn!(session = %self.holder.lease, %error, "a session was not ended"),
        }
    }
}

/// Renews a lease for so long, unless it is gone.
async fn renew_for(desk: &Desk, lease: LeaseId, ttl: Duration, time: Duration) {
    let until = clock::now() + time;
    loop {
        let renewed = desk.host.keeper().backend().renew(lease).await;
        let left = until.saturating_duration_since(clock::now());
        if left.is_zero() || !matches!(renewed, Ok(Some(_))) {
            return;
        }
        clock::sleep(left.min(ttl / 3)).await;
    }
}

/// Goes on with what a server before this one promised: sessions with a timeout that is longer than
/// their TTL are renewed until it is over, counted anew as leases are.
pub async fn adopt(desk: Desk) {
    let all = RangeRequest {
        key: Bytes::from_static(TIMEOUTS),
        range_end: end_of(TIMEOUTS),
        ..Default::default()
    };
    let found = match desk.host.keeper().backend().range(&all).await {
        Ok(found) => found.kvs,
        Err(Error::Stopped) => return,
        Err(error) => return warn!(%error, "the timeouts of elock's sessions are not known"),
    };
    for kv in found {
        let lease = LeaseId(kv.lease);
        let ttl = desk.host.keeper().backend().lease_left(lease);
        let (Some(timeout), Some(ttl)) = (timeout_in(&kv.value), ttl) else {
            continue;
        };
        // The TTL comes on top of the last renewal.
        let longer = millis(timeout).saturating_sub(ttl);
        if !longer.is_zero() {
            let (tasks, stopping) = (desk.tasks.clone(), desk.stopping.clone());
            let desk = desk.clone();
            tasks.spawn(stopping.run_until_cancelled_owned(async move {
                renew_for(&desk, lease, ttl, longer).await;
            }));
        }
    }
}
