//! etcdserverpb.Lease.

use futures::StreamExt;
use futures::stream::BoxStream;
use latchd_proto::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseLeasesRequest, LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse,
    LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, lease_server,
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::router::in_go_on_a_stream;
use super::until_stopped;
use crate::backend::Backend;
use crate::error::Result as LatchdResult;
use crate::types::LeaseId;

/// The RPCs of Lease.
pub struct LeaseRpc {
    /// Where the leases are.
    pub backend: Backend,
    /// Ends keepalive streams when the server drains.
    pub stopping: CancellationToken,
}

#[tonic::async_trait]
impl lease_server::Lease for LeaseRpc {
    type LeaseKeepAliveStream = BoxStream<'static, Result<LeaseKeepAliveResponse, Status>>;

    async fn lease_grant(
        &self,
        req: Request<LeaseGrantRequest>,
    ) -> Result<Response<LeaseGrantResponse>, Status> {
        Ok(Response::new(
            self.backend.lease_grant(req.into_inner()).await?,
        ))
    }

    async fn lease_revoke(
        &self,
        req: Request<LeaseRevokeRequest>,
    ) -> Result<Response<LeaseRevokeResponse>, Status> {
        let id = LeaseId(req.get_ref().id);
        Ok(Response::new(self.backend.lease_revoke(id).await?))
    }

    /// One response for each request, in order; the client's half-close ends the stream with OK.
    async fn lease_keep_alive(
        &self,
        req: Request<Streaming<LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        let start = (
            req.into_inner(),
            self.backend.clone(),
            self.stopping.clone(),
        );
        let answers =
            futures::stream::try_unfold(start, |(mut requests, backend, stopping)| async {
                let answer = match until_stopped(&stopping, next_of(&mut requests)).await?? {
                    Some(request) => {
                        let answered = backend.keep_alive(LeaseId(request.id));
                        until_stopped(&stopping, answered).await?
                    }
                    None => return Ok(None),
                };
                Ok(Some((answer, (requests, backend, stopping))))
            });
        Ok(Response::new(answers.boxed()))
    }

    async fn lease_time_to_live(
        &self,
        req: Request<LeaseTimeToLiveRequest>,
    ) -> Result<Response<LeaseTimeToLiveResponse>, Status> {
        Ok(Response::new(
            self.backend.time_to_live(req.get_ref()).await?,
        ))
    }

    async fn lease_leases(
        &self,
        _: Request<LeaseLeasesRequest>,
    ) -> Result<Response<LeaseLeasesResponse>, Status> {
        Ok(Response::new(self.backend.leases().await?))
    }
}

/// The next request; the outer result is [`until_stopped`]'s.
async fn next_of<T>(requests: &mut Streaming<T>) -> LatchdResult<Result<Option<T>, Status>> {
    Ok(requests.message().await.map_err(in_go_on_a_stream))
}
