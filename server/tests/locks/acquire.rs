//! Asking: modes, waits, several names, retries and cancels.

use etcd_client::PutOptions;
use latchd_proto::latchd::v1::{AcquireRequest, Label, Mode, ReleaseRequest};
use tonic::Code;

use crate::common::{Fixture, keys_under, soon, until_count};
use crate::support::{
    Service, bound, by, exclusive, for_ever, granted, of, permit, reason, refused, shared, within,
};

/// "The fencing token is the create revision. It rises with every exclusive hand-off."
#[tokio::test]
async fn first_come_first_served_and_tokens_rise() {
    let mut service = Service::start().await;
    let first = service.lease().await;
    let mut held = service.hold(exclusive("job", first)).await;
    let mut holder = first;
    let mut waiters = Vec::new();
    for n in 2..=6 {
        let lease = service.lease().await;
        waiters.push((lease, service.queue(exclusive("job", lease), n).await));
    }
    for (lease, waiter) in waiters {
        assert!(!waiter.is_finished());
        service.release(holder, &held).await.unwrap();
        let next = granted(waiter).await;
        assert!(next.token > held.token);
        assert!(service.is_held("job", next.token).await);
        assert!(!service.is_held("job", held.token).await);
        (held, holder) = (next, lease);
    }
}

/// "Shared when nothing in older is other than shared": readers that come after a waiting writer
/// wait behind it.
#[tokio::test]
async fn readers_share_and_do_not_overtake_a_writer() {
    let mut service = Service::start().await;
    let mut leases = Vec::new();
    for _ in 0..5 {
        leases.push(service.lease().await);
    }
    let first = service.hold(shared("doc", leases[0])).await;
    let second = service.hold(shared("doc", leases[1])).await;
    let writer = service.queue(exclusive("doc", leases[2]), 3).await;
    let late = service.queue(shared("doc", leases[3]), 4).await;
    let status = service.acquire(shared("doc", leases[4])).await.unwrap_err();
    assert_eq!(reason(&status), "held");
    service.release(leases[0], &first).await.unwrap();
    assert!(!writer.is_finished() && !late.is_finished());
    service.release(leases[1], &second).await.unwrap();
    let writing = granted(writer).await;
    assert!(!late.is_finished());
    service.release(leases[2], &writing).await.unwrap();
    granted(late).await;
}

/// "A permit when nothing in older is other than a permit and |older| < the least N"; "a permit
/// [waits] on any older key of the name": one freed out of order lets the next in.
#[tokio::test]
async fn a_permit_freed_out_of_order_lets_the_next_in() {
    let mut service = Service::start().await;
    let (a, b, c) = (
        service.lease().await,
        service.lease().await,
        service.lease().await,
    );
    service.hold(permit("pool", 2, a)).await;
    let second = service.hold(permit("pool", 2, b)).await;
    let third = service.queue(permit("pool", 2, c), 3).await;
    service.release(b, &second).await.unwrap();
    granted(third).await;
}

/// "No wait: one Txn that compares and puts, leaving nothing when it fails."
#[tokio::test]
async fn without_a_wait_nothing_is_left() {
    let mut service = Service::start().await;
    let (a, b) = (service.lease().await, service.lease().await);
    service.hold(exclusive("job", a)).await;
    let before = service.etcd.status().await.unwrap();
    for request in [
        exclusive("job", b),
        shared("job", b),
        permit("job", 3, b),
        of(&["free", "job"], b),
    ] {
        let status = service.acquire(request).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(reason(&status), "held");
        assert!(status.message().contains("\"job\""), "{status}");
    }
    let after = service.etcd.status().await.unwrap();
    let revision = |status: &etcd_client::StatusResponse| status.header().unwrap().revision();
    assert_eq!(revision(&before), revision(&after), "nothing was written");
}

/// "For the other modes read at revision R, evaluate R0, then put if MOD <= R, and retry on
/// conflict": many who come at once get exactly what there is.
#[tokio::test]
async fn without_a_wait_many_at_once_get_what_there_is() {
    let mut service = Service::start().await;
    let holder = service.lease().await;
    service.hold(permit("pool", 4, holder)).await;
    let mut asking = Vec::new();
    for _ in 0..20 {
        let lease = service.lease().await;
        let mut client = service.locks.clone();
        let request = permit("pool", 4, lease);
        asking.push(tokio::spawn(async move { client.acquire(request).await }));
    }
    let mut held = 0;
    for asked in asking {
        match soon(asked).await.unwrap() {
            Ok(_) => held += 1,
            Err(status) => assert_eq!(reason(&status), "held"),
        }
    }
    assert_eq!(held, 3);
    assert_eq!(keys_under(&mut service.etcd, "pool/").await.len(), 4);
}

