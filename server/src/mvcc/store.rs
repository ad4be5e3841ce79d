//! The store as readers see it: the last published commit.
//!
//! A reader takes the published [`Snapshot`], an open redb read transaction that all readers share,
//! so a read costs no transaction of its own. The snapshot and the create-revision index change
//! together, under one lock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, RwLock};
use redb::{Database, Durability, ReadableDatabase, WriteTransaction};

use tokio::sync::{Notify, SetOnce};

use super::by_create::{CreateIndex, Seen};
use super::range::{Counting, create_query};
use super::read::View;
use super::schema::{HISTORY, HistorySnapshot, KEYS, KeysSnapshot};
use super::state::State;
use crate::error::{Error, Result};
use crate::types::Revision;
use latchd_proto::etcdserverpb::{RangeRequest, RangeResponse};

/// How often defragmentation looks whether the last readers are done.
const READER_PAUSE: Duration = Duration::from_millis(1);

/// The numbers that every response header carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Chosen when the data file was made.
    pub cluster_id: u64,
    /// Chosen when the data file was made.
    pub member_id: u64,
    /// How often the store was opened, plus one; etcd's raft term, which never goes down.
    pub term: u64,
}

/// A committed state of the store, which readers share.
pub struct Snapshot {
    keys: KeysSnapshot,
    history: HistorySnapshot,
    /// The revision of this state.
    pub revision: Revision,
    /// The compacted revision of this state.
    pub compacted: Revision,
    /// The compacted revision that a client asked for.
    pub asked: Revision,
}

impl Snapshot {
    /// The tables of this state.
    #[must_use]
    pub fn view(&self) -> View<'_, KeysSnapshot, HistorySnapshot> {
        View {
            keys: &self.keys,
            history: &self.history,
            revision: self.revision,
            compacted: self.compacted,
        }
    }
}

/// What a commit replaces at once.
pub struct Published {
    /// `None` while the file is being defragmented, which no read may be open for.
    snapshot: Option<Arc<Snapshot>>,
    /// Entries of the batch under way are in it too, marked as such.
    pub(super) index: CreateIndex,
    alarms: Arc<BTreeSet<(i32, u64)>>,
    peer_urls: Option<Arc<[String]>>,
}

/// The store: one redb database and what is published of it.
pub struct Store {
    /// Locked for writing by defragmentation alone.
    db: RwLock<Database>,
    published: RwLock<Published>,
    /// The published revision, for headers: they must not wait.
    revision: AtomicI64,
    /// The published compacted revision.
    compacted: AtomicI64,
    /// A snapshot is there again.
    republished: Notify,
    /// [`State::entangled`], once that is published.
    entangled: SetOnce<()>,
    /// The data file's length in bytes.
    length: Arc<AtomicU64>,
    /// Whether commits wait for the disk.
    durability: Durability,
    /// The numbers of every response header.
    pub identity: Identity,
}

impl Store {
    /// Puts a store together from an opened database; see [`super::open`].
    pub(super) fn new(
        db: Database,
        state: &State,
        mut index: CreateIndex,
        identity: Identity,
        length: Arc<AtomicU64>,
    ) -> Result<Store> {
        index.publish();
        let snapshot = Some(Arc::new(open_snapshot(&db, state)?));
        Ok(Store {
            db: RwLock::new(db),
            revision: AtomicI64::new(state.revision.0),
            compacted: AtomicI64::new(state.compacted.0),
            republished: Notify::new(),
            entangled: SetOnce::new_with(state.entangled.then_some(())),
            length,
            published: RwLock::new(Published {
                snapshot,
                index,
                alarms: Arc::new(state.alarms.clone()),
                peer_urls: state.peer_urls.clone(),
            }),
            durability: Durability::Immediate,
            identity,
        })
    }

    /// The last committed state. Waits while the file is being defragmented; cancel-safe.
    pub async fn snapshot(&self) -> Arc<Snapshot> {
        self.consult(|_| ()).await.0
    }

    /// The last committed state, and what its index says.
    async fn consult<T>(&self, ask: impl Fn(&CreateIndex) -> T) -> (Arc<Snapshot>, T) {
        loop {
            let republished = self.republished.notified();
            {
                let published = self.published.read();
                if let Some(snapshot) = &published.snapshot {
                    return (snapshot.clone(), ask(&published.index));
                }
            }
            republished.await;
        }
    }

