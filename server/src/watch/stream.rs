//! The watches of one stream: created, fed, replayed, cancelled.
//!
//! This is the one way to watch, for gRPC streams and for lock waiters inside the server alike.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use latchd_proto::mvccpb;

use super::hub::{From, Hub, Place};
use super::mailbox::{Addressee, Letter, Mailbox};
use crate::error::Result;
use crate::metrics::METRICS;
use crate::mvcc::history::{ReplayBudget, Replayed};
use crate::mvcc::{Change, Event, KeyRange, Snapshot, Store};
use crate::types::{Revision, WatchId};

/// How much history a replay looks at before others get a turn.
const REPLAY_BUDGET: ReplayBudget = ReplayBudget {
    rows: 2_000,
    bytes: 1 << 20,
};

/// Which kinds of event a watch leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// No puts.
    pub no_put: bool,
    /// No deletes.
    pub no_delete: bool,
}

impl Filters {
    /// Whether an event of this kind is wanted.
    #[must_use]
    pub fn pass(self, is_delete: bool) -> bool {
        if is_delete {
            !self.no_delete
        } else {
            !self.no_put
        }
    }
}

/// What a watch asks for.
#[derive(Clone, Debug)]
pub struct WatchSpec {
    /// Which keys.
    pub range: KeyRange,
    /// The first revision wanted; `None` for whatever comes next.
    pub start: Option<Revision>,
    /// Which events.
    pub filters: Filters,
    /// With the record before each event.
    pub previous: bool,
}

/// Something for the client of a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivery {
    /// Events of one watch, each revision whole, in order.
    Events {
        /// Whose.
        watch: WatchId,
        /// Everything up to here has been delivered to this watch.
        revision: Revision,
        /// Never empty.
        events: Vec<mvccpb::Event>,
    },
    /// The watch has ended, because history from its place on is gone.
    Compacted {
        /// Whose.
        watch: WatchId,
        /// The revision from which on history is kept.
        compacted: Revision,
    },
    /// Every watch of the stream has been told of everything up to here.
    Progress(Revision),
    /// One watch has been told of everything up to here.
    WatchProgress(WatchId, Revision),
}

/// The watches of one stream. Dropping it ends them.
pub struct Watches {
    store: Arc<Store>,
    hub: Hub,
    mailbox: Arc<Mailbox>,
    /// Boxed, as a node of the map has room for eleven, and most streams have one.
    watches: BTreeMap<WatchId, Box<Watch>>,
    created: u64,
    /// Watches that have to replay, in turn.
    behind: VecDeque<WatchId>,
    /// Progress notifications that were asked for and not yet sent.
    progress_asked: usize,
    /// The last revision that any watch was told of. A replay may be a moment ahead of the hub.
    told: Revision,
}

struct Watch {
    generation: u64,
    spec: WatchSpec,
    mode: Mode,
}

#[derive(Clone, Copy)]
enum Mode {
    Active(Place),
    /// Replaying, from this revision on.
    Lagging(Revision),
}

impl Watches {
    /// A stream without watches.
    #[must_use]
    pub fn new(store: Arc<Store>, hub: Hub) -> Watches {
        METRICS.watch_streams.inc();
        Watches {
            store,
            hub,
            mailbox: Arc::default(),
            watches: BTreeMap::new(),
            created: 0,
            behind: VecDeque::new(),
            progress_asked: 0,
            told: Revision::default(),
        }
    }

    /// Whether the stream has a watch of that ID.
    #[must_use]
    pub fn contains(&self, id: WatchId) -> bool {
        self.watches.contains_key(&id)
    }

