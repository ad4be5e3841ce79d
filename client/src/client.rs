//! The connection that sessions share.

use std::time::Duration;

use etcd_client::{KvClient, LeaseClient, WatchClient};

use crate::error::Result;
use crate::options::Options;
use crate::session::Session;

/// A connection to a server or a cluster; cheap to clone.
#[derive(Clone)]
pub struct Client {
    etcd: etcd_client::Client,
    request_timeout: Duration,
}

impl Client {
    /// A client of the servers at `endpoints`, each `http://HOST:PORT` or `HOST:PORT`; several for
    /// one cluster, and requests go to those that answer.
    ///
    /// Connections are made when they are needed, so a server that is not there shows in the first
    /// request, unless a user is given: then this authenticates.
    ///
    /// # Errors
    /// [`Refused`](crate::Error::Refused) for endpoints that are no addresses, for none at all, and
    /// for a wrong password.
    pub async fn connect<E: AsRef<str>>(
        endpoints: impl AsRef<[E]>,
        options: Options,
    ) -> Result<Client> {
        let etcd = etcd_client::Client::connect(endpoints, Some(options.to_etcd())).await?;
        Ok(Client {
            etcd,
            request_timeout: options.request_timeout(),
        })
    }

    /// Opens a session: a lease that is kept alive in the background.
    ///
    /// `ttl` is how long the session's locks outlive this process if it dies or cannot be reached.
    /// It is rounded up to whole seconds, at least one; a server may give more
    /// ([`Session::ttl`]), etcd at least 2 s.
    ///
    /// # Errors
    /// [`Unreachable`](crate::Error::Unreachable) if no server answers within the request timeout.
    pub async fn session(&self, ttl: Duration) -> Result<Session> {
        Session::open(self.clone(), ttl).await
    }

    pub(crate) fn kv(&self) -> KvClient {
        self.etcd.kv_client()
    }

    pub(crate) fn lease(&self) -> LeaseClient {
        self.etcd.lease_client()
    }

    pub(crate) fn watch(&self) -> WatchClient {
        self.etcd.watch_client()
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        self.request_timeout
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
