//! From the client library's words to this program's, which tests can make, too.

use std::time::SystemTime;

use jiff::Timestamp;
use latchd_client as client;

use crate::model::{
    Contender, Deadlock, Event, History, Lock, Mode, PastHold, SessionId, SessionInfo, Told, Wait,
    What,
};

pub fn lock(lock: client::Lock) -> Lock {
    Lock {
        name: lock.name,
        holders: lock.holders.into_iter().map(contender).collect(),
        waiting: lock.waiting.into_iter().map(contender).collect(),
    }
}

pub fn contender(told: client::Contender) -> Contender {
    Contender {
        key: told.key,
        token: told.token.0,
        session: SessionId(told.session.0),
        mode: match told.mode {
            client::Mode::Exclusive => Mode::Exclusive,
            client::Mode::Shared => Mode::Shared,
            client::Mode::Permit { of } => Mode::Semaphore(of),
        },
        // Where there is none, a latchd tells the lease's ID instead.
        owner: told
            .owner
            .filter(|owner| *owner != told.session.to_string()),
        labels: told.labels,
        request_id: told.request_id,
        door: told.door,
        since: told.since.and_then(|since| Timestamp::try_from(since).ok()),
        lasting: told.lasting,
    }
}

/// None for what the library may tell one day.
pub fn told(item: client::WatchItem) -> Option<Told> {
    match item {
        client::WatchItem::Snapshot(locks) => {
            Some(Told::Snapshot(locks.into_iter().map(lock).collect()))
        }
        client::WatchItem::Event(event) => Some(Told::Event(Event {
            what: what(event.kind),
            name: event.name,
            contender: contender(event.contender),
            revision: event.revision.0,
        })),
        client::WatchItem::Deadlock(found) => Some(Told::Deadlock(deadlock(found))),
        _ => None,
    }
}

fn what(kind: client::EventKind) -> What {
    use client::EventKind;
    match kind {
        EventKind::Queued => What::Queued,
        EventKind::Acquired => What::Acquired,
        EventKind::Released => What::Released,
        EventKind::Expired => What::Expired,
        EventKind::Forced => What::Forced,
        EventKind::Left => What::Left,
        // The library may learn more kinds of ends.
        _ => What::Ended,
    }
}

pub fn history(history: client::History) -> History {
    History {
        holds: history.holds.into_iter().map(past_hold).collect(),
        deadlocks: history.deadlocks.into_iter().map(deadlock).collect(),
        since: time(history.since),
    }
}

fn past_hold(hold: client::PastHold) -> PastHold {
    PastHold {
        name: hold.name,
        contender: contender(hold.contender),
        how: what(hold.how),
        ended: time(hold.ended),
        waited: hold.waited,
        held: hold.held,
    }
}

pub fn session(session: client::SessionInfo) -> SessionInfo {
    SessionInfo {
        id: SessionId(session.session.0),
        epoch: session.epoch,
        ttl: session.ttl,
        valid_for: session.valid_for,
        bound: session.bound,
        connected: session.connected,
        holding: session.holding,
        waiting: session.waiting,
    }
}

pub fn deadlock(told: client::Deadlock) -> Deadlock {
    let victim = told.victim;
    let waits = told.waits.into_iter().map(|wait| Wait {
        aborted: victim.as_ref() == Some(&wait.key),
        name: wait.name,
        owner: wait.owner,
        session: SessionId(wait.session.0),
        key: wait.key,
    });
    Deadlock {
        waits: waits.collect(),
        found: time(told.found),
    }
}

/// Times that no calendar has are the server's mistake, and no reason to show nothing.
fn time(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or_default()
}
