//! The store: batches committed, reads, history replayed, and a file opened.

mod commit;
mod open;
mod read;

use criterion::Criterion;

pub fn benches(criterion: &mut Criterion) {
    commit::benches(criterion);
    read::benches(criterion);
    open::benches(criterion);
}
