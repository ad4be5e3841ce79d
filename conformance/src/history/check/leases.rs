//! Leases: none ends before its time, a restart gives each its full TTL again,
//! and one that is revoked or not renewed takes its keys along.
//!
//! A server starts a lease's time when it receives the grant or the keepalive,
//! which is after the client sent it. So an answered one promises the lease for
//! its TTL from the moment of sending, and a restart from the moment of starting.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{
    check::{
        bounds::Bounds,
        timeline::{Author, Timeline},
    },
    record::{History, Moment, Op, Outcome},
    request::{LeaseId, Request, Response, Revision},
    violation::{Rule, Violation},
};

/// What the clients know of every lease.
pub struct Leases<'a> {
    history: &'a History,
    lives: BTreeMap<LeaseId, Life>,
}

/// What the clients know of one lease.
#[derive(Default)]
struct Life {
    ttl: i64,
    /// When it was known to be granted.
    granted: Option<Moment>,
    /// Answered grants and keepalives: when sent, and until when that promises.
    renewals: Vec<(Moment, Moment)>,
    /// When the last of them was over; never while one is of unknown outcome.
    renewed: Moment,
    /// When somebody first asked for its end.
    revoked: Option<Moment>,
}

/// How long after its time a lease may end: a busy machine has other things to
/// do, and a server that starts takes its time.
const GRACE: i64 = 20;

impl<'a> Leases<'a> {
    /// Collects what a history says of leases.
    #[must_use]
    pub fn of(history: &'a History) -> Self {
        let mut lives: BTreeMap<LeaseId, Life> = BTreeMap::new();
        for op in &history.ops {
            if let Some(id) = lease_of(&op.request) {
                lives.entry(id).or_default().note(op);
            }
        }
        for life in lives.values_mut() {
            life.renewals.sort();
        }
        Self { history, lives }
    }

    /// Until when a lease is promised, by what was sent up to `now`; and by the
    /// restarts up to then, through which it is known to have lived.
    #[must_use]
    pub fn promised(&self, id: LeaseId, now: Moment) -> Moment {
        self.promised_with_restarts(id, now, now)
    }

    fn promised_with_restarts(&self, id: LeaseId, now: Moment, restarts: Moment) -> Moment {
        let Some(life) = self.lives.get(&id) else {
            return Moment(0);
        };
        let renewed = |at: Moment| {
            let sent = life.renewals.iter().take_while(|(sent, _)| *sent <= at);
            sent.map(|(_, until)| *until).max().unwrap_or_default()
        };
        let mut until = Moment(0);
        for restart in self
            .history
            .restarts
            .iter()
            .filter(|r| r.started <= restarts)
        {
            until = until.max(renewed(restart.killed));
            if restart.killed < until {
                until = restart.started.plus_seconds(life.ttl);
            }
        }
        until.max(renewed(now))
    }

    /// Until when a lease is promised that was still there at `then`, but has
    /// ended: all that was answered about it was before its end.
    #[must_use]
    pub fn lived_until(&self, id: LeaseId, then: Moment) -> Moment {
        self.promised_with_restarts(id, Moment(u64::MAX), then)
    }

    /// When somebody first asked for a lease's end.
    #[must_use]
    pub fn revoked(&self, id: LeaseId) -> Option<Moment> {
        self.lives.get(&id)?.revoked
    }

    /// Whether a lease must be there through all of an op.
    fn surely_lives(&self, id: LeaseId, op: &Op, at: Moment) -> bool {
        let Some(life) = self.lives.get(&id) else {
            return false;
        };
        let granted = life.granted.is_some_and(|granted| granted < op.invoked);
        let revoked = life
            .revoked
            .is_some_and(|revoked| revoked <= at && revoked != op.invoked);
        granted && !revoked && at < self.promised(id, op.invoked)
    }
}

impl Life {
    fn note(&mut self, op: &Op) {
        if let Request::Grant { .. } | Request::KeepAlive { .. } = op.request {
            let over = op.returned().unwrap_or(Moment(u64::MAX));
            self.renewed = self.renewed.max(over);
        }
        match (&op.request, op.answer()) {
            (Request::Grant { .. }, Some((at, _, Response::Granted { ttl, .. }))) => {
                self.ttl = *ttl;
                self.granted = Some(at);
                self.renewals
                    .push((op.invoked, op.invoked.plus_seconds(*ttl)));
            }
            (Request::KeepAlive { .. }, Some((_, _, Response::KeptAlive { ttl }))) if *ttl > 0 => {
                self.renewals
                    .push((op.invoked, op.invoked.plus_seconds(*ttl)));
            }
            (Request::Revoke { .. }, _) => {
                let first = self.revoked.map_or(op.invoked, |at| at.min(op.invoked));
                self.revoked = Some(first);
            }
            _ => {}
        }
    }
}

fn lease_of(request: &Request) -> Option<LeaseId> {
    match request {
        Request::Grant { id, .. }
        | Request::Revoke { id }
        | Request::KeepAlive { id }
        | Request::TimeToLive { id } => Some(*id),
        Request::Put { lease, .. } | Request::Lock { lease, .. } if *lease != 0 => Some(*lease),
        _ => None,
    }
}

