//! Txn: decide every branch on the state before, check the chosen operations whole, then run them.
//!
//! The three passes are etcd's (3.7.1, `etcdserver/txn/txn.go`): nested compares do not see the
//! outer puts, while a Range that runs after a Put does.

use std::cmp::Ordering;

use latchd_proto::etcdserverpb::{
    Compare, RequestOp, ResponseHeader, ResponseOp, TxnRequest, TxnResponse,
    compare::{CompareResult, CompareTarget, TargetUnion},
    request_op::Request,
    response_op::Response,
};

use super::kv;
use crate::error::Result;
use crate::mvcc::write::Batch;
use crate::mvcc::{KeyRange, Record};

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

fn decide<'a>(batch: &Batch<'_>, request: &'a TxnRequest) -> Result<Plan<'a>> {
    let mut succeeded = true;
    for compare in &request.compare {
        if !holds(batch, compare)? {
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
            .map(|nested| decide(batch, nested))
            .collect::<Result<_>>()?,
    })
}

fn check(batch: &Batch<'_>, plan: &Plan<'_>) -> Result<()> {
    let mut nested = plan.nested.iter();
    for operation in plan.operations {
        match &operation.request {
            Some(Request::RequestRange(range)) => batch.view().check_revision(range.revision)?,
            Some(Request::RequestPut(put)) => kv::check_put(batch, put)?,
            Some(Request::RequestTxn(_)) => {
                nested.next().map_or(Ok(()), |plan| check(batch, plan))?
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
fn holds(batch: &Batch<'_>, compare: &Compare) -> Result<bool> {
    let range = KeyRange::from_wire(&compare.key, &compare.range_end);
    let found = batch.view().live(&range)?;
    if found.is_empty() {
        // A value that is not there equals nothing, not even the empty value.
        let by_value = compare.target == CompareTarget::Value as i32;
        return Ok(!by_value && holds_for(compare, None));
    }
    Ok(found
        .iter()
        .all(|(_, record)| holds_for(compare, Some(record))))
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
