//! Refuses malformed requests, with etcd's errors in etcd's order (3.7.1, `v3rpc/key.go`).

use std::collections::HashSet;

use bytes::Bytes;
use latchd_proto::etcdserverpb::{
    DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
    range_request::{SortOrder, SortTarget},
    request_op::Request,
};

use super::key_set::KeySet;
use crate::error::{Error, Result};

/// A Range needs a key and a known order.
pub fn range(request: &RangeRequest) -> Result<()> {
    if request.key.is_empty() {
        return Err(Error::EmptyKey);
    }
    let known = SortOrder::try_from(request.sort_order).is_ok()
        && SortTarget::try_from(request.sort_target).is_ok();
    if !known {
        return Err(Error::InvalidSortOption);
    }
    Ok(())
}

/// A Put needs a key, and gives no value or lease that it asks to ignore.
pub fn put(request: &PutRequest) -> Result<()> {
    if request.key.is_empty() {
        return Err(Error::EmptyKey);
    }
    if request.ignore_value && !request.value.is_empty() {
        return Err(Error::ValueProvided);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(Error::LeaseProvided);
    }
    Ok(())
}

/// A DeleteRange needs a key.
pub fn delete_range(request: &DeleteRangeRequest) -> Result<()> {
    if request.key.is_empty() {
        return Err(Error::EmptyKey);
    }
    Ok(())
}

/// A Txn has sound operations, at most `max_ops` along each path, and writes no key twice.
pub fn txn(request: &TxnRequest, max_ops: usize) -> Result<()> {
    operations(request, max_ops)?;
    // Only now, so that what it compares is bounded.
    let mut writes = Writes::default();
    writes.add(&request.success)?;
    Writes::default().add(&request.failure)
}

fn operations(request: &TxnRequest, max_ops: usize) -> Result<()> {
    let count = request
        .compare
        .len()
        .max(request.success.len())
        .max(request.failure.len());
    let left = max_ops.checked_sub(count).ok_or(Error::TooManyOps)?;
    if request.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(Error::EmptyKey);
    }
    for operation in request.success.iter().chain(&request.failure) {
        match &operation.request {
            Some(Request::RequestRange(request)) => range(request)?,
            Some(Request::RequestPut(request)) => put(request)?,
            Some(Request::RequestDeleteRange(request)) => delete_range(request)?,
            Some(Request::RequestTxn(request)) => operations(request, left)?,
            None => return Err(Error::KeyNotFound),
        }
    }
    Ok(())
}

/// What a list of operations writes, nested ones included. Two puts of a key clash, and so do a
/// put and a delete; two deletes don't. The branches of a nested Txn don't clash with each other.
#[derive(Default)]
struct Writes {
    puts: HashSet<Bytes>,
    deletes: KeySet,
}

impl Writes {
    fn add(&mut self, operations: &[RequestOp]) -> Result<()> {
        for operation in operations {
            // etcd takes the end "\0" at its word here, so that a delete "from key on" clashes with
            // no put (seen on 3.7.1); it runs in its turn.
            if let Some(Request::RequestDeleteRange(delete)) = &operation.request
                && delete.range_end.as_ref() != b"\0"
            {
                self.deletes.insert(&delete.key, &delete.range_end);
            }
        }
        for operation in operations {
            if let Some(Request::RequestTxn(nested)) = &operation.request {
                self.add_nested(nested)?;
            }
        }
        for operation in operations {
            if let Some(Request::RequestPut(put)) = &operation.request {
                self.put(&put.key)?;
            }
        }
        Ok(())
    }

    fn add_nested(&mut self, nested: &TxnRequest) -> Result<()> {
        let (mut success, mut failure) = (Writes::default(), Writes::default());
        success.add(&nested.success)?;
        failure.add(&nested.failure)?;
        for key in &success.puts {
            self.put(key)?;
        }
        for key in failure
            .puts
            .iter()
            .filter(|key| !success.puts.contains(*key))
        {
            self.put(key)?;
        }
        self.deletes.merge(success.deletes);
        self.deletes.merge(failure.deletes);
        Ok(())
    }

