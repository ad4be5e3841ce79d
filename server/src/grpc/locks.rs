//! latchd.v1.Locks.

use futures::stream::BoxStream;
use latchd_proto::latchd::v1::{self as pb, locks_server};
use tonic::{Request, Response, Status, Streaming};

use super::unimplemented;

/// The RPCs of Locks.
pub struct LocksRpc;

#[tonic::async_trait]
impl locks_server::Locks for LocksRpc {
    type WatchStream = BoxStream<'static, Result<pb::WatchResponse, Status>>;
    type SessionStream = BoxStream<'static, Result<pb::SessionResponse, Status>>;

    async fn acquire(
        &self,
        _: Request<pb::AcquireRequest>,
    ) -> Result<Response<pb::AcquireResponse>, Status> {
        unimplemented("Locks.Acquire")
    }

    async fn release(
        &self,
        _: Request<pb::ReleaseRequest>,
    ) -> Result<Response<pb::ReleaseResponse>, Status> {
        unimplemented("Locks.Release")
    }

    async fn extend(
        &self,
        _: Request<pb::ExtendRequest>,
    ) -> Result<Response<pb::ExtendResponse>, Status> {
        unimplemented("Locks.Extend")
    }

    async fn verify(
        &self,
        _: Request<pb::VerifyRequest>,
    ) -> Result<Response<pb::VerifyResponse>, Status> {
        unimplemented("Locks.Verify")
    }

    async fn list(
        &self,
        _: Request<pb::ListRequest>,
    ) -> Result<Response<pb::ListResponse>, Status> {
        unimplemented("Locks.List")
    }

    async fn watch(
        &self,
        _: Request<pb::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        unimplemented("Locks.Watch")
    }

    async fn force_release(
        &self,
        _: Request<pb::ForceReleaseRequest>,
    ) -> Result<Response<pb::ForceReleaseResponse>, Status> {
        unimplemented("Locks.ForceRelease")
    }

    async fn history(
        &self,
        _: Request<pb::HistoryRequest>,
    ) -> Result<Response<pb::HistoryResponse>, Status> {
        unimplemented("Locks.History")
    }

    async fn session(
        &self,
        _: Request<Streaming<pb::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        unimplemented("Locks.Session")
    }
}
