//! "A session is a lease with heartbeats."

use std::time::Duration;

use latchd::service::locks::Keeper;
use latchd::service::locks::ask::Holder;
use latchd::service::locks::session::end;
use latchd::types::LeaseId;
use latchd_proto::latchd::v1::lock_event::Kind;
use latchd_proto::latchd::v1::session_request::{Close, Heartbeat, Open, Request, Resume};
use latchd_proto::latchd::v1::session_response::Response;
use latchd_proto::latchd::v1::session_response::ended::Reason;
use latchd_proto::latchd::v1::{ExtendRequest, ForceReleaseRequest, Hold, ListRequest};
use tokio::time::Instant;
use tonic::Code;

use crate::common::until_count;
use crate::support::{
    Service, Session, bound, by, client, exclusive, granted, reason, refused, with_grace,
};

/// A machine that does other things may stand still for longer than a short TTL. What is then over has
/// to be so, and the test is no test of anything else.
struct StoodStill;

/// When a session was last heard of, at the latest.
struct Pulse {
    last: Instant,
    ttl: Duration,
}

impl Pulse {
    fn of(ttl_ms: u64) -> Pulse {
        Pulse {
            last: Instant::now(),
            ttl: Duration::from_millis(ttl_ms),
        }
    }

    /// Of a session that is over: only because nothing was heard of it.
    fn over(&self) -> StoodStill {
        assert!(self.last.elapsed() >= self.ttl, "it ended too early");
        StoodStill
    }

    /// Sends heartbeats for thrice the TTL.
    async fn beats(&mut self, session: &mut Session) -> Result<(), StoodStill> {
        let begun = Instant::now();
        while begun.elapsed() < self.ttl * 3 {
            let sent = Instant::now();
            let Response::Alive(alive) = session.heartbeat().await else {
                return Err(self.over());
            };
            assert_eq!(u128::try_from(alive.valid_for_ms), Ok(self.ttl.as_millis()));
            self.last = sent;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// That a session holds `job`.
    async fn holds(&self, service: &Service, held: &Hold) -> Result<(), StoodStill> {
        match service.is_held("job", held.token).await {
            true => Ok(()),
            false => Err(self.over()),
        }
    }
}

#[tokio::test]
async fn a_session_lives_by_its_heartbeats() {
    let service = Service::start().await;
    while lives_by_its_heartbeats(&service).await.is_err() {}
}

async fn lives_by_its_heartbeats(service: &Service) -> Result<(), StoodStill> {
    let mut pulse = Pulse::of(400);
    let mut session = service.session(bound(400)).await;
    let opened = session.opened.clone();
    assert_eq!(
        (opened.epoch, opened.ttl_ms, opened.valid_for_ms),
        (1, 400, 400)
    );
    assert!(opened.resume_token.is_empty());
    let held = service.acquire(by(&opened, exclusive("job", 0))).await;
    let held = held.map_err(|_| pulse.over())?.holds.remove(0);
    pulse.beats(&mut session).await?;
    pulse.holds(service, &held).await
}

/// "TTL from 100 ms, expiry within 10 ms": without heartbeats it ends, and never early.
#[tokio::test]
async fn without_heartbeats_it_ends_after_its_ttl() {
    let mut service = Service::start().await;
    let waiting = service.lease().await;
    let (begun, mut session) = loop {
        let pulse = Pulse::of(100);
        let session = service.session(bound(100)).await;
        let locked = service.acquire(by(&session.opened, exclusive("job", 0)));
        match locked.await {
            Ok(_) => break (pulse.last, session),
            Err(_) => pulse.over(),
        };
    };
    let opened = session.opened.clone();
    let next = service.wait(exclusive("job", waiting));
    assert_eq!(session.ended().await, Reason::Expired as i32);
    assert!(begun.elapsed() >= Duration::from_millis(100));
    granted(next).await;
    let late = service.acquire(by(&opened, exclusive("late", 0))).await;
    let status = late.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::NotFound, "no-session")
    );
}

/// "Instant release on disconnect."
#[tokio::test]
async fn a_bound_session_ends_with_its_connection() {
    let mut service = Service::start().await;
    let waiting = service.lease().await;
    let other = client(&service.fixture).await;
    let session = Session::begin(other, Request::Open(bound(60_000))).await;
    let session = session.unwrap();
    service.hold(by(&session.opened, exclusive("job", 0))).await;
    let next = service.queue(exclusive("job", waiting), 2).await;
    let begun = Instant::now();
    drop(session);
    granted(next).await;
    assert!(begun.elapsed() < Duration::from_secs(45), "not by its TTL");
    until_count(&mut service.etcd, "\0latchd/session/", 0).await;
}

