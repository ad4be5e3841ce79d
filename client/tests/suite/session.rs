//! What holds locks: how it lives and ends.

use std::time::Duration;

use latchd_client::{Client, Error, Loss, Options};
use tokio::time::Instant;

use crate::support::{SHORT_TTL, Stage, joined, soon};

on_both!(
    lost_when_its_lease_is_revoked,
    a_guard_finds_out_before_the_next_heartbeat,
    a_wait_ends_with_its_session,
    kept_alive_beyond_its_ttl,
    close_frees_its_locks_and_ends_everything,
    dropping_the_last_handle_revokes_the_lease,
);

async fn lost_when_its_lease_is_revoked(stage: Stage) {
    let session = stage.client.session(SHORT_TTL).await.expect("a session");
    let name = stage.name("job");
    let guard = session.mutex(&name).lock().await.expect("the lock");
    assert!(!session.is_lost());

    let (loss, ()) = soon(async { tokio::join!(guard.lost(), stage.revoke(&session)) }).await;
    assert_eq!(loss, Loss::Expired);
    assert_eq!(soon(session.lost()).await, Loss::Expired);
    assert!(guard.is_lost());
    assert_refused!(guard.unlock().await, Error::SessionLost { .. });

    let refused = session.mutex(stage.name("other")).lock().await;
    assert_refused!(
        refused,
        Error::SessionLost {
            loss: Loss::Expired,
            ..
        }
    );
    assert!(stage.keys("other").await.is_empty());
    let next = stage.session().await.mutex(&name);
    drop(next.try_lock().await.expect("the lock is free"));
}

async fn a_guard_finds_out_before_the_next_heartbeat(stage: Stage) {
    // No heartbeat comes within the patience of this test.
    let guard = stage.lock("job").await;
    let revoking = stage.revoke(guard.session());
    let started = Instant::now();
    let (loss, ()) = soon(async { tokio::join!(guard.lost(), revoking) }).await;
    assert_eq!(loss, Loss::Expired);
    assert!(started.elapsed() < guard.session().ttl() / 3);
}

async fn a_wait_ends_with_its_session(stage: Stage) {
    let holder = stage.lock("job").await;
    let session = stage.client.session(SHORT_TTL).await.expect("a session");
    let mut changes = stage.changes("job").await;
    let mutex = session.mutex(stage.name("job"));
    let waiting = tokio::spawn(async move { mutex.lock().await });
    changes.put().await;
    stage.revoke(&session).await;
    assert_refused!(joined(waiting).await, Error::SessionLost { .. });
    assert_eq!(stage.keys("job").await, [holder.key()]);
}

async fn kept_alive_beyond_its_ttl(stage: Stage) {
    let session = stage.client.session(SHORT_TTL).await.expect("a session");
    let outlived = tokio::time::timeout(session.ttl() * 2, session.lost()).await;
    assert!(outlived.is_err(), "{outlived:?}");
    let mutex = session.mutex(stage.name("job"));
    let _guard = mutex.try_lock().await.expect("its lease is there");
}

async fn close_frees_its_locks_and_ends_everything(stage: Stage) {
    let session = stage.session().await;
    let mutex = session.mutex(stage.name("job"));
    let guard = mutex.lock().await.expect("the lock");
    // A reader beside the holder: on a latchd it has a lease of its own, which ends with the session.
    let rw = session.rw_lock(stage.name("data"));
    let readers = [rw.read().await, rw.read().await].map(|guard| guard.expect("the lock"));
    let (lost, closed) = tokio::join!(guard.lost(), session.clone().close());
    closed.expect("closed");
    assert_eq!(lost, Loss::Closed);
    assert!(stage.keys("job").await.is_empty() && stage.keys("data").await.is_empty());
    assert!(guard.is_lost() && session.is_lost());
    assert!(readers.iter().all(|reader| reader.is_lost()));
}

async fn dropping_the_last_handle_revokes_the_lease(stage: Stage) {
    let guard = stage.lock("job").await;
    let key = guard.key().to_owned();
    // A key of the lease that no guard would delete.
    let lease = guard.session().lease().0;
    let on_lease = etcd_client::PutOptions::new().with_lease(lease);
    let other = stage.name("other/key");
    let mut kv = stage.etcd.kv_client();
    let put = kv.put(other.as_str(), "", Some(on_lease)).await;
    put.expect("a key");
    let (mut job, mut others) = (stage.changes("job").await, stage.changes("other").await);
    drop(guard);
    job.deleted(&key).await;
    others.deleted(&other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_at_its_own_deadline_when_the_server_is_gone() {
    let stage = Stage::latchd().await;
    let session = stage.client.session(SHORT_TTL).await.expect("a session");
    let mutex = session.mutex("job");
    let guard = mutex.lock().await.expect("the lock");
    let notice = session.ttl() / 2;
    // Renewals end at some moment before this, so the deadline is at most a TTL away.
    stage.stop().await;
    let stopped = Instant::now();
    assert_eq!(soon(guard.lost_with_notice(notice)).await, Loss::NotRenewed);
    assert!(!guard.is_lost(), "it is a notice");
    assert_eq!(soon(guard.lost()).await, Loss::NotRenewed);
    assert!(stopped.elapsed() <= session.ttl() * 3);
    assert!(guard.is_lost());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_told() {
    let stage = Stage::latchd().await;
    let endpoint = stage.endpoint.clone();
    stage.stop().await;
    let options = Options::default().with_request_timeout(Duration::from_millis(100));
    let refused = soon(Client::connect([endpoint], options)).await;
    assert!(
        refused.as_ref().is_err_and(Error::is_unreachable),
        "{refused:?}"
    );
    let none: [&str; 0] = [];
    let refused = Client::connect(none, Options::default()).await;
    assert_refused!(refused, Error::Invalid { .. });
}
