//! Txn: decide every branch on the state before, check the chosen operations whole, then run them.
//!
//! The three passes are etcd's (3.7.1, `etcdserver/txn/txn.go`): nested compares do not see the
//! outer puts, while a Range that runs after a Put does.

use std::cmp::Ordering;

use latchd_proto::etcdserverpb::{
    Compare, PutRequest, RangeRequest, RequestOp, ResponseHeader, ResponseOp, TxnRequest,
    TxnResponse,
    compare::{CompareResult, CompareTarget, TargetUnion},
    request_op::Request,
    response_op::Response,
};

use super::kv;
use crate::error::Result;
use crate::mvcc::range::Counting;
use crate::mvcc::write::Batch;
use crate::mvcc::{KeyRange, Record, Snapshot};

/// What deciding a Txn needs of a store.
trait Reads {
    /// As [`View::all`].
    fn all(&self, range: &KeyRange, holds: impl Fn(&Record) -> bool) -> Result<Option<bool>>;
    fn check_revision(&self, revision: i64) -> Result<()>;
    fn check_put(&self, put: &PutRequest) -> Result<()>;
}

impl Reads for Batch<'_> {
    fn all(&self, range: &KeyRange, holds: impl Fn(&Record) -> bool) -> Result<Option<bool>> {
        self.view().all(range, holds)
    }

    fn check_revision(&self, revision: i64) -> Result<()> {
        self.view().check_revision(revision)
    }

    fn check_put(&self, put: &PutRequest) -> Result<()> {
        kv::check_put(self, put)
    }
}

impl Reads for Snapshot {
    fn all(&self, range: &KeyRange, holds: impl Fn(&Record) -> bool) -> Result<Option<bool>> {
        self.view().all(range, holds)
    }

    fn check_revision(&self, revision: i64) -> Result<()> {
        self.view().check_revision(revision)
    }

    fn check_put(&self, _: &PutRequest) -> Result<()> {
        unreachable!("a Txn that only reads has no puts")
    }
}

/// Whether a Txn can write nothing, whichever branch it takes. One with a nested Txn may (etcd).
#[must_use]
pub fn is_read_only(request: &TxnRequest) -> bool {
    let mut operations = request.success.iter().chain(&request.failure);
    operations.all(|operation| matches!(operation.request, Some(Request::RequestRange(_))))
}

/// Runs a Txn that only reads, without the writer.
pub fn read(snapshot: &Snapshot, request: &TxnRequest) -> Result<TxnResponse> {
    let plan = decide(snapshot, request)?;
    check(snapshot, &plan)?;
    let ranges = plan
        .operations
        .iter()
        .filter_map(|operation| match &operation.request {
            Some(Request::RequestRange(range)) => Some(range),
            _ => None,
        });
    let answer = |range: &RangeRequest| -> Result<ResponseOp> {
        let response = snapshot.view().range(range, None, Counting::Total)?;
        Ok(ResponseOp {
            response: Some(Response::ResponseRange(response)),
        })
    };
    Ok(TxnResponse {
        header: kv::header(snapshot.revision),
        succeeded: plan.succeeded,
        responses: ranges.map(answer).collect::<Result<_>>()?,
    })
}

/// Which branch a Txn takes, and those that its nested ones take, in order.
struct Plan<'a> {
    succeeded: bool,
    operations: &'a [RequestOp],
    nested: Vec<Plan<'a>>,
}

/// Runs a Txn.
pub fn txn(batch: &mut Batch<'_>, request: &TxnRequest) -> Result<TxnResponse> {
    let plan = decide(batch, request)?;
    check(batch, &plan)?;
    let mut response = run(batch, &plan)?;
    response.header = kv::header(batch.revision());
    Ok(response)
}

fn decide<'a>(store: &impl Reads, request: &'a TxnRequest) -> Result<Plan<'a>> {
    let mut succeeded = true;
    for compare in &request.compare {
        if !holds(store, compare)? {
            succeeded = false;
            break;
        }
    }
    let operations = if succeeded {
        &request.success
    } else {
        &request.failure
    };
    let nested = operations
        .iter()
        .filter_map(|operation| match &operation.request {
            Some(Request::RequestTxn(nested)) => Some(nested),
            _ => None,
        });
    Ok(Plan {
        succeeded,
        operations,
        nested: nested
            .map(|nested| decide(store, nested))
            .collect::<Result<_>>()?,
    })
}

