//! Cross-door exclusion: clients of every door on one lock and one unprotected counter.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use etcd_client::LockOptions;
use latchd::service::locks::Keeper;
use latchd_proto::latchd::v1::{AcquireRequest, ReleaseRequest};
use serde_json::json;

use crate::common::Fixture;
use crate::distlock::Socket;
use crate::lines::Client;
use crate::support::{dreadlock, elock, open};

/// Clients of each kind.
const CLIENTS: usize = 5;
/// How often each takes the lock.
const TURNS: u64 = 20;

/// Reading and writing it are two steps, between which others run.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicU64>);

impl Counter {
    async fn raise(&self) {
        let read = self.0.load(Ordering::Relaxed);
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        self.0.store(read + 1, Ordering::Relaxed);
    }
}

async fn by_elock(fixture: Arc<Fixture>, counter: Counter) {
    let mut client = Client::connect(elock(&fixture)).await;
    for _ in 0..TURNS {
        assert_eq!(client.ask("lock all 600").await, "200 Acquired");
        counter.raise().await;
        assert_eq!(client.ask("unlock all").await, "200 Unlocked");
    }
}

async fn by_dreadlock(fixture: Arc<Fixture>, counter: Counter) {
    let mut client = Client::connect(dreadlock(&fixture)).await;
    for _ in 0..TURNS {
        assert_eq!(client.ask("lock all 600000").await, "l locked");
        counter.raise().await;
        assert_eq!(client.ask("unlock all").await, "u unlocked");
    }
}

async fn by_distlock(fixture: Arc<Fixture>, counter: Counter, name: usize) {
    let mut socket = Socket::open(&fixture, "").await;
    let connect = json!({"action": "connect", "param": format!("s{name}")});
    assert_eq!(socket.ask(connect).await.0, "OK");
    for _ in 0..TURNS {
        loop {
            let (status, _) = socket.ask(json!({"action": "lock", "param": "all"})).await;
            if status == "OK" {
                break;
            }
            assert_eq!(status, "WAIT");
            assert_eq!(socket.hear().await, Some(("RETRY".into(), "all".into())));
        }
        counter.raise().await;
        let (status, _) = socket
            .ask(json!({"action": "unlock", "param": "all"}))
            .await;
        assert_eq!(status, "OK");
    }
}

async fn by_the_lock_service(fixture: Arc<Fixture>, counter: Counter) {
    let mut client = fixture.client().await;
    let lease = client.lease_grant(600, None).await.unwrap().id();
    for _ in 0..TURNS {
        let options = LockOptions::new().with_lease(lease);
        let locked = client.lock("all", Some(options)).await.unwrap();
        counter.raise().await;
        client.unlock(locked.key()).await.unwrap();
    }
}

async fn by_latchd(keeper: Keeper, fixture: Arc<Fixture>, counter: Counter) {
    let mut client = fixture.client().await;
    let session = client.lease_grant(600, None).await.unwrap().id();
    for _ in 0..TURNS {
        let request = AcquireRequest {
            names: vec!["all".into()],
            session,
            wait_ms: -1,
            ..Default::default()
        };
        let granted = keeper.acquire(request).await.unwrap();
        counter.raise().await;
        let request = ReleaseRequest {
            session,
            holds: granted.holds,
            ..Default::default()
        };
        keeper.release(request).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_holds_what_another_holds() {
    let fixture = Arc::new(open().await);
    let keeper = Keeper::new(fixture.server().backend().clone());
    let counter = Counter::default();
    let mut clients = tokio::task::JoinSet::new();
    for n in 0..CLIENTS {
        let both = || (fixture.clone(), counter.clone());
        let (server, count) = both();
        clients.spawn(by_elock(server, count));
        let (server, count) = both();
        clients.spawn(by_dreadlock(server, count));
        let (server, count) = both();
        clients.spawn(by_distlock(server, count, n));
        let (server, count) = both();
        clients.spawn(by_the_lock_service(server, count));
        let (server, count) = both();
        clients.spawn(by_latchd(keeper.clone(), server, count));
    }
    let kinds = clients.len() as u64;
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    assert_eq!(counter.0.load(Ordering::Relaxed), kinds * TURNS);
    keeper.settled().await;
}
