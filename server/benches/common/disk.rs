//! A store on the disk that the build is on, so that its fsyncs cost what they cost.

use latchd::apply::apply;
use latchd::command::{Command, Lane};
use latchd::mvcc::Store;
use latchd::mvcc::open::{Opened, open, open_unsynced};
use latchd::mvcc::state::LeaseKind;
use latchd::mvcc::write::{Batch, Written};
use latchd::types::{LeaseId, Ttl};
use tempfile::TempDir;

use super::commands::put;

/// How many leases each store has; their IDs count from 1.
pub const LEASES: i64 = 256;

/// How many keys share a directory in [`Disk::with_keys`].
const DIRECTORY: usize = 1000;

/// Whether commits wait for the disk.
#[derive(Clone, Copy)]
pub enum Syncing {
    Fsync,
    NoFsync,
}

/// A store in a directory that goes when it is dropped.
pub struct Disk {
    pub opened: Opened,
    /// Dropped last.
    pub dir: TempDir,
}

impl Disk {
    /// A store without keys, with [`LEASES`].
    pub fn new(syncing: Syncing) -> Disk {
        let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let opened = match syncing {
            Syncing::Fsync => open(dir.path()),
            Syncing::NoFsync => open_unsynced(dir.path()),
        };
        let opened = opened.unwrap_or_else(|error| panic!("{error}"));
        let mut disk = Disk { opened, dir };
        let grant = |id| Command::Grant {
            id: LeaseId(id),
            ttl: Ttl::from_seconds(3600),
            kind: LeaseKind::Etcd,
        };
        disk.commit((1..=LEASES).map(grant).collect());
        disk
    }

    /// A store with keys as [`key_of`] names them, leased, as a lock's waiters are. Its commits
    /// do not wait for the disk.
    pub fn with_keys(keys: usize) -> Disk {
        let mut disk = Disk::new(Syncing::NoFsync);
        let leased = |number| put(&key_of(number), 1 + (number as i64) % LEASES);
        let numbers: Vec<usize> = (0..keys).collect();
        for some in numbers.chunks(10_000) {
            disk.commit(some.iter().copied().map(leased).collect());
        }
        disk
    }

    pub fn store(&self) -> &Store {
        &self.opened.store
    }

    /// What the applier does with a batch, replies and events aside.
    pub fn commit(&mut self, commands: Vec<Command>) -> Written {
        let Opened { store, state, .. } = &mut self.opened;
        let txn = store.begin().unwrap();
        let mut batch = Batch::new(&txn, state, store.published()).unwrap();
        for command in commands {
            apply(&mut batch, command, Lane::Client).unwrap();
        }
        let written = batch.finish();
        if written.dirty {
            txn.commit().unwrap();
            store.publish(state).unwrap();
        } else {
            txn.abort().unwrap();
        }
        written
    }
}

/// The key of that number: 1,000 of them to a directory.
pub fn key_of(number: usize) -> String {
    format!("dir{:04}/{:04}", number / DIRECTORY, number % DIRECTORY)
}
