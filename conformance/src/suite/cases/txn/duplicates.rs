//! A key written twice in one Txn: refused wherever the two may meet, allowed where
//! they cannot; deletes may meet one another.

use latchd_proto::etcdserverpb::{RequestOp, TxnRequest};

use crate::suite::{Case, IntoOp, Session, all_of, delete, delete_range, everything, put, txn};

fn set(key: &'static str) -> RequestOp {
    put(key, "new").op()
}

fn del(key: &'static str) -> RequestOp {
    delete(key).op()
}

fn del_range(key: &'static str, end: &'static str) -> RequestOp {
    delete_range(key, end).op()
}

/// A Txn inside, with operations for either way.
fn inner(success: Vec<RequestOp>, failure: Vec<RequestOp>) -> RequestOp {
    txn(Vec::new(), success, failure).op()
}

pub fn cases() -> Vec<Case> {
    let mut cases = at_one_level();
    cases.extend(at_two_levels());
    cases.extend(deeper());
    cases
}

fn at_one_level() -> Vec<Case> {
    vec![
        done("two puts", vec![set("k"), set("k")]),
        done(
            "two puts with another between",
            vec![set("k"), set("l"), set("k")],
        ),
        done("a put and a delete", vec![set("k"), del("k")]),
        done("a delete and a put", vec![del("k"), set("k")]),
        done(
            "a put in a deleted range",
            vec![set("k"), del_range("j", "l")],
        ),
        done(
            "a put at the start of a deleted range",
            vec![set("k"), del_range("k", "l")],
        ),
        done(
            "a put at the end of a deleted range",
            vec![set("k"), del_range("j", "k")],
        ),
        done(
            "a put and a delete of all from a key",
            vec![set("k"), del_range("j", "\0")],
        ),
        done(
            "a put before a delete of all from a key",
            vec![set("k"), del_range("l", "\0")],
        ),
        done(
            "a put and a delete of everything",
            vec![set("k"), del_range("\0", "\0")],
        ),
        done(
            "a put in a range the wrong way round",
            vec![set("k"), del_range("l", "j")],
        ),
        done("two deletes", vec![del("k"), del("k")]),
        done(
            "a delete and a range that has it",
            vec![del("k"), del_range("j", "l")],
        ),
        asked(
            "in the way that is not gone",
            txn(Vec::new(), vec![set("k")], vec![set("l"), set("l")]),
        ),
        asked(
            "one put on either way",
            txn(Vec::new(), vec![set("k")], vec![set("k")]),
        ),
        asked(
            "a put and a delete on either way",
            txn(Vec::new(), vec![set("k")], vec![del("k")]),
        ),
    ]
}

fn at_two_levels() -> Vec<Case> {
    vec![
        done(
            "a put outside and inside",
            vec![set("k"), inner(vec![set("k")], vec![])],
        ),
        done(
            "a put inside and outside",
            vec![inner(vec![set("k")], vec![]), set("k")],
        ),
        done(
            "a put outside and on the inside's other way",
            vec![set("k"), inner(vec![], vec![set("k")])],
        ),
        done(
            "a put outside and a delete inside",
            vec![set("k"), inner(vec![del("k")], vec![])],
        ),
        done(
            "a delete outside and a put inside",
            vec![del("k"), inner(vec![set("k")], vec![])],
        ),
        done(
            "a deleted range outside and a put on the other way",
            vec![del_range("j", "l"), inner(vec![], vec![set("k")])],
        ),
        done(
            "a put outside and a deleted range inside",
            vec![set("k"), inner(vec![], vec![del_range("j", "l")])],
        ),
        done(
            "a delete outside and inside",
            vec![del("k"), inner(vec![del("k")], vec![])],
        ),
        done(
            "a put on both ways inside",
            vec![inner(vec![set("k")], vec![set("k")])],
        ),
        done(
            "a put and a delete on the ways inside",
            vec![inner(vec![set("k")], vec![del("k")])],
        ),
        done(
            "a put in both of two inside",
            vec![inner(vec![set("k")], vec![]), inner(vec![set("k")], vec![])],
        ),
        done(
            "a put on other ways of two inside",
            vec![inner(vec![set("k")], vec![]), inner(vec![], vec![set("k")])],
        ),
        done(
            "a put on both ways, and in the next",
            vec![
                inner(vec![set("k")], vec![set("k")]),
                inner(vec![set("l")], vec![set("k")]),
            ],
        ),
        done(
            "a put in one inside, a delete in the next",
            vec![inner(vec![set("k")], vec![]), inner(vec![del("k")], vec![])],
        ),
        done(
            "a delete in one inside, a put in the next",
            vec![inner(vec![del("k")], vec![]), inner(vec![set("k")], vec![])],
        ),
        done(
            "a delete in both of two inside",
            vec![inner(vec![del("k")], vec![]), inner(vec![del("k")], vec![])],
        ),
        done(
            "two puts inside",
            vec![inner(vec![set("k"), set("k")], vec![])],
        ),
        done(
            "two puts on the inside's other way",
            vec![inner(vec![], vec![set("k"), set("k")])],
        ),
    ]
}

fn deeper() -> Vec<Case> {
    vec![
        done(
            "a put outside and two levels down",
            vec![set("k"), inner(vec![inner(vec![], vec![set("k")])], vec![])],
        ),
        done(
            "a delete outside and a put two levels down",
            vec![
                del_range("j", "l"),
                inner(vec![inner(vec![set("k")], vec![])], vec![]),
            ],
        ),
        done(
            "a delete two levels down and a put outside",
            vec![inner(vec![inner(vec![del("k")], vec![])], vec![]), set("k")],
        ),
        done(
            "other keys at three levels",
            vec![
                set("k"),
                inner(
                    vec![set("l"), inner(vec![set("m"), del("n")], vec![])],
                    vec![],
                ),
                del("o"),
            ],
        ),
    ]
}

fn done(name: &str, operations: Vec<RequestOp>) -> Case {
    asked(name, all_of(operations))
}

fn asked(name: &str, request: TxnRequest) -> Case {
    Case::new(
        format!("duplicates: {name}"),
        async move |s: &mut Session| {
            s.call(put("k", "old")).await;
            s.call(request.clone()).await;
            s.call(everything()).await;
            Ok(())
        },
    )
}