/// "Several names in one Acquire: one Txn, released in one Txn."
#[tokio::test]
async fn several_names_are_one_revision() {
    let mut service = Service::start().await;
    let (a, b) = (service.lease().await, service.lease().await);
    let held = service.hold(exclusive("two", a)).await;
    let both = service.queue(of(&["two", "one"], b), 2).await;
    service.release(a, &held).await.unwrap();
    let holds = soon(both).await.unwrap().unwrap().holds;
    let names: Vec<&[u8]> = holds.iter().map(|hold| hold.name.as_ref()).collect();
    assert_eq!(names, [b"two", b"one"]);
    assert_eq!(holds[0].token, holds[1].token);
    let request = ReleaseRequest {
        session: b,
        holds,
        ..Default::default()
    };
    let released = service.locks.release(request).await.unwrap().into_inner();
    assert_eq!(released.released.len(), 2);
    let revision = service.etcd.get("x", None).await.unwrap();
    assert_eq!(
        revision.header().unwrap().revision(),
        released.revision,
        "one revision for both"
    );
}

/// "Same session and same name again: ALREADY_EXISTS."
#[tokio::test]
async fn the_same_name_again_on_a_session() {
    let mut service = Service::start().await;
    let lease = service.lease().await;
    service.hold(shared("doc", lease)).await;
    for again in [
        shared("doc", lease),
        exclusive("doc", lease),
        permit("doc", 2, lease),
        for_ever(shared("doc", lease)),
        for_ever(of(&["free", "doc"], lease)),
    ] {
        let status = service.acquire(again).await.unwrap_err();
        assert_eq!(status.code(), Code::AlreadyExists);
        assert_eq!(reason(&status), "already-held");
    }
    let of_etcd = etcd_client::LockOptions::new().with_lease(lease);
    service.etcd.lock("job", Some(of_etcd)).await.unwrap();
    let status = service.acquire(exclusive("job", lease)).await.unwrap_err();
    assert_eq!(reason(&status), "already-held");
}

/// "N other than that of present holders and waiters is refused."
#[tokio::test]
async fn another_number_of_permits_is_refused() {
    let mut service = Service::start().await;
    let (a, b) = (service.lease().await, service.lease().await);
    let held = service.hold(permit("pool", 3, a)).await;
    for other in [1, 2, 4, 30] {
        for request in [permit("pool", other, b), for_ever(permit("pool", other, b))] {
            let status = service.acquire(request).await.unwrap_err();
            assert_eq!(status.code(), Code::FailedPrecondition);
            assert_eq!(reason(&status), "other-permits");
            assert!(status.message().contains("ask for 3"), "{status}");
        }
    }
    service.release(a, &held).await.unwrap();
    service.hold(permit("pool", 2, b)).await;
}

/// "A timeout is answered only after the guarded delete has committed."
#[tokio::test]
async fn a_timeout_leaves_no_key_and_the_middle_waiter_lets_nobody_in() {
    let mut service = Service::start().await;
    let (a, b, c) = (
        service.lease().await,
        service.lease().await,
        service.lease().await,
    );
    let held = service.hold(exclusive("job", a)).await;
    let middle = service.wait(within(5000, exclusive("job", b)));
    until_count(&mut service.etcd, "job/", 2).await;
    let last = service.queue(exclusive("job", c), 3).await;
    let status = soon(middle).await.unwrap().unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::DeadlineExceeded, "timeout")
    );
    assert_eq!(keys_under(&mut service.etcd, "job/").await.len(), 2);
    assert!(!last.is_finished());
    service.release(a, &held).await.unwrap();
    granted(last).await;
}

/// "A waiter that goes (dropped call) leaves no key."
#[tokio::test]
async fn a_dropped_call_leaves_no_key() {
    let mut service = Service::start().await;
    let (a, b) = (service.lease().await, service.lease().await);
    service.hold(exclusive("job", a)).await;
    let waiter = service.queue(of(&["job", "more"], b), 2).await;
    waiter.abort();
    until_count(&mut service.etcd, "job/", 1).await;
    until_count(&mut service.etcd, "more/", 0).await;
}

/// "Cancelling sends Release(request ID)": a wait ends, and its key is gone with the answer.
#[tokio::test]
async fn a_wait_is_cancelled_by_its_request_id() {
    let mut service = Service::start().await;
    let (a, b) = (service.lease().await, service.lease().await);
    service.hold(exclusive("job", a)).await;
    let request = exclusive("job", b);
    let waiter = service.queue(request.clone(), 2).await;
    let released = service.cancel(b, &request.request_id).await;
    assert!(released.cancelled && released.released.is_empty());
    assert_eq!(keys_under(&mut service.etcd, "job/").await.len(), 1);
    assert_eq!(refused(waiter).await, "cancelled");
}

