//! etcdserverpb.Watch.

use futures::StreamExt;
use futures::stream::BoxStream;
use latchd_proto::etcdserverpb::{WatchRequest, WatchResponse, watch_server};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::until_stopped;
use crate::backend::Backend;
use crate::service::watch::{WatchOptions, WatchSession};

/// The RPC of Watch.
pub struct WatchRpc {
    /// Where the keys are.
    pub backend: Backend,
    /// How streams behave.
    pub options: WatchOptions,
    /// Ends streams when the server drains.
    pub stopping: CancellationToken,
}

#[tonic::async_trait]
impl watch_server::Watch for WatchRpc {
    type WatchStream = BoxStream<'static, Result<WatchResponse, Status>>;

    /// The response stream does all the work as it is polled: no task, and no queue, of its own.
    async fn watch(
        &self,
        req: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let session = WatchSession::new(self.backend.clone(), self.options, req.into_inner());
        let start = Some((session, self.stopping.clone()));
        let responses = futures::stream::unfold(start, |state| async {
            let (mut session, stopping) = state?;
            match until_stopped(&stopping, session.next()).await {
                Ok(response) => Some((Ok(response), Some((session, stopping)))),
                Err(error) => Some((Err(Status::from(error)), None)),
            }
        });
        Ok(Response::new(responses.boxed()))
    }
}
