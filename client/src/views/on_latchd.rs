//! What a latchd tells, in this crate's words.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use latchd_proto::latchd::v1::{self, lock_event::Kind};

use super::types::{
    Contender, Deadlock, DeadlockWait, Event, EventKind, History, Lock, PastHold, SessionInfo,
};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::latchd::{call, duration};
use crate::refusal::{Reason, reason};
use crate::types::{LeaseId, Mode, Revision};

pub(super) async fn list(client: &Client, prefix: &[u8]) -> Result<Vec<Lock>> {
    let mut locks = Vec::new();
    let mut after = Bytes::new();
    loop {
        let page = page(client, prefix, after, 0, false).await?;
        after = match page.locks.last() {
            Some(last) if page.more => last.name.clone(),
            _ => Bytes::new(),
        };
        locks.extend(page.locks.into_iter().map(lock));
        if after.is_empty() {
            return Ok(locks);
        }
    }
}

/// Of all names that begin so, the name itself is the first.
pub(super) async fn show(client: &Client, name: &[u8]) -> Result<Option<Lock>> {
    let page = page(client, name, Bytes::new(), 1, false).await?;
    let first = page.locks.into_iter().next().map(lock);
    Ok(first.filter(|lock| lock.name == name))
}

async fn page(
    client: &Client,
    prefix: &[u8],
    after: Bytes,
    limit: i64,
    sessions: bool,
) -> Result<v1::ListResponse> {
    let request = v1::ListRequest {
        prefix: Bytes::copy_from_slice(prefix),
        after,
        limit,
        sessions,
    };
    let answer = call(client, request, |mut locks, request| {
        Box::pin(async move { locks.list(request).await })
    });
    Ok(answer.await?)
}

pub(super) async fn sessions(client: &Client) -> Result<Vec<SessionInfo>> {
    let page = page(client, b"", Bytes::new(), 1, true).await?;
    Ok(page.sessions.into_iter().map(session).collect())
}

pub(super) async fn deadlocks(client: &Client) -> Result<Vec<Deadlock>> {
    let page = page(client, b"", Bytes::new(), 1, false).await?;
    Ok(page.deadlocks.into_iter().map(deadlock).collect())
}

pub(super) async fn verify(client: &Client, name: &[u8], token: Revision) -> Result<bool> {
    let request = v1::VerifyRequest {
        name: Bytes::copy_from_slice(name),
        token: token.0,
    };
    let answer = call(client, request, |mut locks, request| {
        Box::pin(async move { locks.verify(request).await })
    });
    Ok(answer.await?.held)
}

pub(super) async fn force_release(
    client: &Client,
    name: &[u8],
    token: Revision,
) -> Result<Contender> {
    let request = v1::ForceReleaseRequest {
        name: Bytes::copy_from_slice(name),
        token: token.0,
    };
    let answer = call(client, request, |mut locks, request| {
        Box::pin(async move { locks.force_release(request).await })
    });
    match answer.await {
        Ok(answer) => Ok(contender(answer.contender.unwrap_or_default())),
        Err(status) if reason(&status) == Some(Reason::NotHeld) => Err(Error::NotHeld {
            key: String::from_utf8_lossy(name).into_owned(),
        }),
        Err(status) => Err(status.into()),
    }
}

pub(super) async fn history(client: &Client, prefix: &[u8], limit: usize) -> Result<History> {
    let request = v1::HistoryRequest {
        prefix: Bytes::copy_from_slice(prefix),
        // 0 would be the server's own limit.
        limit: i64::try_from(limit.max(1)).unwrap_or(i64::MAX),
    };
    let answer = call(client, request, |mut locks, request| {
        Box::pin(async move { locks.history(request).await })
    });
    let answer = answer.await?;
    Ok(History {
        holds: answer.holds.into_iter().take(limit).map(past).collect(),
        deadlocks: answer.deadlocks.into_iter().map(deadlock).collect(),
        since: time(answer.since_ms),
    })
}

pub(super) fn lock(lock: v1::Lock) -> Lock {
    let contenders = |all: Vec<v1::Contender>| all.into_iter().map(contender).collect();
    Lock {
        name: lock.name.to_vec(),
        holders: contenders(lock.holders),
        waiting: contenders(lock.waiting),
    }
}

fn contender(told: v1::Contender) -> Contender {
    let mode = match told.mode() {
        v1::Mode::Exclusive => Mode::Exclusive,
        v1::Mode::Shared => Mode::Shared,
        v1::Mode::Semaphore => Mode::Permit { of: told.permits },
    };
    let labels = told.labels.into_iter();
    Contender {
        key: told.key.to_vec(),
        token: Revision(told.token),
        session: LeaseId(told.session),
        mode,
        owner: text(told.owner),
        labels: labels.map(|label| (label.key, label.value)).collect(),
        request_id: text(told.request_id),
        door: text(told.door),
        since: (told.at_ms > 0).then(|| time(told.at_ms)),
        lasting: known(told.for_ms),
    }
}

pub(super) fn event(told: v1::LockEvent) -> Event {
    Event {
        kind: kind(told.kind()),
        name: told.name.to_vec(),
        revision: Revision(told.revision),
        contender: contender(told.contender.unwrap_or_default()),
    }
}

fn kind(kind: Kind) -> EventKind {
    match kind {
        Kind::Queued => EventKind::Queued,
        Kind::Acquired => EventKind::Acquired,
        Kind::Released => EventKind::Released,
        Kind::Expired => EventKind::Expired,
        Kind::Forced => EventKind::Forced,
        Kind::Left => EventKind::Left,
    }
}

fn past(told: v1::PastHold) -> PastHold {
    PastHold {
        how: kind(told.how()),
        name: told.name.to_vec(),
        contender: contender(told.contender.unwrap_or_default()),
        ended: time(told.ended_ms),
        waited: known(told.waited_ms),
        held: known(told.held_ms),
    }
}

fn session(told: v1::SessionInfo) -> SessionInfo {
    SessionInfo {
        session: LeaseId(told.session),
        epoch: told.epoch,
        ttl: duration(told.ttl_ms),
        valid_for: duration(told.valid_for_ms),
        bound: told.bound,
        connected: told.connected,
        holding: told.holding,
        waiting: told.waiting,
    }
}

pub(super) fn deadlock(told: v1::Deadlock) -> Deadlock {
    let wait = |told: v1::deadlock::Wait| DeadlockWait {
        name: told.name.to_vec(),
        owner: told.owner,
        key: told.key.to_vec(),
        session: LeaseId(told.session),
    };
    Deadlock {
        waits: told.waits.into_iter().map(wait).collect(),
        victim: (!told.victim.is_empty()).then(|| told.victim.to_vec()),
        found: time(told.at_ms),
    }
}

fn text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn known(millis: i64) -> Option<Duration> {
    u64::try_from(millis).ok().map(Duration::from_millis)
}

pub(super) fn time(unix_ms: i64) -> SystemTime {
    UNIX_EPOCH + duration(unix_ms)
}