/// Checks the leases of a history.
///
/// # Errors
/// With the first that ended early, had less left than promised, or kept keys.
pub fn check(history: &History, timeline: &Timeline, bounds: &Bounds) -> Result<(), Violation> {
    let leases = Leases::of(history);
    for (revision, step) in timeline.iter() {
        if let Author::LeaseEnd(id) = step.author {
            leases.check_end(id, revision, bounds)?;
        }
    }
    for op in &history.ops {
        leases.check_word(op)?;
    }
    let attached = attachments(history, timeline);
    for (id, spans) in &attached {
        leases.check_outlived(*id, spans, bounds)?;
    }
    history
        .ops
        .iter()
        .try_for_each(|op| leases.check_revoke(op, &attached, bounds))
}

impl Leases<'_> {
    /// A revision that only the lease's end explains.
    fn check_end(&self, id: LeaseId, revision: Revision, bounds: &Bounds) -> Result<(), Violation> {
        let seen = bounds.seen(revision);
        if self.revoked(id).is_some_and(|revoked| revoked <= seen) {
            return Ok(());
        }
        // Only restarts after which the keys were still there.
        let promised = self.lived_until(id, bounds.absent(revision));
        if seen >= promised {
            return Ok(());
        }
        let story = format!(
            "lease {id:x} is promised until {promised}, but its keys went at revision {revision}, seen {seen}"
        );
        Err(Violation::new(Rule::LeaseEndedEarly, story))
    }

    /// What an answer says of a lease: that it is not there, or what is left.
    fn check_word(&self, op: &Op) -> Result<(), Violation> {
        let Some(id) = lease_of(&op.request) else {
            return Ok(());
        };
        let (at, left) = match &op.outcome {
            Outcome::Refused { at, message, .. } if message.contains("lease not found") => {
                (*at, -1)
            }
            Outcome::Answered {
                at,
                response: Response::KeptAlive { ttl } | Response::Left { ttl },
                ..
            } => (*at, *ttl),
            _ => return Ok(()),
        };
        if !self.surely_lives(id, op, at) {
            return Ok(());
        }
        let promised = self.promised(id, op.invoked);
        let least = i64::try_from((promised.0 - at.0) / 1_000_000_000).unwrap_or(i64::MAX);
        if left >= least {
            return Ok(());
        }
        let story = format!("{op}\n  lease {id:x} is promised until {promised}");
        Err(Violation::new(Rule::LeaseEndedEarly, story))
    }

    /// Nobody may be answered long after a lease's time without the revision that
    /// took its keys away.
    fn check_outlived(
        &self,
        id: LeaseId,
        spans: &[(Revision, Revision)],
        bounds: &Bounds,
    ) -> Result<(), Violation> {
        let Some(life) = self.lives.get(&id).filter(|life| life.granted.is_some()) else {
            return Ok(());
        };
        for (from, to) in spans {
            let still = bounds.absent(*to);
            let restarts = self.history.restarts.iter().map(|restart| restart.started);
            let restarted = restarts.filter(|started| *started <= still).max();
            let last = life.renewed.max(restarted.unwrap_or_default());
            let due = last.plus_seconds(life.ttl + GRACE);
            if still > due {
                let story = format!(
                    "lease {id:x} of {} s was last renewed {}, and the server last started {last} or before; its keys of revision {from} were there for a request sent {still}",
                    life.ttl, life.renewed
                );
                return Err(Violation::new(Rule::LeaseOutlived, story));
            }
        }
        Ok(())
    }

    /// After an answered revoke nobody may be answered without the revision that
    /// took the lease's keys away.
    fn check_revoke(
        &self,
        op: &Op,
        attached: &BTreeMap<LeaseId, Vec<(Revision, Revision)>>,
        bounds: &Bounds,
    ) -> Result<(), Violation> {
        let (Request::Revoke { id }, Some((at, ..))) = (&op.request, op.answer()) else {
            return Ok(());
        };
        for (from, to) in attached.get(id).into_iter().flatten() {
            let still = bounds.absent(*to);
            if still > at {
                let until = match *to {
                    Revision::MAX => "and stayed".to_owned(),
                    to => format!("and went at {to}"),
                };
                let story = format!(
                    "{op}\n  keys were put with it at {from} {until}, which had not happened for a request sent {still}"
                );
                return Err(Violation::new(Rule::LeaseKeptKeys, story));
            }
        }
        Ok(())
    }
}

/// From which revision to before which each lease had keys.
fn attachments(
    history: &History,
    timeline: &Timeline,
) -> BTreeMap<LeaseId, Vec<(Revision, Revision)>> {
    let mut keys: BTreeMap<LeaseId, BTreeSet<String>> = BTreeMap::new();
    let mut spans: BTreeMap<LeaseId, Vec<(Revision, Revision)>> = BTreeMap::new();
    for kv in history.start.kvs.iter().filter(|kv| kv.lease != 0) {
        keys.entry(kv.lease).or_default().insert(kv.key.clone());
        spans.insert(kv.lease, vec![(history.start.revision, Revision::MAX)]);
    }
    for (revision, step) in timeline.iter() {
        for event in &step.events {
            let key = &event.kv.key;
            let old = event.prev.as_ref().map_or(0, |kv| kv.lease);
            if old != 0 && old != event.kv.lease {
                let left = keys.entry(old).or_default();
                left.remove(key);
                if let Some(span) = spans.entry(old).or_default().last_mut()
                    && left.is_empty()
                {
                    span.1 = revision;
                }
            }
            if event.kv.lease != 0 {
                let of_lease = keys.entry(event.kv.lease).or_default();
                if of_lease.is_empty() {
                    let spans = spans.entry(event.kv.lease).or_default();
                    spans.push((revision, Revision::MAX));
                }
                of_lease.insert(key.clone());
            }
        }
    }
    spans
}
