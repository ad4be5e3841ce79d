//! The proposer's queue, as a connection uses it at the end of its round.

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput};
use latchd::applier::Applier;
use latchd::command::Command;
use latchd::error::Error;
use latchd::lessor::Lessor;
use latchd::mvcc::open::Opened;
use latchd::proposer::{Pending, Proposer, QueueLimits};
use latchd::types::LeaseId;
use latchd::watch::Hub;
use tokio::runtime::Builder;

use crate::common::{Disk, Syncing};

/// A connection's number; there is only one.
const CONNECTION: u64 = 1;

/// Writes nothing, and is answered with hardly any work.
const COMMAND: Command = Command::LeaseKeys(LeaseId::NONE);

pub fn benches(criterion: &mut Criterion) {
    empty_batch(criterion);
    round(criterion);
}

/// `queue/empty-batch`: one iteration begins a transaction with its tables and gives it up: what of
/// `queue/round` is not the queue's.
fn empty_batch(criterion: &mut Criterion) {
    let mut disk = None;
    criterion.bench_function("queue/empty-batch", |b| {
        let disk = disk.get_or_insert_with(|| Disk::new(Syncing::NoFsync));
        b.iter(|| disk.commit(Vec::new()));
    });
}

/// `queue/round/N`: one iteration is a round of a connection: N commands pushed, taken in one batch
/// by the same thread, applied without a write, and their answers received.
fn round(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().build().unwrap();
    let mut group = criterion.benchmark_group("queue/round");
    for commands in [1, 64] {
        let mut writer = None;
        group.throughput(Throughput::Elements(commands));
        group.bench_function(BenchmarkId::from_parameter(commands), |b| {
            let Writer { proposer, .. } = writer.get_or_insert_with(Writer::start);
            let propose = |_| proposer.propose(COMMAND).unwrap();
            b.iter(|| {
                let asked = || (0..commands).map(propose).collect::<Vec<Pending>>();
                let answers = proposer.attend(CONNECTION, asked);
                runtime.block_on(async {
                    for answer in answers {
                        assert_eq!(answer.await, Err(Error::LeaseNotFound));
                    }
                });
            });
        });
    }
}

/// A queue with its writer, on a store.
struct Writer {
    proposer: Proposer,
    thread: Option<std::thread::JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

impl Writer {
    fn start() -> Writer {
        let Disk { opened, dir } = Disk::new(Syncing::NoFsync);
        let Opened { store, state, .. } = opened;
        let (hub, lessor) = (Hub::new(state.revision), Lessor::default());
        let applier = Applier::new(Arc::new(store), state, hub, lessor);
        let proposer = Proposer::queued(QueueLimits::default());
        let thread = proposer.employ(applier).unwrap();
        Writer {
            proposer,
            thread: Some(thread),
            _dir: dir,
        }
    }
}

impl Drop for Writer {
    /// The store is closed before its directory goes.
    fn drop(&mut self) {
        self.proposer.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
