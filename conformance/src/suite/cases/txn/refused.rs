//! A Txn in which one operation cannot be done does nothing at all.

use latchd_proto::etcdserverpb::{PutRequest, RangeRequest, RequestOp, TxnRequest};

use crate::suite::{
    Case, IntoOp, Session, all_of, compact, delete, everything, get, put, put_leased, txn,
};

pub fn cases() -> Vec<Case> {
    vec![
        refused("a put under a lease that is not there", |_| {
            put_leased("n", "1", 99).op()
        }),
        refused("ignore_value on a missing key", |_| {
            PutRequest {
                ignore_value: true,
                ..put("n", "")
            }
            .op()
        }),
        refused("ignore_lease on a missing key", |_| {
            PutRequest {
                ignore_lease: true,
                ..put("n", "1")
            }
            .op()
        }),
        refused("ignore_value with a value", |_| {
            PutRequest {
                ignore_value: true,
                ..put("k", "1")
            }
            .op()
        }),
        refused("ignore_lease with a lease", |_| {
            PutRequest {
                ignore_lease: true,
                ..put_leased("k", "1", 9)
            }
            .op()
        }),
        refused("a put without a key", |_| put("", "1").op()),
        refused("a delete without a key", |_| delete("").op()),
        refused("a read without a key", |_| get("").op()),
        refused("a read in an unknown order", |_| {
            RangeRequest {
                sort_order: 9,
                ..get("k")
            }
            .op()
        }),
        refused("a read of a future revision", |s| {
            RangeRequest {
                revision: s.revision(4),
                ..get("k")
            }
            .op()
        }),
        refused("a read of a compacted revision", |s| {
            RangeRequest {
                revision: s.revision(1),
                ..get("k")
            }
            .op()
        }),
        refused("a read of a negative revision", |_| {
            RangeRequest {
                revision: -1,
                ..get("k")
            }
            .op()
        }),
        refused("an operation of no kind", |_| RequestOp::default()),
        refused("an empty key in a Txn inside", |_| {
            all_of(vec![put("", "1").op()]).op()
        }),
        refused("a missing lease in a Txn inside", |_| {
            all_of(vec![put("m", "1").op(), put_leased("n", "1", 99).op()]).op()
        }),
        refused("a future revision in a Txn inside", |s| {
            let future = RangeRequest {
                revision: s.revision(9),
                ..get("k")
            };
            all_of(vec![put("m", "1").op(), future.op()]).op()
        }),
        refused("an operation of no kind in a Txn inside", |_| {
            all_of(vec![RequestOp::default()]).op()
        }),
        refused("an empty key on the way that is not gone", |_| {
            txn(vec![], vec![], vec![put("", "1").op()]).op()
        }),
        refused("a missing lease on the way that is not gone", |_| {
            txn(vec![], vec![], vec![put_leased("n", "1", 99).op()]).op()
        }),
        refused("a future revision on the way that is not gone", |s| {
            let future = RangeRequest {
                revision: s.revision(9),
                ..get("k")
            };
            txn(vec![], vec![], vec![future.op()]).op()
        }),
        refused("ignore_value on a key that an earlier put makes", |_| {
            all_of(vec![
                PutRequest {
                    ignore_value: true,
                    ..put("first", "")
                }
                .op(),
            ])
            .op()
        }),
    ]
}

/// The operation after a put, before a put, and alone on the other way.
fn refused(name: &str, operation: impl Fn(&Session) -> RequestOp + 'static) -> Case {
    Case::new(format!("refused: {name}"), async move |s: &mut Session| {
        for value in ["1", "2", "3"] {
            s.call(put("k", value)).await.ok()?;
        }
        s.call(compact(s.revision(2))).await.ok()?;
        let operation = operation(s);
        let requests: [TxnRequest; 3] = [
            all_of(vec![put("first", "1").op(), operation.clone()]),
            all_of(vec![operation.clone(), put("last", "1").op()]),
            txn(vec![], vec![put("way", "1").op()], vec![operation]),
        ];
        for request in requests {
            s.call(request).await;
            s.call(everything()).await;
        }
        Ok(())
    })
}
