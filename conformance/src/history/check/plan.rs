//! A history sorted by the revisions that its answers and watches name.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{
    check::bounds::Bounds,
    record::{History, Op, Outcome},
    request::{Event, Request, Revision, Span},
    violation::{Rule, Violation},
};

/// Where to look for what while the revisions are gone through.
pub struct Plan<'a> {
    /// The history.
    pub history: &'a History,
    /// When the revisions were there.
    pub bounds: Bounds,
    /// The writes whose answer says at which revision they happened.
    pub writes: BTreeMap<Revision, usize>,
    /// The answers that show the keyspace of a revision.
    pub looks: BTreeMap<Revision, Vec<usize>>,
    /// The unlocks, whose key must be gone at a revision.
    pub unlocks: BTreeMap<Revision, Vec<usize>>,
    /// What watches were told, by revision and key, and which watcher was.
    pub told: BTreeMap<Revision, BTreeMap<&'a str, (usize, &'a Event)>>,
    /// The revisions of which a watch of all keys was told.
    pub whole: BTreeSet<Revision>,
    /// Requests that may have written at a revision that nobody was answered.
    pub floating: Vec<usize>,
    /// The last revision that anything speaks of.
    pub last: Revision,
}

impl<'a> Plan<'a> {
    /// Sorts a history.
    ///
    /// # Errors
    /// When two writes were answered with the same revision, or a revision lies
    /// before the first.
    pub fn of(history: &'a History) -> Result<Self, Violation> {
        let mut plan = Self {
            history,
            bounds: Bounds::of(history),
            writes: BTreeMap::new(),
            looks: BTreeMap::new(),
            unlocks: BTreeMap::new(),
            told: BTreeMap::new(),
            whole: BTreeSet::new(),
            floating: Vec::new(),
            last: history.start.revision,
        };
        for (index, op) in history.ops.iter().enumerate() {
            plan.sort_in(index, op)?;
        }
        for index in 0..history.watchers.len() {
            plan.listen(index);
        }
        // The answered first, by the end of the time that they may have taken.
        let deadline = |op: &usize| {
            let op = &history.ops[*op];
            (op.returned().is_none(), op.returned(), op.invoked)
        };
        plan.floating.sort_by_key(deadline);
        Ok(plan)
    }

    fn sort_in(&mut self, index: usize, op: &Op) -> Result<(), Violation> {
        let Some((_, revision, response)) = op.answer() else {
            if matches!(op.outcome, Outcome::Unknown { .. }) {
                self.floating.push(index);
            }
            return Ok(());
        };
        self.last = self.last.max(revision);
        let start = self.history.start.revision;
        let wrote = op.is_exact() && response.wrote();
        if revision < start + i64::from(wrote) {
            let rule = if wrote {
                Rule::RevisionGivenTwice
            } else {
                Rule::StaleRead
            };
            let story = format!("{op}\n  revision {start} was there before all this");
            return Err(Violation::new(rule, story));
        }
        match &op.request {
            Request::Range(look) if look.revision > 0 => self.add_look(look.revision, index),
            Request::Lock { .. } | Request::Revoke { .. } => self.floating.push(index),
            Request::Unlock { .. } => self.unlocks.entry(revision).or_default().push(index),
            _ if wrote => self.add_write(revision, index)?,
            _ if op.is_exact() => self.add_look(revision, index),
            _ => {}
        }
        Ok(())
    }

    fn add_look(&mut self, revision: Revision, index: usize) {
        self.looks.entry(revision).or_default().push(index);
    }

    fn add_write(&mut self, revision: Revision, index: usize) -> Result<(), Violation> {
        let Some(other) = self.writes.insert(revision, index) else {
            return Ok(());
        };
        let ops = &self.history.ops;
        let story = format!("revision {revision}\n  {}\n  {}", ops[other], ops[index]);
        Err(Violation::new(Rule::RevisionGivenTwice, story))
    }

    fn listen(&mut self, index: usize) {
        let watcher = &self.history.watchers[index];
        let whole = watcher.span == Span::all();
        let told = watcher.streams.iter().flat_map(|stream| &stream.told);
        for event in told.flat_map(|told| &told.events) {
            let revision = event.kv.modified;
            self.last = self.last.max(revision);
            if whole {
                self.whole.insert(revision);
            }
            let known = self.told.entry(revision).or_default();
            known.entry(&event.kv.key).or_insert((index, event));
        }
    }

    /// Whether `events` may be all of a revision, by what watches were told of it.
    #[must_use]
    pub fn may_be(&self, revision: Revision, events: &[Event]) -> bool {
        let Some(told) = self.told.get(&revision) else {
            return true;
        };
        let whole = self.whole.contains(&revision);
        let matched = |event: &Event| {
            let told = told.get(event.kv.key.as_str());
            told.is_some_and(|(_, t)| t.deleted == event.deleted && t.kv == event.kv)
        };
        let matching = events.iter().filter(|event| matched(event)).count();
        matching == told.len() && (!whole || matching == events.len())
    }
}
