//! "Detection runs on every insert under a lock directory, raw Txns included."

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use etcd_client::{PutOptions, Txn, TxnOp};
use futures::FutureExt;
use latchd_proto::latchd::v1::{
    AcquireRequest, HistoryRequest, ListRequest, ReleaseRequest, WatchRequest,
};
use tonic::{Code, Status};

use crate::common::{keys_under, soon, until_count};
use crate::support::{
    Dice, Service, exclusive, for_ever, granted, of, permit, reason, refused, shared, within,
};

fn owned(owner: &str, request: AcquireRequest) -> AcquireRequest {
    AcquireRequest {
        owner: owner.into(),
        ..request
    }
}

/// The victim's answer lists the cycle, names and owners.
fn assert_names(status: &Status, parts: &[&str]) {
    assert_eq!(status.code(), Code::Aborted);
    assert_eq!(reason(status), "deadlock");
    let cycle = status.metadata().get("latchd-cycle").unwrap();
    for part in parts {
        assert!(status.message().contains(part), "{status:?}");
        assert!(cycle.to_str().unwrap().contains(part), "{cycle:?}");
    }
}

#[tokio::test]
async fn two_locks_in_opposite_order() {
    let mut service = Service::start().await;
    let (a, b) = (service.lease().await, service.lease().await);
    service.hold(owned("ann", exclusive("x", a))).await;
    let held = service.hold(owned("bob", exclusive("y", b))).await;
    let first = service.queue(owned("ann", exclusive("y", a)), 2).await;
    let youngest = service.wait(owned("bob", exclusive("x", b)));
    let status = soon(youngest).await.unwrap().unwrap_err();
    assert_names(&status, &["ann waits for", "bob waits for", "x", "y"]);
    assert!(!first.is_finished());
    assert_eq!(keys_under(&mut service.etcd, "x/").await.len(), 1);
    service.release(b, &held).await.unwrap();
    granted(first).await;
}

/// With a Go Mutex in the cycle, which closes it: the wait that can be aborted is.
#[tokio::test]
async fn a_go_mutex_closes_the_cycle() {
    let mut service = Service::start().await;
    let (a, go) = (service.lease().await, service.lease().await);
    service.hold(owned("ann", exclusive("x", a))).await;
    go_put(&mut service, "y", go).await;
    let waiting = service.queue(owned("ann", exclusive("y", a)), 2).await;
    go_put(&mut service, "x", go).await;
    let status = soon(waiting).await.unwrap().unwrap_err();
    assert_names(&status, &["ann waits for", &format!("{go:x} waits for")]);
}

/// Whoever piles up keys of one lease in one line waits for itself. That is told once, and the search
/// costs the others nothing.
#[tokio::test]
async fn a_pile_of_keys_in_one_line_is_one_deadlock() {
    let mut service = Service::start().await;
    assert!(service.list().await.is_empty());
    let lease = service.lease().await;
    for part in 0..20 {
        let put = |n| {
            let key = format!("pile/~x.{lease:x}.a{part}-{n}");
            TxnOp::put(key, "", Some(PutOptions::new().with_lease(lease)))
        };
        let puts: Vec<TxnOp> = (0..100).map(put).collect();
        service.etcd.txn(Txn::new().and_then(puts)).await.unwrap();
    }
    let listed = soon(service.locks.list(ListRequest::default())).await;
    let listed = listed.unwrap().into_inner();
    assert_eq!(listed.locks[0].waiting.len(), 1900);
    assert_eq!(listed.deadlocks.len(), 1, "{:?}", listed.deadlocks);
}

/// "With none in it, it is reported only."
#[tokio::test]
async fn a_deadlock_of_etcds_clients_is_reported() {
    let mut service = Service::start().await;
    assert!(service.list().await.is_empty());
    let (a, b) = (service.lease().await, service.lease().await);
    for (name, lease) in [("x", a), ("y", b), ("y", a), ("x", b)] {
        go_put(&mut service, name, lease).await;
    }
    let listed = service.locks.list(ListRequest::default()).await.unwrap();
    let deadlocks = listed.into_inner().deadlocks;
    assert_eq!(deadlocks.len(), 1, "{deadlocks:?}");
    assert_eq!(deadlocks[0].waits.len(), 2);
    // It is over with any key in it, be it one that waits or one that holds.
    service.etcd.lease_revoke(a).await.unwrap();
    let listed = service.locks.list(ListRequest::default()).await.unwrap();
    assert!(listed.into_inner().deadlocks.is_empty());
    let c = service.lease().await;
    for (name, lease) in [("z", c), ("z", b), ("y", c)] {
        go_put(&mut service, name, lease).await;
    }
    let listed = service.locks.list(ListRequest::default()).await.unwrap();
    assert_eq!(listed.into_inner().deadlocks.len(), 1);
    service.etcd.delete(format!("y/{b:x}"), None).await.unwrap();
    let listed = service.locks.list(ListRequest::default()).await.unwrap();
    assert!(listed.into_inner().deadlocks.is_empty());
}

