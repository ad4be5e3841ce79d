//! Go's `concurrency.Mutex` and `etcdctl lock` beside `latchd.v1`: they exclude one another in both
//! directions, and their deadlocks are found.
#![allow(missing_docs)]

use std::time::Duration;

use anyhow::{Context, Result};
use etcd_client::{Client, EventType, Txn, TxnOp, WatchOptions, WatchStream};
use latchd_conformance::{
    etcdctl::{Etcdctl, granted_key},
    locks,
    process::Process,
    server::Server,
    talk::Talk,
    target::skip_on_etcd,
    v1::{self, LocksClient},
    wait::{SOON, within},
};
use latchd_proto::latchd::v1::{AcquireRequest, Deadlock, ListRequest};
use serde_json::Value;
use tokio::time::Instant;

const WHY_NOT_ETCD: &str = "latchd.v1 is latchd's";

/// "Detected, named and resolved within 100 ms" is printed; what is asserted has room for a machine
/// that does other things, and none for a look now and then.
const ALLOWED: Duration = Duration::from_millis(100 * 20);

struct Stage {
    server: Server,
    client: Client,
    locks: LocksClient,
    lease: i64,
}

impl Stage {
    async fn set() -> Result<Self> {
        let server = Server::start().await?;
        let client = server.client().await?;
        Ok(Self {
            locks: v1::connect(&server.spec().url()).await?,
            lease: locks::lease(&client, 60, 0).await?,
            client,
            server,
        })
    }

    async fn go(&self) -> Result<Talk> {
        Talk::go(&self.server).await
    }

    async fn hold(&self, request: AcquireRequest) -> Result<latchd_proto::latchd::v1::Hold> {
        v1::granted(v1::begin(&self.locks, request)).await
    }

    async fn release(&self, hold: latchd_proto::latchd::v1::Hold) -> Result<()> {
        v1::release(&self.locks, self.lease, hold).await
    }

    async fn deadlocks(&self) -> Result<Vec<Deadlock>> {
        let listed = self.locks.clone().list(ListRequest::default()).await?;
        Ok(listed.into_inner().deadlocks)
    }
}

