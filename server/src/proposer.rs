//! The queue of writes, and who empties it.
//!
//! One queue, two lanes: clients share a bound and are told `too many requests` beyond it;
//! clean-up (a dropped waiter, an expired lease) is never refused, because what it undoes exists
//! already and bounds it. Both lanes keep one order, so that a clean-up always runs after the put
//! that it undoes.
//!
//! One writer at a time: the writer's thread, or a connection at the end of its round
//! ([`Proposer::attend`]), which has all that its streams asked for written at once and answered
//! without waking anybody. The thread does what nobody attends to, what gathered meanwhile, and
//! all of it as long as several connections have their writes in one batch.

mod queue;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::applier::Applier;
use crate::clock;
use crate::command::{Command, Reply};
use crate::error::{Error, Result};
use queue::{Queue, RoundId};

pub use queue::{Job, QueueLimits, Urgency};

/// The process's exit status when the writer fails (`EX_IOERR`).
const EXIT_WRITER_FAILED: i32 = 74;

/// A connection writes only while that is quick: it does nothing else meanwhile, and keeps a
/// thread of the runtime. After a batch that took longer the next one is the thread's.
const QUICK: Duration = Duration::from_millis(5);

thread_local! {
    /// The connection whose round this thread is going through, after which it attends.
    static ROUND: Cell<Option<RoundId>> = const { Cell::new(None) };
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
    /// Production: jobs wait for one another's commit.
    Queued(Queued),
    /// Tests that pause time: applied at once, by whoever proposes.
    Inline(Mutex<Applier>),
}

struct Queued {
    queue: Queue,
    /// Whoever holds it takes from the queue and writes. `None` before there is one, and after.
    applier: Mutex<Option<Applier>>,
    /// Whether the last batch was written so quickly that a connection can wait for the next one.
    quick: AtomicBool,
}

impl Proposer {
    /// A proposer whose jobs wait until there is a writer ([`Proposer::employ`]).
    #[must_use]
    pub fn queued(limits: QueueLimits) -> Proposer {
        Proposer(Arc::new(Mode::Queued(Queued {
            queue: Queue::new(limits),
            applier: Mutex::new(None),
            quick: AtomicBool::new(true),
        })))
    }

    /// A proposer that applies in the caller's thread.
    #[must_use]
    pub fn inline(applier: Applier) -> Proposer {
        Proposer(Arc::new(Mode::Inline(Mutex::new(applier))))
    }

    /// Gives the queue its writer, and the writer its thread, which ends when the queue is closed
    /// and empty. If writing fails, the process ends: a server that can't write must not look
    /// alive.
    pub fn employ(&self, applier: Applier) -> std::io::Result<JoinHandle<()>> {
        if let Mode::Queued(queued) = &*self.0 {
            *queued.applier.lock() = Some(applier);
        }
        let proposer = self.clone();
        let work = move || {
            if let Mode::Queued(queued) = &*proposer.0 {
                queued.write_until_closed();
            }
        };
        thread::Builder::new()
            .name("latchd-applier".into())
            .spawn(work)
    }

    /// Queues a client's command, unless the queue is full.
    pub fn propose(&self, command: Command) -> Result<Pending> {
        self.propose_at(Urgency::Now, command)
    }

    /// The same, with a say in how soon.
    pub fn propose_at(&self, urgency: Urgency, command: Command) -> Result<Pending> {
        let bytes = command.weight();
        self.push(command, Some(bytes), urgency)
    }

    /// Queues a clean-up, however full the queue is.
    pub fn clean_up(&self, command: Command) -> Result<Pending> {
        self.push(command, None, Urgency::Now)
    }

    fn push(&self, command: Command, bytes: Option<usize>, urgency: Urgency) -> Result<Pending> {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            command,
            reply,
            bytes,
            round: ROUND.get(),
            urgency,
        };
        match &*self.0 {
            Mode::Queued(queued) => queued.queue.push(job)?,
            Mode::Inline(applier) => applier
                .lock()
                .run(vec![job])
                .expect("the inline applier's store works"),
        }
        Ok(Pending(answer))
    }

    /// Goes through a round of the connection `id`, then has what it queued written: by this
    /// thread, unless somebody else is at it.
    pub fn attend<T>(&self, id: u64, round: impl FnOnce() -> T) -> T {
        let Mode::Queued(queued) = &*self.0 else {
            return round();
        };
        let outcome = in_round(RoundId(id), round);
        queued.write_now();
        outcome
    }

    /// Waits for jobs and takes a batch of them, in the writer's place; `None` once closed and
    /// empty.
    #[cfg(test)]
    pub fn take(&self) -> Option<Vec<Job>> {
        match &*self.0 {
            Mode::Queued(queued) => queued.queue.wait().then(|| queued.queue.take()),
            Mode::Inline(_) => None,
        }
    }

    /// Refuses everything from now on; what is queued is still applied.
    pub fn close(&self) {
        if let Mode::Queued(queued) = &*self.0 {
            queued.queue.close();
        }
    }
}

