//! The book of all locks: follows every change of the keyspace from its first use on, so that lists,
//! events, history, lost sessions and deadlocks need no look at the store.
//!
//! It decides nothing about who holds: grants are looked up in the store. It is a moment behind, and
//! whoever needs to be sure waits until it has [`Ledger::caught_up`].

mod history;
mod intents;
mod owner;
mod state;
mod table;
mod told;

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use latchd_proto::etcdserverpb::RangeRequest;
use latchd_proto::latchd::v1;
use latchd_proto::mvccpb::Event;
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::intents::Intents;
use self::state::{Found, State};
use super::attempts::Attempts;
use super::sessions::Sessions;
use crate::backend::Backend;
use crate::clock;
use crate::error::{Error, Result};
use crate::mvcc::KeyRange;
use crate::types::{LeaseId, Revision, WatchId};
use crate::watch::{Delivery, Filters, WatchSpec, Watches};

pub use history::concerns;
pub use intents::Intent;

/// How many updates a slow reader may be behind before it gets a new snapshot instead.
const UPDATES: usize = 1024;
/// How many deliveries are taken before others get the book.
const AT_ONCE: usize = 256;
/// How many keys are read at a time when the book is begun.
const PIECE: i64 = 2000;
/// How many locks a list has, unless the caller says.
const MOST_LISTED: usize = 1000;
/// How many past holds, unless the caller says.
const MOST_PAST: usize = 100;

/// Something new in the book.
#[derive(Clone, Debug)]
pub struct Update {
    /// As of which revision.
    pub revision: Revision,
    /// What.
    pub news: News,
}

/// What can be new.
#[derive(Clone, Debug)]
pub enum News {
    /// The book was begun anew.
    Anew,
    /// What one revision did to locks.
    Events(Vec<v1::LockEvent>),
    /// These were found.
    Deadlocks(Vec<v1::Deadlock>),
}

/// A handle to the book; cheap to clone.
#[derive(Clone)]
pub struct Ledger(Arc<Shared>);

struct Shared {
    backend: Backend,
    attempts: Attempts,
    sessions: Sessions,
    state: Mutex<State>,
    intents: Intents,
    /// What has been read; none before the book is begun.
    progress: watch::Sender<Option<Revision>>,
    updates: broadcast::Sender<Arc<Update>>,
    stopping: CancellationToken,
    /// Cancelled when nobody keeps the book any more, so that nobody waits for it.
    closed: CancellationToken,
}

impl Ledger {
    /// An empty book.
    #[must_use]
    pub fn new(
        backend: Backend,
        attempts: Attempts,
        sessions: Sessions,
        stopping: CancellationToken,
    ) -> Ledger {
        Ledger(Arc::new(Shared {
            state: Mutex::new(State::new(clock::unix_ms())),
            intents: Intents::default(),
            progress: watch::Sender::new(None),
            updates: broadcast::Sender::new(UPDATES),
            closed: CancellationToken::new(),
            backend,
            attempts,
            sessions,
            stopping,
        }))
    }

    /// Keeps the book until the server stops.
    pub async fn keep(self) {
        let stopping = self.0.stopping.clone();
        let _closed = self.0.closed.clone().drop_guard();
        tokio::select! {
            () = stopping.cancelled() => {}
            error = self.follow() => {
                if error != Error::Stopped {
                    warn!(%error, "the book of locks is closed: lists and deadlock detection end");
                }
            }
        }
    }

    async fn follow(&self) -> Error {
        loop {
            let begun = match self.begin().await {
                Ok(revision) => revision,
                // Compacted under the reading: again.
                Err(Error::Compacted) => continue,
                Err(error) => return error,
            };
            if let Err(error) = self.read_on(begun).await {
                return error;
            }
        }
    }

    /// Reads every leased key as of one revision.
    async fn begin(&self) -> Result<Revision> {
        let mut fresh = State::new(clock::unix_ms());
        let mut from = Bytes::from_static(b"\0");
        let mut revision = 0;
        loop {
            let request = RangeRequest {
                key: from,
                range_end: Bytes::from_static(b"\0"),
                limit: PIECE,
                revision,
                ..Default::default()
            };
            let response = self.0.backend.range_piece(&request).await?;
            if revision == 0 {
                revision = response.header.map_or(0, |header| header.revision);
            }
            fresh.read(&response.kvs);
            let Some(last) = response.kvs.last().filter(|_| response.more) else {
                break;
            };
            from = Bytes::from([last.key.as_ref(), b"\0"].concat());
        }
        let revision = Revision(revision);
        let mut state = self.0.state.lock();
        state.begin_anew(fresh);
        self.send(revision, News::Anew);
        self.0.progress.send_replace(Some(revision));
        let suspects = state.waiting();
        self.look_for_deadlocks(&mut state, suspects);
        Ok(revision)
    }

    /// Follows what comes after `begun`, until history goes before it was read.
    async fn read_on(&self, begun: Revision) -> Result<()> {
        let mut watches = self.0.backend.watches();
        let everything = Bytes::from_static(b"\0");
        watches.create(
            WatchId(0),
            WatchSpec {
                range: KeyRange::from_wire(&everything, &everything),
                start: Some(begun.next()),
                filters: Filters::default(),
                previous: false,
            },
        );
        loop {
            let delivery = watches.next().await?;
            if !self.take(&mut watches, delivery)? {
                return Ok(());
            }
        }
    }

