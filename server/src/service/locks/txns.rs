//! The requests that locks are made of. Each is one Txn, so that nothing comes in between.

use bytes::Bytes;
use latchd_proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, TxnResponse,
    compare::{CompareResult, CompareTarget, TargetUnion},
    range_request::{SortOrder, SortTarget},
    request_op::Request,
    response_op::Response,
};
use latchd_proto::mvccpb::KeyValue;

use super::ask::{Ask, Holder, Wanted};
use super::keys::{Mode, prefix_of_lease};
use crate::service::requests::{created_at, delete_if_created_at, operation};
use crate::service::turn::{contender_key, end_of, hex};
use crate::types::{LeaseId, Revision};

/// Where the records of sessions lie: outside of what anybody would lock.
pub const SESSIONS: &[u8] = b"\0latchd/session/";

/// The key of a session's record. Its version is the session's epoch.
#[must_use]
pub fn record_key(lease: LeaseId) -> Bytes {
    // Not the lease alone, which would look like a lock.
    Bytes::from([SESSIONS, b"s", hex(lease).as_bytes()].concat())
}

/// The most names of an Acquire whose Txn has two ways in it: with more it could be larger than a
/// request may be.
const FEW: usize = 8;

/// Puts the keys of `ask` at the end of their lines: alone there, if that can be, or else behind others.
#[must_use]
pub fn join(ask: &Ask) -> TxnRequest {
    let others = vec![operation(Request::RequestTxn(join_others(ask)))];
    if ask.wanted.len() > FEW {
        return TxnRequest {
            success: others,
            ..Default::default()
        };
    }
    TxnRequest {
        failure: others,
        ..take_if_alone(ask)
    }
}

/// What became of a Txn that puts keys ([`join`], [`take_if_alone`], [`take_if_unchanged`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// Nothing: its conditions did not hold.
    Refused,
    /// The keys are there, as its conditions were.
    Done,
    /// The keys are there, perhaps behind others: a [`join`] has gone its second way.
    Behind,
}

impl Put {
    /// Reads the answer.
    #[must_use]
    pub fn of(response: &TxnResponse) -> Put {
        let first = response.responses.first();
        match first.and_then(|first| first.response.as_ref()) {
            Some(Response::ResponseTxn(others)) if others.succeeded => Put::Behind,
            Some(Response::ResponseTxn(_)) => Put::Refused,
            _ if response.succeeded => Put::Done,
            _ => Put::Refused,
        }
    }
}

/// Puts the keys of `ask` at the end of their lines. Fails if the session is not the caller's, or has
/// a key in one of them already, or if a semaphore has another size.
fn join_others(ask: &Ask) -> TxnRequest {
    let mut compare = vec![is_at(ask.holder)];
    for wanted in &ask.wanted {
        compare.extend(not_there_yet(wanted, ask));
    }
    TxnRequest {
        compare,
        success: puts(ask),
        failure: Vec::new(),
    }
}

/// The session has no key of the name, and nobody a permit of another size.
fn not_there_yet(wanted: &Wanted, ask: &Ask) -> Vec<Compare> {
    let (dir, lease) = (&wanted.dir, ask.holder.lease);
    let none_of = |mode| nothing_below(prefix_of_lease(dir, mode, lease));
    let mut compare = vec![
        created_at(&contender_key(dir, lease), Revision(0)),
        none_of(Mode::Exclusive),
        none_of(Mode::Shared),
    ];
    let permits = Bytes::from([dir.as_ref(), b"~s"].concat());
    let end = end_of(&permits);
    if let Mode::Permit(most) = ask.mode {
        let ours = Bytes::from([permits.as_ref(), format!("{most}.").as_bytes()].concat());
        let after = end_of(&ours);
        compare.push(none_of(ask.mode));
        compare.push(nothing_in(permits, ours));
        compare.push(nothing_in(after, end));
    } else {
        compare.push(Compare {
            result: CompareResult::NotEqual as i32,
            target: CompareTarget::Lease as i32,
            target_union: Some(TargetUnion::Lease(lease.0)),
            key: permits,
            range_end: end,
        });
    }
    compare
}

/// Puts the keys of `ask` if nobody contends for its names.
#[must_use]
pub fn take_if_alone(ask: &Ask) -> TxnRequest {
    take_if(ask, |wanted| nothing_below(wanted.dir.clone()))
}