fn assert_done(answer: &Value) {
    assert!(answer.get("error").is_none(), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_go_mutex_waits_for_each_mode_and_each_mode_for_it() -> Result<()> {
    if skip_on_etcd(WHY_NOT_ETCD)? {
        return Ok(());
    }
    let stage = Stage::set().await?;
    let mut go = stage.go().await?;
    for request in v1::each_mode("job", stage.lease) {
        let held = stage.hold(request.clone()).await?;
        go.say("lock job").await?;
        locks::await_count(&stage.client, "job", 2).await?;
        assert!(!go.has_answered("lock job")?);
        stage.release(held).await?;
        assert_done(&go.answer_to("lock job").await?);

        let again = AcquireRequest {
            request_id: request.request_id.clone() + "-behind",
            ..request
        };
        let tried = v1::refused(v1::begin(&stage.locks, again.clone())).await?;
        assert_eq!(v1::reason(&tried), "held");
        let waiting = v1::begin(&stage.locks, v1::waiting(again));
        locks::await_count(&stage.client, "job", 2).await?;
        assert!(!waiting.is_finished());
        assert_done(&go.ask("unlock job").await?);
        stage.release(v1::granted(waiting).await?).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn etcdctl_lock_waits_for_each_mode_and_each_mode_for_it() -> Result<()> {
    if skip_on_etcd(WHY_NOT_ETCD)? {
        return Ok(());
    }
    let stage = Stage::set().await?;
    let etcdctl = Etcdctl::new(stage.server.spec().address())?;
    for request in v1::each_mode("job", stage.lease) {
        let held = stage.hold(request.clone()).await?;
        let mut holder = etcdctl.lock("job", 60)?;
        locks::await_count(&stage.client, "job", 2).await?;
        let again = AcquireRequest {
            request_id: request.request_id.clone() + "-behind",
            ..request
        };
        stage.release(held).await?;
        granted_key(&mut holder).await?;
        let waiting = v1::begin(&stage.locks, v1::waiting(again));
        locks::await_count(&stage.client, "job", 2).await?;
        assert!(!waiting.is_finished());
        unlock(&mut holder).await?;
        stage.release(v1::granted(waiting).await?).await?;
    }
    Ok(())
}

/// Ends an `etcdctl lock` as a user does.
async fn unlock(holder: &mut Process) -> Result<()> {
    holder.signal("INT").await?;
    holder.exit(SOON).await?;
    Ok(())
}

/// "A Txn that deletes a holder's key; a lease revoked under a holder": of Go's, with each mode behind.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_from_a_go_mutex_goes_to_the_next() -> Result<()> {
    if skip_on_etcd(WHY_NOT_ETCD)? {
        return Ok(());
    }
    let stage = Stage::set().await?;
    for (request, revoke) in v1::each_mode("job", stage.lease)
        .into_iter()
        .flat_map(|request| [(request.clone(), false), (request, true)])
    {
        let mut go = stage.go().await?;
        let locked = go.ask("lock job").await?;
        let request = AcquireRequest {
            request_id: format!("{}-{revoke}", request.request_id),
            ..request
        };
        let waiting = v1::begin(&stage.locks, v1::waiting(request));
        locks::await_count(&stage.client, "job", 2).await?;
        let key = locked["key"].as_str().context("no key")?;
        if revoke {
            let lease = locks::lease_of(key)?;
            stage.client.lease_client().revoke(lease).await?;
        } else {
            let delete = Txn::new().and_then([TxnOp::delete(key, None)]);
            stage.client.kv_client().txn(delete).await?;
        }
        stage.release(v1::granted(waiting).await?).await?;
    }
    Ok(())
}

/// "With none in it, it is reported only (metric, log, `latchctl`)", on a server that nobody has ever
/// called latchd.v1 of.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_of_two_go_clients_is_reported() -> Result<()> {
    if skip_on_etcd(WHY_NOT_ETCD)? {
        return Ok(());
    }
    let mut stage = Stage::set().await?;
    let (mut ann, mut bob) = (stage.go().await?, stage.go().await?);
    assert_done(&ann.ask("lock x").await?);
    assert_done(&bob.ask("lock y").await?);
    ann.say("lock y").await?;
    locks::await_count(&stage.client, "y", 2).await?;
    let mut closing = puts(&stage.client, "x/").await?;
    bob.say("lock x").await?;
    let closed = next_put(&mut closing).await?;
    let log = stage.server.process();
    log.stderr_until(SOON, |log| log.contains("deadlock"))
        .await?;
    let took = closed.elapsed();
    println!("reported {took:?} after the circle was closed");
    assert!(took <= ALLOWED, "{took:?}");
    let reported = stage.server.metric("latchd_deadlocks_reported_total");
    assert_eq!(reported.await?, 1.0);

    let deadlocks = stage.deadlocks().await?;
    let [deadlock] = &deadlocks[..] else {
        anyhow::bail!("{deadlocks:?}");
    };
    let owners: Vec<&str> = deadlock.waits.iter().map(|w| w.owner.as_str()).collect();
    for go in [&ann, &bob] {
        let lease = go.introduction["lease"].as_str().context("no lease")?;
        assert!(owners.contains(&lease), "{owners:?}");
    }
    assert_done(&bob.ask("unlock y").await?);
    assert_done(&ann.answer_to("lock y").await?);
    assert!(stage.deadlocks().await?.is_empty());
    Ok(())
}

/// "Single locks in opposite order, also with a Go Mutex in the cycle: detected, named and resolved
/// within 100 ms", whoever of them closes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_with_a_go_mutex_ends_the_wait_that_can_be_ended() -> Result<()> {
    if skip_on_etcd(WHY_NOT_ETCD)? {
        return Ok(());
    }
    let stage = Stage::set().await?;
    for go_closes in [true, false] {
        let mut go = stage.go().await?;
        let owned = |request: AcquireRequest| AcquireRequest {
            owner: "ann".into(),
            ..request
        };
        let held = stage.hold(owned(v1::exclusive("x", stage.lease))).await?;
        assert_done(&go.ask("lock y").await?);
        let wait = owned(v1::waiting(v1::exclusive("y", stage.lease)));
        let (waiting, closed) = if go_closes {
            let waiting = v1::begin(&stage.locks, wait);
            locks::await_count(&stage.client, "y", 2).await?;
            let mut closing = puts(&stage.client, "x/").await?;
            go.say("lock x").await?;
            (waiting, next_put(&mut closing).await?)
        } else {
            go.say("lock x").await?;
            locks::await_count(&stage.client, "x", 2).await?;
            (v1::begin(&stage.locks, wait), Instant::now())
        };
        let status = v1::refused(waiting).await?;
        let took = closed.elapsed();
        println!(
            "aborted {took:?} after the circle was closed: {}",
            status.message()
        );
        assert_eq!(v1::reason(&status), "deadlock");
        let lease = go.introduction["lease"].as_str().context("no lease")?;
        for part in ["ann waits for \"y\"", &format!("{lease} waits for \"x\"")] {
            assert!(status.message().contains(part), "{status:?}");
        }
        assert!(took <= ALLOWED, "{took:?}");
        stage.release(held).await?;
        assert_done(&go.answer_to("lock x").await?);
        assert_done(&go.ask("unlock x").await?);
        assert_done(&go.ask("unlock y").await?);
    }
    Ok(())
}

/// A watch that is in place.
async fn puts(client: &Client, prefix: &str) -> Result<WatchStream> {
    let options = WatchOptions::new().with_prefix();
    locks::watch(client, prefix, options).await
}

/// When the next key is told of.
async fn next_put(watch: &mut WatchStream) -> Result<Instant> {
    within(SOON, "a key", async {
        while let Some(response) = watch.message().await? {
            let mut kinds = response.events().iter().map(etcd_client::Event::event_type);
            if kinds.any(|kind| kind == EventType::Put) {
                return Ok(Instant::now());
            }
        }
        anyhow::bail!("the watch ended")
    })
    .await
}
