//! The Lock service of a whole server, through `etcd-client` (behaviour of etcd 3.5 and later).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod common;

use common::{Fixture, keys_under, soon, status, until_count, watching};
use etcd_client::{Client, Error, LockOptions, LockResponse, WatchOptions};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use tonic::Code;

fn on(lease: i64) -> Option<LockOptions> {
    Some(LockOptions::new().with_lease(lease))
}

async fn lease(client: &mut Client, ttl: i64) -> i64 {
    client.lease_grant(ttl, None).await.unwrap().id()
}

/// Many leases of ten minutes, granted at once.
async fn leases(client: &Client, count: usize) -> Vec<i64> {
    let grants = (0..count).map(|_| {
        let mut client = client.clone();
        async move { lease(&mut client, 600).await }
    });
    join_all(grants).await
}

/// A waiter on `job` as a task of its own.
fn waiter(client: &Client, lease: i64) -> tokio::task::JoinHandle<Result<LockResponse, Error>> {
    let mut client = client.clone();
    tokio::spawn(async move { client.lock("job", on(lease)).await })
}

#[tokio::test]
async fn the_key_is_the_name_and_the_lease_in_hex() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let lease = lease(&mut client, 60).await;
    let locked = client.lock("job", on(lease)).await.unwrap();
    assert_eq!(locked.key(), format!("job/{lease:x}").as_bytes());
    assert_eq!(locked.header().unwrap().revision(), 2);
    let again = client.lock("job", on(lease)).await.unwrap();
    assert_eq!(again.key(), locked.key());
    assert_eq!(
        again.header().unwrap().revision(),
        2,
        "the same lease again writes nothing"
    );
    let kv = client.get(locked.key(), None).await.unwrap();
    assert_eq!(
        (kv.kvs()[0].value(), kv.kvs()[0].lease()),
        (&b""[..], lease)
    );
}

#[tokio::test]
async fn waiters_are_served_in_the_order_of_their_keys() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let first = lease(&mut client, 60).await;
    let mut held = client.lock("job", on(first)).await.unwrap();
    let mut waiters = Vec::new();
    for n in 2..=6 {
        let lease = lease(&mut client, 60).await;
        waiters.push(waiter(&client, lease));
        until_count(&mut client, "job/", n).await;
    }
    for waiter in waiters {
        assert!(!waiter.is_finished());
        let unlocked = client.unlock(held.key()).await.unwrap();
        held = soon(waiter).await.unwrap().unwrap();
        // After a wait the header is that of the last look, not of the Txn.
        assert!(held.header().unwrap().revision() >= unlocked.header().unwrap().revision());
    }
}

#[tokio::test]
async fn a_waiter_that_goes_away_leaves_no_key() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let (first, second) = (lease(&mut client, 60).await, lease(&mut client, 60).await);
    client.lock("job", on(first)).await.unwrap();
    let dropped = waiter(&client, second);
    until_count(&mut client, "job/", 2).await;
    dropped.abort();
    until_count(&mut client, "job/", 1).await;
}

#[tokio::test]
async fn a_waiter_whose_connection_breaks_leaves_no_key() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    client.lock("job", None).await.unwrap();
    let mut other = f.client().await;
    let lease = lease(&mut client, 60).await;
    {
        let wait = other.lock("job", on(lease));
        tokio::pin!(wait);
        tokio::select! {
            _ = wait.as_mut() => panic!("it is held"),
            () = until_count(&mut client, "job/", 2) => {}
        }
    }
    drop(other);
    until_count(&mut client, "job/", 1).await;
}

#[tokio::test]
async fn cancelling_one_of_two_calls_on_a_lease_leaves_the_other_waiting() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let (first, shared) = (lease(&mut client, 60).await, lease(&mut client, 60).await);
    let held = client.lock("job", on(first)).await.unwrap();
    let stays = waiter(&client, shared);
    until_count(&mut client, "job/", 2).await;
    let leaves = waiter(&client, shared);
    // A put by the same connection comes behind the second call's Txn only once that was sent.
    tokio::task::yield_now().await;
    client.put("elsewhere", "", None).await.unwrap();
    leaves.abort();
    let _ = leaves.await;
    client.put("elsewhere", "", None).await.unwrap();
    client.unlock(held.key()).await.unwrap();
    let granted = soon(stays).await.unwrap().unwrap();
    assert_eq!(
        keys_under(&mut client, "job/").await,
        [granted.key().escape_ascii().to_string()]
    );
}

#[tokio::test]
async fn a_waiter_in_the_middle_that_leaves_lets_nobody_in() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let leases = [
        lease(&mut client, 60).await,
        lease(&mut client, 60).await,
        lease(&mut client, 60).await,
    ];
    let held = client.lock("job", on(leases[0])).await.unwrap();
    let middle = waiter(&client, leases[1]);
    until_count(&mut client, "job/", 2).await;
    let last = waiter(&client, leases[2]);
    until_count(&mut client, "job/", 3).await;
    middle.abort();
    until_count(&mut client, "job/", 2).await;
    assert!(!last.is_finished());
    client.unlock(held.key()).await.unwrap();
    soon(last).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_waiter_whose_lease_ends_is_told_when_its_turn_would_have_come() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let (first, second) = (lease(&mut client, 60).await, lease(&mut client, 60).await);
    let held = client.lock("job", on(first)).await.unwrap();
    let expired = waiter(&client, second);
    until_count(&mut client, "job/", 2).await;
    client.lease_revoke(second).await.unwrap();
    client.put("elsewhere", "", None).await.unwrap();
    assert!(
        !expired.is_finished(),
        "as in etcd, it still waits for the one before it"
    );
    client.unlock(held.key()).await.unwrap();
    let error = status(soon(expired).await.unwrap().unwrap_err());
    assert_eq!(
        error,
        (Code::Unknown, "mutex: session is expired".to_owned())
    );
}