/// "`latchctl` and a metric show it": List has what is there, Watch tells of each when it is found,
/// History has those that were resolved, too, with their victims.
#[tokio::test]
async fn deadlocks_are_listed_watched_and_remembered() {
    let mut service = Service::start().await;
    let watch = service.locks.watch(WatchRequest { prefix: "x".into() });
    let mut watch = watch.await.unwrap().into_inner();
    let mut next = async || loop {
        let response = soon(watch.message()).await.unwrap().unwrap();
        if !response.deadlocks.is_empty() {
            return response.deadlocks;
        }
    };
    let (a, b) = (service.lease().await, service.lease().await);
    service.hold(owned("ann", exclusive("x", a))).await;
    service.hold(owned("bob", exclusive("y", b))).await;
    let lasting = service.queue(owned("ann", exclusive("y", a)), 2).await;
    let aborted = service.wait(owned("bob", exclusive("x", b)));
    assert_eq!(refused(aborted).await, "deadlock");
    let resolved = next().await;
    assert_eq!(resolved.len(), 1);
    let victim = String::from_utf8_lossy(&resolved[0].victim).into_owned();
    assert!(victim.starts_with(&format!("x/~x.{b:x}.")), "{victim}");
    let told: Vec<(i64, &str)> = resolved[0]
        .waits
        .iter()
        .map(|wait| (wait.session, wait.owner.as_str()))
        .collect();
    assert_eq!(told, [(b, "bob"), (a, "ann")]);
    drop(lasting);
    // "With none in it, it is reported only."
    let (c, d) = (service.lease().await, service.lease().await);
    for (name, lease) in [("x2", c), ("y2", d), ("y2", c), ("x2", d)] {
        go_put(&mut service, name, lease).await;
    }
    let reported = next().await;
    assert!(reported[0].victim.is_empty() && reported[0].waits.len() == 2);
    let listed = service.locks.list(ListRequest::default()).await.unwrap();
    assert_eq!(listed.into_inner().deadlocks, reported);
    let snapshot = service.locks.watch(WatchRequest::default()).await.unwrap();
    let snapshot = soon(snapshot.into_inner().message())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(snapshot.deadlocks, reported);
    let past = |prefix: &'static str| HistoryRequest {
        prefix: prefix.into(),
        limit: 0,
    };
    let both = service.locks.history(past("")).await.unwrap().into_inner();
    assert_eq!(both.deadlocks, [reported.clone(), resolved].concat());
    let second = service.locks.history(past("y2")).await.unwrap();
    assert_eq!(second.into_inner().deadlocks, reported);
}

/// The key that Go's Mutex puts.
async fn go_put(service: &mut Service, name: &str, lease: i64) {
    let leased = PutOptions::new().with_lease(lease);
    let key = format!("{name}/{lease:x}");
    service.etcd.put(key, "", Some(leased)).await.unwrap();
}

/// "Waits with a timeout are left to time out, unless the cycle has no other wait."
#[tokio::test]
async fn a_wait_with_a_timeout_is_spared() {
    let mut service = Service::start().await;
    let (a, b) = (service.lease().await, service.lease().await);
    service.hold(exclusive("x", a)).await;
    service.hold(exclusive("y", b)).await;
    let lasting = service.queue(exclusive("y", a), 2).await;
    let limited = service.wait(within(60_000, exclusive("x", b)));
    assert_eq!(refused(lasting).await, "deadlock");
    let other = service.wait(within(60_000, exclusive("y", a)));
    assert_eq!(refused(other).await, "deadlock", "the youngest of the two");
    assert!(!limited.is_finished());
}

/// "Two tasks of one session with owners of their own: no false alarm"; without them, an alarm.
#[tokio::test]
async fn tasks_of_one_session_with_owners_of_their_own() {
    let mut service = Service::start().await;
    let (both, other) = (service.lease().await, service.lease().await);
    let held = service.hold(owned("task 1", exclusive("x", both))).await;
    let far = service.hold(exclusive("y", other)).await;
    let second = service
        .queue(owned("task 2", exclusive("y", both)), 2)
        .await;
    let third = service.queue(exclusive("x", other), 2).await;
    // A list is as of now, so whatever there was to find has been found.
    service.list().await;
    assert!(!second.is_finished() && !third.is_finished());
    service.release(both, &held).await.unwrap();
    granted(third).await;
    service.release(other, &far).await.unwrap();
    granted(second).await;
}

