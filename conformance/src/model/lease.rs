//! Leases. No time passes here: one ends when it is revoked.

use bytes::Bytes;
use latchd_proto::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse, LeaseStatus,
    LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
};
use tonic::Code;

use super::{Failure, Model, kv};

/// In seconds.
const MIN_TTL: i64 = 2;
const MAX_TTL: i64 = 9_000_000_000;

pub(super) fn not_found() -> Failure {
    Failure::of(Code::NotFound, "requested lease not found")
}

impl Model {
    /// The TTL that a lease was granted, in seconds, if it is there.
    #[must_use]
    pub fn granted_ttl(&self, id: i64) -> Option<i64> {
        self.leases.get(&id).copied()
    }

    pub(super) fn grant(
        &mut self,
        request: &LeaseGrantRequest,
    ) -> Result<LeaseGrantResponse, Failure> {
        if request.ttl > MAX_TTL {
            return Err(Failure::of(Code::OutOfRange, "too large lease TTL"));
        }
        if self.leases.contains_key(&request.id) {
            return Err(Failure::of(
                Code::FailedPrecondition,
                "lease already exists",
            ));
        }
        let ttl = request.ttl.max(MIN_TTL);
        self.leases.insert(request.id, ttl);
        Ok(LeaseGrantResponse {
            header: self.header(),
            id: request.id,
            ttl,
            error: String::new(),
        })
    }

    /// Its keys go in one revision, in order.
    pub(super) fn revoke(
        &mut self,
        request: &LeaseRevokeRequest,
    ) -> Result<LeaseRevokeResponse, Failure> {
        if self.leases.remove(&request.id).is_none() {
            return Err(not_found());
        }
        let keys = self.keys_of(request.id);
        kv::delete_all(&mut self.store.write(), keys);
        Ok(LeaseRevokeResponse {
            header: self.header(),
        })
    }

    pub(super) fn keep_alive(&self, request: &LeaseKeepAliveRequest) -> LeaseKeepAliveResponse {
        LeaseKeepAliveResponse {
            header: self.header(),
            id: request.id,
            ttl: self.granted_ttl(request.id).unwrap_or(0),
        }
    }

    /// The keys are in order here; etcd has them in any.
    pub(super) fn time_to_live(&self, request: &LeaseTimeToLiveRequest) -> LeaseTimeToLiveResponse {
        let granted = self.granted_ttl(request.id);
        LeaseTimeToLiveResponse {
            header: self.header(),
            id: request.id,
            ttl: granted.unwrap_or(-1),
            granted_ttl: granted.unwrap_or(0),
            keys: match granted {
                Some(_) if request.keys => self.keys_of(request.id),
                _ => Vec::new(),
            },
        }
    }

    /// The one that would end first comes first; without a clock that is the one of the least TTL.
    pub(super) fn leases(&self) -> LeaseLeasesResponse {
        let mut leases: Vec<(i64, i64)> = self.leases.iter().map(|(id, ttl)| (*ttl, *id)).collect();
        leases.sort_unstable();
        LeaseLeasesResponse {
            header: self.header(),
            leases: leases
                .into_iter()
                .map(|(_, id)| LeaseStatus { id })
                .collect(),
        }
    }

    fn keys_of(&self, lease: i64) -> Vec<Bytes> {
        let live = self.store.live().values();
        live.filter(|kv| kv.lease == lease && lease != 0)
            .map(|kv| kv.key.clone())
            .collect()
    }
}
