//! Commands as clients send them.

use bytes::Bytes;
use latchd::command::Command;
use latchd::mvcc::key_range::prefix_end;
use latchd_proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
    compare::{CompareResult, CompareTarget, TargetUnion},
    range_request::{SortOrder, SortTarget},
    request_op::Request,
};

/// Puts 32 bytes, on a lease (0: none).
pub fn put(key: &str, lease: i64) -> Command {
    Command::Put(PutRequest {
        key: bytes(key),
        value: Bytes::from_static(&[b'v'; 32]),
        lease,
        ..Default::default()
    })
}

/// Deletes one key.
pub fn delete(key: &str) -> Command {
    Command::DeleteRange(DeleteRangeRequest {
        key: bytes(key),
        ..Default::default()
    })
}

/// Deletes all that begins with `prefix`.
pub fn delete_prefix(prefix: &str) -> Command {
    Command::DeleteRange(DeleteRangeRequest {
        key: bytes(prefix),
        range_end: end_of(prefix),
        ..Default::default()
    })
}

/// What Go's `concurrency.Mutex` begins with: puts the lease's key unless it is there, and asks who
/// is first, in one Txn.
pub fn lock(name: &str, lease: i64) -> Command {
    let key = lock_key(name, lease);
    let put = Request::RequestPut(PutRequest {
        key: bytes(&key),
        lease,
        ..Default::default()
    });
    let get = Request::RequestRange(one(&key));
    let owner = Request::RequestRange(RangeRequest {
        sort_order: SortOrder::Ascend as i32,
        sort_target: SortTarget::Create as i32,
        limit: 1,
        ..prefix(&format!("{name}/"))
    });
    Command::Txn(TxnRequest {
        compare: vec![Compare {
            result: CompareResult::Equal as i32,
            target: CompareTarget::Create as i32,
            key: bytes(&key),
            target_union: Some(TargetUnion::CreateRevision(0)),
            ..Default::default()
        }],
        success: vec![op(put), op(owner.clone())],
        failure: vec![op(get), op(owner)],
    })
}

/// The key with which a lease waits for, or holds, the lock `name`.
pub fn lock_key(name: &str, lease: i64) -> String {
    format!("{name}/{lease:x}")
}

/// A Range of one key.
pub fn one(key: &str) -> RangeRequest {
    RangeRequest {
        key: bytes(key),
        ..Default::default()
    }
}

/// A Range of all that begins with `prefix`.
pub fn prefix(prefix: &str) -> RangeRequest {
    RangeRequest {
        range_end: end_of(prefix),
        ..one(prefix)
    }
}

fn op(request: Request) -> RequestOp {
    RequestOp {
        request: Some(request),
    }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn end_of(prefix: &str) -> Bytes {
    prefix_end(prefix.as_bytes()).unwrap().into()
}
