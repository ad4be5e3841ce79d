//! List, Watch and History.

use latchd_proto::latchd::v1::lock_event::Kind;
use latchd_proto::latchd::v1::{
    HistoryRequest, Label, ListRequest, LockEvent, Mode, WatchRequest, WatchResponse,
};
use tonic::Streaming;

use crate::common::soon;
use crate::support::{Service, bound, by, exclusive, granted, permit, shared};

fn names(locks: &[latchd_proto::latchd::v1::Lock]) -> Vec<&[u8]> {
    locks.iter().map(|lock| lock.name.as_ref()).collect()
}

#[tokio::test]
async fn a_list_has_holders_queue_and_what_they_said() {
    let mut service = Service::start().await;
    let (a, b, etcd) = (
        service.lease().await,
        service.lease().await,
        service.lease().await,
    );
    // The book begins with the first call; who came before it has held for nobody knows how long.
    assert!(service.list().await.is_empty());
    let mut request = exclusive("job", a);
    request.owner = "worker 7".into();
    request.labels = vec![Label {
        key: "host".into(),
        value: "h1".into(),
    }];
    let id = request.request_id.clone();
    let held = service.hold(request).await;
    let _second = service.queue(permit("job", 3, b), 2).await;
    let key = format!("job/{etcd:x}");
    let leased = etcd_client::PutOptions::new().with_lease(etcd);
    service.etcd.put(key, "", Some(leased)).await.unwrap();
    let lock = service.list().await.remove(0);
    assert_eq!(lock.name, "job");
    let [holder] = &lock.holders[..] else {
        panic!("{lock:?}");
    };
    assert_eq!((&holder.key, holder.token), (&held.key, held.token));
    assert_eq!((holder.owner.as_str(), holder.session), ("worker 7", a));
    assert_eq!(
        (holder.request_id.as_str(), holder.position),
        (id.as_str(), 0)
    );
    assert_eq!(holder.labels[0].value, "h1");
    assert_eq!(holder.door, "latchd.v1");
    assert!(holder.at_ms > 1_600_000_000_000 && holder.for_ms >= 0);
    let [second, third] = &lock.waiting[..] else {
        panic!("{lock:?}");
    };
    assert_eq!((second.mode(), second.permits), (Mode::Semaphore, 3));
    assert_eq!((second.position, third.position), (1, 2));
    assert_eq!(
        (third.door.as_str(), third.mode()),
        ("etcd", Mode::Exclusive)
    );
    assert_eq!(third.owner, format!("{etcd:x}"));
}

/// "A list shows a key as a lock when it is leased and its last segment is its own lease's hex or
/// begins with ~."
#[tokio::test]
async fn a_list_shows_locks_only() {
    let mut service = Service::start().await;
    let lease = service.lease().await;
    let leased = || Some(etcd_client::PutOptions::new().with_lease(lease));
    for (key, options) in [
        ("services/web-1".to_owned(), leased()),
        ("config/plain".to_owned(), None),
        (format!("bare/{lease:x}"), None),
        ("alone".to_owned(), leased()),
        (format!("lock/{lease:x}"), leased()),
    ] {
        service.etcd.put(key, "", options).await.unwrap();
    }
    service.session(bound(60_000)).await;
    assert_eq!(names(&service.list().await), [b"lock"]);
}

#[tokio::test]
async fn a_list_by_prefix_and_in_pieces() {
    let mut service = Service::start().await;
    let lease = service.lease().await;
    for name in ["a", "b/1", "b/2", "b/3", "b", "c"] {
        service.hold(exclusive(name, lease)).await;
    }
    let mut ask = async |prefix: &'static str, after: &'static str, limit: i64| {
        let request = ListRequest {
            prefix: prefix.into(),
            after: after.into(),
            limit,
            sessions: false,
        };
        service.locks.list(request).await.unwrap().into_inner()
    };
    let first = ask("b/", "", 2).await;
    assert_eq!(names(&first.locks), [b"b/1", b"b/2"]);
    assert!(first.more);
    let rest = ask("b/", "b/2", 2).await;
    assert_eq!(names(&rest.locks), [b"b/3"]);
    assert!(!rest.more);
    let all = ask("b", "", 0).await;
    assert_eq!(all.locks.len(), 4);
    assert_eq!(names(&ask("", "b/3", 0).await.locks), [b"c"]);
}

struct Events(Streaming<WatchResponse>);

impl Events {
    async fn next(&mut self) -> WatchResponse {
        soon(self.0.message()).await.unwrap().unwrap()
    }