    fn put(&mut self, key: &Bytes) -> Result<()> {
        if self.deletes.contains(key) || !self.puts.insert(key.clone()) {
            return Err(Error::DuplicateKey);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(request: Request) -> RequestOp {
        RequestOp {
            request: Some(request),
        }
    }

    fn put_of(key: &'static str) -> RequestOp {
        op(Request::RequestPut(PutRequest {
            key: key.into(),
            ..Default::default()
        }))
    }

    fn delete_of(key: &'static str, end: &'static str) -> RequestOp {
        op(Request::RequestDeleteRange(DeleteRangeRequest {
            key: key.into(),
            range_end: end.into(),
            ..Default::default()
        }))
    }

    fn nested(success: Vec<RequestOp>, failure: Vec<RequestOp>) -> RequestOp {
        op(Request::RequestTxn(TxnRequest {
            compare: Vec::new(),
            success,
            failure,
        }))
    }

    fn check(success: Vec<RequestOp>) -> Result<()> {
        let request = TxnRequest {
            success,
            ..Default::default()
        };
        txn(&request, 128)
    }

    #[test]
    fn a_key_is_written_once() {
        let clash = Err(Error::DuplicateKey);
        assert_eq!(check(vec![put_of("a"), put_of("b")]), Ok(()));
        assert_eq!(check(vec![put_of("a"), put_of("a")]), clash);
        assert_eq!(check(vec![put_of("b"), delete_of("a", "c")]), clash);
        assert_eq!(check(vec![delete_of("a", ""), delete_of("a", "")]), Ok(()));
        assert_eq!(
            check(vec![put_of("a"), nested(vec![put_of("a")], vec![])]),
            clash
        );
        assert_eq!(
            check(vec![nested(vec![put_of("a")], vec![put_of("a")])]),
            Ok(())
        );
        assert_eq!(
            check(vec![
                delete_of("a", "zz"),
                nested(vec![], vec![put_of("z")])
            ]),
            clash
        );
        assert_eq!(check(vec![delete_of("a", "\0"), put_of("b")]), Ok(()));
        let twice = vec![
            nested(vec![put_of("a")], vec![]),
            nested(vec![put_of("a")], vec![]),
        ];
        assert_eq!(check(twice), clash);
    }

    #[test]
    fn operations_are_counted_along_each_path() {
        let many = |n: usize| (0..n).map(|_| delete_of("a", "")).collect::<Vec<_>>();
        assert_eq!(check(many(128)), Ok(()));
        assert_eq!(check(many(129)), Err(Error::TooManyOps));
        assert_eq!(check(vec![nested(many(127), many(127))]), Ok(()));
        assert_eq!(
            check(vec![nested(many(128), vec![])]),
            Err(Error::TooManyOps)
        );
    }

    #[test]
    fn an_operation_that_is_none_of_them() {
        assert_eq!(
            check(vec![RequestOp { request: None }]),
            Err(Error::KeyNotFound)
        );
    }

    #[test]
    fn what_a_put_may_not_say() {
        let put_with = |request: PutRequest| {
            put(&PutRequest {
                key: "k".into(),
                ..request
            })
        };
        let value = PutRequest {
            value: "v".into(),
            ignore_value: true,
            ..Default::default()
        };
        let lease = PutRequest {
            lease: 1,
            ignore_lease: true,
            ..Default::default()
        };
        assert_eq!(put_with(value), Err(Error::ValueProvided));
        assert_eq!(put_with(lease), Err(Error::LeaseProvided));
        assert_eq!(put(&PutRequest::default()), Err(Error::EmptyKey));
    }

    #[test]
    fn a_sort_order_that_does_not_exist() {
        let request = RangeRequest {
            key: "k".into(),
            sort_target: 9,
            ..Default::default()
        };
        assert_eq!(range(&request), Err(Error::InvalidSortOption));
    }
}
