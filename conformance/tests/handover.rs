//! A holder that dies: the lock goes on when its lease ends, neither earlier nor
//! noticeably later. In a file of its own, so that no other test runs beside it.
#![allow(missing_docs)]

use std::time::Duration;

use anyhow::{Context, Result, bail};
use etcd_client::{Client, EventType, WatchOptions};
use latchd_conformance::{
    etcdctl::{Etcdctl, granted_key},
    locks,
    proxy::Proxy,
    server::Server,
    wait::{SOON, within},
};
use tokio::{task::JoinHandle, time::Instant};

/// Long enough for a machine that stands still for a moment between two keepalives.
const TTL: u32 = 6;

/// How long after the lease's end the next holder must have the lock, on a machine that does other
/// things: latchd promises a tenth of it. etcd looks for expired leases every 500 ms, and its waiters
/// sit out sweeps of 100 ms.
fn allowed(server: &Server) -> Duration {
    Duration::from_secs(if server.is_latchd() { 1 } else { 3 })
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_of_the_holder_hands_over_when_its_lease_ends() -> Result<()> {
    let server = Server::start().await?;
    let client = server.client().await?;
    let mut proxy = Proxy::start(server.spec().address()).await?;
    let direct = Etcdctl::new(server.spec().address())?;

    let (mut holder, key) = Etcdctl::new(proxy.address())?.hold("job", TTL).await?;
    let mut next = direct.lock("job", 60)?;
    locks::await_count(&client, "job", 2).await?;
    let mut last = direct.lock("job", 60)?;
    locks::await_count(&client, "job", 3).await?;
    let deleted = when_deleted(&client, &key).await?;

    // Well into its life: it has only been kept alive for a while.
    proxy.more_answers(2).await?;
    holder.kill().await?;
    let granted = granted_key(&mut next).await?;
    let granted_at = Instant::now();
    let deleted_at = within(SOON, "the DELETE", async { deleted.await? }).await?;

    let renewed_at = proxy.last_answered().context("no keepalive seen")?;
    let lease_end = renewed_at + Duration::from_secs(TTL.into());
    println!(
        "after the lease's end: DELETE {} ms, next holder {} ms",
        late(deleted_at, lease_end),
        late(granted_at, lease_end)
    );
    assert!(
        deleted_at >= lease_end,
        "handed over before the lease's end"
    );
    let limit = lease_end + allowed(&server);
    assert!(
        granted_at <= limit,
        "{} ms late",
        late(granted_at, lease_end)
    );

    let queue = locks::queue(&client, "job").await?;
    assert_eq!(queue.len(), 2, "{queue:?}");
    assert_eq!(queue.first(), Some(&granted.into_bytes()));
    assert!(!last.has_ended()?, "the third still waits");
    Ok(())
}

fn late(at: Instant, than: Instant) -> i128 {
    let micros = |d: Duration| i128::try_from(d.as_micros()).unwrap_or(i128::MAX);
    (micros(at.saturating_duration_since(than)) - micros(than.saturating_duration_since(at))) / 1000
}

/// When the watch tells that `key` was deleted. It is in place on return.
async fn when_deleted(client: &Client, key: &str) -> Result<JoinHandle<Result<Instant>>> {
    let mut stream = locks::watch(client, key, WatchOptions::new()).await?;
    Ok(tokio::spawn(async move {
        while let Some(response) = stream.message().await? {
            let now = Instant::now();
            let mut types = response.events().iter().map(etcd_client::Event::event_type);
            if types.any(|kind| kind == EventType::Delete) {
                return Ok(now);
            }
        }
        bail!("the watch ended")
    }))
}
