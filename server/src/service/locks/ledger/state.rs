//! What the book says, and what each change makes of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;
use latchd_proto::latchd::v1::{self, deadlock::Wait, lock_event::Kind};
use latchd_proto::mvccpb::{Event, KeyValue, event::EventType};
use tracing::warn;

use super::history::{History, Past};
use super::intents::{Intent, Intents};
use super::owner::Owner;
use super::table::{Entry, Put, Table};
use super::told;
use crate::clock::{self, Instant};
use crate::metrics::METRICS;
use crate::service::locks::acquire::name_of;
use crate::service::locks::ask::Holder;
use crate::service::locks::attempts::{AttemptId, Attempts};
use crate::service::locks::deadlock::{self, Verdict};
use crate::service::locks::keys;
use crate::service::locks::refusal;
use crate::service::locks::txns::SESSIONS;
use crate::types::{LeaseId, Revision};

/// The book.
pub struct State {
    table: Table,
    history: History,
    since_ms: i64,
    /// Victims whose keys are about to go.
    sacrificed: BTreeSet<Bytes>,
    /// Deadlocks that nobody here can resolve.
    unresolved: BTreeMap<Circle, v1::Deadlock>,
}

/// Who waits in a deadlock, and for which names. However many keys somebody piles up in one line, it
/// is one deadlock, told once.
type Circle = BTreeSet<(Bytes, String)>;

/// What a revision did, for others.
#[derive(Default)]
pub struct Facts {
    /// For those who watch.
    pub events: Vec<v1::LockEvent>,
    /// Keys that have begun to wait.
    pub suspects: Vec<Bytes>,
    /// Holds that their sessions did not give up.
    pub lost: Vec<(LeaseId, v1::session_response::Lost)>,
    /// Sessions that are over.
    pub ended: Vec<LeaseId>,
    /// Sessions that have begun, or have a new epoch.
    pub resumed: Vec<Holder>,
    revision: Revision,
    /// Whether anybody wants events.
    watched: bool,
}

impl Facts {
    /// Something has become of a contender.
    fn tell(&mut self, kind: Kind, entry: &Entry, position: usize, now: Instant) {
        if self.watched {
            self.events.push(v1::LockEvent {
                kind: kind as i32,
                name: name_of(&entry.dir),
                contender: Some(told::contender(entry, position, now)),
                revision: self.revision.0,
            });
        }
    }

    /// A session's record has changed.
    fn session(&mut self, event: &Event, record: &KeyValue) {
        let Some(lease) = session_of(&record.key) else {
            return;
        };
        if event.r#type == EventType::Delete as i32 {
            self.ended.push(lease);
        } else {
            let epoch = record.version;
            self.resumed.push(Holder { lease, epoch });
        }
    }
}

/// A deadlock that is new.
#[derive(Debug)]
pub struct Found {
    /// Who waits for whom.
    pub deadlock: v1::Deadlock,
    /// The Acquire to abort; none if there is no such one.
    pub victim: Option<AttemptId>,
}

impl State {
    /// An empty book that begins now.
    #[must_use]
    pub fn new(since_ms: i64) -> State {
        State {
            table: Table::default(),
            history: History::default(),
            since_ms,
            sacrificed: BTreeSet::new(),
            unresolved: BTreeMap::new(),
        }
    }

    /// Enters keys as they were before the book began.
    pub fn read(&mut self, kvs: &[KeyValue]) {
        for kv in kvs.iter().filter(|kv| kv.lease != 0) {
            self.table.put(kv, None);
        }
    }

    /// Takes over what was read; history stays.
    pub fn begin_anew(&mut self, fresh: State) {
        self.table = fresh.table;
        self.table.settle_all(None);
        self.sacrificed.clear();
        self.unresolved.clear();
        self.count();
    }

