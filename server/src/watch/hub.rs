//! Feeds active watchers as commits are published.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::key_index::KeyIndex;
use super::mailbox::{Addressee, Letter, Mailbox};
use super::stream::Filters;
use crate::mvcc::{Change, Event, KeyRange};
use crate::types::Revision;

/// A handle to the hub; cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Mutex<State>>);

struct State {
    /// Every change up to here has been delivered to whoever was active.
    published: Revision,
    next_id: u64,
    watchers: KeyIndex<Active>,
}

/// An active watcher.
#[derive(Clone, Debug)]
struct Active {
    to: Addressee,
    range: KeyRange,
    /// Changes before this revision are not for it.
    from: Revision,
    filters: Filters,
    mailbox: Arc<Mailbox>,
}

/// An active watcher's place in the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u64);

/// Where to begin to feed a watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// With the next change.
    Now,
    /// At this revision, which may lie ahead.
    Revision(Revision),
}

impl Hub {
    /// A hub for a store that stands at `published`.
    #[must_use]
    pub fn new(published: Revision) -> Hub {
        Hub(Arc::new(Mutex::new(State {
            published,
            next_id: 0,
            watchers: KeyIndex::default(),
        })))
    }

    /// The last revision that active watchers were told of.
    #[must_use]
    pub fn published(&self) -> Revision {
        self.0.lock().published
    }

    /// Makes a watcher active, if everything that it wants from the past has been delivered:
    /// `from` must lie after the published revision, else the answer is that revision.
    /// Returns its place and the first revision that it will be told of.
    pub fn activate(
        &self,
        range: &KeyRange,
        to: Addressee,
        from: From,
        filters: Filters,
        mailbox: &Arc<Mailbox>,
    ) -> Result<(Place, Revision), Revision> {
        let mut state = self.0.lock();
        let from = match from {
            From::Now => state.published.next(),
            From::Revision(from) if from > state.published => from,
            From::Revision(_) => return Err(state.published),
        };
        let id = state.next_id;
        state.next_id += 1;
        let active = Active {
            to,
            range: range.clone(),
            from,
            filters,
            mailbox: mailbox.clone(),
        };
        state.watchers.insert(id, range, active);
        Ok((Place(id), from))
    }

    /// Stops feeding a watcher; nothing is left in its mailbox after this but what is there.
    pub fn deactivate(&self, range: &KeyRange, place: Place) {
        self.0.lock().watchers.remove(place.0, range);
    }

    /// The published revision, if nothing published is still in `mailbox`: what a progress
    /// notification may claim.
    #[must_use]
    pub fn progress_of(&self, mailbox: &Mailbox) -> Option<Revision> {
        let state = self.0.lock();
        mailbox.is_empty().then_some(state.published)
    }

    /// Delivers what a commit did. `revision` is the store's after it.
    pub fn publish(&self, changes: Vec<Arc<Change>>, revision: Revision) {
        let mut state = self.0.lock();
        for change in changes {
            state.deliver(&change);
        }
        state.published = revision;
    }
}

impl Active {
    fn wants(&self, revision: Revision, is_delete: bool) -> bool {
        revision >= self.from && self.filters.pass(is_delete)
    }

    /// Returns whether the letter fitted.
    fn send(&self, change: &Arc<Change>, picked: Option<Vec<u32>>) -> bool {
        self.mailbox.put(Letter {
            to: self.to,
            change: change.clone(),
            picked,
        })
    }
}

impl State {
    fn deliver(&mut self, change: &Arc<Change>) {
        let overrun = match change.events.as_slice() {
            [event] => self.deliver_one(change, event),
            _ => self.deliver_many(change),
        };
        for (id, range) in overrun {
            self.watchers.remove(id, &range);
        }
    }

    /// Returns the watchers whose mailbox was full; they have become lagging.
    fn deliver_one(&self, change: &Arc<Change>, event: &Event) -> Vec<(u64, KeyRange)> {
        let mut overrun = Vec::new();
        self.watchers.each(&event.key, |id, active| {
            let wanted = active.wants(change.revision, event.is_delete());
            if wanted && !active.send(change, None) {
                overrun.push((id, active.range.clone()));
            }
        });
        overrun
    }

    /// A revision of several events reaches each watcher whole, in one letter.
    fn deliver_many(&self, change: &Arc<Change>) -> Vec<(u64, KeyRange)> {
        let mut letters: BTreeMap<u64, (&Active, Vec<u32>)> = BTreeMap::new();
        for (index, event) in (0..).zip(&change.events) {
            self.watchers.each(&event.key, |id, active| {
                if active.wants(change.revision, event.is_delete()) {
                    let letter = letters.entry(id).or_insert((active, Vec::new()));
                    letter.1.push(index);
                }
            });
        }
        let full = letters.into_iter().filter_map(|(id, (active, picked))| {
            (!active.send(change, Some(picked))).then(|| (id, active.range.clone()))
        });
        full.collect()
    }
}
