//! Connections that break while the server lives.

use std::sync::{Arc, Mutex};

use latchd_client::{Client, Loss, Options, SessionOptions, WatchItem};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::support::{LONG_TTL, PATIENCE, Stage, joined, soon};

on_both!(
    a_session_outlives_a_broken_connection,
    a_wait_goes_on_after_a_broken_connection,
    a_watch_of_locks_begins_again_after_a_broken_connection,
    an_observer_goes_on_after_a_broken_connection,
);

/// Relays connections to a server, until they are cut.
struct Relay {
    address: String,
    connections: Arc<Mutex<JoinSet<()>>>,
    _accepting: JoinSet<()>,
}

impl Relay {
    async fn start(stage: &Stage) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let server = stage.endpoint.trim_start_matches("http://").to_owned();
        let connections: Arc<Mutex<JoinSet<()>>> = Arc::default();
        let accepted = connections.clone();
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let server = server.clone();
                accepted.lock().expect("no panic").spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(server).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Relay {
            address,
            connections,
            _accepting: accepting,
        }
    }

    async fn client(&self) -> Client {
        let options = Options::default().with_request_timeout(PATIENCE);
        let client = Client::connect([&self.address], options).await;
        client.expect("a client")
    }

    fn cut(&self) {
        self.connections.lock().expect("no panic").abort_all();
    }
}

async fn a_session_outlives_a_broken_connection(stage: Stage) {
    let relay = Relay::start(&stage).await;
    let session = relay
        .client()
        .await
        .session(LONG_TTL)
        .await
        .expect("a session");
    let guard = session
        .mutex(stage.name("job"))
        .lock()
        .await
        .expect("the lock");
    for _ in 0..3 {
        relay.cut();
        assert!(soon(guard.verify()).await.expect("an answer"));
    }
    assert!(!guard.is_lost() && !session.is_lost());
    let mut changes = stage.changes("job").await;
    let next = stage.session().await.mutex(stage.name("job"));
    let waiting = tokio::spawn(async move { next.lock().await });
    changes.put().await;
    relay.cut();
    soon(guard.unlock()).await.expect("released");
    drop(joined(waiting).await.expect("the lock"));
    soon(session.close()).await.expect("closed");
}

/// On an etcd it keeps its place; a latchd lets the key of a caller that is gone go, and it queues
/// anew.
async fn a_wait_goes_on_after_a_broken_connection(stage: Stage) {
    let holder = stage.lock("job").await;
    let relay = Relay::start(&stage).await;
    let session = relay
        .client()
        .await
        .session(LONG_TTL)
        .await
        .expect("a session");
    let mutex = session.mutex(stage.name("job"));
    let mut changes = stage.changes("job").await;
    let waiting = tokio::spawn(async move { mutex.lock().await });
    changes.put().await;
    relay.cut();
    if stage.client.is_latchd() {
        changes.deleted_any().await;
        changes.put().await;
    }
    assert!(!waiting.is_finished());
    holder.unlock().await.expect("released");
    let guard = joined(waiting).await.expect("the lock");
    assert!(soon(guard.verify()).await.expect("an answer"));
    assert_eq!(stage.keys("job").await, [guard.key()]);
}

async fn a_watch_of_locks_begins_again_after_a_broken_connection(stage: Stage) {
    let relay = Relay::start(&stage).await;
    let client = relay.client().await;
    let mut watch = client.watch(stage.name("job")).await.expect("a watch");
    let first = soon(watch.next()).await.expect("an item");
    assert_eq!(first, WatchItem::Snapshot(Vec::new()));
    relay.cut();
    let guard = stage.lock("job").await;
    // Told by the new snapshot, or by an event after it.
    soon(async {
        loop {
            match watch.next().await.expect("an item") {
                WatchItem::Snapshot(locks) if locks.is_empty() => {}
                WatchItem::Snapshot(locks) => {
                    assert_eq!(locks[0].holders[0].token, guard.fencing_token());
                    return;
                }
                WatchItem::Event(event) => {
                    assert_eq!(event.contender.token, guard.fencing_token());
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
}

async fn an_observer_goes_on_after_a_broken_connection(stage: Stage) {
    let relay = Relay::start(&stage).await;
    let name = stage.name("boss");
    let observing = relay.client().await.election(&name);
    let mut observer = observing.observe().await.expect("an observer");
    let session = stage.session().await;
    let leadership = stage.client.election(&name).campaign(&session, "one").await;
    let leadership = leadership.expect("it leads");
    let leader = soon(observer.next()).await.expect("a leader");
    assert_eq!(leader.value, b"one");
    relay.cut();
    leadership.proclaim("one, still").await.expect("said");
    let leader = soon(observer.next()).await.expect("a leader");
    assert_eq!(leader.value, b"one, still");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_session_ends_with_its_connection_and_frees_its_locks() {
    let stage = Stage::latchd().await;
    let relay = Relay::start(&stage).await;
    let client = relay.client().await;
    let options = SessionOptions::new(LONG_TTL).released_on_disconnect();
    let session = client.open_session(options).await.expect("a session");
    let guard = session
        .mutex(stage.name("job"))
        .lock()
        .await
        .expect("the lock");
    relay.cut();
    assert_eq!(soon(guard.lost()).await, Loss::Disconnected);
    assert_eq!(soon(session.lost()).await, Loss::Disconnected);
    drop(stage.lock("job").await);
}
