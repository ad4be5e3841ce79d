//! A connection's streams, run in the connection's own task.
//!
//! hyper would make a task of every request. Here they are parts of the one task that also reads
//! and writes the connection: a request costs no turn of the scheduler; what they ask for in one
//! round shares a commit, which this thread makes if nobody else is at it; and what a commit
//! answers leaves in one write.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::task::AtomicWaker;
use hyper::rt::Executor;
use parking_lot::Mutex;
use tokio::task::coop;

use crate::proposer::Proposer;

/// How often a connection goes through its streams before others get the thread.
const ROUNDS: usize = 8;

/// Counts the connections.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Where hyper leaves the streams that begin; cheap to clone.
#[derive(Clone)]
pub struct Streams {
    begun: Arc<Mutex<Vec<BoxFuture<'static, ()>>>>,
    proposer: Proposer,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        self.begun.lock().push(Box::pin(stream));
    }
}

impl Streams {
    /// None yet; what they ask for goes to `proposer`.
    #[must_use]
    pub fn new(proposer: Proposer) -> Streams {
        Streams {
            begun: Arc::default(),
            proposer,
        }
    }

    /// Runs `connection`, and the streams that it leaves here, to the end of the connection; what
    /// is left of the streams then has nobody to answer, and is dropped.
    pub async fn run<C: Future>(self, connection: C) -> C::Output {
        let mut connection = pin!(connection);
        let mut running = FuturesUnordered::new();
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(bell.clone());
        std::future::poll_fn(move |task| {
            bell.task.register(task.waker());
            let mut context = Context::from_waker(&waker);
            for _ in 0..ROUNDS {
                bell.answer();
                let connected = self.proposer.attend(id, || {
                    let connected = connection.as_mut().poll(&mut context);
                    running.extend(self.begun.lock().drain(..));
                    proceed(&mut running, &mut context);
                    connected
                });
                if connected.is_ready() {
                    return connected;
                }
                if bell.rest() {
                    return Poll::Pending;
                }
                // Without it nothing that tokio has would be ready in another round.
                if !coop::has_budget_remaining() {
                    break;
                }
            }
            task.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }
}

/// Lets every stream that can proceed do so.
fn proceed(running: &mut FuturesUnordered<BoxFuture<'static, ()>>, context: &mut Context<'_>) {
    while let Poll::Ready(Some(())) = Pin::new(&mut *running).poll_next_unpin(context) {}
}

/// The waker of a connection and its streams, who wake one another all the time: while they are
/// being polled this asks for another round only, not for another turn of the task, for which
/// tokio would wake another thread.
#[derive(Default)]
struct Bell {
    state: AtomicU8,
    task: AtomicWaker,
}

/// Everything rests; who rings wakes the task.
const RESTING: u8 = 0;
/// A round is under way, and nobody has rung since it began.
const ANSWERED: u8 = 1;
/// Somebody rang, and another round will come.
const RUNG: u8 = 2;

impl Bell {
    /// A round begins, which sees to all who have rung.
    fn answer(&self) {
        self.state.store(ANSWERED, Ordering::SeqCst);
    }

    /// The round is over; returns whether nobody has rung meanwhile.
    fn rest(&self) -> bool {
        let rested =
            self.state
                .compare_exchange(ANSWERED, RESTING, Ordering::SeqCst, Ordering::SeqCst);
        rested.is_ok()
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(RUNG, Ordering::SeqCst) == RESTING {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::proposer::QueueLimits;

    use tokio::sync::{mpsc, oneshot};

    /// A connection that begins a stream for each message, and ends with the messages.
    async fn connection(
        streams: Streams,
        mut messages: mpsc::UnboundedReceiver<oneshot::Receiver<u32>>,
        answers: mpsc::UnboundedSender<u32>,
    ) {
        while let Some(message) = messages.recv().await {
            let answers = answers.clone();
            streams.execute(async move {
                if let Ok(answer) = message.await {
                    let _ = answers.send(answer);
                }
            });
        }
    }

    fn streams() -> Streams {
        Streams::new(Proposer::queued(QueueLimits::default()))
    }

    fn start() -> (
        mpsc::UnboundedSender<oneshot::Receiver<u32>>,
        mpsc::UnboundedReceiver<u32>,
        tokio::task::JoinHandle<()>,
    ) {
        let (ask, asked) = mpsc::unbounded_channel();
        let (answer, answers) = mpsc::unbounded_channel();
        let streams = streams();
        let task = streams.clone().run(connection(streams, asked, answer));
        (ask, answers, tokio::spawn(task))
    }

    #[tokio::test]
    async fn a_thousand_streams_are_answered_from_another_thread() {
        let (ask, mut answers, task) = start();
        let mut senders = Vec::new();
        for _ in 0..1000 {
            let (sender, receiver) = oneshot::channel();
            ask.send(receiver).unwrap();
            senders.push(sender);
        }
        std::thread::spawn(move || {
            for (n, sender) in (0..).zip(senders) {
                sender.send(n).unwrap();
            }
        });
        let mut seen = Vec::new();
        while seen.len() < 1000 {
            let next = tokio::time::timeout(Duration::from_secs(30), answers.recv());
            seen.push(next.await.unwrap().unwrap());
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..1000).collect::<Vec<_>>());
        drop(ask);
        task.await.unwrap();
    }

    #[tokio::test]
    async fn streams_end_with_their_connection() {
        let (ask, _answers, task) = start();
        let (mut sender, receiver) = oneshot::channel();
        ask.send(receiver).unwrap();
        drop(ask);
        task.await.unwrap();
        sender.closed().await;
    }

    #[tokio::test]
    async fn a_stream_that_never_rests_leaves_others_their_turn() {
        let streams = streams();
        streams.execute(std::future::poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::Pending
        }));
        let (end, ended) = oneshot::channel::<()>();
        let connection = tokio::spawn(streams.run(ended));
        tokio::task::yield_now().await;
        end.send(()).unwrap();
        connection.await.unwrap().unwrap();
    }
}