    /// Adds a watch under an ID that is free. Returns the revision that its `created` answer may
    /// carry: nothing after it is missing from what the watch will be told.
    pub fn create(&mut self, id: WatchId, mut spec: WatchSpec) -> Revision {
        spec.range = detached(&spec.range);
        self.created += 1;
        let to = Addressee {
            watch: id,
            generation: self.created,
        };
        let from = spec.start.map_or(From::Now, From::Revision);
        let (mode, revision) =
            match self
                .hub
                .activate(&spec.range, to, from, spec.filters, &self.mailbox)
            {
                Ok((place, from)) if spec.start.is_none() => {
                    (Mode::Active(place), Revision(from.0 - 1))
                }
                Ok((place, _)) => (Mode::Active(place), self.hub.published()),
                Err(published) => {
                    self.behind.push_back(id);
                    (Mode::Lagging(spec.start.unwrap_or(published)), published)
                }
            };
        METRICS.watchers.inc();
        let generation = to.generation;
        let watch = Watch {
            generation,
            spec,
            mode,
        };
        self.watches.insert(id, Box::new(watch));
        revision
    }

    /// Ends a watch; returns whether there was one. Nothing is delivered for it afterwards.
    pub fn cancel(&mut self, id: WatchId) -> bool {
        let Some(watch) = self.watches.remove(&id) else {
            return false;
        };
        METRICS.watchers.dec();
        if let Mode::Active(place) = watch.mode {
            self.hub.deactivate(&watch.spec.range, place);
        }
        self.behind.retain(|behind| *behind != id);
        true
    }

    /// Asks for one [`Delivery::Progress`], as soon as no watch is behind.
    pub fn ask_progress(&mut self) {
        // etcd answers for the watches of the stream, so not at all where there are none.
        if !self.watches.is_empty() {
            self.progress_asked += 1;
        }
    }

    /// The progress of one watch, if it is not behind.
    #[must_use]
    pub fn progress_of(&self, id: WatchId) -> Option<Delivery> {
        let watch = self.watches.get(&id)?;
        let revision = self.hub.progress_of(&self.mailbox)?.max(self.told);
        let started = watch.spec.start.is_none_or(|start| start <= revision);
        let active = matches!(watch.mode, Mode::Active(_));
        (active && started).then_some(Delivery::WatchProgress(id, revision))
    }

    /// Waits for the next thing to tell the client. Cancel-safe: what is not returned stays.
    pub async fn next(&mut self) -> Result<Delivery> {
        loop {
            if let Some(delivery) = self.step().await? {
                return Ok(delivery);
            }
            if self.behind.is_empty() {
                self.mailbox.filled().await;
            } else {
                // A long replay that finds nothing must not starve the other tasks.
                tokio::task::yield_now().await;
            }
        }
    }

    /// The next thing to tell, or one step towards it.
    async fn step(&mut self) -> Result<Option<Delivery>> {
        while let Some(letter) = self.mailbox.take() {
            if let Some(delivery) = self.open(&letter) {
                return Ok(Some(delivery));
            }
        }
        for (to, missed) in self.mailbox.take_lagging() {
            let same = |watch: &&mut Box<Watch>| watch.generation == to.generation;
            if let Some(watch) = self.watches.get_mut(&to.watch).filter(same) {
                watch.mode = Mode::Lagging(missed);
                self.behind.push_back(to.watch);
            }
        }
        if self.behind.is_empty() {
            return Ok(self.due_progress());
        }
        // Before anything is taken from the line, because this may be cancelled here.
        let snapshot = self.store.snapshot().await;
        match self.behind.pop_front() {
            Some(id) => self.replay(id, &snapshot),
            None => Ok(None),
        }
    }

    fn due_progress(&mut self) -> Option<Delivery> {
        if self.progress_asked == 0 || self.watches.is_empty() {
            return None;
        }
        let revision = self.hub.progress_of(&self.mailbox)?.max(self.told);
        let started = |watch: &Watch| watch.spec.start.is_none_or(|start| start <= revision);
        if !self.watches.values().all(|watch| started(watch)) {
            self.progress_asked = 0;
            return None;
        }
        self.progress_asked -= 1;
        Some(Delivery::Progress(revision))
    }

