//! A lease with a heartbeat, and who uses it for which names. A session has one, or several on a
//! latchd: there, one lease contends for a name once at a time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::LeaseTimeToLiveOptions;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::timeout;
use tonic::Code;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::latchd::Bond;
use crate::retry::Backoff;
use crate::types::{LeaseId, Loss};
use crate::vitals::Vitals;

/// A lease that is kept alive. Dropping it revokes the lease in the background.
pub(crate) struct Lane {
    client: Client,
    lease: LeaseId,
    ttl: Duration,
    vitals: Arc<Vitals>,
    heart: AbortHandle,
    /// What a latchd knows it by; none on an etcd.
    bond: Option<Arc<Bond>>,
    /// The names that somebody contends for here.
    names: Mutex<HashSet<String>>,
    /// Dropping may happen on any thread, and what it leaves to do must run somewhere.
    runtime: Handle,
}

impl Lane {
    pub(crate) fn new(
        client: Client,
        lease: LeaseId,
        ttl: Duration,
        vitals: Arc<Vitals>,
        heart: AbortHandle,
        bond: Option<Arc<Bond>>,
    ) -> Lane {
        Lane {
            client,
            lease,
            ttl,
            vitals,
            heart,
            bond,
            names: Mutex::default(),
            runtime: Handle::current(),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn lease(&self) -> LeaseId {
        self.lease
    }

    pub(crate) fn ttl(&self) -> Duration {
        self.ttl
    }

    pub(crate) fn vitals(&self) -> &Vitals {
        &self.vitals
    }

    pub(crate) fn bond(&self) -> Option<&Arc<Bond>> {
        self.bond.as_ref()
    }

    pub(crate) fn loss(&self) -> Option<Loss> {
        self.vitals.loss()
    }

    pub(crate) fn lost_error(&self, loss: Loss) -> Error {
        Error::SessionLost {
            lease: self.lease,
            loss,
        }
    }

    /// The server says that there is no such lease.
    pub(crate) fn expired(&self) -> Error {
        self.vitals.lose(Loss::Expired);
        self.lost_error(self.loss().unwrap_or(Loss::Expired))
    }

    /// Does `work`, unless the lease is lost before it is done.
    pub(crate) async fn unless_lost<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let done = tokio::select! {
            biased;
            loss = self.vitals.lost() => Err(self.lost_error(loss)),
            done = work => done,
        };
        match self.loss() {
            Some(loss) => Err(self.lost_error(loss)),
            None => done,
        }
    }

    /// A key of the lease is gone: asks whether the lease is, rather than leave it to the next
    /// heartbeat to find out.
    pub(crate) async fn check(&self) {
        // With its keys, so that the answer is no older than the look at the key.
        let options = LeaseTimeToLiveOptions::new().with_keys();
        let mut leases = self.client.lease();
        let answer = leases.time_to_live(self.lease.0, Some(options)).await;
        // etcd's word for a lease that it does not know; 0 is one with less than a second left.
        if answer.is_ok_and(|answer| answer.ttl() < 0) {
            self.vitals.lose(Loss::Expired);
        }
    }

    /// Revokes the lease. It goes on if the future is dropped.
    pub(crate) async fn close(&self) -> Result<()> {
        self.stop();
        let (client, lease) = (self.client.clone(), self.lease);
        flatten(
            self.runtime
                .spawn(async move { revoke(&client, lease).await })
                .await,
        )
    }

    /// First, so that nobody relies on a lock that somebody else may have already.
    fn stop(&self) {
        self.heart.abort();
        self.vitals.lose(Loss::Closed);
    }

    /// Takes the names, if none of them is taken here.
    pub(crate) fn reserve(&self, wanted: &[String]) -> bool {
        let mut names = self.names.lock();
        if wanted.iter().any(|name| names.contains(name)) {
            return false;
        }
        names.extend(wanted.iter().cloned());
        true
    }

    fn give_back(&self, taken: &[String]) {
        self.names.lock().retain(|name| !taken.contains(name));
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.names.lock().is_empty()
    }

    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.runtime.spawn(work)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let known = self.vitals.loss();
        self.stop();
        if matches!(known, Some(Loss::Closed | Loss::Expired | Loss::Resumed)) {
            return;
        }
        let (client, lease) = (self.client.clone(), self.lease);
        self.runtime.spawn(async move {
            if let Err(error) = revoke(&client, lease).await {
                tracing::debug!(%lease, %error, "not revoked; it ends with its TTL");
            }
        });
    }
}

/// Names on a lane, for as long as a key may be there; cheap to clone, and given back with the last.
#[derive(Clone)]
pub(crate) struct Seat(Arc<Taken>);

struct Taken {
    lane: Arc<Lane>,
    names: Vec<String>,
    /// Whoever has to be told that the names are free.
    keeper: Keeper,
}

/// What keeps the session alive, and hears when a lane may be idle.
pub(crate) type Keeper = Arc<dyn Fn() + Send + Sync>;

impl Seat {
    pub(crate) fn new(lane: Arc<Lane>, names: Vec<String>, keeper: Keeper) -> Seat {
        Seat(Arc::new(Taken {
            lane,
            names,
            keeper,
        }))
    }

    pub(crate) fn lane(&self) -> &Arc<Lane> {
        &self.0.lane
    }

    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.lane().spawn(work)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.lane.give_back(&self.names);
        (self.keeper)();
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

/// What a release in the background answers, if it does so within the time for a request; it goes on in
/// any case. There may be nothing to release.
pub(crate) async fn released_within(
    after: Duration,
    releasing: Option<JoinHandle<Result<()>>>,
) -> Result<()> {
    match releasing {
        None => Ok(()),
        Some(releasing) => match timeout(after, releasing).await {
            Ok(released) => flatten(released),
            Err(_) => Err(Error::NoAnswer { after }),
        },
    }
}