    async fn event(&mut self) -> LockEvent {
        let mut response = self.next().await;
        assert_eq!(response.events.len(), 1, "{response:?}");
        assert!(!response.snapshot);
        response.events.remove(0)
    }

    async fn kind(&mut self) -> (Kind, i64) {
        let event = self.event().await;
        (event.kind(), event.contender.unwrap().session)
    }
}

#[tokio::test]
async fn a_watch_tells_what_is_and_then_each_change() {
    let mut service = Service::start().await;
    let (a, b) = (service.lease().await, service.lease().await);
    let held = service.hold(exclusive("job", a)).await;
    let request = WatchRequest {
        prefix: "job".into(),
    };
    let watch = service.locks.watch(request).await.unwrap().into_inner();
    let mut watch = Events(watch);
    let snapshot = watch.next().await;
    assert!(snapshot.snapshot);
    assert_eq!(names(&snapshot.locks), [b"job"]);
    service.hold(exclusive("other", a)).await;
    let waiter = service.queue(exclusive("job", b), 2).await;
    let queued = watch.event().await;
    assert_eq!(queued.kind(), Kind::Queued);
    assert_eq!(queued.contender.unwrap().position, 1);
    service.release(a, &held).await.unwrap();
    let handed = watch.next().await.events;
    let kinds: Vec<Kind> = handed.iter().map(LockEvent::kind).collect();
    assert_eq!(kinds, [Kind::Released, Kind::Acquired]);
    let held = granted(waiter).await;
    let waiter = service.queue(shared("job", a), 2).await;
    assert_eq!(watch.kind().await, (Kind::Queued, a));
    waiter.abort();
    assert_eq!(watch.kind().await, (Kind::Left, a));
    let force = latchd_proto::latchd::v1::ForceReleaseRequest {
        name: "job".into(),
        token: held.token,
    };
    service.locks.force_release(force).await.unwrap();
    assert_eq!(watch.kind().await, (Kind::Forced, b));
    service.hold(exclusive("job", b)).await;
    assert_eq!(watch.kind().await, (Kind::Acquired, b));
    service.etcd.lease_revoke(b).await.unwrap();
    assert_eq!(watch.kind().await, (Kind::Expired, b));
}

#[tokio::test]
async fn history_has_the_last_holders() {
    let mut service = Service::start().await;
    let (a, b) = (service.lease().await, service.lease().await);
    let empty = history(&mut service, "").await;
    assert!(empty.holds.is_empty() && empty.since_ms > 0);
    let held = service.hold(exclusive("job", a)).await;
    let waiter = service.queue(exclusive("job", b), 2).await;
    service.release(a, &held).await.unwrap();
    granted(waiter).await;
    service.etcd.lease_revoke(b).await.unwrap();
    let past = history(&mut service, "job").await.holds;
    let told: Vec<(Kind, i64)> = past
        .iter()
        .map(|hold| (hold.how(), hold.contender.as_ref().unwrap().session))
        .collect();
    assert_eq!(told, [(Kind::Expired, b), (Kind::Released, a)]);
    assert!(
        past.iter()
            .all(|hold| hold.held_ms >= 0 && hold.ended_ms > 0)
    );
    assert!(past[0].waited_ms >= 0);
    assert!(history(&mut service, "other").await.holds.is_empty());
    service.restart().await;
    let empty = history(&mut service, "").await;
    assert!(empty.holds.is_empty(), "it says since when it has noted");
}

async fn history(
    service: &mut Service,
    prefix: &'static str,
) -> latchd_proto::latchd::v1::HistoryResponse {
    let request = HistoryRequest {
        prefix: prefix.into(),
        limit: 0,
    };
    service.locks.history(request).await.unwrap().into_inner()
}

/// What was there before the book began is in it, too.
#[tokio::test]
async fn the_book_begins_with_what_there_is() {
    let mut service = Service::start().await;
    let mut leases = Vec::new();
    for _ in 0..3 {
        let lease = service.lease().await;
        let key = format!("job/{lease:x}");
        let leased = etcd_client::PutOptions::new().with_lease(lease);
        service.etcd.put(key, "", Some(leased)).await.unwrap();
        leases.push(lease);
    }
    let lock = service.list().await.remove(0);
    assert_eq!(lock.holders[0].session, leases[0]);
    assert_eq!(lock.holders[0].for_ms, -1, "nobody knows since when");
    let sessions: Vec<i64> = lock.waiting.iter().map(|w| w.session).collect();
    assert_eq!(sessions, leases[1..]);
    let session = service.session(bound(60_000)).await;
    let status = service
        .acquire(by(&session.opened, exclusive("job", 0)))
        .await;
    assert!(status.is_err());
}
