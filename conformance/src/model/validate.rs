//! What is refused before anything is looked at.

use std::collections::BTreeSet;

use latchd_proto::etcdserverpb::{
    DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
    range_request::{SortOrder, SortTarget},
    request_op::Request as Operation,
};
use tonic::Code;

use super::{Failure, range, store::Span};

/// How many operations a Txn may have along each path.
const MAX_OPERATIONS: usize = 128;

type Checked = Result<(), Failure>;

fn invalid(message: &str) -> Failure {
    Failure::of(Code::InvalidArgument, message)
}

fn has_key(key: &[u8]) -> Checked {
    if key.is_empty() {
        return Err(invalid("key is not provided"));
    }
    Ok(())
}

pub(super) fn range(request: &RangeRequest) -> Checked {
    has_key(&request.key)?;
    if SortOrder::try_from(request.sort_order).is_err()
        || SortTarget::try_from(request.sort_target).is_err()
    {
        return Err(invalid("invalid sort option"));
    }
    Ok(())
}

pub(super) fn range_stream(request: &RangeRequest) -> Checked {
    range(request)?;
    let what = match (
        range::is_default_order(request),
        range::has_filters(request),
    ) {
        (true, false) => return Ok(()),
        (false, _) => "custom sort orders",
        (true, true) => "revision filters",
    };
    Err(Failure {
        code: Code::Unimplemented,
        message: format!("RangeStream does not support {what}"),
    })
}

pub(super) fn put(request: &PutRequest) -> Checked {
    has_key(&request.key)?;
    if request.ignore_value && !request.value.is_empty() {
        return Err(invalid("value is provided"));
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(invalid("lease is provided"));
    }
    Ok(())
}

pub(super) fn delete_range(request: &DeleteRangeRequest) -> Checked {
    has_key(&request.key)
}

pub(super) fn txn(request: &TxnRequest) -> Checked {
    operations(request, MAX_OPERATIONS)?;
    Writes::of(&request.success)?;
    Writes::of(&request.failure)?;
    Ok(())
}

fn operations(request: &TxnRequest, allowed: usize) -> Checked {
    let lists = [
        request.compare.len(),
        request.success.len(),
        request.failure.len(),
    ];
    let longest = lists.into_iter().max().unwrap_or(0);
    let Some(left) = allowed.checked_sub(longest) else {
        return Err(invalid("too many operations in txn request"));
    };
    for compare in &request.compare {
        has_key(&compare.key)?;
    }
    for operation in request.success.iter().chain(&request.failure) {
        match &operation.request {
            Some(Operation::RequestRange(request)) => range(request)?,
            Some(Operation::RequestPut(request)) => put(request)?,
            Some(Operation::RequestDeleteRange(request)) => delete_range(request)?,
            Some(Operation::RequestTxn(request)) => operations(request, left)?,
            None => return Err(invalid("key not found")),
        }
    }
    Ok(())
}

/// What a list of operations writes. A key that is put may be neither put nor deleted by the same
/// Txn, as far as etcd sees it: it looks at the deletes of the list, then at each nested Txn, whose
/// branches exclude each other, and at the puts of the list last.
#[derive(Default)]
struct Writes<'a> {
    puts: BTreeSet<&'a [u8]>,
    deletes: Vec<Span<'a>>,
}

impl<'a> Writes<'a> {
    fn of(list: &'a [RequestOp]) -> Result<Self, Failure> {
        let mut writes = Self::default();
        let operations = || {
            list.iter()
                .filter_map(|operation| operation.request.as_ref())
        };
        for operation in operations() {
            if let Operation::RequestDeleteRange(delete) = operation {
                writes
                    .deletes
                    .push(Span::new(&delete.key, &delete.range_end));
            }
        }
        for operation in operations() {
            if let Operation::RequestTxn(nested) = operation {
                writes.include(Self::of(&nested.success)?, Self::of(&nested.failure)?)?;
            }
        }
        for operation in operations() {
            if let Operation::RequestPut(put) = operation {
                writes.put(&put.key)?;
            }
        }
        Ok(writes)
    }

    fn include(&mut self, success: Self, failure: Self) -> Checked {
        for key in success.puts.union(&failure.puts) {
            self.put(key)?;
        }
        self.deletes.extend(success.deletes);
        self.deletes.extend(failure.deletes);
        Ok(())
    }

    fn put(&mut self, key: &'a [u8]) -> Checked {
        // "From a key on" is an empty interval in this check, though not when it is carried out.
        let deleted = self
            .deletes
            .iter()
            .any(|span| !span.is_from_key() && span.contains(key));
        if deleted || !self.puts.insert(key) {
            return Err(invalid("duplicate key given in txn request"));
        }
        Ok(())
    }
}
