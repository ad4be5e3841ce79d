//! A streaming call.

use std::marker::PhantomData;

use bytes::Bytes;
use futures::{StreamExt, channel::mpsc};
use tokio::task::JoinHandle;
use tonic::{Request, Status, client::Grpc, codegen::http::uri::PathAndQuery, transport::Channel};

use super::frames::Frames;

/// It sends `Q` and receives `A`. The call itself begins with the first message:
/// a server may say nothing at all before. Dropping it cancels the call.
pub struct Stream<Q, A> {
    /// What the case calls it.
    pub name: String,
    /// Its call.
    pub path: &'static str,
    requests: Option<mpsc::UnboundedSender<Bytes>>,
    responses: mpsc::UnboundedReceiver<Result<Bytes, Status>>,
    task: JoinHandle<()>,
    types: PhantomData<fn(Q) -> A>,
}

impl<Q, A> Stream<Q, A> {
    pub(super) fn open(channel: Channel, name: &str, path: &'static str) -> Self {
        let (requests, outgoing) = mpsc::unbounded();
        let (incoming, responses) = mpsc::unbounded();
        Self {
            name: name.to_owned(),
            path,
            requests: Some(requests),
            responses,
            task: tokio::spawn(pump(channel, path, outgoing, incoming)),
            types: PhantomData,
        }
    }

    /// Sends bytes as a message. After a half-close, or when the server has ended
    /// the call, there is nobody to send it to, and it is lost.
    pub fn send_raw(&mut self, frame: Bytes) {
        if let Some(requests) = &self.requests {
            let _ = requests.unbounded_send(frame);
        }
    }

    /// Says that no more requests come.
    pub fn half_close(&mut self) {
        self.requests = None;
    }

    /// The next message; none at an end with OK.
    ///
    /// # Errors
    /// The status, when the call ended with another one.
    pub async fn next_raw(&mut self) -> Result<Option<Bytes>, Status> {
        self.responses.next().await.transpose()
    }
}

impl<Q, A> Drop for Stream<Q, A> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pump(
    channel: Channel,
    path: &'static str,
    outgoing: mpsc::UnboundedReceiver<Bytes>,
    incoming: mpsc::UnboundedSender<Result<Bytes, Status>>,
) {
    if let Err(status) = forward(channel, path, outgoing, &incoming).await {
        // A case that has dropped its stream does not want to know.
        let _ = incoming.unbounded_send(Err(status));
    }
}

async fn forward(
    channel: Channel,
    path: &'static str,
    outgoing: mpsc::UnboundedReceiver<Bytes>,
    incoming: &mpsc::UnboundedSender<Result<Bytes, Status>>,
) -> Result<(), Status> {
    let mut grpc = Grpc::new(channel).max_decoding_message_size(usize::MAX);
    grpc.ready()
        .await
        .map_err(|error| Status::from_error(error.into()))?;
    let path = PathAndQuery::from_static(path);
    let answer = grpc.streaming(Request::new(outgoing), path, Frames).await?;
    let mut messages = answer.into_inner();
    while let Some(frame) = messages.message().await? {
        let _ = incoming.unbounded_send(Ok(frame));
    }
    Ok(())
}
