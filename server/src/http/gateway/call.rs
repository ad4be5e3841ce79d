//! A call from the gateway: through the same router as gRPC's, without a connection. So limits,
//! counters, log lines and statuses are the same at both doors.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use http::uri::PathAndQuery;
use http::{Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::{Status, Streaming};
use tower::Service;

use crate::clock::{self, Instant};
use crate::grpc::GrpcRouter;

/// What the gateway calls with; cheap to clone.
#[derive(Clone)]
pub struct Caller {
    router: GrpcRouter,
    /// The gateway counts as one connection: so many calls may be open at a time, others wait.
    slots: Option<Arc<Semaphore>>,
}

/// A call about to be made.
pub struct Call {
    /// The RPC's path.
    pub path: &'static str,
    /// What goes with it.
    pub metadata: MetadataMap,
    /// Encoded messages.
    pub requests: BoxStream<'static, Bytes>,
    /// When the client gives up.
    pub deadline: Option<Instant>,
}

/// The answers to a call, one encoded message each.
pub struct Answers {
    messages: Streaming<Bytes>,
    deadline: Option<Instant>,
    /// Held until the call is over.
    _slot: Option<OwnedSemaphorePermit>,
}

impl Caller {
    /// Calls `router`, with at most `most` calls open at a time.
    #[must_use]
    pub fn new(router: GrpcRouter, most: Option<u32>) -> Caller {
        let slots = most.map(|most| {
            let most = usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS);
            Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))
        });
        Caller { router, slots }
    }

    /// Makes a call. Dropping what this returns, or the answers, cancels it.
    pub async fn call(&self, call: Call) -> Result<Answers, Status> {
        let deadline = call.deadline;
        by(deadline, self.begin(call)).await
    }

    async fn begin(&self, call: Call) -> Result<Answers, Status> {
        let slot = self.slot().await;
        let mut client = Grpc::new(InProcess(self.router.clone()))
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        let mut request = tonic::Request::new(call.requests);
        *request.metadata_mut() = call.metadata;
        let path = PathAndQuery::from_static(call.path);
        let response = client.streaming(request, path, Raw).await?;
        Ok(Answers {
            messages: response.into_inner(),
            deadline: call.deadline,
            _slot: slot,
        })
    }

    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        let slots = self.slots.clone()?;
        // It is never closed.
        slots.acquire_owned().await.ok()
    }
}

impl Answers {
    /// The next answer; `None` when the call has ended well.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        by(self.deadline, self.messages.message()).await
    }
}

/// Ends `work` when the client gives up.
async fn by<T>(
    deadline: Option<Instant>,
    work: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    let Some(deadline) = deadline else {
        return work.await;
    };
    let late = || Status::deadline_exceeded("context deadline exceeded");
    if deadline <= clock::now() {
        return Err(late());
    }
    clock::timeout_at(deadline, work)
        .await
        .map_err(|_| late())?
}

/// The router as a service that tonic's client calls.
struct InProcess(GrpcRouter);

impl Service<Request<Body>> for InProcess {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.clone().answer(request).map(Ok).boxed()
    }
}

/// Messages that are encoded already, and stay so.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