#[tokio::test]
async fn closing_frees_everything_before_the_answer() {
    let service = Service::start().await;
    for open in [bound(60_000), with_grace(60_000)] {
        let mut session = service.session(open).await;
        let held = service.hold(by(&session.opened, exclusive("job", 0))).await;
        session.send(Request::Close(Close {}));
        assert_eq!(session.ended().await, Reason::Closed as i32);
        assert!(!service.is_held("job", held.token).await);
    }
}

/// "Resume is a Txn that raises the epoch and fences the old connection."
#[tokio::test]
async fn a_resume_keeps_the_holds_and_fences_the_old_connection() {
    let mut service = Service::start().await;
    let mut old = service.session(with_grace(60_000)).await;
    let before = old.opened.clone();
    let held = service.hold(by(&before, exclusive("job", 0))).await;
    let blocker = service.lease().await;
    service.hold(exclusive("busy", blocker)).await;
    let waiting = service.queue(by(&before, exclusive("busy", 0)), 2).await;
    let resumed = service.resume(&before).await.unwrap();
    assert_eq!(resumed.opened.epoch, 2);
    assert_eq!(resumed.opened.holds, std::slice::from_ref(&held));
    assert_eq!(refused(waiting).await, "fenced");
    assert_eq!(old.ended().await, Reason::Resumed as i32);
    // "Its old connection can do nothing any more."
    for status in [
        service
            .acquire(by(&before, exclusive("new", 0)))
            .await
            .map(drop),
        service
            .release_at(before.session, before.epoch, &held)
            .await
            .map(drop),
        extend(&service, before.session, before.epoch)
            .await
            .map(drop),
    ] {
        let status = status.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::PermissionDenied, "fenced")
        );
    }
    assert!(service.is_held("job", held.token).await);
    service.release_at(before.session, 2, &held).await.unwrap();
}

async fn extend(service: &Service, session: i64, epoch: i64) -> Result<i64, tonic::Status> {
    let request = ExtendRequest { session, epoch };
    let extended = service.locks.clone().extend(request).await?;
    Ok(extended.into_inner().valid_for_ms)
}

/// "One with a grace resumes within it and still holds, also across a server restart."
#[tokio::test]
async fn a_session_survives_a_restart() {
    let mut service = Service::start().await;
    let session = service.session(with_grace(30_000)).await;
    let opened = session.opened.clone();
    let held = service.hold(by(&opened, exclusive("job", 0))).await;
    service.restart().await;
    let resumed = service.resume(&opened).await.unwrap();
    assert_eq!(resumed.opened.epoch, 2);
    assert_eq!(resumed.opened.ttl_ms, 30_000);
    assert_eq!(resumed.opened.holds, [held]);
    let again = service.resume(&opened).await.unwrap();
    assert_eq!(again.opened.epoch, 3, "the token stays the same");
}

/// A lost connection ends nothing that has a grace.
#[tokio::test]
async fn a_grace_outlives_the_connection() {
    let service = Service::start().await;
    let session = service.session(with_grace(30_000)).await;
    let opened = session.opened.clone();
    let held = service.hold(by(&opened, exclusive("job", 0))).await;
    drop(session);
    let resumed = service.resume(&opened).await.unwrap();
    assert_eq!(resumed.opened.holds, [held]);
}

#[tokio::test]
async fn who_cannot_resume() {
    let service = Service::start().await;
    let kept = service.session(with_grace(30_000)).await;
    let tied = service.session(bound(30_000)).await;
    let resume = |session: i64, token: &'static [u8]| {
        let resume = Resume {
            session,
            resume_token: token.into(),
        };
        Session::begin(service.locks.clone(), Request::Resume(resume))
    };
    for (session, token, code, word) in [
        (
            kept.opened.session,
            &b"wrong"[..],
            Code::PermissionDenied,
            "wrong-token",
        ),
        (
            kept.opened.session,
            b"",
            Code::PermissionDenied,
            "wrong-token",
        ),
        (tied.opened.session, b"", Code::FailedPrecondition, "bound"),
        (4711, b"x", Code::NotFound, "no-session"),
    ] {
        let Err(status) = resume(session, token).await else {
            panic!("{session} was resumed");
        };
        assert_eq!((status.code(), reason(&status).as_str()), (code, word));
    }
}

