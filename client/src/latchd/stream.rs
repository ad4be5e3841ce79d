//! A Session stream: what goes over it, and nothing about when.

use latchd_proto::latchd::v1::{SessionRequest, session_request as ask, session_response as told};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::client::Client;
use crate::error::{Error, Result};

pub(crate) use told::Opened;

/// Requests that may be on their way at once: there is one heartbeat at a time.
const REQUESTS: usize = 4;

/// How a stream begins.
pub(crate) enum First {
    Open(ask::Open),
    Resume(ask::Resume),
}

/// An open stream.
pub(crate) struct Stream {
    requests: mpsc::Sender<SessionRequest>,
    responses: Streaming<latchd_proto::latchd::v1::SessionResponse>,
}

impl Stream {
    /// Opens a stream and waits for its first answer.
    pub(crate) async fn start(client: &Client, first: First) -> Result<(Stream, Opened)> {
        let after = client.request_timeout();
        timeout(after, Stream::start_patiently(client, first))
            .await
            .unwrap_or(Err(Error::NoAnswer { after }))
    }

    async fn start_patiently(client: &Client, first: First) -> Result<(Stream, Opened)> {
        let (requests, receiver) = mpsc::channel(REQUESTS);
        let first = match first {
            First::Open(open) => ask::Request::Open(open),
            First::Resume(resume) => ask::Request::Resume(resume),
        };
        // Nobody has closed the other end yet.
        let _ = requests.send(wrap(first)).await;
        let mut locks = client.latchd();
        let streaming = locks.session(ReceiverStream::new(receiver));
        let mut stream = Stream {
            requests,
            responses: streaming.await.map_err(refused)?.into_inner(),
        };
        match stream.next().await? {
            Some(told::Response::Opened(opened)) => Ok((stream, opened)),
            _ => Err(Error::Malformed {
                missing: "answer to the session's first request",
            }),
        }
    }

    /// Sends a heartbeat. False if the stream is gone.
    pub(crate) fn beat(&self) -> bool {
        let beat = ask::Request::Heartbeat(ask::Heartbeat {});
        self.requests.try_send(wrap(beat)).is_ok()
    }

    /// What the server tells next; none when it has ended the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<told::Response>> {
        let response = self.responses.message().await?;
        Ok(response.and_then(|response| response.response))
    }
}

/// A server that was said to be a latchd need not be one.
fn refused(status: Status) -> Error {
    match status.code() {
        Code::Unimplemented => Error::NotLatchd,
        _ => status.into(),
    }
}

fn wrap(request: ask::Request) -> SessionRequest {
    SessionRequest {
        request: Some(request),
    }
}
