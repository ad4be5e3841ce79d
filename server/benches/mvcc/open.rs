//! `mvcc/open/100k-keys`: one iteration opens a data directory of 100,000 leased keys whose last
//! server ended in good order: it reads them all, builds what is kept in memory, and commits the
//! new term. Closing is not timed.

use std::cell::LazyCell;

use criterion::{BatchSize, Criterion};
use latchd::mvcc::open::open;

use super::{Large, large};
use crate::common::Disk;

pub fn benches(criterion: &mut Criterion, shared: Large) {
    let dir = LazyCell::new(|| {
        let Disk { opened, dir } = shared.into_inner().unwrap_or_else(large);
        drop(opened);
        dir
    });
    let mut group = criterion.benchmark_group("mvcc/open");
    group.sample_size(10);
    group.bench_function("100k-keys", |b| {
        let path = dir.path();
        let reopened = || open(path).unwrap_or_else(|error| panic!("{error}"));
        b.iter_batched(|| (), |()| reopened(), BatchSize::PerIteration);
    });
}
