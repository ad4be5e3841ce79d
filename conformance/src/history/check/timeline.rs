//! What happened at every revision, in one sequence.

use std::collections::BTreeMap;

use crate::history::request::{Event, LeaseId, Revision};

/// Every revision of a history after its first, with what it changed and whose
/// request did.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    base: Revision,
    steps: Vec<Step>,
    placed: BTreeMap<usize, Revision>,
}

/// One revision.
#[derive(Clone, Debug)]
pub struct Step {
    /// The changes, each with the key as it was before.
    pub events: Vec<Event>,
    /// Who made them.
    pub author: Author,
}

/// Who made a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// The request of this index in the history.
    Op(usize),
    /// The end of a lease, by time or for a reason that nobody was told.
    LeaseEnd(LeaseId),
}

impl Timeline {
    /// Nothing after `base` yet.
    #[must_use]
    pub fn after(base: Revision) -> Self {
        Self {
            base,
            ..Self::default()
        }
    }

    /// Adds the next revision.
    pub fn push(&mut self, step: Step) {
        if let Author::Op(op) = step.author {
            self.placed.insert(op, self.last() + 1);
        }
        self.steps.push(step);
    }

    /// The last revision.
    #[must_use]
    pub fn last(&self) -> Revision {
        self.base + i64::try_from(self.steps.len()).unwrap_or(i64::MAX)
    }

    /// What happened at a revision; nothing is known outside of the history.
    #[must_use]
    pub fn at(&self, revision: Revision) -> Option<&Step> {
        let index = usize::try_from(revision - self.base - 1).ok()?;
        self.steps.get(index)
    }

    /// The revision that a request wrote, if it wrote.
    #[must_use]
    pub fn written_by(&self, op: usize) -> Option<Revision> {
        self.placed.get(&op).copied()
    }

    /// All revisions in order.
    pub fn iter(&self) -> impl Iterator<Item = (Revision, &Step)> {
        (self.base + 1..).zip(&self.steps)
    }

    /// The first change of `key` after a revision.
    #[must_use]
    pub fn next_change(&self, key: &str, after: Revision) -> Option<(Revision, &Event)> {
        (after.max(self.base) + 1..=self.last()).find_map(|revision| {
            let events = &self.at(revision)?.events;
            let event = events.iter().find(|event| event.kv.key == key)?;
            Some((revision, event))
        })
    }
}
