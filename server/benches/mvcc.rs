//! The store: batches committed, reads, history replayed, and a file opened.

mod commit;
mod open;
mod read;

use std::cell::OnceCell;

use criterion::Criterion;

use crate::common::Disk;

/// The keys of a large store.
const KEYS: usize = 100_000;

/// A store of [`KEYS`], made when somebody wants it, because that takes a while.
type Large = OnceCell<Disk>;

fn large() -> Disk {
    Disk::with_keys(KEYS)
}

pub fn benches(criterion: &mut Criterion) {
    commit::benches(criterion);
    let shared = Large::new();
    read::ranges(criterion, &shared);
    open::benches(criterion, shared);
    read::replays(criterion);
}
