//! v3lockpb.Lock.

use latchd_proto::v3lockpb::{
    LockRequest, LockResponse, UnlockRequest, UnlockResponse, lock_server,
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::until_stopped;
use crate::service::lock::Locks;
use crate::types::LeaseId;

/// The RPCs of Lock.
pub struct LockRpc {
    /// The service.
    pub locks: Locks,
    /// Sends waiters away when the server drains.
    pub stopping: CancellationToken,
}

#[tonic::async_trait]
impl lock_server::Lock for LockRpc {
    async fn lock(&self, req: Request<LockRequest>) -> Result<Response<LockResponse>, Status> {
        let LockRequest { name, lease } = req.into_inner();
        let locked = self.locks.lock(name, LeaseId(lease));
        Ok(Response::new(until_stopped(&self.stopping, locked).await?))
    }

    async fn unlock(
        &self,
        req: Request<UnlockRequest>,
    ) -> Result<Response<UnlockResponse>, Status> {
        Ok(Response::new(
            self.locks.unlock(req.into_inner().key).await?,
        ))
    }
}