fn check(store: &impl Reads, plan: &Plan<'_>) -> Result<()> {
    let mut nested = plan.nested.iter();
    for operation in plan.operations {
        match &operation.request {
            Some(Request::RequestRange(range)) => store.check_revision(range.revision)?,
            Some(Request::RequestPut(put)) => store.check_put(put)?,
            Some(Request::RequestTxn(_)) => {
                nested.next().map_or(Ok(()), |plan| check(store, plan))?
            }
            Some(Request::RequestDeleteRange(_)) | None => {}
        }
    }
    Ok(())
}

fn run(batch: &mut Batch<'_>, plan: &Plan<'_>) -> Result<TxnResponse> {
    let mut nested = plan.nested.iter();
    let mut responses = Vec::with_capacity(plan.operations.len());
    for operation in plan.operations {
        let response = match &operation.request {
            Some(Request::RequestRange(range)) => {
                Some(Response::ResponseRange(batch.range(range)?))
            }
            Some(Request::RequestPut(put)) => {
                Some(Response::ResponsePut(kv::checked_put(batch, put)?))
            }
            Some(Request::RequestDeleteRange(delete)) => Some(Response::ResponseDeleteRange(
                kv::delete_range(batch, delete)?,
            )),
            Some(Request::RequestTxn(_)) => match nested.next() {
                Some(plan) => Some(Response::ResponseTxn(run(batch, plan)?)),
                None => None,
            },
            None => None,
        };
        responses.push(ResponseOp { response });
    }
    Ok(TxnResponse {
        // A nested response's header is there and empty, as in etcd.
        header: Some(ResponseHeader::default()),
        succeeded: plan.succeeded,
        responses,
    })
}

/// Whether a compare holds for its key, or for every key of its range.
fn holds(store: &impl Reads, compare: &Compare) -> Result<bool> {
    let range = KeyRange::from_wire(&compare.key, &compare.range_end);
    let all = store.all(&range, |record| holds_for(compare, Some(record)))?;
    Ok(all.unwrap_or_else(|| {
        // A value that is not there equals nothing, not even the empty value.
        let by_value = compare.target == CompareTarget::Value as i32;
        !by_value && holds_for(compare, None)
    }))
}

fn holds_for(compare: &Compare, record: Option<&Record>) -> bool {
    let number = |field: fn(&Record) -> i64| record.map_or(0, field);
    let order = match (
        CompareTarget::try_from(compare.target),
        &compare.target_union,
    ) {
        (Ok(CompareTarget::Value), union) => {
            let present = record.map_or(&[][..], |record| record.value.as_ref());
            let wanted = match union {
                Some(TargetUnion::Value(value)) => value.as_ref(),
                _ => &[],
            };
            present.cmp(wanted)
        }
        (Ok(CompareTarget::Version), union) => number(|r| r.version).cmp(&match union {
            Some(TargetUnion::Version(version)) => *version,
            _ => 0,
        }),
        (Ok(CompareTarget::Create), union) => number(|r| r.created.0).cmp(&match union {
            Some(TargetUnion::CreateRevision(revision)) => *revision,
            _ => 0,
        }),
        (Ok(CompareTarget::Mod), union) => number(|r| r.modified.0).cmp(&match union {
            Some(TargetUnion::ModRevision(revision)) => *revision,
            _ => 0,
        }),
        (Ok(CompareTarget::Lease), union) => number(|r| r.lease.0).cmp(&match union {
            Some(TargetUnion::Lease(lease)) => *lease,
            _ => 0,
        }),
        // etcd compares nothing for a target that it doesn't know, and finds it equal.
        (Err(_), _) => Ordering::Equal,
    };
    match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => order.is_eq(),
        Ok(CompareResult::NotEqual) => order.is_ne(),
        Ok(CompareResult::Greater) => order.is_gt(),
        Ok(CompareResult::Less) => order.is_lt(),
        Err(_) => true,
    }
}
