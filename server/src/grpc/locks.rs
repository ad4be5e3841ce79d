//! latchd.v1.Locks.

use futures::StreamExt;
use futures::stream::BoxStream;
use latchd_proto::latchd::v1::{self as pb, locks_server};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::router::in_go_on_a_stream;
use super::until_stopped;
use crate::error::Error;
use crate::service::locks::refusal::Result as LockResult;
use crate::service::locks::{Keeper, SessionStream};

/// The RPCs of Locks.
pub struct LocksRpc {
    /// The service.
    pub keeper: Keeper,
    /// Sends waiters away, and ends streams, when the server drains.
    pub stopping: CancellationToken,
}

impl LocksRpc {
    async fn until_stopped<T>(
        &self,
        work: impl Future<Output = LockResult<T>>,
    ) -> Result<Response<T>, Status> {
        Ok(Response::new(until_stopped(&self.stopping, work).await?))
    }
}

#[tonic::async_trait]
impl locks_server::Locks for LocksRpc {
    type WatchStream = BoxStream<'static, Result<pb::WatchResponse, Status>>;
    type SessionStream = BoxStream<'static, Result<pb::SessionResponse, Status>>;

    async fn acquire(
        &self,
        req: Request<pb::AcquireRequest>,
    ) -> Result<Response<pb::AcquireResponse>, Status> {
        self.until_stopped(self.keeper.acquire(req.into_inner()))
            .await
    }

    async fn release(
        &self,
        req: Request<pb::ReleaseRequest>,
    ) -> Result<Response<pb::ReleaseResponse>, Status> {
        self.until_stopped(self.keeper.release(req.into_inner()))
            .await
    }

    async fn extend(
        &self,
        req: Request<pb::ExtendRequest>,
    ) -> Result<Response<pb::ExtendResponse>, Status> {
        self.until_stopped(self.keeper.extend(req.into_inner()))
            .await
    }

    async fn verify(
        &self,
        req: Request<pb::VerifyRequest>,
    ) -> Result<Response<pb::VerifyResponse>, Status> {
        self.until_stopped(self.keeper.verify(req.into_inner()))
            .await
    }

    async fn list(
        &self,
        req: Request<pb::ListRequest>,
    ) -> Result<Response<pb::ListResponse>, Status> {
        self.until_stopped(self.keeper.list(req.into_inner())).await
    }

    async fn watch(
        &self,
        req: Request<pb::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let watch = self.keeper.watch(req.into_inner()).await?;
        let responses = futures::stream::unfold(Some(watch), |watch| async {
            let mut watch = watch?;
            match watch.next().await {
                Ok(response) => Some((Ok(response), Some(watch))),
                Err(refusal) => Some((Err(Status::from(refusal)), None)),
            }
        });
        Ok(Response::new(self.until_drained(responses)))
    }

    async fn force_release(
        &self,
        req: Request<pb::ForceReleaseRequest>,
    ) -> Result<Response<pb::ForceReleaseResponse>, Status> {
        self.until_stopped(self.keeper.force_release(req.into_inner()))
            .await
    }

    async fn history(
        &self,
        req: Request<pb::HistoryRequest>,
    ) -> Result<Response<pb::HistoryResponse>, Status> {
        self.until_stopped(self.keeper.history(req.into_inner()))
            .await
    }

    /// The response stream does all the work as it is polled, and ends the session when it is
    /// dropped.
    async fn session(
        &self,
        req: Request<Streaming<pb::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let requests = req.into_inner();
        let requests = requests.map(|request| request.map_err(in_go_on_a_stream));
        // A lost session is told by the book.
        self.keeper.ledger();
        let session = SessionStream::new(self.keeper.clone(), requests.boxed());
        let responses = futures::stream::try_unfold(session, |mut session| async {
            let response = session.next().await?;
            Ok(response.map(|response| (response, session)))
        });
        Ok(Response::new(self.until_drained(responses)))
    }
}

impl LocksRpc {
    /// Ends a stream with `server stopped` when the server drains.
    fn until_drained<T: Send + 'static>(
        &self,
        stream: impl futures::Stream<Item = Result<T, Status>> + Send + 'static,
    ) -> BoxStream<'static, Result<T, Status>> {
        let stopping = self.stopping.clone();
        let stopped = async move {
            stopping.cancelled().await;
            Err(Error::Stopped.into())
        };
        let stopped = futures::stream::once(stopped);
        // A stream that ends by itself ends the whole, and so does the first error.
        let ended = stream.map(Some).chain(futures::stream::iter([None]));
        futures::stream::select(ended, stopped.map(Some))
            .take_while(|item| std::future::ready(item.is_some()))
            .filter_map(std::future::ready)
            .boxed()
    }
}
