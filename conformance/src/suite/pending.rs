//! A call that has been started and may wait.

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Status;

/// It runs by itself. Dropping it cancels it.
pub struct Pending<R> {
    /// What the case calls it.
    pub name: String,
    pub(super) request: R,
    pub(super) answer: Running,
}

/// The call's task, aborted on drop.
pub(super) struct Running(JoinHandle<()>, oneshot::Receiver<Result<Bytes, Status>>);

impl<R> Pending<R> {
    pub(super) fn new(
        name: &str,
        request: R,
        call: impl Future<Output = Result<Bytes, Status>> + Send + 'static,
    ) -> Self {
        let (done, answer) = oneshot::channel();
        let task = tokio::spawn(async move {
            // Nobody waits for a cancelled call's answer.
            let _ = done.send(call.await);
        });
        Self {
            name: name.to_owned(),
            request,
            answer: Running(task, answer),
        }
    }

    /// Whether it still waits.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.answer.0.is_finished()
    }
}

impl Future for Running {
    type Output = Result<Bytes, Status>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.1)
            .poll(context)
            .map(|answer| answer.unwrap_or_else(|_| Err(Status::aborted("the call's task ended"))))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}
