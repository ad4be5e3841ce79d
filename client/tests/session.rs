//! Sessions against a latchd in this process.

mod support;

use std::time::Duration;

use latchd_client::{Client, Error, Loss, Options};
use support::{Fixture, endpoint, soon};
use tokio::time::Instant;

const SHORT_TTL: Duration = Duration::from_secs(2);

#[tokio::test]
async fn lost_when_its_lease_is_revoked() {
    let fixture = Fixture::start().await;
    let session = fixture.client.session(SHORT_TTL).await.expect("a session");
    let guard = session.mutex("job").lock().await.expect("the lock");
    assert!(!session.is_lost());

    let (loss, ()) = soon(async { tokio::join!(guard.lost(), fixture.revoke(&session)) }).await;
    assert_eq!(loss, Loss::Expired);
    assert_eq!(soon(session.lost()).await, Loss::Expired);
    assert!(guard.is_lost());
    let released = guard.unlock().await;
    assert!(
        matches!(released, Err(Error::SessionLost { .. })),
        "{released:?}"
    );

    let refused = session.mutex("other").lock().await;
    assert!(
        matches!(
            refused,
            Err(Error::SessionLost {
                loss: Loss::Expired,
                ..
            })
        ),
        "{refused:?}"
    );
    assert!(fixture.keys("other").await.is_empty());
    let next = fixture.session().await.mutex("job");
    drop(next.try_lock().await.expect("the lock is free"));
}

#[tokio::test]
async fn a_heartbeat_finds_out_that_its_lease_was_revoked() {
    let fixture = Fixture::start().await;
    let session = fixture.client.session(SHORT_TTL).await.expect("a session");
    fixture.revoke(&session).await;
    assert_eq!(soon(session.lost()).await, Loss::Expired);
}

#[tokio::test]
async fn a_guard_finds_out_before_the_next_heartbeat() {
    let fixture = Fixture::start().await;
    // No heartbeat comes within the patience of this test.
    let guard = fixture.lock("job").await;
    let revoking = fixture.revoke(guard.session());
    let (loss, ()) = soon(async { tokio::join!(guard.lost(), revoking) }).await;
    assert_eq!(loss, Loss::Expired);
}

#[tokio::test]
async fn a_wait_ends_with_its_session() {
    let fixture = Fixture::start().await;
    let holder = fixture.lock("job").await;
    let session = fixture.client.session(SHORT_TTL).await.expect("a session");
    let mut changes = fixture.changes("job").await;
    let mutex = session.mutex("job");
    let waiting = tokio::spawn(async move { mutex.lock().await });
    changes
        .expect_put(&format!("job/{}", session.lease()))
        .await;
    fixture.revoke(&session).await;
    let ended = soon(waiting).await.expect("no panic");
    assert!(matches!(ended, Err(Error::SessionLost { .. })), "{ended:?}");
    assert_eq!(fixture.keys("job").await, [holder.key()]);
}

#[tokio::test]
async fn kept_alive_beyond_its_ttl() {
    let fixture = Fixture::start().await;
    let session = fixture.client.session(SHORT_TTL).await.expect("a session");
    let outlived = tokio::time::timeout(session.ttl() * 2, session.lost()).await;
    assert!(outlived.is_err(), "{outlived:?}");
    let _guard = session
        .mutex("job")
        .try_lock()
        .await
        .expect("its lease is there");
}

#[tokio::test]
async fn close_frees_its_locks_and_ends_everything() {
    let fixture = Fixture::start().await;
    let session = fixture.session().await;
    let guard = session.mutex("job").lock().await.expect("the lock");
    let (lost, closed) = tokio::join!(guard.lost(), session.clone().close());
    closed.expect("closed");
    assert_eq!(lost, Loss::Closed);
    assert!(fixture.keys("job").await.is_empty());
    assert!(guard.is_lost() && session.is_lost());
}

#[tokio::test]
async fn dropping_the_last_handle_revokes_the_lease() {
    let fixture = Fixture::start().await;
    let guard = fixture.lock("job").await;
    let key = guard.key().to_owned();
    // A key of the lease that no guard would delete.
    let lease = guard.session().lease().0;
    let on_lease = etcd_client::PutOptions::new().with_lease(lease);
    let mut kv = fixture.etcd.kv_client();
    kv.put("other/key", "", Some(on_lease))
        .await
        .expect("a key");
    let (mut job, mut other) = (fixture.changes("job").await, fixture.changes("other").await);
    drop(guard);
    job.expect_delete(&key).await;
    other.expect_delete("other/key").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_at_its_own_deadline_when_the_server_is_gone() {
    let fixture = Fixture::start().await;
    let session = fixture.client.session(SHORT_TTL).await.expect("a session");
    let guard = session.mutex("job").lock().await.expect("the lock");
    let notice = session.ttl() / 2;
    // Renewals end at some moment before this, so the deadline is at most a TTL away.
    fixture.server.stop().await;
    let stopped = Instant::now();
    assert_eq!(soon(guard.lost_with_notice(notice)).await, Loss::NotRenewed);
    assert!(!guard.is_lost(), "it is a notice");
    assert_eq!(soon(guard.lost()).await, Loss::NotRenewed);
    assert!(stopped.elapsed() <= session.ttl() + Duration::from_secs(1));
    assert!(guard.is_lost());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let fixture = Fixture::start().await;
    let endpoint = endpoint(&fixture.server);
    fixture.server.stop().await;
    let options = Options::default().with_request_timeout(Duration::from_millis(100));
    let client = Client::connect([endpoint], options)
        .await
        .expect("nothing is sent yet");
    let refused = soon(client.session(SHORT_TTL)).await;
    assert!(
        refused.as_ref().is_err_and(Error::is_unreachable),
        "{refused:?}"
    );
    let none: [&str; 0] = [];
    assert!(matches!(
        Client::connect(none, Options::default()).await,
        Err(Error::Refused(_))
    ));
}

#[tokio::test]
async fn a_dead_endpoint_beside_a_live_one_does_no_harm() {
    let fixture = Fixture::start().await;
    let gone = Fixture::start().await;
    let endpoints = [endpoint(&gone.server), endpoint(&fixture.server)];
    gone.server.stop().await;
    let client = Client::connect(endpoints, Options::default())
        .await
        .expect("a client");
    let session = soon(client.session(SHORT_TTL)).await.expect("a session");
    for _ in 0..10 {
        let guard = soon(session.mutex("job").lock()).await.expect("the lock");
        soon(guard.unlock()).await.expect("released");
        drop(
            soon(session.mutex("try").try_lock())
                .await
                .expect("the lock"),
        );
        soon(session.mutex("try").lock())
            .await
            .expect("the lock")
            .unlock()
            .await
            .expect("done");
    }
    soon(session.close()).await.expect("closed");
}
