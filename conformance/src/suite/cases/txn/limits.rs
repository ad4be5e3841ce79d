//! How much a Txn may hold.

use latchd_proto::etcdserverpb::{
    Compare, RangeRequest, RequestOp, TxnRequest,
    compare::{CompareTarget, TargetUnion},
};

use super::odd_compares::equal;
use crate::suite::{Case, IntoOp, Session, all_of, everything, get, put, txn};

fn puts(count: usize) -> Vec<RequestOp> {
    (0..count)
        .map(|at| put(format!("k{at:03}"), "v").op())
        .collect()
}

fn gets(count: usize) -> Vec<RequestOp> {
    vec![get("k").op(); count]
}

fn compares(count: usize) -> Vec<Compare> {
    vec![equal("k", CompareTarget::Version, TargetUnion::Version(0)); count]
}

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        asked("128 operations", all_of(puts(128))),
        asked("129 operations", all_of(puts(129))),
        asked("128 compares", txn(compares(128), gets(1), vec![])),
        asked("129 compares", txn(compares(129), vec![], vec![])),
        asked(
            "128 operations on the other way",
            txn(vec![], vec![], gets(128)),
        ),
        asked(
            "129 operations on the other way",
            txn(vec![], vec![], gets(129)),
        ),
        asked("128 of each", txn(compares(128), gets(128), gets(128))),
        // What is inside may hold what the longest list outside leaves.
        asked("127 inside one", all_of(vec![all_of(puts(127)).op()])),
        asked("128 inside one", all_of(vec![all_of(puts(128)).op()])),
        asked(
            "64 inside the last of 64",
            all_of(
                gets(63)
                    .into_iter()
                    .chain([all_of(puts(64)).op()])
                    .collect(),
            ),
        ),
        asked(
            "65 inside the last of 64",
            all_of(
                gets(63)
                    .into_iter()
                    .chain([all_of(puts(65)).op()])
                    .collect(),
            ),
        ),
        asked(
            "one inside the last of 128",
            all_of(
                gets(127)
                    .into_iter()
                    .chain([all_of(puts(1)).op()])
                    .collect(),
            ),
        ),
        asked(
            "nothing inside the last of 128",
            all_of(gets(127).into_iter().chain([all_of(vec![]).op()]).collect()),
        ),
        asked(
            "100 compares, 29 inside",
            txn(compares(100), vec![all_of(puts(29)).op()], vec![]),
        ),
        asked(
            "100 compares, 28 inside",
            txn(compares(100), vec![all_of(puts(28)).op()], vec![]),
        ),
        asked(
            "too many inside on the way that is not gone",
            txn(vec![], gets(1), vec![all_of(gets(128)).op()]),
        ),
        asked("40 deep", deep(40)),
        Case::new("limits: 60 deep", async |s: &mut Session| {
            s.call(deep(60)).await;
            Ok(())
        }),
    ];
    cases.push(
        asked("3 operations where 2 may be", all_of(puts(3))).on_own_servers(&["--max-txn-ops=2"]),
    );
    cases
}

/// One put under so many Txns.
fn deep(levels: usize) -> TxnRequest {
    (1..levels).fold(all_of(puts(1)), |inner, _| all_of(vec![inner.op()]))
}

fn asked(name: &str, request: TxnRequest) -> Case {
    Case::new(format!("limits: {name}"), async move |s: &mut Session| {
        s.call(request.clone()).await;
        s.call(RangeRequest {
            count_only: true,
            ..everything()
        })
        .await;
        Ok(())
    })
}
