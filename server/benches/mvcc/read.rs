//! Reads of the last published state.

use std::cell::LazyCell;

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use futures::FutureExt;
use latchd::mvcc::KeyRange;
use latchd::mvcc::history::ReplayBudget;
use latchd::types::Revision;
use latchd_proto::etcdserverpb::RangeRequest;

use super::{Large, large};
use crate::common::commands::{one, prefix, put};
use crate::common::{Disk, Syncing};

const REVISIONS: usize = 1000;

/// `mvcc/range/…`: one iteration answers a Range in a store of 100,000 keys, values of 32 bytes
/// included, as far as its message.
pub fn ranges(criterion: &mut Criterion, shared: &Large) {
    let mut group = criterion.benchmark_group("mvcc/range");
    for (name, request, count) in [
        ("one-key", one("dir0042/0500"), 1),
        ("prefix-of-10", prefix("dir0042/050"), 10),
        ("prefix-of-1000", prefix("dir0042/"), 1000),
    ] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(name, |b| {
            let disk = shared.get_or_init(large);
            assert_eq!(found(disk, &request), count);
            b.iter(|| disk.store().range(&request).now_or_never());
        });
    }
}

fn found(disk: &Disk, request: &RangeRequest) -> u64 {
    let answer = disk.store().range(request).now_or_never();
    answer.unwrap().unwrap().kvs.len() as u64
}

/// `mvcc/replay-of-1000/…`: one iteration walks 1,000 revisions of history for a watch, which
/// wants all of them or none.
pub fn replays(criterion: &mut Criterion) {
    let disk = LazyCell::new(|| {
        let mut disk = Disk::new(Syncing::NoFsync);
        let puts = (0..REVISIONS).map(|i| put(&format!("watched/{i:04}"), 0));
        disk.commit(puts.collect());
        disk
    });
    let mut group = criterion.benchmark_group("mvcc/replay-of-1000");
    group.throughput(Throughput::Elements(REVISIONS as u64));
    for (name, key, end, count) in [
        ("all-wanted", "watched/", "watched0", REVISIONS),
        ("none-wanted", "elsewhere", "", 0),
    ] {
        let range = KeyRange::from_wire(&Bytes::from(key), &Bytes::from(end));
        group.bench_function(name, |b| {
            assert_eq!(replayed(&disk, &range), count);
            b.iter(|| replayed(&disk, &range));
        });
    }
}

/// How many of the store's revisions concern `range`.
fn replayed(disk: &Disk, range: &KeyRange) -> usize {
    let budget = ReplayBudget {
        rows: 2 * REVISIONS,
        bytes: 1 << 20,
    };
    let snapshot = disk.store().snapshot().now_or_never().unwrap();
    let start = Revision::INITIAL.next();
    let pieces = snapshot.view().replay(range, start, budget).unwrap();
    assert_eq!(pieces.last, snapshot.revision);
    pieces.changes.len()
}
