//! Txn, in three passes: every branch is decided on the state before, then all that was chosen is
//! checked against that state, then it is carried out, each step seeing the ones before.

use std::cmp::Ordering;

use latchd_proto::{
    etcdserverpb::{
        Compare, RequestOp, ResponseHeader, ResponseOp, TxnRequest, TxnResponse,
        compare::{CompareResult, CompareTarget, TargetUnion},
        request_op::Request as Operation,
        response_op::Response as Outcome,
    },
    mvccpb::KeyValue,
};

use super::{
    Failure, Model, Request, header_at, kv,
    store::{Span, Store, Writer},
    validate,
};

/// A Txn with its branch chosen, and those of the Txns nested in it.
struct Plan<'a> {
    succeeded: bool,
    steps: Vec<Step<'a>>,
}

enum Step<'a> {
    Plain(&'a Operation),
    Nested(Plan<'a>),
}

impl Model {
    pub(super) fn txn(&mut self, request: &TxnRequest) -> Result<TxnResponse, Failure> {
        validate::txn(request)?;
        let plan = Plan::of(&self.store, request);
        self.check(&plan)?;
        if plan.keeps_what_it_deleted(&mut Vec::new()) {
            return Err(Failure::of(tonic::Code::InvalidArgument, "key not found"));
        }
        let mut writer = self.store.write();
        let mut response = run(&mut writer, &plan)?;
        response.header = header_at(writer.revision());
        Ok(response)
    }

    /// Whether this request would end a real etcd 3.7.1, now or at a later read:
    /// - a Txn that deletes a key by a range "from a key on" and then puts it with `ignore_value` or
    ///   `ignore_lease`: etcd's check for keys that are written twice does not see it, and carrying
    ///   it out panics. The model refuses it;
    /// - a compaction at exactly the revision in which a key was so deleted and put again: what was
    ///   put is removed, and reading it is fatal ("failed to find revision pair").
    #[must_use]
    pub fn crashes_etcd(&self, request: &Request) -> bool {
        if let Request::Compact(compact) = request {
            return self.store.remade_at(compact.revision);
        }
        let Request::Txn(request) = request else {
            return false;
        };
        if validate::txn(request).is_err() {
            return false;
        }
        let plan = Plan::of(&self.store, request);
        self.check(&plan).is_ok() && plan.keeps_what_it_deleted(&mut Vec::new())
    }

    fn check(&self, plan: &Plan<'_>) -> Result<(), Failure> {
        for step in &plan.steps {
            match step {
                Step::Plain(Operation::RequestRange(range)) if range.revision != 0 => {
                    if range.revision > self.revision() {
                        return Err(kv::future());
                    }
                    // Unlike a Range of its own, one below zero is not the present.
                    if range.revision < self.compacted() {
                        return Err(kv::compacted());
                    }
                }
                Step::Plain(Operation::RequestPut(put)) => self.check_put(put)?,
                Step::Plain(_) => {}
                Step::Nested(plan) => self.check(plan)?,
            }
        }
        Ok(())
    }
}

impl<'a> Plan<'a> {
    fn of(store: &Store, request: &'a TxnRequest) -> Self {
        let succeeded = request.compare.iter().all(|compare| holds(store, compare));
        let chosen = if succeeded {
            &request.success
        } else {
            &request.failure
        };
        let step = |operation: &'a RequestOp| match operation.request.as_ref()? {
            Operation::RequestTxn(nested) => Some(Step::Nested(Self::of(store, nested))),
            plain => Some(Step::Plain(plain)),
        };
        Self {
            succeeded,
            steps: chosen.iter().filter_map(step).collect(),
        }
    }

    fn keeps_what_it_deleted(&self, deleted: &mut Vec<Span<'a>>) -> bool {
        self.steps.iter().any(|step| match step {
            Step::Plain(Operation::RequestDeleteRange(delete)) => {
                deleted.push(Span::new(&delete.key, &delete.range_end));
                false
            }
            Step::Plain(Operation::RequestPut(put)) => {
                (put.ignore_value || put.ignore_lease)
                    && deleted.iter().any(|span| span.contains(&put.key))
            }
            Step::Plain(_) => false,
            Step::Nested(plan) => plan.keeps_what_it_deleted(deleted),
        })
    }
}

