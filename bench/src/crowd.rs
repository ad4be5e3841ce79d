//! Many of a kind: leases, keys, watchers, callers that wait.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, channel::mpsc, stream};
use latchd_proto::{
    etcdserverpb::{
        LeaseGrantRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, WatchCreateRequest,
        WatchRequest, WatchResponse, kv_client::KvClient, lease_client::LeaseClient,
        request_op::Request, watch_client::WatchClient, watch_request::RequestUnion,
    },
    v3lockpb::{LockRequest, UnlockRequest, lock_client::LockClient},
};
use tokio::time::{sleep, timeout};
use tonic::{Streaming, codegen::Bytes};

use crate::{scenario::VALUE, wire::Wire};

/// Calls that are under way at a time.
pub const AT_ONCE: usize = 256;
/// How long anything may take that should come at once.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// Puts in one Txn, which may have 128.
const PUTS_IN_A_TXN: usize = 100;
/// Txns of so many puts that are under way at a time.
const TXNS_AT_ONCE: usize = 8;
/// How often those who wait are counted.
const COUNT_EVERY: Duration = Duration::from_millis(50);

/// So many leases that live for `ttl` seconds.
///
/// # Errors
/// When the server refuses one.
pub async fn grant(wires: &[Wire], count: usize, ttl: i64) -> Result<Vec<i64>> {
    let grants = wires.iter().cycle().take(count).map(|wire| async move {
        let request = LeaseGrantRequest { ttl, id: 0 };
        let granted = LeaseClient::new(wire.clone()).lease_grant(request).await;
        anyhow::Ok(granted.context("LeaseGrant")?.into_inner().id)
    });
    stream::iter(grants)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// Puts [`VALUE`] under each key, with its lease (0 is none), a hundred in a Txn.
///
/// # Errors
/// When the server refuses one.
pub async fn put_all(wires: &[Wire], keys: impl Iterator<Item = (String, i64)>) -> Result<()> {
    let puts = keys.map(|(key, lease)| RequestOp {
        request: Some(Request::RequestPut(PutRequest {
            key: key.into(),
            value: VALUE.as_slice().into(),
            lease,
            ..Default::default()
        })),
    });
    let txns = stream::iter(puts).chunks(PUTS_IN_A_TXN);
    let sent = txns.zip(stream::iter(wires.iter().cycle()));
    sent.map(|(success, wire)| async move {
        let request = TxnRequest {
            success,
            ..Default::default()
        };
        let done = KvClient::new(wire.clone()).txn(request).await;
        done.context("Txn").map(|_| ())
    })
    .buffer_unordered(TXNS_AT_ONCE)
    .try_collect()
    .await
}

/// Puts one key without a value.
///
/// # Errors
/// When the server refuses.
pub async fn put(wire: &Wire, key: String, lease: i64) -> Result<()> {
    let request = PutRequest {
        key: key.into(),
        lease,
        ..Default::default()
    };
    KvClient::new(wire.clone())
        .put(request)
        .await
        .context("Put")?;
    Ok(())
}

/// How many keys begin with `prefix`.
///
/// # Errors
/// When the server refuses.
pub async fn count_under(wire: &Wire, prefix: &'static str) -> Result<usize> {
    let request = RangeRequest {
        key: prefix.into(),
        range_end: end_of(prefix),
        count_only: true,
        ..Default::default()
    };
    let counted = KvClient::new(wire.clone()).range(request).await;
    Ok(usize::try_from(
        counted.context("Range")?.into_inner().count,
    )?)
}

/// Returns once so many keys begin with `prefix`.
///
/// # Errors
/// When that does not come about in time.
pub async fn until_under(wire: &Wire, prefix: &'static str, count: usize) -> Result<()> {
    let all_there = async {
        while count_under(wire, prefix).await? < count {
            sleep(COUNT_EVERY).await;
        }
        anyhow::Ok(())
    };
    let there = timeout(PATIENCE, all_there).await;
    there.with_context(|| format!("there are no {count} keys under {prefix}"))?
}

/// The first key that sorts after all that begin with `prefix`, which ends in a character that is not
/// the last of its kind.
fn end_of(prefix: &str) -> Bytes {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end.into()
}

/// Lock: the key that is held, once it is.
///
/// # Errors
/// When the server refuses.
pub async fn lock(wire: &Wire, name: &'static str, lease: i64) -> Result<Bytes> {
    let request = LockRequest {
        name: name.into(),
        lease,
    };
    let granted = LockClient::new(wire.clone()).lock(request).await;
    Ok(granted.context("Lock")?.into_inner().key)
}

/// Unlock of a held key.
///
/// # Errors
/// When the server refuses.
pub async fn unlock(wire: &Wire, key: Bytes) -> Result<()> {
    let mut locks = LockClient::new(wire.clone());
    let released = locks.unlock(UnlockRequest { key }).await;
    released.context("Unlock")?;
    Ok(())
}

/// An open Watch stream.
pub struct Watch {
    /// The last key that it watches.
    pub key: String,
    /// What comes.
    pub responses: Streaming<WatchResponse>,
    _requests: mpsc::UnboundedSender<WatchRequest>,
}

/// Watchers of these keys, so many of them on a stream.
///
/// # Errors
/// When the server refuses one.
pub async fn watches(wires: &[Wire], keys: &[String], on_a_stream: usize) -> Result<Vec<Watch>> {
    let streams = keys.chunks(on_a_stream).zip(wires.iter().cycle());
    let streams = streams.map(|(keys, wire)| {
        let creates = keys.iter().map(|key| (key.clone(), Bytes::new()));
        watch(wire.clone(), creates.collect())
    });
    stream::iter(streams)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// A watcher of all keys that begin with `prefix`.
///
/// # Errors
/// When the server refuses.
pub async fn watch_under(wire: Wire, prefix: &str) -> Result<Watch> {
    watch(wire, vec![(prefix.to_owned(), end_of(prefix))]).await
}

/// Watchers of these keys, each up to its end, on one stream.
async fn watch(wire: Wire, ranges: Vec<(String, Bytes)>) -> Result<Watch> {
    let (requests, sent) = mpsc::unbounded();
    for (key, range_end) in ranges.clone() {
        let create = WatchCreateRequest {
            key: key.into(),
            range_end,
            ..Default::default()
        };
        let request_union = Some(RequestUnion::CreateRequest(create));
        requests.unbounded_send(WatchRequest { request_union })?;
    }
    let mut client = WatchClient::new(wire).max_decoding_message_size(usize::MAX);
    let mut responses = client.watch(sent).await.context("Watch")?.into_inner();
    for _ in &ranges {
        let created = responses.message().await?;
        let created = created.context("Watch: the stream ended")?;
        ensure!(created.created && !created.canceled, "Watch: {created:?}");
    }
    Ok(Watch {
        key: ranges
            .last()
            .map(|(key, _)| key.clone())
            .unwrap_or_default(),
        _requests: requests,
        responses,
    })
}
