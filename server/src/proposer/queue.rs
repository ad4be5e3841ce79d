//! The queue itself: what waits for the writer, within its bounds, in one order.

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::command::{Command, Lane, Reply};
use crate::error::{Error, Result};
use crate::metrics::METRICS;

/// How many commands share a commit at most. Their answers are all held until it is done.
const BATCH: usize = 4096;

/// How much may wait for the applier, clean-up aside.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Commands.
    pub commands: usize,
    /// Bytes of requests.
    pub bytes: usize,
}

impl Default for QueueLimits {
    fn default() -> QueueLimits {
        QueueLimits {
            commands: 16_384,
            bytes: 64 << 20,
        }
    }
}

/// A command and who waits for its answer.
#[derive(Debug)]
pub struct Job {
    /// What to do.
    pub command: Command,
    /// Told after the commit; nobody may be listening any more.
    pub reply: oneshot::Sender<Result<Reply>>,
    /// What the job takes of the clients' bound: nothing for clean-up.
    pub(super) bytes: Option<usize>,
    /// Which connection's round it came from.
    pub(super) round: Option<RoundId>,
}

/// A connection, while it goes through a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundId(pub u64);

impl Job {
    /// Who asks.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self.bytes {
            Some(_) => Lane::Client,
            None => Lane::CleanUp,
        }
    }
}

pub struct Queue {
    limits: QueueLimits,
    state: Mutex<State>,
    ready: Condvar,
}

#[derive(Default)]
struct State {
    jobs: Vec<Job>,
    /// Of clients, including the batch that was taken last.
    commands: usize,
    bytes: usize,
    taken: (usize, usize),
    /// Jobs that may take long, which only the thread does.
    long: usize,
    /// Whether the last batch came from several connections. Those have more to share a commit
    /// with than what one of them asks for in a round, so the thread gathers it.
    mixed: bool,
    idle: bool,
    closed: bool,
}

impl Queue {
    pub fn new(limits: QueueLimits) -> Queue {
        Queue {
            limits,
            state: Mutex::default(),
            ready: Condvar::new(),
        }
    }

    pub fn push(&self, job: Job) -> Result<()> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::Stopped);
        }
        if let Some(bytes) = job.bytes {
            let full = state.commands >= self.limits.commands
                || state.bytes.saturating_add(bytes) > self.limits.bytes;
            if full {
                METRICS.proposals_failed.inc();
                return Err(Error::TooManyRequests);
            }
            state.commands += 1;
            METRICS.proposals_pending.inc();
            state.bytes += bytes;
        }
        let is_long = job.command.may_take_long();
        state.long += usize::from(is_long);
        let attended = job.round.is_some() && !is_long && !state.mixed;
        state.jobs.push(job);
        if !attended {
            self.wake(&mut state);
        }
        Ok(())
    }

    /// Tells the thread, if there is anything to do. One wake-up for a batch: a busy thread looks
    /// by itself.
    pub fn call(&self) {
        let mut state = self.state.lock();
        if !state.jobs.is_empty() {
            self.wake(&mut state);
        }
    }

    fn wake(&self, state: &mut State) {
        if std::mem::take(&mut state.idle) {
            self.ready.notify_one();
        }
    }

    /// Waits until there are jobs; `false` once closed and empty.
    pub fn wait(&self) -> bool {
        let mut state = self.state.lock();
        while state.jobs.is_empty() {
            if state.closed {
                return false;
            }
            state.idle = true;
            self.ready.wait(&mut state);
        }
        state.idle = false;
        true
    }

    pub fn is_empty(&self) -> bool {
        self.state.lock().jobs.is_empty()
    }

    /// Takes a batch, perhaps an empty one. Its memory counts until [`Queue::done`].
    pub fn take(&self) -> Vec<Job> {
        self.state.lock().take()
    }

    /// Takes a batch for a connection to write: an empty one if it is the thread's.
    pub fn take_attended(&self) -> Vec<Job> {
        let mut state = self.state.lock();
        if state.long > 0 || state.mixed {
            return Vec::new();
        }
        state.take()
    }

    /// What was taken is done with, and its memory free.
    pub fn done(&self) {
        self.state.lock().release();
    }

    pub fn close(&self) {
        self.state.lock().closed = true;
        self.ready.notify_one();
    }
}

impl State {
    fn take(&mut self) -> Vec<Job> {
        self.release();
        let batch = self.jobs.len().min(BATCH);
        let rest = self.jobs.split_off(batch);
        let jobs = std::mem::replace(&mut self.jobs, rest);
        let same = |pair: &[Job]| pair[0].round == pair[1].round;
        self.mixed = !jobs.windows(2).all(same);
        let clients = jobs.iter().filter_map(|job| job.bytes);
        self.taken = clients.fold((0, 0), |(n, sum), bytes| (n + 1, sum + bytes));
        self.long -= jobs
            .iter()
            .filter(|job| job.command.may_take_long())
            .count();
        jobs
    }

    fn release(&mut self) {
        let (commands, bytes) = std::mem::take(&mut self.taken);
        self.commands -= commands;
        METRICS
            .proposals_pending
            .sub(i64::try_from(commands).unwrap_or(0));
        self.bytes -= bytes;
    }
}
