//! Where the keys are: in this process, or (later) in an etcd cluster behind it.
//!
//! The surface is etcd's own requests. Locks, elections and everything else that latchd adds are
//! written once, above it.

mod embedded;

pub use embedded::{Embedded, Limits, trim};

use std::sync::Arc;

use bytes::Bytes;
use std::time::Duration;

use latchd_proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmResponse, CompactionRequest, CompactionResponse,
    DeleteRangeRequest, DeleteRangeResponse, HashKvResponse, HashResponse, LeaseGrantRequest,
    LeaseGrantResponse, LeaseKeepAliveResponse, LeaseLeasesResponse, LeaseRevokeResponse,
    LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, PutRequest, PutResponse, RangeRequest,
    RangeResponse, ResponseHeader, TxnRequest, TxnResponse,
};

use crate::error::Result;
use crate::metrics::StoreFigures;
use crate::types::{LeaseId, Revision, Ttl};
use crate::watch::Watches;

/// The one thing that services talk to; cheap to clone. Requests have been validated.
#[derive(Clone)]
pub enum Backend {
    /// The store in this process.
    Embedded(Embedded),
}

impl Backend {
    /// A header with the current revision.
    #[must_use]
    pub fn header(&self) -> ResponseHeader {
        match self {
            Backend::Embedded(embedded) => embedded.header(),
        }
    }

    /// KV.Range, linearizable.
    pub async fn range(&self, request: &RangeRequest) -> Result<RangeResponse> {
        match self {
            Backend::Embedded(embedded) => embedded.range(request).await,
        }
    }

    /// KV.Put.
    pub async fn put(&self, request: PutRequest) -> Result<PutResponse> {
        match self {
            Backend::Embedded(embedded) => embedded.put(request).await,
        }
    }

    /// KV.DeleteRange.
    pub async fn delete_range(&self, request: DeleteRangeRequest) -> Result<DeleteRangeResponse> {
        match self {
            Backend::Embedded(embedded) => embedded.delete_range(request).await,
        }
    }

    /// KV.Txn.
    pub async fn txn(&self, request: TxnRequest) -> Result<TxnResponse> {
        match self {
            Backend::Embedded(embedded) => embedded.txn(request).await,
        }
    }

    /// KV.Txn, of one who joins the line of keys in `directory`. If there is a line already, the
    /// commit may wait a little for company.
    pub async fn join(&self, directory: &Bytes, request: TxnRequest) -> Result<TxnResponse> {
        match self {
            Backend::Embedded(embedded) => embedded.join(directory, request).await,
        }
    }

    /// Runs a Txn that undoes something, behind everything proposed so far; never refused for
    /// load. Nobody waits for it.
    pub fn clean_up(&self, request: TxnRequest) {
        match self {
            Backend::Embedded(embedded) => embedded.clean_up(request),
        }
    }

    /// Like [`Backend::clean_up`], for who waits for it.
    pub async fn undo(&self, request: TxnRequest) -> Result<TxnResponse> {
        match self {
            Backend::Embedded(embedded) => embedded.undo(request).await,
        }
    }

    /// KV.Compact.
    pub async fn compact(&self, request: CompactionRequest) -> Result<CompactionResponse> {
        match self {
            Backend::Embedded(embedded) => embedded.compact(request).await,
        }
    }

    /// Lease.LeaseGrant.
    pub async fn lease_grant(&self, request: LeaseGrantRequest) -> Result<LeaseGrantResponse> {
        match self {
            Backend::Embedded(embedded) => embedded.lease_grant(request).await,
        }
    }

    /// Lease.LeaseRevoke.
    pub async fn lease_revoke(&self, id: LeaseId) -> Result<LeaseRevokeResponse> {
        match self {
            Backend::Embedded(embedded) => embedded.lease_revoke(id).await,
        }
    }

    /// Revokes a lease that nobody was told of; never refused for load. Nobody waits for it.
    pub fn clean_up_lease(&self, id: LeaseId) {
        match self {
            Backend::Embedded(embedded) => embedded.clean_up_lease(id),
        }
    }

    /// Like [`Backend::clean_up_lease`], for who waits for it.
    pub async fn undo_lease(&self, id: LeaseId) -> Result<()> {
        match self {
            Backend::Embedded(embedded) => embedded.undo_lease(id).await,
        }
    }

