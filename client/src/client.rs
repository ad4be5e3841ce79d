//! The connection that sessions share.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{KvClient, LeaseClient, WatchClient};
use latchd_proto::latchd::v1::VerifyRequest;
use latchd_proto::latchd::v1::locks_client::LocksClient;
use tonic::Code;
use tonic::service::interceptor::InterceptedService;
use tracing::Instrument;

use crate::clock;
use crate::credentials::UserToken;
use crate::election::Election;
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::options::Options;
use crate::refusal;
use crate::retry::Backoff;
use crate::session::{Session, SessionOptions};
use crate::transport::{self, Transport};
use crate::types::ServerKind;

/// `latchd.v1` as it is, with the user's token: see [`Client::locks`].
pub type Locks = LocksClient<InterceptedService<Transport, UserToken>>;

/// A connection to a server or a cluster; cheap to clone.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    etcd: etcd_client::Client,
    locks: Locks,
    token: UserToken,
    server: ServerKind,
    request_timeout: Duration,
}

impl Client {
    /// A client of the servers at `endpoints`, each `http://HOST:PORT`, `https://HOST:PORT`,
    /// `HOST:PORT` or `unix:///PATH`; several for one cluster. Requests go to the first one that
    /// answers, and to the next one when that fails.
    ///
    /// It asks whether the server is a latchd or a plain etcd, unless
    /// [the options](Options::with_server) say so; locks exclude one another on both alike.
    ///
    /// # Errors
    /// [`Invalid`](Error::Invalid) for endpoints that are no addresses, for none at all, and for
    /// certificates that are none; [`Unreachable`](Error::Unreachable) if no server answers within
    /// the request timeout; [`Refused`](Error::Refused) for a wrong password.
    pub async fn connect<E: AsRef<str>>(
        endpoints: impl AsRef<[E]>,
        options: Options,
    ) -> Result<Client> {
        let transport = transport::to_servers(endpoints.as_ref(), &options)?;
        Client::over(transport, options)
            .instrument(tracing::debug_span!("connect"))
            .await
    }

    async fn over(transport: Transport, mut options: Options) -> Result<Client> {
        let after = options.request_timeout;
        let token = UserToken::new(transport.clone(), options.user.clone());
        if !patiently(after, || token.obtain()).await? {
            // There is none to have, and nobody asks for one.
            options.user = None;
        }
        let etcd = || async {
            let channel = transport::for_etcd(transport.clone());
            let options = Some(options.to_etcd());
            Ok(etcd_client::Client::from_channel(channel, options).await?)
        };
        let etcd = patiently(after, etcd).await?;
        let locks = LocksClient::with_interceptor(transport, token.clone());
        let server = match options.server {
            Some(kind) => kind,
            None => patiently(after, || find_out(locks.clone())).await?,
        };
        tracing::debug!(%server, "connected");
        let shared = Shared {
            etcd,
            locks,
            token,
            server,
            request_timeout: after,
        };
        Ok(Client {
            shared: Arc::new(shared),
        })
    }

    /// What kind of server it is.
    #[must_use]
    pub fn server(&self) -> ServerKind {
        self.shared.server
    }

    /// Whether it is a latchd.
    #[must_use]
    pub fn is_latchd(&self) -> bool {
        self.server() == ServerKind::Latchd
    }

    /// Opens a session: what holds locks, kept alive in the background.
    ///
    /// `ttl` is how long the session's locks outlive this process if it dies or cannot be reached: on
    /// a latchd from 100 ms, on an etcd in whole seconds (rounded up), and at least 2 of them. What was
    /// granted is [`Session::ttl`].
    ///
    /// # Errors
    /// [`Unreachable`](Error::Unreachable) if no server answers within the request timeout.
    pub async fn session(&self, ttl: Duration) -> Result<Session> {
        self.open_session(SessionOptions::new(ttl)).await
    }

    /// Opens a session that is bound to its connection, or outlives it for longer, or says whose it
    /// is.
    ///
    /// # Errors
    /// As [`session`](Client::session), and [`Invalid`](Error::Invalid) for a TTL that a latchd does
    /// not grant.
    pub async fn open_session(&self, options: SessionOptions) -> Result<Session> {
        let span = tracing::debug_span!("session", ttl = ?options.ttl);
        Session::open(self.clone(), options).instrument(span).await
    }

    /// An election by name. Nothing is sent yet.
    #[must_use]
    pub fn election(&self, name: impl Into<String>) -> Election {
        Election::new(self.clone(), name.into())
    }

    /// etcd's client on the same connections and for the same user, for everything else.
    #[must_use]
    pub fn etcd(&self) -> etcd_client::Client {
        self.shared.etcd.clone()
    }

    /// `latchd.v1` as it is; none on an etcd. Its messages are in [`proto`](crate::proto).
    #[must_use]
    pub fn locks(&self) -> Option<Locks> {
        self.is_latchd().then(|| self.latchd())
    }

    pub(crate) fn latchd(&self) -> Locks {
        self.shared.locks.clone()
    }

    /// Gets a new token for `latchd.v1`; whether there is one now.
    pub(crate) async fn renew_token(&self) -> bool {
        matches!(self.shared.token.obtain().await, Ok(true))
    }

    pub(crate) fn kv(&self) -> KvClient {
        self.shared.etcd.kv_client()
    }

    pub(crate) fn lease(&self) -> LeaseClient {
        self.shared.etcd.lease_client()
    }

    pub(crate) fn watch_client(&self) -> WatchClient {
        self.shared.etcd.watch_client()
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        self.shared.request_timeout
    }
}

/// Does it again while no server can be reached, for as long as a request may take.
pub(crate) async fn patiently<T, F>(after: Duration, work: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let give_up = clock::now() + after;
    let mut backoff = Backoff::new();
    loop {
        match work().await {
            Err(error) if error.is_unreachable() => {
                let pause = backoff.step();
                if clock::now() + pause >= give_up {
                    return Err(error);
                }
                tokio::time::sleep(pause).await;
            }
            answered => return answered,
        }
    }
}

/// Asks something that only a latchd understands, and that it refuses without looking at anything.
async fn find_out(mut locks: Locks) -> Result<ServerKind> {
    match locks.verify(VerifyRequest::default()).await {
        Ok(_) => Ok(ServerKind::Latchd),
        Err(status) if refusal::reason(&status).is_some() => Ok(ServerKind::Latchd),
        Err(status) if status.code() == Code::Unimplemented => Ok(ServerKind::Etcd),
        Err(status) => Err(status.into()),
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.server())
            .finish_non_exhaustive()
    }
}