    /// Takes a delivery and those that have come meanwhile; deadlocks are looked for only then, so
    /// that they are judged by the newest state. Returns whether it goes on.
    fn take(&self, watches: &mut Watches, first: Delivery) -> Result<bool> {
        let mut state = self.0.state.lock();
        let (mut suspects, mut seen) = (Vec::new(), None);
        let mut next = Some(first);
        for taken in 1.. {
            match next {
                Some(Delivery::Events {
                    revision, events, ..
                }) => {
                    suspects.extend(self.enter(&mut state, revision, &events));
                    seen = Some(revision);
                }
                Some(Delivery::Compacted { .. }) => return Ok(false),
                Some(Delivery::Progress(_) | Delivery::WatchProgress(..)) => {}
                None => break,
            }
            next = match taken < AT_ONCE {
                true => watches.next().now_or_never().transpose()?,
                false => None,
            };
        }
        if seen.is_some() {
            self.0.progress.send_replace(seen);
        }
        self.look_for_deadlocks(&mut state, suspects);
        Ok(true)
    }

    /// Enters a revision and tells of it. Returns the keys that have begun to wait.
    fn enter(&self, state: &mut State, revision: Revision, events: &[Event]) -> Vec<Bytes> {
        let lives = |lease| self.0.backend.lease_left(lease).is_some();
        // Who comes later begins with a snapshot, which waits for the book.
        let watched = self.0.updates.receiver_count() > 0;
        let facts = state.apply(revision, events, lives, &self.0.intents, watched);
        for holder in facts.resumed {
            self.0.sessions.resumed(holder);
        }
        for lease in facts.ended {
            self.0.sessions.ended(lease);
        }
        for (lease, lost) in facts.lost {
            self.0.sessions.lost(lease, lost);
        }
        if !facts.events.is_empty() {
            // The state is locked, so a subscriber's snapshot and updates fit together.
            self.send(revision, News::Events(facts.events));
        }
        facts.suspects
    }

    fn send(&self, revision: Revision, news: News) {
        // An error says that nobody listens.
        let _ = self.0.updates.send(Arc::new(Update { revision, news }));
    }

    fn look_for_deadlocks(&self, state: &mut State, suspects: Vec<Bytes>) {
        let found = state.deadlocks(suspects, &self.0.attempts);
        for Found { deadlock, victim } in &found {
            if let Some(attempt) = victim {
                self.0.attempts.sacrifice(attempt, deadlock.clone());
            }
        }
        if !found.is_empty() {
            let deadlocks = found.into_iter().map(|found| found.deadlock).collect();
            self.send(self.revision(), News::Deadlocks(deadlocks));
        }
    }

    /// Waits until everything up to `revision` is in the book.
    pub async fn caught_up(&self, revision: Revision) -> Result<()> {
        let mut progress = self.0.progress.subscribe();
        let reached = |read: &Option<Revision>| read.is_some_and(|read| read >= revision);
        tokio::select! {
            _ = progress.wait_for(reached) => Ok(()),
            () = self.0.closed.cancelled() => Err(Error::Stopped),
        }
    }

    /// Waits until everything that is committed is in the book.
    pub async fn now(&self) -> Result<Revision> {
        let revision = Revision(self.0.backend.header().revision);
        self.caught_up(revision).await?;
        Ok(revision)
    }

    /// Every lock that is asked for, and whether there are more.
    #[must_use]
    pub fn list(&self, request: &v1::ListRequest) -> v1::ListResponse {
        let limit = limited(request.limit, MOST_LISTED);
        let state = self.0.state.lock();
        let mut locks = state.locks(&request.prefix, &request.after, limit.saturating_add(1));
        let more = locks.len() > limit;
        locks.truncate(limit);
        v1::ListResponse {
            more,
            locks,
            revision: self.revision().0,
            deadlocks: state.unresolved(),
            sessions: Vec::new(),
        }
    }

    /// Everything as it is now, and all updates from here on.
    #[must_use]
    pub fn subscribe(
        &self,
        prefix: &[u8],
    ) -> (v1::WatchResponse, broadcast::Receiver<Arc<Update>>) {
        let state = self.0.state.lock();
        let snapshot = v1::WatchResponse {
            snapshot: true,
            locks: state.locks(prefix, b"", usize::MAX),
            events: Vec::new(),
            revision: self.revision().0,
            deadlocks: state
                .unresolved()
                .into_iter()
                .filter(|deadlock| concerns(deadlock, prefix))
                .collect(),
        };
        (snapshot, self.0.updates.subscribe())
    }

    fn revision(&self) -> Revision {
        self.0.progress.borrow().unwrap_or_default()
    }

    /// Holds that have ended.
    #[must_use]
    pub fn history(&self, request: &v1::HistoryRequest) -> v1::HistoryResponse {
        let limit = limited(request.limit, MOST_PAST);
        self.0.state.lock().past(&request.prefix, limit)
    }

    /// What a session holds.
    #[must_use]
    pub fn holds_of(&self, lease: LeaseId) -> Vec<v1::Hold> {
        self.0.state.lock().holds_of(lease)
    }

    /// How many locks a session holds, and how many it waits for.
    #[must_use]
    pub fn counts_of(&self, lease: LeaseId) -> (u32, u32) {
        self.0.state.lock().counts_of(lease)
    }

    /// A contender as a message, by its key.
    #[must_use]
    pub fn contender(&self, key: &Bytes) -> Option<v1::Contender> {
        self.0.state.lock().contender(key)
    }

    /// Keys are about to be deleted, for that reason.
    pub fn intend<'a>(
        &self,
        keys: impl IntoIterator<Item = (&'a Bytes, Revision)>,
        intent: Intent,
    ) {
        for (key, created) in keys {
            self.0.intents.add(key.clone(), created, intent);
        }
    }

    /// A key was not deleted after all.
    pub fn forget_intent(&self, key: &Bytes, created: Revision) {
        self.0.intents.take(key, created);
    }
}

fn limited(asked: i64, otherwise: usize) -> usize {
    match usize::try_from(asked) {
        Ok(0) | Err(_) => otherwise,
        Ok(limit) => limit,
    }
}
