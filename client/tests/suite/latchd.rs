//! What only a latchd can do: short TTLs, sessions bound to their connection, and others that outlive
//! it.

use std::time::Duration;

use latchd_client::proto::latchd::v1::{ReleaseRequest, SessionRequest, session_request as ask};
use latchd_client::{Client, Error, Loss, Options, ServerKind, SessionOptions};
use tokio::time::Instant;
use tonic::Code;

use crate::support::{LONG_TTL, Stage, joined, soon};

/// Short, and long enough for a busy machine.
const GRACE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn ttls_from_a_tenth_of_a_second() {
    let stage = Stage::latchd().await;
    let ttl = Duration::from_millis(100);
    let session = stage.client.session(ttl).await.expect("a session");
    assert_eq!(session.ttl(), ttl);
    let refused = stage.client.session(ttl / 2).await;
    assert_refused!(refused, Error::Invalid { .. });
}

/// lock-rules, "Sessions and time": a session with a grace outlives the server's restart, its holds
/// are held, and waiters get in line again by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_outlives_a_restart_of_the_server() {
    let stage = Stage::latchd().await;
    let options = SessionOptions::new(Duration::from_secs(30)).with_grace(GRACE);
    let session = stage.client.open_session(options).await.expect("a session");
    assert_eq!(session.ttl(), GRACE);
    let held = session
        .mutex(stage.name("job"))
        .lock()
        .await
        .expect("the lock");
    let token = held.fencing_token();
    let mut changes = stage.changes("job").await;
    let waiter = stage.session().await.mutex(stage.name("job"));
    let waiting = tokio::spawn(async move { waiter.lock().await });
    changes.put().await;

    let stage = stage.restart().await;
    // The first answer of the new server to this client says that the old hold stands.
    assert!(soon(held.verify()).await.expect("an answer"));
    assert!(!held.is_lost() && !waiting.is_finished());
    let epoch = epoch(&stage, session.lease().0).await;
    assert!(epoch > 1, "it was resumed");
    soon(held.unlock()).await.expect("released");
    let next = joined(waiting).await.expect("the lock");
    assert!(next.fencing_token() > token);
}

