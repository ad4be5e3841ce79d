//! A lease with a heartbeat, and everything that hangs on it.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::LeaseTimeToLiveOptions;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, timeout};
use tonic::Code;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::heartbeat;
use crate::lease_stream::LeaseStream;
use crate::mutex::Mutex;
use crate::retry::Backoff;
use crate::turns::Turns;
use crate::types::{LeaseId, Loss};
use crate::vitals::Vitals;

/// A lease that is kept alive in the background, and the locks held on it; cheap to clone.
///
/// It ends with [`close`](Session::close), or when it is [`lost`](Session::lost). When the last
/// handle, mutex and guard of it are dropped, the lease is revoked in the background.
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    lease: LeaseId,
    ttl: Duration,
    vitals: Arc<Vitals>,
    turns: Turns,
    heart: AbortHandle,
    /// Dropping may happen on any thread, and what it leaves to do must run somewhere.
    runtime: Handle,
}

impl Session {
    /// Grants the lease in a task of its own: should the caller give up, the session that comes
    /// out of it is dropped there, and so revoked.
    pub(crate) async fn open(client: Client, ttl: Duration) -> Result<Session> {
        flatten(tokio::spawn(Session::grant(client, ttl)).await)
    }

    async fn grant(client: Client, ttl: Duration) -> Result<Session> {
        let give_up = Instant::now() + client.request_timeout();
        let mut backoff = Backoff::new();
        loop {
            let sent = Instant::now();
            match client
                .lease()
                .grant(whole_seconds(ttl), None)
                .await
                .map_err(Error::from)
            {
                Ok(granted) => {
                    let ttl = Duration::from_secs(granted.ttl().unsigned_abs());
                    return Ok(Session::start(client, LeaseId(granted.id()), ttl, sent));
                }
                Err(error) if error.is_unreachable() && Instant::now() < give_up => {
                    backoff.pause().await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn start(client: Client, lease: LeaseId, ttl: Duration, sent: Instant) -> Session {
        let vitals = Arc::new(Vitals::new(sent + ttl));
        let pulse = LeaseStream::new(client.lease(), lease, ttl);
        let beating = vitals.clone();
        let heart = tokio::spawn(async move {
            let loss = heartbeat::keep_alive(pulse, &beating, ttl).await;
            tracing::debug!(%lease, ?loss, "the session is lost");
            beating.lose(loss);
        });
        let heart = heart.abort_handle();
        let (turns, runtime) = (Turns::default(), Handle::current());
        let shared = Shared {
            client,
            lease,
            ttl,
            vitals,
            turns,
            heart,
            runtime,
        };
        Session {
            shared: Arc::new(shared),
        }
    }

    /// A lock by name, to be taken on this session. Nothing is sent yet.
    #[must_use]
    pub fn mutex(&self, name: impl Into<String>) -> Mutex {
        Mutex::new(self.clone(), name.into())
    }

    /// The lease under the session.
    #[must_use]
    pub fn lease(&self) -> LeaseId {
        self.shared.lease
    }

    /// The TTL that the server granted.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        self.shared.ttl
    }

    /// Whether the session is over. It looks at the clock, so the answer is right also in a
    /// process that was stopped past the deadline and has just woken up.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.loss().is_some()
    }

    /// Resolves when the session is over: the server said so, the lease could not be renewed
    /// before its deadline (counted from when the last answered heartbeat was sent), or it was
    /// closed. A revoked lease shows at the next heartbeat, within a third of the TTL.
    pub async fn lost(&self) -> Loss {
        self.shared.vitals.lost().await
    }

    /// As [`lost`](Session::lost), but also `notice` before the deadline if no heartbeat has been
    /// answered by then: time to stop what needs the session, in order.
    ///
    /// A healthy session is renewed when two thirds of its TTL are left, so `notice` must be well
    /// below that; half the TTL is a good most.
    pub async fn lost_with_notice(&self, notice: Duration) -> Loss {
        self.shared.vitals.lost_with_notice(notice).await
    }

    /// Ends the session and revokes its lease, which frees every lock held on it. A lease that is
    /// gone already is no error.
    ///
    /// Once called, the revoke goes on even if the future is dropped.
    ///
    /// # Errors
    /// [`NoAnswer`](crate::Error::NoAnswer) if no server answers within the request timeout: the
    /// lease then ends with its TTL.
    pub async fn close(self) -> Result<()> {
        self.shared.heart.abort();
        // First, so that nobody relies on a lock that somebody else may have already.
        self.shared.vitals.lose(Loss::Closed);
        let (client, lease) = (self.shared.client.clone(), self.shared.lease);
        let revoking = self.spawn(async move { revoke(&client, lease).await });
        flatten(revoking.await)
    }

    pub(crate) fn loss(&self) -> Option<Loss> {
        self.shared.vitals.loss()
    }

    /// A key of the lease is gone: asks whether the lease is, rather than leave it to the next
    /// heartbeat to find out.
    pub(crate) async fn check_lease(&self) {
        // With its keys, so that the answer is no older than the look at the key.
        let options = LeaseTimeToLiveOptions::new().with_keys();
        let mut leases = self.client().lease();
        let answer = leases.time_to_live(self.lease().0, Some(options)).await;
        // etcd's word for a lease that it does not know; 0 is one with less than a second left.
        if answer.is_ok_and(|answer| answer.ttl() < 0) {
            self.shared.vitals.lose(Loss::Expired);
        }
    }

    pub(crate) fn lost_error(&self, loss: Loss) -> Error {
        Error::SessionLost {
            lease: self.lease(),
            loss,
        }
    }

    /// Does `work`, unless the session is lost before it is done.
    pub(crate) async fn unless_lost<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let done = tokio::select! {
            biased;
            loss = self.lost() => Err(self.lost_error(loss)),
            done = work => done,
        };
        match self.loss() {
            Some(loss) => Err(self.lost_error(loss)),
            None => done,
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.shared.client
    }

    pub(crate) fn turns(&self) -> &Turns {
        &self.shared.turns
    }

    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.shared.runtime.spawn(work)
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("lease", &self.shared.lease)
            .field("ttl", &self.shared.ttl)
            .field("loss", &self.loss())
            .finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.heart.abort();
        if matches!(self.vitals.loss(), Some(Loss::Closed | Loss::Expired)) {
            return;
        }
        self.vitals.lose(Loss::Closed);
        let (client, lease) = (self.client.clone(), self.lease);
        self.runtime.spawn(async move {
            if let Err(error) = revoke(&client, lease).await {
                tracing::debug!(%lease, %error, "not revoked; it ends with its TTL");
            }
        });
    }
}

/// Revokes the lease, trying again for as long as a request may take.
async fn revoke(client: &Client, lease: LeaseId) -> Result<()> {
    let after = client.request_timeout();
    let trying = async {
        let mut backoff = Backoff::new();
        loop {
            match client.lease().revoke(lease.0).await {
                Ok(_) => return Ok(()),
                Err(error) if is_not_found(&error) => return Ok(()),
                Err(error) => match Error::from(error) {
                    error if error.is_unreachable() => backoff.pause().await,
                    error => return Err(error),
                },
            }
        }
    };
    timeout(after, trying)
        .await
        .unwrap_or(Err(Error::NoAnswer { after }))
}

fn is_not_found(error: &etcd_client::Error) -> bool {
    matches!(error, etcd_client::Error::GRpcStatus(status) if status.code() == Code::NotFound)
}

/// etcd counts TTLs in seconds.
fn whole_seconds(ttl: Duration) -> i64 {
    let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
    i64::try_from(seconds.max(1)).unwrap_or(i64::MAX)
}

/// What a task answered; one that was cancelled fell with its runtime.
pub(crate) fn flatten<T>(
    joined: std::result::Result<Result<T>, tokio::task::JoinError>,
) -> Result<T> {
    match joined {
        Ok(answer) => answer,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::ShuttingDown),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ttls_are_rounded_up() {
        let cases = [(0, 1), (1, 1), (1000, 1), (1001, 2), (9999, 10)];
        for (millis, seconds) in cases {
            assert_eq!(
                whole_seconds(Duration::from_millis(millis)),
                seconds,
                "{millis} ms"
            );
        }
    }
}