/// "Told when a lock is lost": by force, or by somebody's delete; not by its own release.
#[tokio::test]
async fn a_session_is_told_what_it_lost() {
    let mut service = Service::start().await;
    let mut session = service.session(bound(60_000)).await;
    let opened = session.opened.clone();
    let own = service.hold(by(&opened, exclusive("own", 0))).await;
    service
        .release_at(opened.session, opened.epoch, &own)
        .await
        .unwrap();
    let forced = service.hold(by(&opened, exclusive("forced", 0))).await;
    let request = ForceReleaseRequest {
        name: "forced".into(),
        token: forced.token,
    };
    service.locks.force_release(request).await.unwrap();
    let lost = session.lost().await;
    assert_eq!((lost.hold, lost.how), (Some(forced), Kind::Forced as i32));
    let deleted = service.hold(by(&opened, exclusive("deleted", 0))).await;
    let key = deleted.key.to_vec();
    service.etcd.delete(key, None).await.unwrap();
    assert_eq!(session.lost().await.hold, Some(deleted));
    service.etcd.lease_revoke(opened.session).await.unwrap();
    assert_eq!(session.ended().await, Reason::Expired as i32);
}

#[tokio::test]
async fn sessions_are_listed_and_extended() {
    let mut service = Service::start().await;
    let kept = service.session(with_grace(30_000)).await.opened.clone();
    let tied = service.session(bound(20_000)).await;
    let left = extend(&service, kept.session, kept.epoch).await.unwrap();
    assert_eq!(left, 30_000);
    service.hold(by(&kept, exclusive("a", 0))).await;
    service.hold(by(&kept, exclusive("b", 0))).await;
    let _waiting = service.queue(by(&tied.opened, exclusive("a", 0)), 2).await;
    let request = ListRequest {
        sessions: true,
        ..Default::default()
    };
    let mut sessions = service
        .locks
        .list(request)
        .await
        .unwrap()
        .into_inner()
        .sessions;
    sessions.sort_by_key(|session| session.ttl_ms);
    let [first, second] = &sessions[..] else {
        panic!("{sessions:?}");
    };
    assert_eq!(first.session, tied.opened.session);
    assert!(first.bound && first.connected && !second.bound);
    assert_eq!((second.session, second.epoch), (kept.session, 1));
    assert!(second.valid_for_ms <= 30_000 && second.valid_for_ms > 0);
    assert_eq!((first.holding, first.waiting), (0, 1));
    assert_eq!((second.holding, second.waiting), (2, 0));
}

/// A session without an epoch is not taken for a lease of etcd's.
#[tokio::test]
async fn a_session_needs_its_epoch() {
    let service = Service::start().await;
    let session = service.session(with_grace(30_000)).await;
    let request = exclusive("job", session.opened.session);
    let status = service.acquire(request).await.unwrap_err();
    assert_eq!(reason(&status), "fenced");
}

#[tokio::test]
async fn requests_out_of_order() {
    let service = Service::start().await;
    let locks = || service.locks.clone();
    let first = Session::begin(locks(), Request::Heartbeat(Heartbeat {})).await;
    assert_eq!(reason(&first.err().unwrap()), "invalid");
    let mut session = service.session(bound(30_000)).await;
    session.send(Request::Open(bound(30_000)));
    assert_eq!(reason(&session.next().await.unwrap_err()), "invalid");
    for bad in [
        Open {
            ttl_ms: 99,
            ..bound(0)
        },
        Open {
            grace_ms: 50,
            ..with_grace(100)
        },
        Open {
            grace_ms: 200,
            ..bound(100)
        },
    ] {
        let refused = Session::begin(locks(), Request::Open(bad)).await;
        let status = refused.err().unwrap();
        assert_eq!(status.code(), Code::InvalidArgument);
    }
}

/// Raises a session's epoch as another server of the same store would.
async fn resume_elsewhere(service: &mut Service, session: i64) {
    let key = format!("\0latchd/session/s{session:x}");
    let record = service.etcd.get(key.as_str(), None).await.unwrap();
    let value = record.kvs()[0].value().to_vec();
    let leased = etcd_client::PutOptions::new().with_lease(session);
    service.etcd.put(key, value, Some(leased)).await.unwrap();
}