    /// Grants the lease of a session, with a TTL of milliseconds.
    pub async fn grant_session(&self, id: LeaseId, ttl: Ttl) -> Result<()> {
        match self {
            Backend::Embedded(embedded) => embedded.grant_session(id, ttl).await,
        }
    }

    /// Counts a lease's TTL from now again; none for a lease that is gone.
    pub async fn renew(&self, id: LeaseId) -> Result<Option<Ttl>> {
        match self {
            Backend::Embedded(embedded) => Ok(embedded.renew(id).await),
        }
    }

    /// How long a lease lives without a renewal; none for a lease that is gone. Never waits.
    #[must_use]
    pub fn lease_left(&self, id: LeaseId) -> Option<Duration> {
        match self {
            Backend::Embedded(embedded) => embedded.lease_left(id),
        }
    }

    /// Resolves when leases may wait for one another in a circle: one of them waits for a lock while
    /// it has another key.
    pub async fn entangled(&self) {
        match self {
            Backend::Embedded(embedded) => embedded.entangled().await,
        }
    }

    /// One round of Lease.LeaseKeepAlive; TTL 0 for a lease that is gone.
    pub async fn keep_alive(&self, id: LeaseId) -> Result<LeaseKeepAliveResponse> {
        match self {
            Backend::Embedded(embedded) => Ok(embedded.keep_alive(id).await),
        }
    }

    /// Lease.LeaseTimeToLive; TTL -1 for a lease that is gone.
    pub async fn time_to_live(
        &self,
        request: &LeaseTimeToLiveRequest,
    ) -> Result<LeaseTimeToLiveResponse> {
        match self {
            Backend::Embedded(embedded) => embedded.time_to_live(request).await,
        }
    }

    /// Lease.LeaseLeases.
    pub async fn leases(&self) -> Result<LeaseLeasesResponse> {
        match self {
            Backend::Embedded(embedded) => Ok(embedded.leases()),
        }
    }

    /// What `/metrics` tells of the store.
    #[must_use]
    pub fn figures(&self) -> StoreFigures {
        match self {
            Backend::Embedded(embedded) => embedded.figures(),
        }
    }

    /// The alarms that are raised; never waits.
    #[must_use]
    pub fn alarms(&self) -> Vec<AlarmMember> {
        match self {
            Backend::Embedded(embedded) => embedded.alarms(),
        }
    }

    /// A piece of a longer read, without the count of what is behind its limit.
    pub async fn range_piece(&self, request: &RangeRequest) -> Result<RangeResponse> {
        match self {
            Backend::Embedded(embedded) => embedded.range_piece(request).await,
        }
    }

    /// Maintenance.Hash: of everything.
    pub async fn hash(&self) -> Result<HashResponse> {
        match self {
            Backend::Embedded(embedded) => embedded.hash().await,
        }
    }

    /// Maintenance.HashKV: of the keys as of a revision, 0 for now.
    pub async fn hash_kv(&self, revision: Revision) -> Result<HashKvResponse> {
        match self {
            Backend::Embedded(embedded) => embedded.hash_kv(revision).await,
        }
    }

    /// Maintenance.Alarm.
    pub async fn alarm(&self, request: AlarmRequest) -> Result<AlarmResponse> {
        match self {
            Backend::Embedded(embedded) => embedded.alarm(request).await,
        }
    }

    /// The peer URLs that an operator gave this member, if any.
    #[must_use]
    pub fn peer_urls(&self) -> Option<Arc<[String]>> {
        match self {
            Backend::Embedded(embedded) => embedded.peer_urls(),
        }
    }

    /// Cluster.MemberUpdate of this member.
    pub async fn set_peer_urls(&self, urls: Vec<String>) -> Result<()> {
        match self {
            Backend::Embedded(embedded) => embedded.set_peer_urls(urls).await,
        }
    }

    /// Maintenance.Defragment.
    pub async fn defragment(&self) -> Result<()> {
        match self {
            Backend::Embedded(embedded) => embedded.defragment().await,
        }
    }

    /// The bytes that the data takes on this machine.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Backend::Embedded(embedded) => embedded.size(),
        }
    }

    /// A stream of watches, without any yet.
    #[must_use]
    pub fn watches(&self) -> Watches {
        match self {
            Backend::Embedded(embedded) => embedded.watches(),
        }
    }
}