/// Puts the keys of `ask` if nothing was put below its names after `seen`.
#[must_use]
pub fn take_if_unchanged(ask: &Ask, seen: Revision) -> TxnRequest {
    take_if(ask, |wanted| Compare {
        result: CompareResult::Less as i32,
        target: CompareTarget::Mod as i32,
        target_union: Some(TargetUnion::ModRevision(seen.next().0)),
        key: wanted.dir.clone(),
        range_end: end_of(&wanted.dir),
    })
}

fn take_if(ask: &Ask, condition: impl Fn(&Wanted) -> Compare) -> TxnRequest {
    let conditions = ask.wanted.iter().map(condition);
    TxnRequest {
        compare: [is_at(ask.holder)].into_iter().chain(conditions).collect(),
        success: puts(ask),
        failure: Vec::new(),
    }
}

fn puts(ask: &Ask) -> Vec<RequestOp> {
    let put = |wanted: &Wanted| {
        operation(Request::RequestPut(PutRequest {
            key: wanted.key.clone(),
            value: ask.value.clone(),
            lease: ask.holder.lease.0,
            ..Default::default()
        }))
    };
    ask.wanted.iter().map(put).collect()
}

/// Reads ranges at one revision: with Ranges alone, a Txn is a snapshot.
#[must_use]
pub fn read_all(ranges: impl IntoIterator<Item = RangeRequest>) -> TxnRequest {
    let ranges = ranges.into_iter();
    TxnRequest {
        success: ranges
            .map(|range| operation(Request::RequestRange(range)))
            .collect(),
        ..Default::default()
    }
}

/// What [`read_all`] found, in its order.
pub fn found(response: TxnResponse) -> impl Iterator<Item = Vec<KeyValue>> {
    let responses = response.responses.into_iter();
    responses.map(|response| match response.response {
        Some(Response::ResponseRange(range)) => range.kvs,
        _ => Vec::new(),
    })
}

/// Deletes each key that was created at its revision, and no later one of the same name. Its
/// answer's parts, in order, say which were ([`deleted`]).
#[must_use]
pub fn release<'a>(
    compare: Vec<Compare>,
    keys: impl IntoIterator<Item = (&'a Bytes, Revision)>,
) -> TxnRequest {
    let keys = keys.into_iter();
    TxnRequest {
        compare,
        success: keys
            .map(|(key, created)| {
                operation(Request::RequestTxn(delete_if_created_at(key, created)))
            })
            .collect(),
        failure: Vec::new(),
    }
}

/// For each key of [`release`], whether it was there and is gone by it.
pub fn deleted(response: TxnResponse) -> impl Iterator<Item = bool> {
    let responses = response.responses.into_iter();
    responses.map(|response| match response.response {
        Some(Response::ResponseTxn(txn)) => txn.succeeded,
        _ => false,
    })
}

/// The session's epoch is the caller's; a lease that is no session has no record, so that its epoch
/// is 0.
#[must_use]
pub fn is_at(holder: Holder) -> Compare {
    Compare {
        result: CompareResult::Equal as i32,
        target: CompareTarget::Version as i32,
        target_union: Some(TargetUnion::Version(holder.epoch)),
        key: record_key(holder.lease),
        ..Default::default()
    }
}

/// Writes the session's record, so that its epoch rises by one, if it was the caller's.
#[must_use]
pub fn put_record(holder: Holder, record: Bytes) -> TxnRequest {
    let put = PutRequest {
        key: record_key(holder.lease),
        value: record,
        lease: holder.lease.0,
        ..Default::default()
    };
    TxnRequest {
        compare: vec![is_at(holder)],
        success: vec![operation(Request::RequestPut(put))],
        failure: Vec::new(),
    }
}

/// Deletes the session's record, if the epoch is the caller's.
#[must_use]
pub fn end_record(holder: Holder) -> TxnRequest {
    let delete = DeleteRangeRequest {
        key: record_key(holder.lease),
        ..Default::default()
    };
    TxnRequest {
        compare: vec![is_at(holder)],
        success: vec![operation(Request::RequestDeleteRange(delete))],
        failure: Vec::new(),
    }
}

/// Everything below a directory by create revision. (A Range of keys only would say no lease.)
#[must_use]
pub fn line(dir: &Bytes) -> RangeRequest {
    RangeRequest {
        key: dir.clone(),
        range_end: end_of(dir),
        sort_order: SortOrder::Ascend as i32,
        sort_target: SortTarget::Create as i32,
        ..Default::default()
    }
}

fn nothing_below(prefix: Bytes) -> Compare {
    let end = end_of(&prefix);
    nothing_in(prefix, end)
}

fn nothing_in(start: Bytes, end: Bytes) -> Compare {
    Compare {
        range_end: end,
        ..created_at(&start, Revision(0))
    }
}