/// The session's epoch once its stream is open again.
async fn epoch(stage: &Stage, session: i64) -> i64 {
    soon(async {
        loop {
            let sessions = stage.client.sessions().await.expect("a list");
            let own = sessions.iter().find(|each| each.session.0 == session);
            match own {
                Some(own) if own.connected => return own.epoch,
                _ => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

/// lock-rules, "Sessions and time": a resume fences the old connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_resume_fences_the_old_connection() {
    let stage = Stage::latchd().await;
    let mut locks = stage.client.locks().expect("latchd.v1");
    let open = ask::Request::Open(ask::Open {
        ttl_ms: 60_000,
        ..Default::default()
    });
    let (old, mut told) = raw(&mut locks, open).await;
    let opened = first(&mut told).await;
    let resume = ask::Request::Resume(ask::Resume {
        session: opened.session,
        resume_token: opened.resume_token.clone(),
    });
    let (_new, mut told_anew) = raw(&mut locks, resume).await;
    let resumed = first(&mut told_anew).await;
    assert!(resumed.epoch > opened.epoch);
    let stale = ReleaseRequest {
        session: opened.session,
        epoch: opened.epoch,
        request_id: "any".into(),
        ..Default::default()
    };
    let refused = locks.release(stale).await.expect_err("it is fenced");
    assert_eq!(refused.code(), Code::PermissionDenied);
    drop(old);
}

type Told = tonic::Streaming<latchd_client::proto::latchd::v1::SessionResponse>;

async fn raw(
    locks: &mut latchd_client::Locks,
    request: ask::Request,
) -> (tokio::sync::mpsc::Sender<SessionRequest>, Told) {
    let (requests, receiver) = tokio::sync::mpsc::channel(4);
    let first = SessionRequest {
        request: Some(request),
    };
    requests.send(first).await.expect("room");
    let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let told = locks.session(stream).await.expect("a stream");
    (requests, told.into_inner())
}

async fn first(told: &mut Told) -> latchd_client::proto::latchd::v1::session_response::Opened {
    use latchd_client::proto::latchd::v1::session_response::Response;

    let response = soon(told.message()).await.expect("no error");
    match response.and_then(|response| response.response) {
        Some(Response::Opened(opened)) => opened,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_session_ends_with_its_connection() {
    let stage = Stage::latchd().await;
    let client = Client::connect([&stage.endpoint], Options::default()).await;
    let client = client.expect("a client");
    let options = SessionOptions::new(LONG_TTL).released_on_disconnect();
    let session = client.open_session(options).await.expect("a session");
    let guard = session
        .mutex(stage.name("job"))
        .lock()
        .await
        .expect("the lock");
    let lost = tokio::spawn(async move { guard.lost().await });
    stage.stop().await;
    assert_eq!(joined(lost).await, Loss::Disconnected);
    assert!(session.is_lost());
}

/// lock-rules, "Deadlocks": the youngest wait is ended, and its answer lists the cycle.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_is_told() {
    let stage = Stage::latchd().await;
    let [one, two] = [stage.session().await, stage.session().await];
    let [a, b] = [stage.name("a"), stage.name("b")];
    let held_a = one
        .mutex(&a)
        .with_owner("ann")
        .lock()
        .await
        .expect("the lock");
    let held_b = two
        .mutex(&b)
        .with_owner("ben")
        .lock()
        .await
        .expect("the lock");
    let mut changes = stage.changes("b").await;
    let waiting = {
        let mutex = one.mutex(&b).with_owner("ann");
        tokio::spawn(async move { mutex.lock().await })
    };
    changes.put().await;
    let refused = soon(two.mutex(&a).with_owner("ben").lock()).await;
    match refused {
        Err(Error::Deadlock { cycle }) => {
            assert!(cycle.contains("ann") && cycle.contains("ben"), "{cycle}");
        }
        other => panic!("{other:?}"),
    }
    held_b.unlock().await.expect("released");
    drop(joined(waiting).await.expect("the lock"));
    drop(held_a);
}

/// lock-rules, "Deadlocks": tasks that share a session and hand guards on are no false alarm.
#[tokio::test(flavor = "multi_thread")]
async fn no_false_alarm_among_the_tasks_of_a_session() {
    let stage = Stage::latchd().await;
    let session = stage.session().await;
    let slots = session.semaphore(stage.name("slots"), 2);
    let first = slots.acquire().await.expect("a permit");
    let second = slots.acquire().await.expect("a permit");
    let (a, b) = (
        session.mutex(stage.name("a")),
        session.mutex(stage.name("b")),
    );
    let (held_a, held_b) = (
        a.lock().await.expect("the lock"),
        b.lock().await.expect("the lock"),
    );
    let mut changes = [
        stage.changes("slots").await,
        stage.changes("a").await,
        stage.changes("b").await,
    ];
    let waiting = [
        tokio::spawn(async move { slots.acquire().await }),
        tokio::spawn(async move { a.lock().await }),
        tokio::spawn(async move { b.lock().await }),
    ];
    for changes in &mut changes {
        changes.put().await;
    }
    assert!(stage.client.deadlocks().await.expect("a list").is_empty());
    drop((first, second, held_a, held_b));
    for task in waiting {
        drop(joined(task).await.expect("no deadlock"));
    }
}

/// A latchd does as an etcd, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_latchd_may_be_used_as_an_etcd() {
    let stage = Stage::latchd().await;
    let options = Options::default().with_server(ServerKind::Etcd);
    let client = Client::connect([&stage.endpoint], options)
        .await
        .expect("a client");
    assert!(!client.is_latchd() && client.locks().is_none());
    let session = client.session(LONG_TTL).await.expect("a session");
    let guard = session
        .mutex(stage.name("job"))
        .lock()
        .await
        .expect("the lock");
    let other = stage.session().await.mutex(stage.name("job"));
    assert_refused!(other.try_lock().await, Error::Busy { .. });
    let waiting = tokio::spawn(async move { other.lock().await });
    guard.unlock().await.expect("released");
    drop(joined(waiting).await.expect("the lock"));
}

/// The lease ends early; the client hears it from the stream, not from its clock.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_hears_at_once_that_it_is_over() {
    let stage = Stage::latchd().await;
    let session = stage.session().await;
    let started = Instant::now();
    let (loss, ()) = soon(async { tokio::join!(session.lost(), stage.revoke(&session)) }).await;
    assert_eq!(loss, Loss::Expired);
    assert!(
        started.elapsed() < session.ttl() / 3,
        "no heartbeat was due"
    );
}