/// "k-of-n for permits": while one of the holders can go on, there is no deadlock.
#[tokio::test]
async fn a_free_permit_holder_is_no_deadlock() {
    let mut service = Service::start().await;
    let (a, b, free) = (
        service.lease().await,
        service.lease().await,
        service.lease().await,
    );
    service.hold(permit("pool", 2, a)).await;
    let spare = service.hold(permit("pool", 2, free)).await;
    let held = service.hold(exclusive("y", b)).await;
    let first = service.queue(exclusive("y", a), 2).await;
    let second = service.queue(permit("pool", 2, b), 3).await;
    service.list().await;
    assert!(!first.is_finished() && !second.is_finished());
    service.release(free, &spare).await.unwrap();
    granted(second).await;
    service.release(b, &held).await.unwrap();
    granted(first).await;
}

/// "Edges to older waiters as well": a reader that holds and asks for what a waiting writer is ahead
/// of.
#[tokio::test]
async fn a_waiting_writer_is_in_the_cycle() {
    let mut service = Service::start().await;
    let (reader, writer, again) = (
        service.lease().await,
        service.lease().await,
        service.lease().await,
    );
    service.hold(owned("r", shared("doc", reader))).await;
    let writing = service.queue(owned("w", exclusive("doc", writer)), 2).await;
    let reading = service.wait(owned("r", shared("doc", again)));
    assert_eq!(refused(reading).await, "deadlock");
    assert!(!writing.is_finished());
}

/// "Multi-locks cannot deadlock among sessions that hold nothing else": 50 clients, overlapping
/// random sets of names; no deadlock, all exclusive, tokens rising.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_clients_with_overlapping_sets() {
    let mut service = Service::without_sync().await;
    const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    // For each name: whether it is held, and the last token.
    static HELD: [AtomicBool; 8] = [const { AtomicBool::new(false) }; 8];
    static TOKENS: [AtomicI64; 8] = [const { AtomicI64::new(0) }; 8];
    let mut clients = Vec::new();
    for client in 0..50 {
        let lease = service.lease().await;
        let mut locks = service.locks.clone();
        clients.push(tokio::spawn(async move {
            let mut dice = Dice::new(client);
            for _ in 0..6 {
                let mut set: Vec<usize> = (0..NAMES.len()).collect();
                while set.len() > 5 || (set.len() > 1 && dice.below(3) > 0) {
                    set.swap_remove(dice.below(set.len()));
                }
                let names: Vec<&str> = set.iter().map(|at| NAMES[*at]).collect();
                let granted = locks.acquire(for_ever(of(&names, lease))).await.unwrap();
                let holds = granted.into_inner().holds;
                for (at, hold) in set.iter().zip(&holds) {
                    assert!(!HELD[*at].swap(true, Ordering::SeqCst), "held by two");
                    let before = TOKENS[*at].swap(hold.token, Ordering::SeqCst);
                    assert!(before < hold.token, "tokens rise");
                }
                tokio::task::yield_now().await;
                set.iter()
                    .for_each(|at| HELD[*at].store(false, Ordering::SeqCst));
                let request = ReleaseRequest {
                    session: lease,
                    holds,
                    ..Default::default()
                };
                locks.release(request).await.unwrap();
            }
        }));
    }
    for client in clients {
        soon(client).await.unwrap();
    }
    until_count(&mut service.etcd, "a/", 0).await;
    let request = HistoryRequest::default();
    let past = service.locks.history(request).await.unwrap().into_inner();
    assert!(past.deadlocks.is_empty(), "{:?}", past.deadlocks);
}

/// "Detection runs on every insert under a lock directory, raw Txns included": the book is begun as
/// soon as a lease waits for a lock while it has another, though nobody has called this service; and
/// not by those who have one lock each, or keys that are no locks.
#[tokio::test]
async fn etcds_clients_alone_begin_the_book() {
    let mut service = Service::start().await;
    let (a, b) = (service.lease().await, service.lease().await);
    for key in [format!("web/{a:x}-1"), format!("web/{a:x}-2")] {
        let leased = PutOptions::new().with_lease(a);
        service.etcd.put(key, "", Some(leased)).await.unwrap();
    }
    for (name, lease) in [("x", a), ("y", b), ("z", b)] {
        go_put(&mut service, name, lease).await;
    }
    let begun = |service: &Service| {
        let backend = service.fixture.server().backend().clone();
        async move { backend.entangled().await }
    };
    assert!(begun(&service).now_or_never().is_none());
    go_put(&mut service, "x", b).await;
    soon(begun(&service)).await;
    go_put(&mut service, "y", a).await;
    // Those who were there before the server are looked at, too.
    service.restart().await;
    soon(begun(&service)).await;
    let listed = service.locks.list(ListRequest::default()).await.unwrap();
    assert_eq!(listed.into_inner().deadlocks.len(), 1);
}
