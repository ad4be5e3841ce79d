//! The create-revision index (`mvcc/by_create.rs`) with one directory of N waiters.

use std::cell::RefCell;

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use latchd::mvcc::Record;
use latchd::mvcc::by_create::{CreateHits, CreateIndex, CreateQuery, Seen};
use latchd::types::{LeaseId, Revision};

const WAITERS: [usize; 3] = [10, 1000, 100_000];

/// How many hand-offs [`publish`] has to publish at once: two changes each.
const HAND_OFFS: usize = 32;

const DIR: &[u8] = b"job/";

pub fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("index");
    for waiters in WAITERS {
        hand_off(&mut group, waiters);
        publish(&mut group, waiters);
        queries(&mut group, waiters);
    }
}

/// `index/hand-off/N`: one iteration removes the oldest of N waiters and inserts a new one, as one
/// published batch.
fn hand_off(group: &mut BenchmarkGroup<'_, WallTime>, waiters: usize) {
    let mut line = None;
    group.throughput(Throughput::Elements(1));
    group.bench_function(BenchmarkId::new("hand-off", waiters), |b| {
        let line = line.get_or_insert_with(|| Line::of(waiters));
        b.iter(|| {
            line.hand_off();
            line.index.publish();
        });
    });
}

/// `index/publish-of-64/N`: one iteration publishes 64 changes, of 32 hand-offs among N waiters.
fn publish(group: &mut BenchmarkGroup<'_, WallTime>, waiters: usize) {
    let mut line = None;
    group.throughput(Throughput::Elements(2 * HAND_OFFS as u64));
    group.bench_function(BenchmarkId::new("publish-of-64", waiters), |b| {
        let line = line.get_or_insert_with(|| RefCell::new(Line::of(waiters)));
        b.iter_batched(
            || (0..HAND_OFFS).for_each(|_| line.borrow_mut().hand_off()),
            |()| line.borrow_mut().index.publish(),
            BatchSize::PerIteration,
        );
    });
}

/// `index/first/N` and `index/last-before-mine/N`: one iteration is a reader's query, for the
/// holder of the lock, or for whom the waiter in the middle waits.
fn queries(group: &mut BenchmarkGroup<'_, WallTime>, waiters: usize) {
    let first = CreateQuery {
        dir: DIR,
        descending: false,
        limit: Some(1),
        min: None,
        max: None,
    };
    let middle = waiters as i64 / 2;
    let before_mine = CreateQuery {
        descending: true,
        max: Some(Revision(middle - 1)),
        ..first
    };
    let mut line = None;
    group.throughput(Throughput::Elements(1));
    for (name, query, hit) in [
        ("first", first, 0),
        ("last-before-mine", before_mine, middle - 1),
    ] {
        group.bench_function(BenchmarkId::new(name, waiters), |b| {
            let line: &mut Line = line.get_or_insert_with(|| Line::of(waiters));
            let ask = || line.index.query(query, Seen::Published);
            assert_eq!(ask(), Some(line.only(hit as usize)));
            b.iter(ask);
        });
    }
}

/// Waiters of one lock, in the order of their create revisions.
struct Line {
    index: CreateIndex,
    /// One each, and used in turn.
    keys: Vec<Bytes>,
    /// The create revision of the oldest.
    oldest: i64,
}

impl Line {
    /// As many, published, the oldest created at revision 0.
    fn of(waiters: usize) -> Line {
        let keys = (0..waiters).map(|i| format!("job/{i:016x}").into());
        let mut line = Line {
            index: CreateIndex::default(),
            keys: keys.collect(),
            oldest: 0,
        };
        for (created, key) in (0..).zip(&line.keys) {
            line.index.changed(key, None, Some(&record(created)));
        }
        line.index.publish();
        line
    }

    /// The oldest goes, and comes again as the youngest.
    fn hand_off(&mut self) {
        let waiters = self.keys.len();
        let key = &self.keys[self.oldest as usize % waiters];
        self.index.changed(key, Some(&record(self.oldest)), None);
        let youngest = record(self.oldest + waiters as i64);
        self.index.changed(key, None, Some(&youngest));
        self.oldest += 1;
    }

    /// The answer that has this key alone, of all.
    fn only(&self, place: usize) -> CreateHits {
        CreateHits {
            keys: vec![self.keys[place].clone()],
            count: self.keys.len(),
            more: true,
        }
    }
}

fn record(created: i64) -> Record {
    Record {
        created: Revision(created),
        modified: Revision(created),
        version: 1,
        lease: LeaseId(7),
        value: Bytes::new(),
    }
}
