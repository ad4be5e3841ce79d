//! Short ways to write a request; what they leave out is added with `..`.

use bytes::Bytes;
use latchd_proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, LeaseGrantRequest, LeaseKeepAliveRequest,
    LeaseRevokeRequest, LeaseTimeToLiveRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
    WatchCancelRequest, WatchCreateRequest, WatchProgressRequest, WatchRequest,
    request_op::Request, watch_request::RequestUnion,
};

/// The end of the range of all keys that begin with `prefix`.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end.into();
        }
    }
    Bytes::from_static(&[0])
}

/// Put, without options.
pub fn put(key: impl Into<Bytes>, value: impl Into<Bytes>) -> PutRequest {
    PutRequest {
        key: key.into(),
        value: value.into(),
        ..Default::default()
    }
}

/// Put under a lease.
pub fn put_leased(key: impl Into<Bytes>, value: impl Into<Bytes>, lease: i64) -> PutRequest {
    PutRequest {
        lease,
        ..put(key, value)
    }
}

/// Range of one key.
pub fn get(key: impl Into<Bytes>) -> RangeRequest {
    RangeRequest {
        key: key.into(),
        ..Default::default()
    }
}

/// Range from a key to an end.
pub fn range(key: impl Into<Bytes>, end: impl Into<Bytes>) -> RangeRequest {
    RangeRequest {
        range_end: end.into(),
        ..get(key)
    }
}

/// Range of a prefix.
pub fn prefix(prefix: impl Into<Bytes>) -> RangeRequest {
    let prefix = prefix.into();
    let end = prefix_end(&prefix);
    range(prefix, end)
}

/// Range of everything.
#[must_use]
pub fn everything() -> RangeRequest {
    range(&b"\0"[..], &b"\0"[..])
}

/// DeleteRange of one key.
pub fn delete(key: impl Into<Bytes>) -> DeleteRangeRequest {
    DeleteRangeRequest {
        key: key.into(),
        ..Default::default()
    }
}

/// DeleteRange from a key to an end.
pub fn delete_range(key: impl Into<Bytes>, end: impl Into<Bytes>) -> DeleteRangeRequest {
    DeleteRangeRequest {
        range_end: end.into(),
        ..delete(key)
    }
}

/// An operation of a Txn from its request.
pub trait IntoOp {
    /// The operation.
    fn op(self) -> RequestOp;
}

macro_rules! into_op {
    ($($request:ty => $variant:ident,)*) => {
        $(impl IntoOp for $request {
            fn op(self) -> RequestOp {
                RequestOp { request: Some(Request::$variant(self)) }
            }
        })*
    };
}

into_op! {
    RangeRequest => RequestRange,
    PutRequest => RequestPut,
    DeleteRangeRequest => RequestDeleteRange,
    TxnRequest => RequestTxn,
}

/// A Txn.
#[must_use]
pub fn txn(compare: Vec<Compare>, success: Vec<RequestOp>, failure: Vec<RequestOp>) -> TxnRequest {
    TxnRequest {
        compare,
        success,
        failure,
    }
}

/// A Txn that compares nothing, and so succeeds.
#[must_use]
pub fn all_of(operations: Vec<RequestOp>) -> TxnRequest {
    txn(Vec::new(), operations, Vec::new())
}

/// Compact to a revision.
#[must_use]
pub fn compact(revision: i64) -> CompactionRequest {
    CompactionRequest {
        revision,
        physical: false,
    }
}

/// LeaseGrant with a TTL in seconds; ID 0 lets the server choose.
#[must_use]
pub fn grant(ttl: i64, id: i64) -> LeaseGrantRequest {
    LeaseGrantRequest { ttl, id }
}

/// LeaseRevoke.
#[must_use]
pub fn revoke(id: i64) -> LeaseRevokeRequest {
    LeaseRevokeRequest { id }
}

/// LeaseTimeToLive with the keys.
#[must_use]
pub fn time_to_live(id: i64) -> LeaseTimeToLiveRequest {
    LeaseTimeToLiveRequest { id, keys: true }
}

/// A keepalive.
#[must_use]
pub fn ping(id: i64) -> LeaseKeepAliveRequest {
    LeaseKeepAliveRequest { id }
}

/// A watch of one key, from now on.
pub fn watch_key(key: impl Into<Bytes>) -> WatchCreateRequest {
    WatchCreateRequest {
        key: key.into(),
        ..Default::default()
    }
}

/// A watch of a prefix, from now on.
pub fn watch_prefix(prefix: impl Into<Bytes>) -> WatchCreateRequest {
    let prefix = prefix.into();
    WatchCreateRequest {
        range_end: prefix_end(&prefix),
        ..watch_key(prefix)
    }
}

/// The message that creates a watch.
#[must_use]
pub fn create(request: WatchCreateRequest) -> WatchRequest {
    WatchRequest {
        request_union: Some(RequestUnion::CreateRequest(request)),
    }
}

/// The message that cancels a watch.
#[must_use]
pub fn cancel(watch_id: i64) -> WatchRequest {
    WatchRequest {
        request_union: Some(RequestUnion::CancelRequest(WatchCancelRequest { watch_id })),
    }
}

/// The message that asks how far a watch stream is.
#[must_use]
pub fn progress() -> WatchRequest {
    WatchRequest {
        request_union: Some(RequestUnion::ProgressRequest(WatchProgressRequest {})),
    }
}
