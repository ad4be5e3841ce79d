//! The queue of writes.
//!
//! One queue, two lanes: clients share a bound and are told `too many requests` beyond it;
//! clean-up (a dropped waiter, an expired lease) is never refused, because what it undoes exists
//! already and bounds it. Both lanes keep one order, so that a clean-up always runs after the put
//! that it undoes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::applier::Applier;
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
    bytes: Option<usize>,
}

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

/// The answer to come. The command is in the queue already, whether this is awaited or dropped.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Result<Reply>>);

impl Future for Pending {
    type Output = Result<Reply>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.0).poll(cx);
        answer.map(|answer| answer.unwrap_or(Err(Error::Stopped)))
    }
}

/// A handle to the queue; cheap to clone.
#[derive(Clone)]
pub struct Proposer(Arc<Mode>);

enum Mode {
    /// Production: a thread takes batches from the queue.
    Queue(Queue),
    /// Tests that pause time: applied at once, by whoever proposes.
    Inline(Mutex<Applier>),
}

impl Proposer {
    /// A proposer whose jobs somebody takes with [`Proposer::take`].
    #[must_use]
    pub fn queued(limits: QueueLimits) -> Proposer {
        Proposer(Arc::new(Mode::Queue(Queue::new(limits))))
    }

    /// A proposer that applies in the caller's thread.
    #[must_use]
    pub fn inline(applier: Applier) -> Proposer {
        Proposer(Arc::new(Mode::Inline(Mutex::new(applier))))
    }

    /// Queues a client's command, unless the queue is full.
    pub fn propose(&self, command: Command) -> Result<Pending> {
        let bytes = command.weight();
        self.push(command, Some(bytes))
    }

    /// Queues a clean-up, however full the queue is.
    pub fn clean_up(&self, command: Command) -> Result<Pending> {
        self.push(command, None)
    }

    fn push(&self, command: Command, bytes: Option<usize>) -> Result<Pending> {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            command,
            reply,
            bytes,
        };
        match &*self.0 {
            Mode::Queue(queue) => queue.push(job)?,
            Mode::Inline(applier) => applier
                .lock()
                .run(vec![job])
                .expect("the inline applier's store works"),
        }
        Ok(Pending(answer))
    }

    /// Waits for jobs and takes a batch of them; `None` once closed and empty.
    ///
    /// What is taken counts as waiting until the next call, since its memory is still in use.
    #[must_use]
    pub fn take(&self) -> Option<Vec<Job>> {
        match &*self.0 {
            Mode::Queue(queue) => queue.take(),
            Mode::Inline(_) => None,
        }
    }

    /// Refuses everything from now on; what is queued is still applied.
    pub fn close(&self) {
        if let Mode::Queue(queue) = &*self.0 {
            queue.state.lock().closed = true;
            queue.ready.notify_one();
        }
    }
}

struct Queue {
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
    idle: bool,
    closed: bool,
}

impl Queue {
    fn new(limits: QueueLimits) -> Queue {
        Queue {
            limits,
            state: Mutex::default(),
            ready: Condvar::new(),
        }
    }

    fn push(&self, job: Job) -> Result<()> {
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
        state.jobs.push(job);
        // One wake-up for a batch: a busy applier looks by itself.
        if std::mem::take(&mut state.idle) {
            self.ready.notify_one();
        }
        Ok(())
    }

    fn take(&self) -> Option<Vec<Job>> {
        let mut state = self.state.lock();
        let (commands, bytes) = std::mem::take(&mut state.taken);
        state.commands -= commands;
        METRICS
            .proposals_pending
            .sub(i64::try_from(commands).unwrap_or(0));
        state.bytes -= bytes;
        while state.jobs.is_empty() {
            if state.closed {
                return None;
            }
            state.idle = true;
            self.ready.wait(&mut state);
        }
        state.idle = false;
        let batch = state.jobs.len().min(BATCH);
        let rest = state.jobs.split_off(batch);
        let jobs = std::mem::replace(&mut state.jobs, rest);
        let clients = jobs.iter().filter_map(|job| job.bytes);
        state.taken = clients.fold((0, 0), |(n, sum), bytes| (n + 1, sum + bytes));
        Some(jobs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::LeaseId;

    fn small() -> Proposer {
        Proposer::queued(QueueLimits {
            commands: 2,
            bytes: 1 << 20,
        })
    }

    #[test]
    fn clients_are_bounded_and_clean_up_is_not() {
        let proposer = small();
        let kept: Vec<_> = (0..2)
            .map(|_| proposer.propose(Command::Trim).unwrap())
            .collect();
        assert_eq!(
            proposer.propose(Command::Trim).err(),
            Some(Error::TooManyRequests)
        );
        let revoke = Command::Revoke(LeaseId(7));
        let cleaned = proposer.clean_up(revoke.clone()).unwrap();
        let jobs = proposer.take().unwrap();
        assert_eq!(jobs.len(), 3);
        assert_eq!(jobs[2].command, revoke, "one order for both lanes");
        assert!(
            proposer.propose(Command::Trim).is_err(),
            "taken is not yet done"
        );
        drop((kept, cleaned));
    }

    #[test]
    fn what_was_taken_is_free_again_at_the_next_take() {
        let proposer = small();
        let _kept: Vec<_> = (0..2)
            .map(|_| proposer.propose(Command::Trim).unwrap())
            .collect();
        let _jobs = proposer.take().unwrap();
        let _more = proposer.clean_up(Command::Trim).unwrap();
        let _jobs = proposer.take().unwrap();
        assert!(proposer.propose(Command::Trim).is_ok());
    }

    #[test]
    fn a_closed_queue_is_drained_and_refuses() {
        let proposer = small();
        let _kept = proposer.propose(Command::Trim).unwrap();
        proposer.close();
        assert_eq!(proposer.propose(Command::Trim).err(), Some(Error::Stopped));
        assert_eq!(proposer.take().unwrap().len(), 1);
        assert!(proposer.take().is_none());
    }
}
