//! Faults of leases.

use super::{Ground, is_caught};
use crate::history::{
    record::{Moment, Op, Outcome, Restart, Told},
    request::{Event, Kv, LeaseId, Request, Response, Revision},
    state::State,
    violation::Rule,
};

const LEASE: LeaseId = 0xabc;

/// Grants a lease of a minute and puts a key with it.
fn with_lease(ground: &mut Ground) -> Revision {
    let end = ground.last();
    let granted = Response::Granted { id: LEASE, ttl: 60 };
    ground.add(Request::Grant { id: LEASE, ttl: 60 }, end, granted);
    ground.add_put("leased/1", LEASE)
}

/// A watch of all keys is told that a key of a lease is gone.
fn tell_its_end(ground: &mut Ground, revision: Revision, at: Moment) -> Option<()> {
    let deleted = |revision| Event {
        deleted: true,
        kv: Kv {
            key: "leased/1".to_owned(),
            modified: revision,
            ..Kv::default()
        },
        prev: None,
    };
    let mut put = State::from(&ground.history.start);
    put.apply(&Request::Put {
        key: "leased/1".to_owned(),
        value: "x".to_owned(),
        lease: LEASE,
        prev: false,
    });
    let mut kv = put.get("leased/1")?.clone();
    (kv.create, kv.modified) = (revision, revision);
    let there = Event {
        deleted: false,
        kv: kv.clone(),
        prev: None,
    };
    let gone = Event {
        prev: Some(kv),
        ..deleted(revision + 1)
    };
    let told = |revision, event| Told {
        at,
        revision,
        events: vec![event],
        ..Told::default()
    };
    let stream = ground.history.watchers[0].streams.last_mut()?;
    stream
        .told
        .extend([told(revision, there), told(revision + 1, gone)]);
    Some(())
}

/// A lease ends before its time.
fn early_end(ground: &mut Ground) -> Option<()> {
    let revision = with_lease(ground);
    let at = ground.after_all();
    tell_its_end(ground, revision, at)
}

/// A lease ends a TTL after its grant, although the server was started since.
fn no_new_ttl(ground: &mut Ground) -> Option<()> {
    let revision = with_lease(ground);
    let killed = ground.after_all().plus_seconds(50);
    ground.history.restarts.push(Restart {
        killed,
        started: killed.plus_seconds(1),
    });
    // It was there after the start.
    look_at_it(ground, revision, killed.plus_seconds(2))?;
    tell_its_end(ground, revision, killed.plus_seconds(20))
}

/// Reads what [`with_lease`] has put.
fn look_at_it(ground: &mut Ground, revision: Revision, invoked: Moment) -> Option<()> {
    let request = Request::get("leased/1");
    let mut state = ground.state(revision - 1);
    state.apply(&ground.history.ops.last()?.request);
    let response = state.effect(&request).response?;
    ground.history.ops.push(Op {
        client: 98,
        invoked,
        request,
        outcome: Outcome::Answered {
            at: invoked.plus_seconds(1),
            revision,
            response,
        },
    });
    Some(())
}

/// A lease that nobody renews keeps its key for ever.
fn no_end(ground: &mut Ground) -> Option<()> {
    let revision = with_lease(ground);
    let much_later = ground.after_all().plus_seconds(200);
    look_at_it(ground, revision, much_later)
}

/// An acknowledged lease is unknown after a restart.
fn lost_lease(ground: &mut Ground) -> Option<()> {
    let revision = with_lease(ground);
    let killed = ground.after_all();
    let started = Moment(killed.0 + 500);
    let restart = Restart { killed, started };
    ground.history.restarts.push(restart);
    let gone = Response::KeptAlive { ttl: 0 };
    ground.add(Request::KeepAlive { id: LEASE }, revision, gone);
    Some(())
}

/// A lease has less left than was promised.
fn short_lease(ground: &mut Ground) -> Option<()> {
    let revision = with_lease(ground);
    let left = Response::Left { ttl: 40 };
    ground.add(Request::TimeToLive { id: LEASE }, revision, left);
    Some(())
}

/// The keys of a revoked lease are still there.
fn kept_keys(ground: &mut Ground) -> Option<()> {
    let revision = with_lease(ground);
    ground.add(Request::Revoke { id: LEASE }, revision, Response::Revoked);
    ground.add_put("kv/after", 0);
    Some(())
}

#[test]
fn leases() {
    is_caught(early_end, &[Rule::LeaseEndedEarly]);
    is_caught(no_new_ttl, &[Rule::LeaseEndedEarly]);
    is_caught(no_end, &[Rule::LeaseOutlived]);
    is_caught(lost_lease, &[Rule::LeaseEndedEarly]);
    is_caught(short_lease, &[Rule::LeaseEndedEarly]);
    is_caught(kept_keys, &[Rule::LeaseKeptKeys]);
}