fn in_round<T>(id: RoundId, round: impl FnOnce() -> T) -> T {
    struct Over;
    impl Drop for Over {
        fn drop(&mut self) {
            ROUND.set(None);
        }
    }
    ROUND.set(Some(id));
    let _over = Over;
    round()
}

impl Queued {
    /// What the thread does. At the end the writer is let go, and the store with it.
    fn write_until_closed(&self) {
        while self.queue.wait() {
            let applier = self.applier.lock();
            self.write(applier, Queue::take);
        }
        *self.applier.lock() = None;
    }

    /// What a connection does at the end of its round.
    fn write_now(&self) {
        if self.queue.is_empty() {
            return;
        }
        if self.quick.load(Ordering::Relaxed)
            && let Some(applier) = self.applier.try_lock()
        {
            self.write(applier, Queue::take_attended);
        }
        // What came while somebody wrote, whose own connection may not look again.
        self.queue.call();
    }

    /// Writes one batch.
    fn write(
        &self,
        mut applier: MutexGuard<'_, Option<Applier>>,
        take: impl FnOnce(&Queue) -> Vec<Job>,
    ) {
        let Some(writer) = applier.as_mut() else {
            return;
        };
        let jobs = take(&self.queue);
        if jobs.is_empty() {
            return;
        }
        let began = clock::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| writer.run(jobs)));
        self.queue.done();
        self.quick
            .store(began.elapsed() <= QUICK, Ordering::Relaxed);
        let reason = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the writer panicked".to_owned(),
        };
        tracing::error!(%reason, "the store cannot be written to; latchd stops");
        std::process::exit(EXIT_WRITER_FAILED);
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

    /// Queues a command as a stream of that connection does.
    fn in_a_round_of(proposer: &Proposer, id: u64, command: Command) -> Pending {
        in_round(RoundId(id), || proposer.propose(command).unwrap())
    }

    /// What a connection would write at the end of its round.
    fn attended(proposer: &Proposer) -> Vec<Command> {
        let Mode::Queued(queued) = &*proposer.0 else {
            panic!("the proposer is queued");
        };
        let jobs = queued.queue.take_attended();
        jobs.into_iter().map(|job| job.command).collect()
    }

    #[test]
    fn a_connection_writes_what_it_queued() {
        let proposer = small();
        let _kept = in_a_round_of(&proposer, 1, Command::Revoke(LeaseId(7)));
        assert_eq!(attended(&proposer), [Command::Revoke(LeaseId(7))]);
    }

    #[test]
    fn what_may_take_long_is_left_to_the_thread() {
        let proposer = small();
        let _kept = in_a_round_of(&proposer, 1, Command::Revoke(LeaseId(7)));
        let _long = in_a_round_of(&proposer, 1, Command::Trim);
        assert_eq!(attended(&proposer), []);
        assert_eq!(proposer.take().unwrap().len(), 2, "in one order");
    }

    #[test]
    fn the_thread_gathers_what_several_connections_ask_for() {
        let proposer = Proposer::queued(QueueLimits::default());
        let revoke = Command::Revoke(LeaseId(7));
        let _kept = [1, 2].map(|id| in_a_round_of(&proposer, id, revoke.clone()));
        assert_eq!(proposer.take().unwrap().len(), 2);
        let _kept = in_a_round_of(&proposer, 1, revoke.clone());
        assert_eq!(attended(&proposer), [], "after a mixed batch");
        assert_eq!(proposer.take().unwrap().len(), 1);
        let _kept = in_a_round_of(&proposer, 1, revoke.clone());
        assert_eq!(attended(&proposer), [revoke], "after one of its own");
    }

    #[test]
    fn what_is_patient_waits_for_company() {
        let proposer = small();
        let revoke = Command::Revoke(LeaseId(7));
        let patient = || {
            proposer
                .propose_at(Urgency::Patient, revoke.clone())
                .unwrap()
        };
        let _kept = in_round(RoundId(1), patient);
        assert_eq!(attended(&proposer), [], "alone it is not worth a commit");
        let _kept = in_a_round_of(&proposer, 1, revoke.clone());
        assert_eq!(
            attended(&proposer),
            [revoke.clone(), revoke],
            "in one order"
        );
    }

    #[test]
    fn what_is_patient_does_not_wait_for_ever() {
        let proposer = small();
        let revoke = Command::Revoke(LeaseId(7));
        let _kept = proposer.propose_at(Urgency::Patient, revoke).unwrap();
        assert_eq!(proposer.take().unwrap().len(), 1);
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