    fn open(&self, letter: &Letter) -> Option<Delivery> {
        let watch = self.watches.get(&letter.to.watch)?;
        if watch.generation != letter.to.generation {
            return None;
        }
        let events = &letter.change.events;
        let to_proto = |event: &Event| letter.change.to_proto(event, watch.spec.previous);
        Some(Delivery::Events {
            watch: letter.to.watch,
            revision: letter.change.revision,
            events: match &letter.picked {
                None => events.iter().map(to_proto).collect(),
                Some(picked) => picked
                    .iter()
                    .map(|at| to_proto(&events[*at as usize]))
                    .collect(),
            },
        })
    }

    /// One step of a watch that is behind: a piece of history, the end of the watch, or its
    /// becoming active.
    fn replay(&mut self, id: WatchId, snapshot: &Snapshot) -> Result<Option<Delivery>> {
        let Some(watch) = self.watches.get(&id) else {
            return Ok(None);
        };
        let Mode::Lagging(from) = watch.mode else {
            return Ok(None);
        };
        let untouched = untouched_since(&watch.spec.range, from, snapshot)?;
        // A compaction that nobody asked for takes nothing from a watch that has missed nothing.
        let gone = if untouched {
            snapshot.asked
        } else {
            snapshot.compacted
        };
        if from < gone {
            let compacted = snapshot.compacted;
            self.watches.remove(&id);
            METRICS.watchers.dec();
            return Ok(Some(Delivery::Compacted {
                watch: id,
                compacted,
            }));
        }
        let spec = &watch.spec;
        let view = snapshot.view();
        let Replayed { changes, last } = if untouched {
            Replayed {
                changes: Vec::new(),
                last: snapshot.revision,
            }
        } else {
            view.replay(&spec.range, from, REPLAY_BUDGET)?
        };
        let events = wanted(&changes, spec, snapshot.compacted);
        self.told = self.told.max(last);
        self.resume(id, last.next().max(from));
        Ok((!events.is_empty()).then_some(Delivery::Events {
            watch: id,
            revision: last,
            events,
        }))
    }

    /// Makes a watch active from `from` on, or keeps it replaying.
    fn resume(&mut self, id: WatchId, from: Revision) {
        let Some(watch) = self.watches.get_mut(&id) else {
            return;
        };
        let spec = &watch.spec;
        let to = Addressee {
            watch: id,
            generation: watch.generation,
        };
        let start = From::Revision(from);
        watch.mode = match self
            .hub
            .activate(&spec.range, to, start, spec.filters, &self.mailbox)
        {
            Ok((place, _)) => Mode::Active(place),
            Err(_) => {
                self.behind.push_back(id);
                Mode::Lagging(from)
            }
        };
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        METRICS.watch_streams.dec();
        METRICS
            .watchers
            .sub(i64::try_from(self.watches.len()).unwrap_or(0));
        for watch in self.watches.values() {
            if let Mode::Active(place) = watch.mode {
                self.hub.deactivate(&watch.spec.range, place);
            }
        }
    }
}

/// A single key that exists and was last written before `from` has no events since: its watch
/// needs no replay, however much else has happened. Lock waiters always start like that.
fn untouched_since(range: &KeyRange, from: Revision, snapshot: &Snapshot) -> Result<bool> {
    let Some(key) = range.as_single() else {
        return Ok(false);
    };
    let record = snapshot.view().get(key)?;
    Ok(record.is_some_and(|record| record.modified < from))
}

fn wanted(changes: &[Change], spec: &WatchSpec, compacted: Revision) -> Vec<mvccpb::Event> {
    let mut events = Vec::new();
    for change in changes {
        // What was there before the first revision that is kept is not told, as in etcd.
        let previous = spec.previous && change.revision > compacted;
        let all = change.events.iter();
        let passing = all.filter(|event| spec.filters.pass(event.is_delete()));
        events.extend(passing.map(|event| change.to_proto(event, previous)));
    }
    events
}

/// The same range without a claim on the request's memory, for a watch may live long.
fn detached(range: &KeyRange) -> KeyRange {
    range.map_bytes(|bytes| Bytes::copy_from_slice(bytes))
}

#[cfg(test)]
mod tests;
