//! One server under one case: what the case sends goes through here, and what the
//! server answers is written down.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use latchd_proto::etcdserverpb::{
    LeaseKeepAliveRequest, LeaseKeepAliveResponse, RangeRequest, RangeStreamResponse, WatchRequest,
    WatchResponse,
};
use latchd_proto::v3electionpb::{LeaderRequest, LeaderResponse};
use prost::Message;
use serde_json::{Value, json};
use tonic::{Request, Status, client::Grpc, transport::Channel};

use super::{
    frames::Frames,
    pending::Pending,
    rpc::{Payload, Unary, short},
    stream::Stream,
    transcript::{self, Step, Transcript},
};

/// How long an answer may take. None takes longer for a reason: a call that waits
/// is started with [`Session::start`], and its case ends the wait.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A case's way to one server, and its notes.
pub struct Session {
    channel: Channel,
    url: String,
    first: i64,
    steps: Transcript,
    failure: Option<String>,
}

/// What a call answered, already written down.
pub struct Answer<T>(Result<T, Status>);

impl<T> Answer<T> {
    /// The response, for a case that builds upon it.
    ///
    /// # Errors
    /// When it was an error; the case cannot go on.
    pub fn ok(self) -> Result<T> {
        self.0.map_err(|status| anyhow!("it answered {status}"))
    }

    /// The error, if it was one.
    #[must_use]
    pub fn error(self) -> Option<Status> {
        self.0.err()
    }
}

impl Session {
    /// On the server behind `channel`, whose revision is `first`.
    #[must_use]
    pub fn new(channel: Channel, url: &str, first: i64) -> Self {
        Self {
            channel,
            url: url.to_owned(),
            first,
            steps: Vec::new(),
            failure: None,
        }
    }

    /// Sends a request and writes down what comes back.
    pub async fn call<R: Unary>(&mut self, request: R) -> Answer<R::Response> {
        let frame = request.encode_to_vec().into();
        let answer = patiently(unary(self.channel.clone(), R::PATH, frame)).await;
        self.answered(short(R::PATH), &request, answer)
    }