/// "... valid also before the Acquire arrives."
#[tokio::test]
async fn a_cancel_may_come_before_its_acquire() {
    let mut service = Service::start().await;
    let lease = service.lease().await;
    let request = exclusive("job", lease);
    assert!(service.cancel(lease, &request.request_id).await.cancelled);
    let status = service.acquire(request).await.unwrap_err();
    assert_eq!(reason(&status), "cancelled");
    assert!(keys_under(&mut service.etcd, "job/").await.is_empty());
    service.hold(exclusive("job", lease)).await;
}

/// Cancel against grant: what was granted before is released, whoever was told first.
#[tokio::test]
async fn a_cancel_after_the_grant_releases() {
    let mut service = Service::start().await;
    let lease = service.lease().await;
    let request = of(&["one", "two"], lease);
    let held = service.hold(request.clone()).await;
    let released = service.cancel(lease, &request.request_id).await;
    assert!(!released.cancelled);
    assert_eq!(released.released.len(), 2);
    assert!(!service.is_held("one", held.token).await);
}

/// Cancel against grant, at the same moment: the lock is free afterwards, whoever came first.
#[tokio::test]
async fn a_cancel_at_the_moment_of_the_grant() {
    let mut service = Service::without_sync().await;
    let (a, b) = (service.lease().await, service.lease().await);
    for _ in 0..50 {
        let held = service.hold(exclusive("job", a)).await;
        let request = exclusive("job", b);
        let waiter = service.queue(request.clone(), 2).await;
        let (released, _) = tokio::join!(
            service.cancel(b, &request.request_id),
            service.release(a, &held)
        );
        let outcome = soon(waiter).await.unwrap();
        assert_ne!(released.cancelled, outcome.is_ok(), "{released:?}");
        assert!(keys_under(&mut service.etcd, "job/").await.is_empty());
    }
}

/// "A request ID makes retry safe": the same Acquire again has the same hold, and writes nothing.
#[tokio::test]
async fn a_repeated_acquire_is_the_same_hold() {
    let mut service = Service::start().await;
    let lease = service.lease().await;
    let request = of(&["one", "two"], lease);
    let first = service.acquire(request.clone()).await.unwrap();
    let again = service.acquire(request.clone()).await.unwrap();
    assert_eq!(first.holds, again.holds);
    let waiting = service.acquire(for_ever(request)).await.unwrap();
    assert_eq!(first.holds, waiting.holds);
}

/// A repeated Acquire that waits goes on in the first one's place.
#[tokio::test]
async fn a_repeated_wait_keeps_its_place() {
    let mut service = Service::start().await;
    let (a, b, c) = (
        service.lease().await,
        service.lease().await,
        service.lease().await,
    );
    let held = service.hold(exclusive("job", a)).await;
    let request = exclusive("job", b);
    let first = service.queue(request.clone(), 2).await;
    let last = service.queue(exclusive("job", c), 3).await;
    let before = keys_under(&mut service.etcd, "job/").await;
    let again = service.wait(request);
    assert_eq!(refused(first).await, "superseded");
    assert_eq!(keys_under(&mut service.etcd, "job/").await, before);
    service.release(a, &held).await.unwrap();
    granted(again).await;
    assert!(!last.is_finished());
}

/// "A grant is answered only after a last look: the own key exists with the same create revision."
#[tokio::test]
async fn a_waiter_whose_key_is_deleted_is_told_and_never_granted() {
    let mut service = Service::start().await;
    let (a, b) = (service.lease().await, service.lease().await);
    let held = service.hold(exclusive("job", a)).await;
    let waiter = service.queue(exclusive("job", b), 2).await;
    let keys = keys_under(&mut service.etcd, "job/").await;
    let own = keys
        .iter()
        .find(|key| !held.key.eq(key.as_bytes()))
        .unwrap();
    service.etcd.delete(own.as_str(), None).await.unwrap();
    assert_eq!(refused(waiter).await, "lost");
    let waiter = service.queue(exclusive("job", b), 2).await;
    service.etcd.lease_revoke(b).await.unwrap();
    assert_eq!(refused(waiter).await, "no-session");
}

/// A server that stops sends its waiters away, without keys; what is held stays held.
#[tokio::test]
async fn a_restart_keeps_holds_and_no_waits() {
    let mut service = Service::start().await;
    let (a, b) = (service.lease().await, service.lease().await);
    let held = service.hold(exclusive("job", a)).await;
    let waiter = service.queue(exclusive("job", b), 2).await;
    service.restart().await;
    let status = soon(waiter).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(keys_under(&mut service.etcd, "job/").await.len(), 1);
    assert!(service.is_held("job", held.token).await);
    service.release(a, &held).await.unwrap();
}