fn run(writer: &mut Writer<'_>, plan: &Plan<'_>) -> Result<TxnResponse, Failure> {
    let mut responses = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        responses.push(ResponseOp {
            response: outcome(writer, step)?,
        });
    }
    Ok(TxnResponse {
        // That of a nested one stays empty.
        header: Some(ResponseHeader::default()),
        succeeded: plan.succeeded,
        responses,
    })
}

fn outcome(writer: &mut Writer<'_>, step: &Step<'_>) -> Result<Option<Outcome>, Failure> {
    Ok(Some(match step {
        Step::Plain(Operation::RequestRange(request)) => {
            let now = writer.revision();
            Outcome::ResponseRange(kv::read(writer.store(), now, request)?)
        }
        Step::Plain(Operation::RequestPut(request)) => {
            Outcome::ResponsePut(kv::put(writer, request))
        }
        Step::Plain(Operation::RequestDeleteRange(request)) => {
            Outcome::ResponseDeleteRange(kv::delete_range(writer, request))
        }
        Step::Nested(plan) => Outcome::ResponseTxn(run(writer, plan)?),
        // A nested one is a plan by now.
        Step::Plain(Operation::RequestTxn(_)) => return Ok(None),
    }))
}

/// Whether a compare holds for each key of its range. A range without keys is compared as one key
/// of zeros, which has no value, not even the empty one.
fn holds(store: &Store, compare: &Compare) -> bool {
    let span = Span::new(&compare.key, &compare.range_end);
    let mut found = store
        .live()
        .values()
        .filter(|kv| span.contains(&kv.key))
        .peekable();
    if found.peek().is_none() {
        return CompareTarget::try_from(compare.target) != Ok(CompareTarget::Value)
            && holds_for(compare, &KeyValue::default());
    }
    found.all(|kv| holds_for(compare, kv))
}

fn holds_for(compare: &Compare, kv: &KeyValue) -> bool {
    let order = order_of(compare, kv);
    match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => order == Ordering::Equal,
        Ok(CompareResult::NotEqual) => order != Ordering::Equal,
        Ok(CompareResult::Greater) => order == Ordering::Greater,
        Ok(CompareResult::Less) => order == Ordering::Less,
        Err(_) => true,
    }
}

/// How a key relates to what the compare names. What it names for another target counts as zero
/// or empty.
fn order_of(compare: &Compare, kv: &KeyValue) -> Ordering {
    let wanted = compare.target_union.as_ref();
    let number = |found: i64, pick: fn(&TargetUnion) -> Option<i64>| {
        found.cmp(&wanted.and_then(pick).unwrap_or(0))
    };
    match CompareTarget::try_from(compare.target) {
        Ok(CompareTarget::Value) => match wanted {
            Some(TargetUnion::Value(value)) => kv.value.cmp(value),
            _ => kv.value.as_ref().cmp(&[]),
        },
        Ok(CompareTarget::Version) => number(kv.version, |wanted| match wanted {
            TargetUnion::Version(version) => Some(*version),
            _ => None,
        }),
        Ok(CompareTarget::Create) => number(kv.create_revision, |wanted| match wanted {
            TargetUnion::CreateRevision(revision) => Some(*revision),
            _ => None,
        }),
        Ok(CompareTarget::Mod) => number(kv.mod_revision, |wanted| match wanted {
            TargetUnion::ModRevision(revision) => Some(*revision),
            _ => None,
        }),
        Ok(CompareTarget::Lease) => number(kv.lease, |wanted| match wanted {
            TargetUnion::Lease(lease) => Some(*lease),
            _ => None,
        }),
        Err(_) => Ordering::Equal,
    }
}