    /// Sends messages as they are, on a path as it is: whatever no type can say.
    /// Writes down the messages that come back, and the end.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn raw<A: Payload>(&mut self, path: &'static str, messages: &[&[u8]]) -> Result<()> {
        let mut stream = Stream::<A, A>::open(self.channel.clone(), "raw", path);
        for message in messages {
            let shown = json!(message.escape_ascii().to_string());
            self.note("raw bytes are sent", shown, Value::Null);
            stream.send_raw(Bytes::copy_from_slice(message));
        }
        stream.half_close();
        while self.next(&mut stream).await?.is_some() {}
        Ok(())
    }

    /// Starts a call that may wait; [`Session::finish`] writes down what it answers.
    /// Dropping the [`Pending`] cancels it.
    pub fn start<R: Unary>(&mut self, name: &str, request: R) -> Pending<R> {
        let frame = request.encode_to_vec().into();
        Pending::new(name, request, unary(self.channel.clone(), R::PATH, frame))
    }

    /// Waits for the answer of a call that was started.
    pub async fn finish<R: Unary>(&mut self, pending: Pending<R>) -> Answer<R::Response> {
        let what = format!("{} ({})", short(R::PATH), pending.name);
        let Pending {
            request, answer, ..
        } = pending;
        let answer = patiently(answer).await;
        self.answered(&what, &request, answer)
    }

    /// Opens a stream of any kind. Nothing is sent before its first message.
    pub fn stream<Q: Payload, A: Payload>(
        &mut self,
        name: &str,
        path: &'static str,
    ) -> Stream<Q, A> {
        Stream::open(self.channel.clone(), name, path)
    }

    /// Opens a watch stream.
    pub fn watch(&mut self, name: &str) -> Stream<WatchRequest, WatchResponse> {
        self.stream(name, "/etcdserverpb.Watch/Watch")
    }

    /// Opens a stream of keepalives.
    pub fn keep_alive(
        &mut self,
        name: &str,
    ) -> Stream<LeaseKeepAliveRequest, LeaseKeepAliveResponse> {
        self.stream(name, "/etcdserverpb.Lease/LeaseKeepAlive")
    }

    /// Opens Election's Observe.
    pub fn observe(
        &mut self,
        name: &str,
        request: LeaderRequest,
    ) -> Stream<LeaderRequest, LeaderResponse> {
        let mut stream = self.stream(name, "/v3electionpb.Election/Observe");
        self.send(&mut stream, request);
        stream.half_close();
        stream
    }

    /// A Range as a stream; writes down all of it.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn range_stream(&mut self, request: RangeRequest) -> Result<()> {
        let mut stream: Stream<RangeRequest, RangeStreamResponse> =
            self.stream("rows", "/etcdserverpb.KV/RangeStream");
        self.send(&mut stream, request);
        stream.half_close();
        while self.next(&mut stream).await?.is_some() {}
        Ok(())
    }

    /// Sends one message on a stream.
    pub fn send<Q: Payload, A: Payload>(&mut self, stream: &mut Stream<Q, A>, message: Q) {
        let what = format!("{} ({}) is sent", short(stream.path), stream.name);
        self.note(&what, json_of(&message), Value::Null);
        stream.send_raw(message.encode_to_vec().into());
    }

    /// Writes down the next message of a stream, or its end, which returns none.
    ///
    /// # Errors
    /// When nothing comes.
    pub async fn next<Q: Payload, A: Payload>(
        &mut self,
        stream: &mut Stream<Q, A>,
    ) -> Result<Option<A>> {
        let what = format!("{} ({})", short(stream.path), stream.name);
        let came = tokio::time::timeout(PATIENCE, stream.next_raw()).await;
        let Ok(came) = came else {
            self.note(&what, Value::Null, json!("nothing came"));
            return Err(anyhow!("nothing came on {what}"));
        };
        match came {
            Ok(Some(frame)) => {
                let (message, shown) = decoded::<A>(&frame);
                self.note(&what, Value::Null, shown);
                Ok(Some(message.context("it cannot be decoded")?))
            }
            Ok(None) => {
                let end = self.end(&Ok(()));
                self.note(&what, Value::Null, json!({ "end": end }));
                Ok(None)
            }
            Err(status) => {
                let end = self.end(&Err(status));
                self.note(&what, Value::Null, json!({ "end": end }));
                Ok(None)
            }
        }
    }

    /// The next `count` messages of a stream.
    ///
    /// # Errors
    /// When fewer come.
    pub async fn take<Q: Payload, A: Payload>(
        &mut self,
        stream: &mut Stream<Q, A>,
        count: usize,
    ) -> Result<Vec<A>> {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(self.next(stream).await?.context("the stream ended")?);
        }
        Ok(all)
    }

    /// Writes down anything else that a case has seen.
    pub fn note(&mut self, what: &str, request: Value, outcome: Value) {
        self.steps.push(Step {
            what: what.to_owned(),
            request,
            outcome,
        });
    }

    /// Sends a request that belongs to the scene, and is not written down.
    ///
    /// # Errors
    /// When the answer is an error.
    pub async fn quietly<R: Unary>(&mut self, request: R) -> Result<R::Response> {
        let frame = request.encode_to_vec().into();
        let answer = patiently(unary(self.channel.clone(), R::PATH, frame)).await;
        let frame = answer.map_err(|status| anyhow!("{}: {status}", R::PATH))?;
        Ok(R::Response::decode(frame)?)
    }

    /// Repeats a quiet request until its answer is as wanted.
    ///
    /// # Errors
    /// When it does not become so.
    pub async fn until<R: Unary + Clone>(
        &mut self,
        what: &str,
        request: R,
        mut wanted: impl FnMut(&R::Response) -> bool,
    ) -> Result<()> {
        crate::wait::until(what, async || {
            Ok(wanted(&self.quietly(request.clone()).await?))
        })
        .await
    }

    /// The revision after `writes` more writes than the case began with.
    #[must_use]
    pub fn revision(&self, writes: i64) -> i64 {
        self.first + writes
    }

    /// The server's URL, for what does not go through gRPC.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The connection, for services that latchd-proto does not have.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// What was written down, and what went wrong underneath, if anything.
    #[must_use]
    pub fn into_steps(self) -> (Transcript, Option<String>) {
        (self.steps, self.failure)
    }

    fn answered<R: Unary>(
        &mut self,
        what: &str,
        request: &R,
        answer: Result<Bytes, Status>,
    ) -> Answer<R::Response> {
        let (answer, outcome) = match answer {
            Ok(frame) => {
                let (message, shown) = decoded::<R::Response>(&frame);
                (message, shown)
            }
            Err(status) => {
                let shown = self.end(&Err(status.clone()));
                (Err(status), shown)
            }
        };
        self.note(what, json_of(request), outcome);
        Answer(answer)
    }

    /// How a call ended, as an outcome. That there was no server to answer is no
    /// answer, even when both servers agree on it.
    fn end(&mut self, end: &Result<(), Status>) -> Value {
        match end {
            Ok(()) => json!("OK"),
            Err(status) => {
                if is_ours(status) {
                    self.failure.get_or_insert(status.to_string());
                }
                transcript::status(status)
            }
        }
    }
}

/// True for a status that was made on this side, for want of a server's.
fn is_ours(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<tonic::transport::Error>() || error.is::<tokio::time::error::Elapsed>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// The answer, or a status of our own when it does not come.
async fn patiently<T>(answer: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => answer,
        Err(elapsed) => Err(Status::from_error(Box::new(elapsed))),
    }
}

async fn unary(channel: Channel, path: &'static str, frame: Bytes) -> Result<Bytes, Status> {
    let mut grpc = Grpc::new(channel).max_decoding_message_size(usize::MAX);
    grpc.ready()
        .await
        .map_err(|error| Status::from_error(error.into()))?;
    let path = tonic::codegen::http::uri::PathAndQuery::from_static(path);
    let answer = grpc.unary(Request::new(frame), path, Frames).await?;
    Ok(answer.into_inner())
}

/// A message, and how it is shown: as etcd's gateway would write it, with a note
/// when it says more than its type holds.
pub(super) fn decoded<T: Payload>(frame: &Bytes) -> (Result<T, Status>, Value) {
    match T::decode(frame.clone()) {
        Ok(message) => {
            let mut shown = json_of(&message);
            let more = frame.len().abs_diff(message.encoded_len());
            if more > 0 && shown.is_object() {
                shown["bytes beyond its type"] = json!(more);
            }
            (Ok(message), shown)
        }
        Err(error) => {
            let shown = json!({ "undecodable": error.to_string() });
            (Err(Status::internal(error.to_string())), shown)
        }
    }
}

/// As etcd's gateway would write it. An enum's unknown number has no JSON.
pub(super) fn json_of(message: &impl Payload) -> Value {
    serde_json::to_value(message).unwrap_or_else(|_| json!(format!("{message:?}")))
}
