//! Operations as requests to one server: labels gone, revisions resolved.

use latchd_proto::{
    etcdserverpb::{
        CompactionRequest, Compare as WireCompare, DeleteRangeRequest, LeaseGrantRequest,
        LeaseKeepAliveRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest, PutRequest,
        RangeRequest, RequestOp, TxnRequest, WatchCreateRequest, compare::TargetUnion,
        request_op::Request as Operation, watch_create_request::FilterType,
    },
    v3electionpb::{CampaignRequest, LeaderKey, LeaderRequest, ProclaimRequest, ResignRequest},
    v3lockpb::{LockRequest, UnlockRequest},
};

use super::{
    op::{Compare, Delete, Lead, Op, Put, Range, Step, Txn, Watch, With},
    rev::{Rev, Scale},
};
use crate::model::{Request, contend::contender_key};

impl Op {
    /// It as one call; `None` for watches and for what cancels.
    #[must_use]
    pub fn request(&self, scale: Scale<'_>) -> Option<Request> {
        Some(match self {
            Self::Range(op) => Request::Range(range(op, scale)),
            Self::RangeStream(op) => Request::RangeStream(range(op, scale)),
            Self::Put(op) => Request::Put(put(op)),
            Self::Delete(op) => Request::DeleteRange(delete(op)),
            Self::Txn(op) => Request::Txn(txn(op, scale)),
            Self::Compact(op) => Request::Compact(CompactionRequest {
                revision: scale.resolve(op.at, b""),
                physical: op.physical,
            }),
            Self::Grant(op) => Request::LeaseGrant(LeaseGrantRequest {
                id: op.lease,
                ttl: op.ttl,
            }),
            Self::Revoke(op) => Request::LeaseRevoke(LeaseRevokeRequest { id: op.lease }),
            Self::KeepAlive(op) => Request::LeaseKeepAlive(LeaseKeepAliveRequest { id: op.lease }),
            Self::TimeToLive(op) => Request::LeaseTimeToLive(LeaseTimeToLiveRequest {
                id: op.lease,
                keys: op.keys,
            }),
            Self::Leases => Request::LeaseLeases,
            Self::Lock(op) => Request::Lock(LockRequest {
                name: op.name.0.clone(),
                lease: op.lease,
            }),
            Self::Unlock(op) => Request::Unlock(UnlockRequest {
                key: op.key.0.clone(),
            }),
            Self::Campaign(op) => Request::Campaign(CampaignRequest {
                name: op.name.0.clone(),
                lease: op.lease,
                value: op.value.0.clone(),
            }),
            Self::Proclaim(op) => Request::Proclaim(ProclaimRequest {
                leader: leader(op, scale),
                value: op.value.0.clone(),
            }),
            Self::Resign(op) => Request::Resign(ResignRequest {
                leader: leader(op, scale),
            }),
            Self::Leader(op) => Request::Leader(LeaderRequest {
                name: op.name.0.clone(),
            }),
            Self::GiveUp(_) | Self::Watch(_) | Self::Cancel(_) => return None,
        })
    }
}

impl Watch {
    /// It as a create request.
    #[must_use]
    pub fn request(&self, scale: Scale<'_>) -> WatchCreateRequest {
        let filters = [
            (self.no_put, FilterType::Noput),
            (self.no_delete, FilterType::Nodelete),
        ];
        WatchCreateRequest {
            key: self.key.0.clone(),
            range_end: self.end.0.clone(),
            start_revision: scale.resolve(self.start, &self.key.0),
            progress_notify: self.progress_notify,
            filters: filters
                .into_iter()
                .filter(|(wanted, _)| *wanted)
                .map(|(_, filter)| filter as i32)
                .collect(),
            prev_kv: self.prev_kv,
            watch_id: self.id,
            fragment: self.fragment,
        }
    }
}

fn range(op: &Range, scale: Scale<'_>) -> RangeRequest {
    let resolve = |rev: Rev| scale.resolve(rev, &op.key.0);
    RangeRequest {
        key: op.key.0.clone(),
        range_end: op.end.0.clone(),
        limit: op.limit,
        revision: resolve(op.revision),
        sort_order: op.order,
        sort_target: op.target,
        serializable: op.serializable,
        keys_only: op.keys_only,
        count_only: op.count_only,
        min_mod_revision: resolve(op.min_mod),
        max_mod_revision: resolve(op.max_mod),
        min_create_revision: resolve(op.min_create),
        max_create_revision: resolve(op.max_create),
    }
}

fn put(op: &Put) -> PutRequest {
    PutRequest {
        key: op.key.0.clone(),
        value: op.value.0.clone(),
        lease: op.lease,
        prev_kv: op.prev_kv,
        ignore_value: op.ignore_value,
        ignore_lease: op.ignore_lease,
    }
}

fn delete(op: &Delete) -> DeleteRangeRequest {
    DeleteRangeRequest {
        key: op.key.0.clone(),
        range_end: op.end.0.clone(),
        prev_kv: op.prev_kv,
    }
}

fn txn(op: &Txn, scale: Scale<'_>) -> TxnRequest {
    let steps = |list: &[Step]| list.iter().map(|op| step(op, scale)).collect::<Vec<_>>();
    let mut success = steps(&op.success);
    let padding = || RangeRequest {
        key: "padding".into(),
        ..RangeRequest::default()
    };
    success.extend((0..op.padding).map(|_| RequestOp {
        request: Some(Operation::RequestRange(padding())),
    }));
    TxnRequest {
        compare: op.compare.iter().map(|op| compare(op, scale)).collect(),
        success,
        failure: steps(&op.failure),
    }
}

fn step(op: &Step, scale: Scale<'_>) -> RequestOp {
    let request = match op {
        Step::Range(op) => Some(Operation::RequestRange(range(op, scale))),
        Step::Put(op) => Some(Operation::RequestPut(put(op))),
        Step::Delete(op) => Some(Operation::RequestDeleteRange(delete(op))),
        Step::Txn(op) => Some(Operation::RequestTxn(txn(op, scale))),
        Step::Nothing => None,
    };
    RequestOp { request }
}

fn compare(op: &Compare, scale: Scale<'_>) -> WireCompare {
    let resolve = |rev: Rev| scale.resolve(rev, &op.key.0);
    let target_union = match &op.with {
        With::Nothing => None,
        With::Version(version) => Some(TargetUnion::Version(*version)),
        With::Created(rev) => Some(TargetUnion::CreateRevision(resolve(*rev))),
        With::Modified(rev) => Some(TargetUnion::ModRevision(resolve(*rev))),
        With::Value(value) => Some(TargetUnion::Value(value.0.clone())),
        With::Lease(lease) => Some(TargetUnion::Lease(*lease)),
    };
    WireCompare {
        key: op.key.0.clone(),
        range_end: op.end.0.clone(),
        target: op.target,
        result: op.result,
        target_union,
    }
}

fn leader(op: &Lead, scale: Scale<'_>) -> Option<LeaderKey> {
    let key = contender_key(&op.name.0, op.lease);
    let rev = scale.resolve(Rev::Created(-i64::from(op.stale)), &key);
    (!op.nobody).then(|| LeaderKey {
        name: op.name.0.clone(),
        key,
        rev,
        lease: op.lease,
    })
}