/// "At most 64 names, released in one Txn", whatever etcd's clients may put into theirs.
#[tokio::test]
async fn sixty_four_names_at_once() {
    let fixture = Fixture::start_with(|config| config.limits.txn_ops = 8).await;
    let mut service = Service::over(fixture).await;
    let (a, b) = (service.lease().await, service.lease().await);
    let names: Vec<String> = (0..64).map(|n| format!("all/{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for mode in [Mode::Exclusive, Mode::Shared, Mode::Semaphore] {
        let asked = |lease| AcquireRequest {
            mode: mode as i32,
            permits: if mode == Mode::Semaphore { 1 } else { 0 },
            ..of(&names, lease)
        };
        let granted = service.acquire(asked(a)).await.unwrap();
        assert_eq!(granted.holds.len(), 64);
        let alone = AcquireRequest {
            mode: Mode::Exclusive as i32,
            permits: 0,
            ..asked(b)
        };
        let waiter = service.queue(alone, 2).await;
        let request = ReleaseRequest {
            session: a,
            holds: granted.holds,
            ..Default::default()
        };
        let released = service.locks.release(request).await.unwrap().into_inner();
        assert_eq!(released.released.len(), 64);
        let next = soon(waiter).await.unwrap().unwrap();
        assert_eq!(next.holds.len(), 64);
        let cancelled = service.cancel(b, &next.request_id).await;
        assert_eq!(cancelled.released.len(), 64);
    }
}

/// Keys that are spelled much like this service's: what lies directly in the directory is waited for, as
/// every key that this service did not write, and what lies deeper is in no way.
#[tokio::test]
async fn keys_that_look_like_ours() {
    let mut service = Service::start().await;
    let (a, b) = (service.lease().await, service.lease().await);
    service.etcd.put("job/~sfoo", "", None).await.unwrap();
    let refused = service.acquire(within(300, permit("job", 2, a))).await;
    assert_eq!(reason(&refused.unwrap_err()), "timeout");
    let waiter = service.queue(for_ever(permit("job", 2, a)), 2).await;
    service.etcd.delete("job/~sfoo", None).await.unwrap();
    soon(waiter).await.unwrap().unwrap();

    for (name, key) in [
        ("own", format!("own/~x.{b:x}.q/z")),
        ("permits", format!("permits/~s/{b:x}")),
    ] {
        let leased = PutOptions::new().with_lease(b);
        service.etcd.put(key, "", Some(leased)).await.unwrap();
        let asked = service.acquire(for_ever(exclusive(name, b)));
        soon(asked).await.unwrap();
    }
}

/// What is within the limits one by one is within those of a request, waiting or not. (Not if JSON has
/// to spell the labels with more characters than they have.)
#[tokio::test]
async fn the_largest_acquire() {
    let mut service = Service::start().await;
    let (a, b) = (service.lease().await, service.lease().await);
    let names: Vec<String> = (0..64).map(|n| format!("{n:0>1024}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let largest = |lease, owner: &str| AcquireRequest {
        mode: Mode::Semaphore as i32,
        permits: 1,
        owner: owner.repeat(256),
        labels: vec![Label {
            key: "label".into(),
            value: "v".repeat(4091),
        }],
        request_id: "i".repeat(64),
        ..of(&names, lease)
    };
    let held = service.acquire(largest(a, "a")).await.unwrap();
    let waiter = service.queue(for_ever(largest(b, "b")), 2).await;
    let request = ReleaseRequest {
        session: a,
        holds: held.holds,
        ..Default::default()
    };
    service.locks.release(request).await.unwrap();
    assert_eq!(soon(waiter).await.unwrap().unwrap().holds.len(), 64);
}

/// A full disk keeps nobody from letting go: "clean-up goes through a lane that is never refused".
#[tokio::test]
async fn a_full_disk_keeps_nobody_from_letting_go() {
    let mut service = Service::start().await;
    let (a, b) = (service.lease().await, service.lease().await);
    let session = service.session(bound(60_000)).await;
    service
        .hold(by(&session.opened, exclusive("mine", 0)))
        .await;
    let held = service.hold(exclusive("job", a)).await;
    let waiter = service.queue(exclusive("job", b), 2).await;
    let (raise, nospace) = (
        etcd_client::AlarmAction::Activate,
        etcd_client::AlarmType::Nospace,
    );
    let alarmed = service.etcd.alarm(raise, nospace, None).await.unwrap();
    assert_eq!(alarmed.alarms().len(), 1);
    let status = service.acquire(exclusive("new", b)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    service.release(a, &held).await.unwrap();
    let held = granted(waiter).await;
    service.release(b, &held).await.unwrap();
    drop(session);
    until_count(&mut service.etcd, "mine/", 0).await;
}
