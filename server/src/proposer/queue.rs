//! The queue itself: what waits for the writer, within its bounds, in one order.

use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::clock;
use crate::command::{Command, Lane, Reply};
use crate::error::{Error, Result};
use crate::metrics::METRICS;

/// How many commands share a commit at most. Their answers are all held until it is done.
const BATCH: usize = 4096;

/// How long patient jobs wait for company: about as long as a commit takes that they may share.
const PATIENCE: Duration = Duration::from_micros(500);

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
    pub(super) urgency: Urgency,
}

/// Whether somebody waits for the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// The sooner the better.
    Now,
    /// Whoever asks will wait for something else in any case, as who joins the line of a lock that
    /// is held. The next commit is soon enough: without this each hand-over of a contended lock
    /// takes two, one for the Unlock and one for the last holder's place at the end of the line.
    Patient,
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
    /// Jobs that a commit is worth while for.
    urgent: usize,
    /// Whether the last batch came from several connections. Those have more to share a commit
    /// with than what one of them asks for in a round, so the thread gathers it.
    mixed: bool,
    idle: bool,
    /// Whether the thread waits for company for patient jobs.
    gathering: bool,
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
        state.urgent += usize::from(job.urgency == Urgency::Now);
        let attended = job.round.is_some() && !is_long && !state.mixed;
        state.jobs.push(job);
        if !attended {
            self.wake_for(&mut state);
        }
        Ok(())
    }

    /// Tells the thread, if there is anything to do. One wake-up for a batch: a busy thread looks
    /// by itself.
    pub fn call(&self) {
        self.wake_for(&mut self.state.lock());
    }

    /// Tells the thread of what there is to do, unless it has what patience there is already.
    fn wake_for(&self, state: &mut State) {
        let waited_for = state.gathering && state.urgent == 0;
        if !state.jobs.is_empty() && !waited_for && std::mem::take(&mut state.idle) {
            self.ready.notify_one();
        }
    }

    /// Waits until there are jobs that want a commit, or have waited long enough for one that
    /// does; `false` once closed and empty.
    pub fn wait(&self) -> bool {
        let mut state = self.state.lock();
        loop {
            while state.jobs.is_empty() {
                if state.closed {
                    return false;
                }
                state.idle = true;
                self.ready.wait(&mut state);
            }
            if state.urgent > 0 || state.closed {
                break;
            }
            self.gather(&mut state);
            // A connection may have taken them all meanwhile.
            if !state.jobs.is_empty() {
                break;
            }
        }
        state.idle = false;
        true
    }

    /// Gives patient jobs the time in which company may come.
    fn gather(&self, state: &mut MutexGuard<'_, State>) {
        let until = clock::now() + PATIENCE;
        state.gathering = true;
        while state.urgent == 0 && !state.jobs.is_empty() && !state.closed {
            state.idle = true;
            let left = until.saturating_duration_since(clock::now());
            if self.ready.wait_for(state, left).timed_out() {
                break;
            }
        }
        state.gathering = false;
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
        if state.long > 0 || state.mixed || state.urgent == 0 {
            return Vec::new();
        }
        state.take()
    }

    /// What was taken is done with, and its memory free. What came meanwhile has waited enough.
    pub fn done(&self) {
        let mut state = self.state.lock();
        state.release();
        state.urgent = state.jobs.len();
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
        self.urgent = self.jobs.len();
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
