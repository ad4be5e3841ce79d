//! The store as readers see it: the last published commit.
//!
//! A reader takes the published [`Snapshot`], an open redb read transaction that all readers share,
//! so a read costs no transaction of its own. The snapshot and the create-revision index change
//! together, under one lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use redb::{Database, Durability, ReadableDatabase, WriteTransaction};

use super::by_create::{CreateIndex, Seen};
use super::range::{Counting, create_query};
use super::read::View;
use super::schema::{HISTORY, HistorySnapshot, KEYS, KeysSnapshot};
use super::state::State;
use crate::error::Result;
use crate::types::Revision;
use latchd_proto::etcdserverpb::{RangeRequest, RangeResponse};

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
    snapshot: Arc<Snapshot>,
    /// Entries of the batch under way are in it too, marked as such.
    pub(super) index: CreateIndex,
}

/// The store: one redb database and what is published of it.
pub struct Store {
    db: Database,
    published: RwLock<Published>,
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
        let snapshot = Arc::new(open_snapshot(&db, state)?);
        Ok(Store {
            db,
            length,
            published: RwLock::new(Published { snapshot, index }),
            durability: Durability::Immediate,
            identity,
        })
    }

    /// The last committed state.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.read().snapshot.clone()
    }

    /// The last committed revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.published.read().snapshot.revision
    }

    /// The data file's length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.length.load(Ordering::Relaxed)
    }

    /// Answers a Range from the last committed state.
    pub fn range(&self, req: &RangeRequest) -> Result<RangeResponse> {
        let (snapshot, hits) = {
            let published = self.published.read();
            let hits =
                create_query(req).and_then(|query| published.index.query(query, Seen::Published));
            (published.snapshot.clone(), hits)
        };
        snapshot.view().range(req, hits, Counting::Total)
    }

    /// Answers a piece of a longer read: it counts no more than it must to say whether there is
    /// more.
    pub fn range_piece(&self, req: &RangeRequest) -> Result<RangeResponse> {
        self.snapshot().view().range(req, None, Counting::None)
    }

    /// Begins the one write transaction; only the applier does.
    pub(crate) fn begin(&self) -> Result<WriteTransaction> {
        let mut txn = self.db.begin_write()?;
        // It fails only where a savepoint was changed in the same transaction; there are none.
        let _ = txn.set_durability(self.durability);
        Ok(txn)
    }

    /// What a [`super::write::Batch`] needs beside its transaction.
    pub(crate) fn published(&self) -> &RwLock<Published> {
        &self.published
    }

    /// Shows readers the state that was just committed.
    pub(crate) fn publish(&self, state: &State) -> Result<()> {
        let snapshot = Arc::new(open_snapshot(&self.db, state)?);
        let mut published = self.published.write();
        published.snapshot = snapshot;
        published.index.publish();
        Ok(())
    }
}

fn open_snapshot(db: &Database, state: &State) -> Result<Snapshot> {
    let txn = db.begin_read()?;
    Ok(Snapshot {
        keys: txn.open_table(KEYS)?,
        history: txn.open_table(HISTORY)?,
        revision: state.revision,
        compacted: state.compacted,
    })
}