#[tokio::test]
async fn the_holders_lease_ends_and_the_next_is_let_in_at_once() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    // Long enough for a machine that stands still for a moment before the lock.
    let (short, long) = (lease(&mut client, 5).await, lease(&mut client, 600).await);
    client.lock("job", on(short)).await.unwrap();
    soon(client.lock("job", on(long))).await.unwrap();
    let ttl = client.lease_time_to_live(short, None).await.unwrap().ttl();
    assert_eq!(ttl, -1, "the first lease is gone, not outrun");
}

#[tokio::test]
async fn without_a_lease_the_server_grants_a_minute() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    client.lock("job", None).await.unwrap();
    let granted = client.leases().await.unwrap().leases()[0].id();
    assert_eq!(
        client
            .lease_time_to_live(granted, None)
            .await
            .unwrap()
            .granted_ttl(),
        60
    );
    let mut cancelled = client.clone();
    let waiting = tokio::spawn(async move { cancelled.lock("job", None).await });
    until_count(&mut client, "job/", 2).await;
    waiting.abort();
    until_count(&mut client, "job/", 1).await;
    assert_eq!(
        client.leases().await.unwrap().leases().len(),
        1,
        "nobody knew the other lease"
    );
}

#[tokio::test]
async fn every_error_has_code_unknown() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let error = status(client.lock("job", on(4711)).await.unwrap_err());
    assert_eq!(
        error,
        (
            Code::Unknown,
            "etcdserver: requested lease not found".to_owned()
        )
    );
    let error = status(client.unlock("").await.unwrap_err());
    assert_eq!(
        error,
        (Code::Unknown, "etcdserver: key is not provided".to_owned())
    );
    assert!(client.unlock("no/such/key").await.is_ok());
}

#[tokio::test]
async fn a_deeper_key_holds_its_parents_lock_too() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let (a, b) = (lease(&mut client, 60).await, lease(&mut client, 60).await);
    let deep = client.lock("job/deep", on(a)).await.unwrap();
    let waiting = waiter(&client, b);
    until_count(&mut client, "job/", 2).await;
    assert!(!waiting.is_finished());
    client.unlock(deep.key()).await.unwrap();
    soon(waiting).await.unwrap().unwrap();
    let c = lease(&mut client, 60).await;
    soon(client.lock("job/deep", on(c)))
        .await
        .expect("not the other way round");
}

#[tokio::test]
async fn a_thousand_waiters_on_one_connection_and_the_unlock_that_frees_them() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let first = lease(&mut client, 600).await;
    let held = client.lock("job", on(first)).await.unwrap();
    let leases = leases(&client, 1000).await;
    let waiters = leases.into_iter().map(|lease| waiter(&client, lease));
    let mut waiters: FuturesUnordered<_> = waiters.collect();
    until_count(&mut client, "job/", 1001).await;
    client.unlock(held.key()).await.unwrap();
    let mut turns = Vec::new();
    for _ in 0..1000 {
        let turn = soon(waiters.next()).await.unwrap();
        let key = turn.unwrap().unwrap().key().to_vec();
        let created = client.get(key.clone(), None).await.unwrap().kvs()[0].create_revision();
        turns.push(created);
        client.unlock(key).await.unwrap();
    }
    assert!(turns.is_sorted(), "first come, first served");
}

#[tokio::test]
async fn a_thousand_waiters_cancelled_at_once_leave_no_key() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let held = client.lock("job", None).await.unwrap();
    let leases = leases(&client, 1000).await;
    let waiters = leases.into_iter().map(|lease| waiter(&client, lease));
    let waiters: Vec<_> = waiters.collect();
    until_count(&mut client, "job/", 1001).await;
    waiters.iter().for_each(tokio::task::JoinHandle::abort);
    until_count(&mut client, "job/", 1).await;
    client.unlock(held.key()).await.unwrap();
    soon(client.lock("job", None)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_stops_sends_its_waiters_away_without_keys() {
    let mut f = Fixture::start().await;
    let mut client = f.client().await;
    client.lock("job", None).await.unwrap();
    let lease = lease(&mut client, 60).await;
    let waiting = waiter(&client, lease);
    until_count(&mut client, "job/", 2).await;
    f.restart().await;
    let (code, text) = status(soon(waiting).await.unwrap().unwrap_err());
    assert_eq!(
        (code, text.as_str()),
        (Code::Unavailable, "etcdserver: server stopped")
    );
    let mut client = f.client().await;
    assert_eq!(
        keys_under(&mut client, "job/").await.len(),
        1,
        "the holder's"
    );
}

#[tokio::test]
async fn a_hand_off_is_one_delete_and_no_other_write() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let (a, b) = (lease(&mut client, 60).await, lease(&mut client, 60).await);
    let held = client.lock("job", on(a)).await.unwrap();
    let next = waiter(&client, b);
    until_count(&mut client, "job/", 2).await;
    let mut stream = watching(&mut client, "job/", WatchOptions::new().with_prefix()).await;
    let before = client
        .unlock(held.key())
        .await
        .unwrap()
        .header()
        .unwrap()
        .revision();
    let granted = soon(next).await.unwrap().unwrap();
    assert_eq!(granted.header().unwrap().revision(), before);
    let response = soon(stream.message()).await.unwrap().unwrap();
    assert_eq!(response.events().len(), 1);
}
