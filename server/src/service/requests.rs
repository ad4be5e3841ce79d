//! Requests that more than one service is made of.

use bytes::Bytes;
use latchd_proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
    compare::{CompareResult, CompareTarget, TargetUnion},
    request_op::Request,
};

use crate::types::Revision;

/// A part of a Txn.
#[must_use]
pub fn operation(request: Request) -> RequestOp {
    RequestOp {
        request: Some(request),
    }
}

/// One key.
#[must_use]
pub fn just(key: &Bytes) -> RangeRequest {
    RangeRequest {
        key: key.clone(),
        ..Default::default()
    }
}

/// Holds for a key that was created at that revision; 0 for one that is not there.
#[must_use]
pub fn created_at(key: &Bytes, revision: Revision) -> Compare {
    Compare {
        result: CompareResult::Equal as i32,
        target: CompareTarget::Create as i32,
        key: key.clone(),
        target_union: Some(TargetUnion::CreateRevision(revision.0)),
        ..Default::default()
    }
}

/// Changes a key, if it is still the one that was created at that revision.
#[must_use]
pub fn put_if_created_at(put: PutRequest, revision: Revision) -> TxnRequest {
    TxnRequest {
        compare: vec![created_at(&put.key, revision)],
        success: vec![operation(Request::RequestPut(put))],
        failure: Vec::new(),
    }
}

/// Deletes the key that was created at that revision, and no later one of the same name.
#[must_use]
pub fn delete_if_created_at(key: &Bytes, revision: Revision) -> TxnRequest {
    TxnRequest {
        compare: vec![created_at(key, revision)],
        success: vec![operation(Request::RequestDeleteRange(DeleteRangeRequest {
            key: key.clone(),
            ..Default::default()
        }))],
        failure: Vec::new(),
    }
}
