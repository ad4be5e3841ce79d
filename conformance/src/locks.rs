//! What several tests ask of a lock: the keys under its name, and leases.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use etcd_client::{
    Client, GetOptions, LeaseGrantOptions, LockOptions, SortOrder, SortTarget, WatchOptions,
    WatchStream,
};
use tokio::time::timeout;

use crate::wait::{SOON, until, within};

/// How many keys a lock has: its holder and its waiters.
///
/// # Errors
/// When the server does not answer.
pub async fn count(client: &Client, name: &str) -> Result<i64> {
    let options = GetOptions::new().with_prefix().with_count_only();
    let mut kv = client.kv_client();
    Ok(kv.get(format!("{name}/"), Some(options)).await?.count())
}

/// A lock's keys, oldest first: the order in which they must be granted.
///
/// # Errors
/// When the server does not answer.
pub async fn queue(client: &Client, name: &str) -> Result<Vec<Vec<u8>>> {
    let options = GetOptions::new()
        .with_prefix()
        .with_sort(SortTarget::Create, SortOrder::Ascend);
    let mut kv = client.kv_client();
    let mut found = kv.get(format!("{name}/"), Some(options)).await?;
    let keys = found.take_kvs().into_iter();
    Ok(keys.map(|kv| kv.into_key_value().0).collect())
}

/// Waits until a lock has exactly `n` keys.
///
/// # Errors
/// When it does not come to that.
pub async fn await_count(client: &Client, name: &str, n: i64) -> Result<()> {
    let what = format!("{n} keys under {name}/");
    let done = until(&what, async || Ok(count(client, name).await? == n)).await;
    match done {
        Ok(()) => Ok(()),
        Err(error) => {
            let found = count(client, name).await?;
            Err(error.context(format!("there are {found}")))
        }
    }
}

/// A watch that is in place: what comes from here on is told.
///
/// # Errors
/// When the server does not create it.
pub async fn watch(client: &Client, key: &str, options: WatchOptions) -> Result<WatchStream> {
    let mut stream = client.watch_client().watch(key, Some(options)).await?;
    let created = within(SOON, "the watch", async { Ok(stream.message().await?) }).await?;
    ensure!(created.is_some_and(|response| response.created()));
    Ok(stream)
}

/// A lease that nobody keeps alive; `id` 0 lets the server choose.
///
/// # Errors
/// When it is refused.
pub async fn lease(client: &Client, ttl_seconds: i64, id: i64) -> Result<i64> {
    let options = LeaseGrantOptions::new().with_id(id);
    let mut leases = client.lease_client();
    Ok(leases.grant(ttl_seconds, Some(options)).await?.id())
}

/// Takes a lock through the Lock service; returns its key.
///
/// # Errors
/// When it is not granted within [`SOON`].
pub async fn take(client: &Client, name: &str, lease: i64) -> Result<Vec<u8>> {
    let options = LockOptions::new().with_lease(lease);
    within(SOON, "the lock", async {
        let granted = client.lock_client().lock(name, Some(options)).await?;
        Ok(granted.key().to_vec())
    })
    .await
}

/// Whether a lock is still not granted after `patience`; the attempt is then
/// dropped, which must take its key away.
///
/// # Errors
/// When the server answers with an error.
pub async fn stays_held(
    client: &Client,
    name: &str,
    lease: i64,
    patience: Duration,
) -> Result<bool> {
    let options = LockOptions::new().with_lease(lease);
    let mut locks = client.lock_client();
    match timeout(patience, locks.lock(name, Some(options))).await {
        Err(_elapsed) => Ok(true),
        Ok(granted) => {
            granted?;
            Ok(false)
        }
    }
}

/// The lease in a lock's key, which ends in its ID as hex.
///
/// # Errors
/// When it does not.
pub fn lease_of(key: &str) -> Result<i64> {
    let (_, hex) = key.rsplit_once('/').context("no / in the key")?;
    i64::from_str_radix(hex, 16).with_context(|| format!("no lease in {key}"))
}

/// The revision in a response's header.
///
/// # Errors
/// When there is no header.
pub fn revision(header: Option<&etcd_client::ResponseHeader>) -> Result<i64> {
    Ok(header.context("no header")?.revision())
}