    /// Enters a revision. `lives` says whether a lease is there, `intents` why keys are deleted, and
    /// `watched` whether anybody wants events.
    pub fn apply(
        &mut self,
        revision: Revision,
        events: &[Event],
        lives: impl Fn(LeaseId) -> bool,
        intents: &Intents,
        watched: bool,
    ) -> Facts {
        let now = clock::now();
        let mut facts = Facts {
            revision,
            watched,
            ..Facts::default()
        };
        let mut touched = BTreeSet::new();
        let mut joined = Vec::new();
        for event in events {
            let Some(kv) = &event.kv else { continue };
            if kv.key.starts_with(SESSIONS) {
                facts.session(event, kv);
                continue;
            }
            let left = if event.r#type == EventType::Delete as i32 {
                self.table.delete(&kv.key)
            } else {
                match self.table.put(kv, Some(now)) {
                    Put::Joined { dir } => {
                        touched.insert(dir);
                        joined.push(&kv.key);
                        None
                    }
                    Put::Left(entry) => Some(entry),
                    Put::Changed | Put::Other => None,
                }
            };
            if let Some(entry) = left {
                touched.insert(entry.dir.clone());
                let intent = intents.take(&entry.key, entry.created);
                let how = end_of_hold(&entry, intent, &lives);
                self.left(entry, how, now, &mut facts);
            }
        }
        self.settle(&touched, &joined, now, &mut facts);
        self.review(&touched);
        facts.lost.retain(|(lease, _)| !facts.ended.contains(lease));
        self.count();
        facts
    }

    /// A key of a line is gone.
    fn left(&mut self, entry: Box<Entry>, how: Kind, now: Instant, facts: &mut Facts) {
        self.sacrificed.remove(&entry.key);
        if !entry.is_lock {
            return;
        }
        if entry.granted.is_none() {
            return facts.tell(Kind::Left, &entry, 0, now);
        }
        if how != Kind::Released {
            let lost = v1::session_response::Lost {
                hold: Some(hold(&entry)),
                how: how as i32,
            };
            facts.lost.push((entry.lease, lost));
        }
        if let Some(since) = entry.granted.flatten() {
            METRICS.lock_held(now.saturating_duration_since(since));
        }
        facts.tell(how, &entry, 0, now);
        self.history.add(Past {
            entry,
            how,
            ended: now,
            ended_ms: clock::unix_ms(),
        });
    }

    /// Grants what can be granted, and says who waits.
    fn settle(
        &mut self,
        touched: &BTreeSet<Bytes>,
        joined: &[&Bytes],
        now: Instant,
        facts: &mut Facts,
    ) {
        let mut granted = Facts {
            revision: facts.revision,
            watched: facts.watched,
            ..Facts::default()
        };
        for dir in touched {
            self.table.settle(dir, Some(now), |entry| {
                if entry.is_lock {
                    if let Some(put) = entry.put_at {
                        METRICS.lock_waited(now.saturating_duration_since(put));
                    }
                    granted.tell(Kind::Acquired, entry, 0, now);
                }
            });
        }
        for key in joined {
            let Some(entry) = self
                .table
                .entry(key)
                .filter(|entry| entry.granted.is_none())
            else {
                continue;
            };
            facts.suspects.push(Bytes::clone(key));
            if entry.is_lock {
                let waiting = self.table.line(&entry.dir).map_or(0, |line| line.waiting());
                facts.tell(Kind::Queued, entry, waiting, now);
            }
        }
        facts.events.append(&mut granted.events);
    }

    fn count(&self) {
        let (holding, waiting) = self.table.totals();
        METRICS.locks(holding, waiting);
    }

    /// Everyone who waits.
    #[must_use]
    pub fn waiting(&self) -> Vec<Bytes> {
        let waiting = self.table.waiting();
        waiting.map(|entry| entry.key.clone()).collect()
    }

    /// Looks for deadlocks that have come with keys that wait. Returns those that are new, and the
    /// Acquire to abort for each; what cannot be aborted is only reported.
    pub fn deadlocks(&mut self, suspects: Vec<Bytes>, attempts: &Attempts) -> Vec<Found> {
        let owners = suspects.iter().filter_map(|key| self.suspected(key));
        let mut owners: Vec<Owner> = owners.collect();
        // Each once: what is found is the owner's, whichever of its keys began to wait.
        let mut known = HashSet::new();
        owners.retain(|owner| known.insert(owner.clone()));
        let mut all = Vec::new();
        for owner in owners {
            while let Some(verdict) = self.deadlock_of(&owner, attempts) {
                let found = self.judge(verdict);
                let resolved = found.as_ref().is_some_and(|found| found.victim.is_some());
                all.extend(found);
                if !resolved {
                    break;
                }
            }
        }
        for found in &all {
            self.history.add_deadlock(found.deadlock.clone());
        }
        all
    }

    /// None if it was reported before.
    fn judge(&mut self, verdict: Verdict<Bytes>) -> Option<Found> {
        let mut deadlock = self.describe(&verdict.cycle);
        let victim = verdict.victim.and_then(|key| {
            let attempt = self.attempt(&key)?;
            deadlock.victim = key;
            Some(attempt)
        });
        if victim.is_none() {
            let deadlock = self.report(deadlock)?;
            return Some(Found { deadlock, victim });
        }
        warn!(
            cycle = refusal::told(&deadlock),
            "deadlock: a wait is aborted"
        );
        METRICS.deadlocks_aborted.inc();
        self.sacrificed.extend(self.siblings(&deadlock.victim));
        Some(Found { deadlock, victim })
    }

    /// The owner of a key that waits, unless nobody can wait for that owner.
    fn suspected(&self, key: &Bytes) -> Option<Owner> {
        let entry = self.table.entry(key)?;
        let waits = entry.granted.is_none() && !self.sacrificed.contains(key);
        // Who has nothing older can close no circle.
        let suspected = waits && entry.is_lock && self.table.has_older(&entry.owner, entry.created);
        suspected.then(|| entry.owner.clone())
    }

    fn deadlock_of(&self, owner: &Owner, attempts: &Attempts) -> Option<Verdict<Bytes>> {
        let situation = self.table.situation(owner, &self.sacrificed);
        situation.deadlock_of(0, |key| {
            match self.attempt(key).and_then(|id| attempts.waits(&id)) {
                Some(limited) => deadlock::Kind::Ours { limited },
                None => deadlock::Kind::Foreign,
            }
        })
    }

    fn attempt(&self, key: &Bytes) -> Option<AttemptId> {
        self.table.entry(key)?.attempt()
    }

    /// All keys of the Acquire that a key is of: they go together.
    fn siblings(&self, key: &Bytes) -> Vec<Bytes> {
        let Some(entry) = self.table.entry(key) else {
            return Vec::new();
        };
        let attempt = entry.attempt();
        let same = |other: &&Entry| other.created == entry.created && other.attempt() == attempt;
        let all = self.table.of_lease(entry.lease).filter(same);
        all.map(|entry| entry.key.clone()).collect()
    }

    fn describe(&self, cycle: &[Bytes]) -> v1::Deadlock {
        let waits = cycle.iter().filter_map(|key| self.table.entry(key));
        v1::Deadlock {
            waits: waits
                .map(|entry| Wait {
                    name: name_of(&entry.dir),
                    owner: entry.owner.to_string(),
                    key: entry.key.clone(),
                    session: entry.lease.0,
                })
                .collect(),
            at_ms: clock::unix_ms(),
            victim: Bytes::new(),
        }
    }

    /// None if it was reported before.
    fn report(&mut self, deadlock: v1::Deadlock) -> Option<v1::Deadlock> {
        let waits = deadlock.waits.iter();
        let circle: Circle = waits
            .map(|wait| (wait.name.clone(), wait.owner.clone()))
            .collect();
        if self.unresolved.contains_key(&circle) {
            return None;
        }
        warn!(
            cycle = refusal::told(&deadlock),
            "deadlock: no wait in it is this server's to abort"
        );
        METRICS.deadlocks_reported.inc();
        self.unresolved.insert(circle, deadlock.clone());
        Some(deadlock)
    }

    /// Takes away what is no deadlock any more, after something has become of these directories.
    fn review(&mut self, touched: &BTreeSet<Bytes>) {
        if self.unresolved.is_empty() {
            return;
        }
        let concerned =
            |wait: &Wait| keys::split(&wait.key).is_some_and(|(dir, _)| touched.contains(dir));
        let mut unresolved = std::mem::take(&mut self.unresolved);
        unresolved.retain(|_, deadlock| {
            !deadlock.waits.iter().any(concerned) || self.is_stuck(&deadlock.waits)
        });
        self.unresolved = unresolved;
    }

    /// Whether these still wait for one another.
    fn is_stuck(&self, waits: &[Wait]) -> bool {
        let mut waits = waits.iter().map(|wait| self.table.entry(&wait.key));
        waits.all(|entry| {
            let waits = |entry: &&Entry| entry.granted.is_none();
            entry.filter(waits).is_some_and(|entry| {
                let situation = self.table.situation(&entry.owner, &self.sacrificed);
                let stuck = situation.deadlock_of(0, |_| deadlock::Kind::Foreign);
                stuck.is_some()
            })
        })
    }

    /// Deadlocks that are still there.
    #[must_use]
    pub fn unresolved(&self) -> Vec<v1::Deadlock> {
        self.unresolved.values().cloned().collect()
    }

    /// At most `limit` locks.
    #[must_use]
    pub fn locks(&self, prefix: &[u8], after: &[u8], limit: usize) -> Vec<v1::Lock> {
        let now = clock::now();
        let lines = self.table.lines(prefix, after);
        let locks = lines.filter_map(|(_, line)| told::lock(line, now));
        locks.take(limit).collect()
    }

    /// Past holds.
    #[must_use]
    pub fn past(&self, prefix: &[u8], limit: usize) -> v1::HistoryResponse {
        v1::HistoryResponse {
            holds: self.history.last(prefix, limit),
            deadlocks: self.history.last_deadlocks(prefix, limit),
            since_ms: self.since_ms,
        }
    }

    /// What a session holds.
    #[must_use]
    pub fn holds_of(&self, lease: LeaseId) -> Vec<v1::Hold> {
        let all = self.table.of_lease(lease);
        let held = all.filter(|entry| entry.is_lock && entry.granted.is_some());
        held.map(hold).collect()
    }

    /// How many locks a session holds, and how many it waits for.
    #[must_use]
    pub fn counts_of(&self, lease: LeaseId) -> (u32, u32) {
        let mut counts = (0, 0);
        for entry in self.table.of_lease(lease).filter(|entry| entry.is_lock) {
            match entry.granted {
                Some(_) => counts.0 += 1,
                None => counts.1 += 1,
            }
        }
        counts
    }

    /// A contender as a message.
    #[must_use]
    pub fn contender(&self, key: &Bytes) -> Option<v1::Contender> {
        let entry = self.table.entry(key)?;
        let lock = told::lock(self.table.line(&entry.dir)?, clock::now())?;
        let mut all = lock.holders.into_iter().chain(lock.waiting);
        all.find(|contender| contender.key == *key)
    }
}

/// How a hold ends whose key is deleted.
fn end_of_hold(entry: &Entry, intent: Option<Intent>, lives: impl Fn(LeaseId) -> bool) -> Kind {
    match intent {
        Some(Intent::Release) => Kind::Released,
        Some(Intent::Force) => Kind::Forced,
        None if !lives(entry.lease) => Kind::Expired,
        // etcd's clients unlock by deleting their key; nobody else has to touch ours.
        None if entry.attempt().is_none() => Kind::Released,
        None => Kind::Forced,
    }
}

fn hold(entry: &Entry) -> v1::Hold {
    v1::Hold {
        name: name_of(&entry.dir),
        key: entry.key.clone(),
        token: entry.created.0,
    }
}

/// The session whose record a key is.
fn session_of(key: &[u8]) -> Option<LeaseId> {
    let hex = key.strip_prefix(SESSIONS)?.strip_prefix(b"s")?;
    let lease = i64::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?;
    Some(LeaseId(lease))
}
