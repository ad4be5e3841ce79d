//! gRPC: one thin file a service. Decode, call the service, encode; nothing is decided here.

mod auth;
mod cluster;
mod counted;
pub mod deadline;
mod election;
mod health;
mod kv;
mod lease;
mod lock;
mod locks;
mod maintenance;
mod router;
mod standard;
mod watch;

pub use router::{GrpcRouter, Services};

use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::error::Error;

/// Ends `work` with `server stopped` when the server drains: dropping it lets its guards clean up.
async fn until_stopped<T, E: From<Error>>(
    stopping: &CancellationToken,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::select! {
        outcome = work => outcome,
        () = stopping.cancelled() => Err(Error::Stopped.into()),
    }
}

/// The answer to an RPC that a later version will serve.
fn unimplemented<T>(what: &'static str) -> Result<T, Status> {
    Err(Error::Unimplemented(what).into())
}