/// "Ending is a Txn on the epoch, and only if it succeeds the lease is revoked": a connection that
/// does not know yet that it has lost the session ends nothing, neither by Close nor by its own end.
#[tokio::test]
async fn only_the_latest_epoch_ends_a_session() {
    let mut service = Service::start().await;
    for close in [true, false] {
        let mut session = service.session(bound(60_000)).await;
        let opened = session.opened.clone();
        let held = service.hold(by(&opened, exclusive("job", 0))).await;
        resume_elsewhere(&mut service, opened.session).await;
        if close {
            session.send(Request::Close(Close {}));
            assert_eq!(session.ended().await, Reason::Resumed as i32);
        }
        drop(session);
        // Had it ended, it would have done so before a session that ends later.
        let later = service.session(bound(60_000)).await;
        let last = service.hold(by(&later.opened, exclusive("later", 0))).await;
        drop(later);
        until_count(&mut service.etcd, "later/", 0).await;
        assert!(!service.is_held("later", last.token).await);
        assert!(service.is_held("job", held.token).await);
        service.release_at(opened.session, 2, &held).await.unwrap();
    }
}

/// The same of the end itself, for whatever reason it comes.
#[tokio::test]
async fn the_end_of_a_session_is_a_txn_on_its_epoch() {
    let service = Service::start().await;
    let first = service.session(with_grace(60_000)).await;
    let held = service.hold(by(&first.opened, exclusive("job", 0))).await;
    let resumed = service.resume(&first.opened).await.unwrap();
    let keeper = Keeper::new(service.fixture.server().backend().clone());
    let lease = LeaseId(resumed.opened.session);
    assert_eq!(end(&keeper, Holder { lease, epoch: 1 }).await, Ok(false));
    assert!(service.is_held("job", held.token).await);
    assert_eq!(end(&keeper, Holder { lease, epoch: 2 }).await, Ok(true));
    assert!(!service.is_held("job", held.token).await);
    assert_eq!(end(&keeper, Holder { lease, epoch: 2 }).await, Ok(false));
}

/// "Resume fences the old connection": wherever the session was resumed, its heartbeats are refused,
/// and it is told unasked.
#[tokio::test]
async fn a_session_that_was_resumed_elsewhere_is_not_kept_alive() {
    let mut service = Service::start().await;
    let mut silent = service.session(with_grace(60_000)).await;
    resume_elsewhere(&mut service, silent.opened.session).await;
    assert_eq!(silent.ended().await, Reason::Resumed as i32);
    let mut beating = service.session(with_grace(60_000)).await;
    resume_elsewhere(&mut service, beating.opened.session).await;
    beating.send(Request::Heartbeat(Heartbeat {}));
    assert_eq!(beating.ended().await, Reason::Resumed as i32);
}

/// "No timer survives a resume": what was to happen to the old connection does not happen to the
/// session any more, and it lives by its new heartbeats alone.
#[tokio::test]
async fn no_timer_survives_a_resume() {
    let service = Service::start().await;
    while lives_by_its_new_heartbeats(&service).await.is_err() {}
}

async fn lives_by_its_new_heartbeats(service: &Service) -> Result<(), StoodStill> {
    let mut pulse = Pulse::of(600);
    let old = service.session(with_grace(600)).await;
    let held = service.acquire(by(&old.opened, exclusive("job", 0))).await;
    let held = held.map_err(|_| pulse.over())?.holds.remove(0);
    let resumed = service.resume(&old.opened).await;
    let mut session = resumed.map_err(|_| pulse.over())?;
    drop(old);
    pulse.beats(&mut session).await?;
    pulse.holds(service, &held).await
}

/// "Deadlines start again in full when a restarted server is ready."
#[tokio::test]
async fn a_restart_begins_the_time_anew() {
    let mut service = Service::start().await;
    let session = service.session(with_grace(60_000)).await;
    while valid_for(&service).await > 55_000 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    service.restart().await;
    let left = valid_for(&service).await;
    assert!((55_500..=60_000).contains(&left), "{left}");
    drop(session);
}

/// How long the one session lives.
async fn valid_for(service: &Service) -> i64 {
    let request = ListRequest {
        sessions: true,
        ..Default::default()
    };
    let listed = service.locks.clone().list(request).await.unwrap();
    listed.into_inner().sessions[0].valid_for_ms
}
