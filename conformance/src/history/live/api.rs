//! One connection to a server, and the plain requests of a history on it.

use anyhow::Result;
use futures::{StreamExt, stream};
use latchd_proto::{
    etcdserverpb::{
        LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest,
        WatchRequest, WatchResponse, kv_client::KvClient, lease_client::LeaseClient,
        watch_client::WatchClient,
    },
    v3lockpb::{LockRequest, UnlockRequest, lock_client::LockClient},
};
use tokio::sync::mpsc;
use tonic::{
    Code, Status, Streaming,
    transport::{Channel, Endpoint},
};

use super::wire;
use crate::history::request::{Request, Response, Revision};

/// A connection. It is made when it is first used, and again after it broke.
#[derive(Clone)]
pub struct Api {
    kv: KvClient<Channel>,
    lease: LeaseClient<Channel>,
    lock: LockClient<Channel>,
    watch: WatchClient<Channel>,
}

/// A watch stream: what is told on it, and where to ask.
pub struct WatchStream {
    /// What the server tells.
    pub told: Streaming<WatchResponse>,
    /// Requests to the server; the stream ends with it.
    pub ask: mpsc::UnboundedSender<WatchRequest>,
}

impl Api {
    /// For the server at `url`.
    ///
    /// # Errors
    /// When that is no URL.
    pub fn new(url: &str) -> Result<Self> {
        let channel = Endpoint::from_shared(url.to_owned())?.connect_lazy();
        Ok(Self {
            kv: KvClient::new(channel.clone()),
            lease: LeaseClient::new(channel.clone()),
            lock: LockClient::new(channel.clone()),
            watch: WatchClient::new(channel),
        })
    }

    /// Sends a request; returns the header's revision and the rest of the answer.
    ///
    /// # Errors
    /// With the status if it is not answered.
    pub async fn call(&mut self, request: &Request) -> Result<(Revision, Response), Status> {
        let revision = wire::revision;
        Ok(match request {
            Request::Range(look) => {
                let answer = self.kv.range(wire::range(look)).await?.into_inner();
                (revision(answer.header.as_ref()), wire::ranged(answer))
            }
            Request::Put {
                key,
                value,
                lease,
                prev,
            } => {
                let put = wire::put(key, value, *lease, *prev);
                let answer = self.kv.put(put).await?.into_inner();
                (revision(answer.header.as_ref()), wire::did_put(answer))
            }
            Request::Delete { span, prev } => {
                let delete = wire::delete(span, *prev);
                let answer = self.kv.delete_range(delete).await?.into_inner();
                (revision(answer.header.as_ref()), wire::did_delete(answer))
            }
            Request::Txn {
                compares,
                then,
                or_else,
            } => {
                let txn = wire::txn(compares, then, or_else);
                let answer = self.kv.txn(txn).await?.into_inner();
                (revision(answer.header.as_ref()), wire::did_txn(answer))
            }
            _ => return self.call_other(request).await,
        })
    }

    /// Leases and locks.
    async fn call_other(&mut self, request: &Request) -> Result<(Revision, Response), Status> {
        let revision = wire::revision;
        Ok(match request {
            Request::Grant { id, ttl } => {
                let grant = LeaseGrantRequest { id: *id, ttl: *ttl };
                let answer = self.lease.lease_grant(grant).await?.into_inner();
                let (id, ttl) = (answer.id, answer.ttl);
                (
                    revision(answer.header.as_ref()),
                    Response::Granted { id, ttl },
                )
            }
            Request::Revoke { id } => {
                let revoke = LeaseRevokeRequest { id: *id };
                let answer = self.lease.lease_revoke(revoke).await?.into_inner();
                (revision(answer.header.as_ref()), Response::Revoked)
            }
            Request::KeepAlive { id } => self.keep_alive(*id).await?,
            Request::TimeToLive { id } => {
                let ask = LeaseTimeToLiveRequest {
                    id: *id,
                    ..LeaseTimeToLiveRequest::default()
                };
                let answer = self.lease.lease_time_to_live(ask).await?.into_inner();
                (
                    revision(answer.header.as_ref()),
                    Response::Left { ttl: answer.ttl },
                )
            }
            Request::Lock { name, lease } => {
                let lock = LockRequest {
                    name: name.clone().into(),
                    lease: *lease,
                };
                let answer = self.lock.lock(lock).await?.into_inner();
                let key = wire::text(&answer.key);
                (revision(answer.header.as_ref()), Response::Locked { key })
            }
            Request::Unlock { key } => {
                let unlock = UnlockRequest {
                    key: key.clone().into(),
                };
                let answer = self.lock.unlock(unlock).await?.into_inner();
                (revision(answer.header.as_ref()), Response::Unlocked)
            }
            _ => {
                return Err(Status::new(
                    Code::Unimplemented,
                    "not a request of this kind",
                ));
            }
        })
    }

    async fn keep_alive(&mut self, id: i64) -> Result<(Revision, Response), Status> {
        let once = stream::iter([LeaseKeepAliveRequest { id }]);
        let mut answers = self.lease.lease_keep_alive(once).await?.into_inner();
        let answer = answers.message().await?;
        let answer = answer.ok_or_else(|| Status::unavailable("the stream ended"))?;
        let kept = Response::KeptAlive { ttl: answer.ttl };
        Ok((wire::revision(answer.header.as_ref()), kept))
    }

    /// Opens a watch stream with this first request.
    ///
    /// # Errors
    /// With the status if the server does not take it.
    pub async fn watch(&mut self, first: WatchRequest) -> Result<WatchStream, Status> {
        let (ask, mut asked) = mpsc::unbounded_channel();
        let later = stream::poll_fn(move |context| asked.poll_recv(context));
        let requests = stream::iter([first]).chain(later);
        let told = self.watch.watch(requests).await?.into_inner();
        Ok(WatchStream { told, ask })
    }
}

/// Whether after this error nobody knows if the request took effect: everything
/// but what a server says when it refuses.
#[must_use]
pub fn leaves_unknown(status: &Status) -> bool {
    !matches!(
        status.code(),
        Code::InvalidArgument
            | Code::NotFound
            | Code::OutOfRange
            | Code::FailedPrecondition
            | Code::ResourceExhausted
    )
}
