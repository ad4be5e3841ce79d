//! Waiters that go away, by their will or not: none leaves a key behind.
#![allow(missing_docs)]

use anyhow::{Result, ensure};
use etcd_client::Client;
use latchd_conformance::{locks, proxy::Proxy, queue::Queue, server::Server, target::skip_on_etcd};

/// Seen on 3.7.1: with 50 waiters cancelled at once, about every third time some
/// of their keys stay. The embedded client's watch hangs while it closes, and with
/// it the call that would delete the key.
const ETCD_LEAVES_KEYS: &str = "etcd leaves keys of cancelled waiters behind";

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_waiters_cancelled_at_once_leave_no_key() -> Result<()> {
    if skip_on_etcd(ETCD_LEAVES_KEYS)? {
        return Ok(());
    }
    let mut server = Server::start().await?;
    let client = server.client().await?;
    let mut queue = Queue::form(&client, &client, "job", 1000).await?;
    queue.cancel_all();
    locks::await_count(&client, "job", 1).await?;

    // The connection still serves, and the lock still works.
    client.lock_client().unlock(queue.holder()).await?;
    ensure!(locks::count(&client, "job").await? == 0);
    locks::take(&client, "job", locks::lease(&client, 60, 0).await?).await?;
    server.must_be_well()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_takes_its_waiters_along() -> Result<()> {
    if skip_on_etcd(ETCD_LEAVES_KEYS)? {
        return Ok(());
    }
    let mut server = Server::start().await?;
    let client = server.client().await?;
    let relay = Proxy::start(server.spec().address()).await?;
    let far = Client::connect([relay.address()], None).await?;
    let queue = Queue::form(&client, &far, "job", 20).await?;

    // Cuts the connection; nobody has cancelled anything.
    drop(relay);
    locks::await_count(&client, "job", 1).await?;
    ensure!(locks::queue(&client, "job").await? == [queue.holder()]);
    server.must_be_well()
}
