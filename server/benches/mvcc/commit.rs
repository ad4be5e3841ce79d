//! `mvcc/commit/WORK-SYNCING/N`: one iteration applies a batch of N commands of one kind, commits
//! it and publishes it to readers. What the commands need to find, or not to find, is there before
//! the clock runs.

use std::cell::RefCell;

use criterion::{BatchSize, BenchmarkId, Criterion, SamplingMode, Throughput};
use latchd::command::Command;

use crate::common::commands::{delete, delete_prefix, lock, lock_key, put};
use crate::common::{Disk, Syncing};

const BATCHES: [usize; 3] = [1, 16, 256];

/// How many keys a DeleteRange finds.
const RANGE: usize = 10;

/// One kind of command: the `i`th of a batch, and what comes before it, in a batch of its own.
struct Work {
    name: &'static str,
    before: fn(usize) -> Vec<Command>,
    timed: fn(usize) -> Command,
}

const WORKS: [Work; 4] = [
    // On a key that is there, of 32 bytes.
    Work {
        name: "put",
        before: |_| Vec::new(),
        timed: |i| put(&key(i), 0),
    },
    // Of one key: an unlock.
    Work {
        name: "delete",
        before: |i| vec![put(&key(i), 0)],
        timed: |i| delete(&key(i)),
    },
    // Go's, of a lock that is free; each has a name of its own.
    Work {
        name: "lock-txn",
        before: |i| vec![delete(&lock_key(&key(i), lease(i)))],
        timed: |i| lock(&key(i), lease(i)),
    },
    Work {
        name: "delete-range-of-10",
        before: |i| (0..RANGE).map(|n| put(&below(i, n), 0)).collect(),
        timed: |i| delete_prefix(&format!("{}/", key(i))),
    },
];

fn key(i: usize) -> String {
    format!("key{i:04}")
}

fn below(i: usize, n: usize) -> String {
    format!("{}/{n}", key(i))
}

fn lease(i: usize) -> i64 {
    1 + i as i64
}

pub fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mvcc/commit");
    // A sample of an fsync is slow, and needs no more iterations than the one before.
    group.sampling_mode(SamplingMode::Flat);
    for (how, syncing) in [("fsync", Syncing::Fsync), ("no-fsync", Syncing::NoFsync)] {
        for work in WORKS {
            for commands in BATCHES {
                let id = BenchmarkId::new(format!("{}-{how}", work.name), commands);
                group.throughput(Throughput::Elements(commands as u64));
                let mut disk = None;
                group.bench_function(id, |b| {
                    let disk = disk.get_or_insert_with(|| RefCell::new(Disk::new(syncing)));
                    b.iter_batched(
                        || prepare(&mut disk.borrow_mut(), &work, commands),
                        |batch| disk.borrow_mut().commit(batch),
                        BatchSize::PerIteration,
                    );
                });
            }
        }
    }
}

fn prepare(disk: &mut Disk, work: &Work, commands: usize) -> Vec<Command> {
    let before: Vec<Command> = (0..commands).flat_map(work.before).collect();
    if !before.is_empty() {
        disk.commit(before);
    }
    (0..commands).map(work.timed).collect()
}
