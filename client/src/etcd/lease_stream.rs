//! Heartbeats over etcd's LeaseKeepAlive stream.

use std::time::Duration;

use etcd_client::{Error, LeaseClient, LeaseKeepAliveStream, LeaseKeeper};

use super::heartbeat::{Beat, Pulse};
use crate::types::LeaseId;

/// One lease's heartbeats. The stream is opened when needed and dropped on any doubt; a new one
/// may go to another endpoint.
pub(crate) struct LeaseStream {
    client: LeaseClient,
    lease: LeaseId,
    /// What the grant said. The library keeps the TTL of a stream's first answer to itself.
    granted: Duration,
    stream: Option<(LeaseKeeper, LeaseKeepAliveStream)>,
}

impl LeaseStream {
    pub(crate) fn new(client: LeaseClient, lease: LeaseId, granted: Duration) -> Self {
        LeaseStream {
            client,
            lease,
            granted,
            stream: None,
        }
    }

    /// Opens a stream, which sends the first beat.
    async fn open(&mut self) -> Beat {
        match self.client.keep_alive(self.lease.0).await {
            Ok(stream) => {
                self.stream = Some(stream);
                Beat::Renewed(self.granted)
            }
            // The library's word for a first answer with a TTL of 0.
            Err(Error::LeaseKeepAliveError(_)) => Beat::Gone,
            Err(error) => {
                tracing::debug!(lease = %self.lease, %error, "a heartbeat failed");
                Beat::Failed
            }
        }
    }
}

impl Pulse for LeaseStream {
    async fn beat(&mut self) -> Beat {
        // Taken, so that a beat that is dropped half-way takes its late answer with it.
        let Some((mut keeper, mut answers)) = self.stream.take() else {
            return self.open().await;
        };
        match exchange(&mut keeper, &mut answers).await {
            Some(0) => Beat::Gone,
            Some(seconds) => {
                self.stream = Some((keeper, answers));
                Beat::Renewed(Duration::from_secs(seconds))
            }
            None => Beat::Failed,
        }
    }
}

/// The TTL that the server answers with, in seconds; 0 for a lease that it does not know.
async fn exchange(keeper: &mut LeaseKeeper, answers: &mut LeaseKeepAliveStream) -> Option<u64> {
    keeper.keep_alive().await.ok()?;
    let answer = answers.message().await.ok()??;
    Some(u64::try_from(answer.ttl()).unwrap_or(0))
}