    /// The alarms that are raised: etcd's `AlarmType`, and whose.
    #[must_use]
    pub fn alarms(&self) -> Arc<BTreeSet<(i32, u64)>> {
        self.published.read().alarms.clone()
    }

    /// The peer URLs that an operator gave the member.
    #[must_use]
    pub fn peer_urls(&self) -> Option<Arc<[String]>> {
        self.published.read().peer_urls.clone()
    }

    /// Whether `directory`, with its `/`, has keys, as far as has been published.
    #[must_use]
    pub fn has_line(&self, directory: &[u8]) -> bool {
        self.published.read().index.has_any(directory)
    }

    /// The last committed revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision(self.revision.load(Ordering::Acquire))
    }

    /// The last committed compacted revision.
    #[must_use]
    pub fn compacted(&self) -> Revision {
        Revision(self.compacted.load(Ordering::Acquire))
    }

    /// The data file's length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.length.load(Ordering::Relaxed)
    }

    /// Answers a Range from the last committed state.
    pub async fn range(&self, req: &RangeRequest) -> Result<RangeResponse> {
        let ask = |index: &CreateIndex| {
            create_query(req).and_then(|query| index.query(query, Seen::Published))
        };
        let (snapshot, hits) = self.consult(ask).await;
        snapshot.view().range(req, hits, Counting::Total)
    }

    /// Answers a piece of a longer read: it counts no more than it must to say whether there is
    /// more.
    pub async fn range_piece(&self, req: &RangeRequest) -> Result<RangeResponse> {
        self.snapshot()
            .await
            .view()
            .range(req, None, Counting::None)
    }

    /// Begins the one write transaction; only the applier does.
    pub fn begin(&self) -> Result<WriteTransaction> {
        let mut txn = self.db.read().begin_write()?;
        // It fails only where a savepoint was changed in the same transaction; there are none.
        let _ = txn.set_durability(self.durability);
        Ok(txn)
    }

    /// What a [`super::write::Batch`] needs beside its transaction.
    pub fn published(&self) -> &RwLock<Published> {
        &self.published
    }

    /// Shows readers the state that was just committed.
    pub fn publish(&self, state: &State) -> Result<()> {
        let snapshot = Arc::new(open_snapshot(&self.db.read(), state)?);
        let mut published = self.published.write();
        published.snapshot = Some(snapshot);
        published.index.publish();
        if *published.alarms != state.alarms {
            published.alarms = Arc::new(state.alarms.clone());
        }
        published.peer_urls.clone_from(&state.peer_urls);
        self.revision.store(state.revision.0, Ordering::Release);
        self.compacted.store(state.compacted.0, Ordering::Release);
        drop(published);
        self.republished.notify_waiters();
        if state.entangled {
            // An error says that it is known.
            let _ = self.entangled.set(());
        }
        Ok(())
    }

    /// Resolves when a lease waits for a lock while it has another key, or ever has since the store
    /// was opened.
    pub async fn entangled(&self) {
        self.entangled.wait().await;
    }

    /// Makes the file as small as it gets. Reads that have begun are waited for, and those that
    /// come wait until the next [`Store::publish`], as in etcd. Only the applier calls it, so there
    /// is no write. An error leaves the store as it was.
    pub(crate) fn defragment(&self) -> Result<()> {
        let last = self.published.write().snapshot.take();
        if let Some(last) = last {
            wait_until_unshared(&last);
        }
        let compacted = self.db.write().compact();
        compacted
            .map(drop)
            .map_err(|error| Error::Defragment(error.to_string()))
    }
}

/// Waits for the readers of a snapshot that no new reader can get at.
fn wait_until_unshared(snapshot: &Arc<Snapshot>) {
    let (never, pause) = (Mutex::new(()), Condvar::new());
    while Arc::strong_count(snapshot) > 1 {
        pause.wait_for(&mut never.lock(), READER_PAUSE);
    }
}

fn open_snapshot(db: &Database, state: &State) -> Result<Snapshot> {
    let txn = db.begin_read()?;
    Ok(Snapshot {
        keys: txn.open_table(KEYS)?,
        history: txn.open_table(HISTORY)?,
        revision: state.revision,
        compacted: state.compacted,
        asked: state.asked,
    })
}
