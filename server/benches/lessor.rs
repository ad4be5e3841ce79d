//! The lessor: what keepalives, grants and mass expiry cost, by how many leases there are.

use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use futures::FutureExt;
use latchd::lessor::{Lessor, Renewal};
use latchd::metrics::METRICS;
use latchd::proposer::{Proposer, QueueLimits};
use latchd::types::{LeaseId, Ttl};
use tokio::runtime::{Builder, Runtime};

const SIZES: [i64; 2] = [100, 100_000];

/// How many leases end at once.
const DUE: i64 = 10_000;

pub fn benches(criterion: &mut Criterion) {
    grant(criterion);
    renew(criterion);
    all(criterion);
    take_due(criterion);
}

/// `lessor/grant-revoke/N`: one iteration begins a lease and ends it, among N others.
fn grant(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lessor/grant-revoke");
    for leases in SIZES {
        let mut lessor = None;
        group.bench_function(BenchmarkId::from_parameter(leases), |b| {
            let lessor = lessor.get_or_insert_with(|| long(leases));
            let id = LeaseId(leases + 1);
            b.iter(|| {
                lessor.granted(id, Ttl::from_seconds(3600));
                lessor.revoked(id);
            });
        });
    }
}

/// `lessor/renew/N`: one iteration is a keepalive of one of N leases, of each in turn.
fn renew(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lessor/renew");
    for leases in SIZES {
        let mut lessor = None;
        group.bench_function(BenchmarkId::from_parameter(leases), |b| {
            let lessor = lessor.get_or_insert_with(|| long(leases));
            let mut last = 0;
            b.iter(|| {
                last = last % leases + 1;
                let renewal = lessor.renew(LeaseId(last));
                assert!(matches!(renewal, Renewal::Renewed(_)));
            });
        });
    }
}

/// `lessor/all/N`: one iteration lists N leases, the one that ends first in front.
fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lessor/all");
    for leases in SIZES {
        let mut lessor = None;
        group.throughput(Throughput::Elements(leases as u64));
        group.bench_function(BenchmarkId::from_parameter(leases), |b| {
            let lessor = lessor.get_or_insert_with(|| long(leases));
            b.iter(|| lessor.all());
        });
    }
}

/// `lessor/take-due/10000`: one iteration finds that the deadlines of 10,000 leases, all there are,
/// have passed, and queues their revokes. Nobody takes them from the queue.
fn take_due(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_time().build();
    let runtime = runtime.unwrap();
    let mut group = criterion.benchmark_group("lessor/take-due");
    group.throughput(Throughput::Elements(DUE as u64));
    group.bench_function(BenchmarkId::from_parameter(DUE), |b| {
        let _time = runtime.enter();
        b.iter_batched(
            || due(&runtime),
            |(lessor, proposer)| {
                let expired = METRICS.leases_expired.get();
                let work = lessor.clone().run(proposer.clone()).now_or_never();
                assert_eq!(work, None, "it never ends");
                assert_eq!(METRICS.leases_expired.get() - expired, DUE as u64);
                (lessor, proposer)
            },
            BatchSize::PerIteration,
        );
    });
}

/// A lessor of leases that are all past their deadlines, for the timers too, and an empty queue.
fn due(runtime: &Runtime) -> (Lessor, Proposer) {
    let ttl = Ttl { millis: 1 };
    let lessor = of(DUE, ttl);
    // So late that the runtime takes the deadline for past.
    runtime.block_on(tokio::time::sleep(
        2 * ttl.duration() + Duration::from_millis(1),
    ));
    (lessor, Proposer::queued(QueueLimits::default()))
}

/// A lessor of leases of an hour.
fn long(leases: i64) -> Lessor {
    of(leases, Ttl::from_seconds(3600))
}

/// A lessor of that many leases, their IDs counted from 1.
fn of(leases: i64, ttl: Ttl) -> Lessor {
    let lessor = Lessor::default();
    (1..=leases).for_each(|id| lessor.granted(LeaseId(id), ttl));
    lessor
}
