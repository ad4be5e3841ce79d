//! What a Txn does: its operations see one another, in order, at one revision.

use anyhow::Result;
use latchd_proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
    compare::{CompareTarget, TargetUnion},
    range_request::{SortOrder, SortTarget},
};

use super::odd_compares::equal;
use crate::suite::{
    Case, IntoOp, Session, all_of, delete, delete_range, everything, get, grant, prefix, put,
    put_leased, range, time_to_live, txn,
};

pub fn cases() -> Vec<Case> {
    let mut cases = flat();
    cases.extend(reads());
    cases.extend(nested());
    cases.push(Case::new("do: both ways of a lock", lock));
    cases.push(Case::new("do: an election's proclaim", proclaim));
    cases
}

fn flat() -> Vec<Case> {
    vec![
        does("nothing", |_| Vec::new()),
        does("one put", |_| vec![put("n", "1").op()]),
        does("three puts", |_| {
            vec![put("n", "1").op(), put("a", "2").op(), put("m", "3").op()]
        }),
        does("a put with prev_kv", |_| {
            vec![
                PutRequest {
                    prev_kv: true,
                    ..put("a", "2")
                }
                .op(),
            ]
        }),
        does("a put with ignore_value", |_| {
            vec![
                PutRequest {
                    ignore_value: true,
                    ..put("a", "")
                }
                .op(),
            ]
        }),
        does("a put with ignore_lease", |_| {
            vec![
                PutRequest {
                    ignore_lease: true,
                    ..put("leased", "2")
                }
                .op(),
            ]
        }),
        does("a put that moves a key to a lease", |_| {
            vec![put_leased("a", "2", 7).op()]
        }),
        does("a put that takes a key off its lease", |_| {
            vec![put("leased", "2").op()]
        }),
        does("one delete", |_| vec![delete("a").op()]),
        does("a delete of nothing: no new revision", |_| {
            vec![delete("x").op()]
        }),
        does("a delete of a range with prev_kv", |_| {
            vec![
                DeleteRangeRequest {
                    prev_kv: true,
                    ..delete_range("a", "c")
                }
                .op(),
            ]
        }),
        does("a delete of everything", |_| {
            vec![delete_range(&b"\0"[..], &b"\0"[..]).op()]
        }),
        does("two deletes that overlap", |_| {
            vec![delete_range("a", "c").op(), delete_range("b", "z").op()]
        }),
        does("the same delete twice", |_| {
            vec![delete("a").op(), delete("a").op()]
        }),
        does("a put and a delete of other keys", |_| {
            vec![put("n", "1").op(), delete("a").op()]
        }),
        does("a delete beside a put at its end", |_| {
            vec![delete_range("a", "c").op(), put("c", "1").op()]
        }),
    ]
}

fn reads() -> Vec<Case> {
    vec![
        does("only reads: no new revision", |_| {
            vec![get("a").op(), everything().op()]
        }),
        does("a read after a put", |_| {
            vec![put("n", "1").op(), get("n").op()]
        }),
        does("a read before a put", |_| {
            vec![get("a").op(), put("a", "2").op()]
        }),
        does("a read between two puts", |_| {
            vec![
                put("a", "2").op(),
                prefix("").op(),
                range("a", "z").op(),
                put("n", "3").op(),
            ]
        }),
        does("a read after a delete", |_| {
            vec![delete("a").op(), range("a", "z").op()]
        }),
        does("a count after a put and a delete", |_| {
            let count = RangeRequest {
                count_only: true,
                ..everything()
            };
            vec![put("n", "1").op(), delete("a").op(), count.op()]
        }),
        does("the last by create revision after a put", |_| {
            let last = RangeRequest {
                sort_target: SortTarget::Create.into(),
                sort_order: SortOrder::Descend.into(),
                limit: 1,
                ..everything()
            };
            vec![put("n", "1").op(), last.op()]
        }),
        does("the first by value after a put", |_| {
            let first = RangeRequest {
                sort_target: SortTarget::Value.into(),
                sort_order: SortOrder::Ascend.into(),
                limit: 2,
                ..everything()
            };
            vec![put("n", "0").op(), first.op()]
        }),
        does("by revision, the Txn's own among them", |s| {
            let filtered = RangeRequest {
                min_mod_revision: s.revision(4),
                ..everything()
            };
            vec![put("n", "1").op(), filtered.op()]
        }),
        does("at an older revision after a put", |s| {
            let older = RangeRequest {
                revision: s.revision(2),
                ..everything()
            };
            vec![put("a", "2").op(), older.op()]
        }),
        does("at the present revision after a put", |s| {
            let present = RangeRequest {
                revision: s.revision(4),
                ..everything()
            };
            vec![put("a", "2").op(), present.op()]
        }),
        does("at the Txn's own revision after a put", |s| {
            let own = RangeRequest {
                revision: s.revision(5),
                ..everything()
            };
            vec![put("a", "2").op(), own.op()]
        }),
        does("only keys after a put", |_| {
            let keys = RangeRequest {
                keys_only: true,
                ..everything()
            };
            vec![put("n", "1").op(), keys.op()]
        }),
    ]
}

fn nested() -> Vec<Case> {
    vec![
        does("a Txn inside", |_| {
            vec![all_of(vec![put("n", "1").op(), get("n").op()]).op()]
        }),
        does("an empty Txn inside", |_| vec![TxnRequest::default().op()]),
        does("two Txns inside", |_| {
            vec![
                all_of(vec![put("n", "1").op()]).op(),
                all_of(vec![put("m", "1").op(), get("n").op()]).op(),
            ]
        }),
        does("a Txn inside a Txn inside", |_| {
            let inner = all_of(vec![put("n", "1").op(), get("a").op()]);
            vec![
                all_of(vec![put("m", "1").op(), inner.op()]).op(),
                get("n").op(),
            ]
        }),
        does("five deep", |_| {
            let mut inner = all_of(vec![put("n", "1").op()]);
            for _ in 0..5 {
                inner = all_of(vec![inner.op(), get("n").op()]);
            }
            vec![inner.op()]
        }),
        does("inside, a compare of what was before", |_| {
            let inner = txn(vec![has("n", 0)], vec![get("a").op()], vec![get("b").op()]);
            vec![put("n", "1").op(), inner.op()]
        }),
        does(
            "inside, a compare of what an earlier Txn inside wrote",
            |_| {
                let inner = txn(
                    vec![has("n", 1)],
                    vec![put("m", "yes").op()],
                    vec![put("m", "no").op()],
                );
                vec![all_of(vec![put("n", "1").op()]).op(), inner.op()]
            },
        ),
        does("inside, the way of failure", |_| {
            let inner = txn(
                vec![has("a", 9)],
                vec![put("n", "1").op()],
                vec![put("m", "1").op()],
            );
            vec![inner.op(), everything().op()]
        }),
        does("inside, a read after a put outside", |_| {
            vec![put("n", "1").op(), all_of(vec![get("n").op()]).op()]
        }),
        does("inside, a delete; outside, a read", |_| {
            vec![all_of(vec![delete("a").op()]).op(), everything().op()]
        }),
        does("inside, only reads: no new revision", |_| {
            vec![all_of(vec![get("a").op()]).op()]
        }),
    ]
}

fn has(key: &'static str, version: i64) -> Compare {
    equal(key, CompareTarget::Version, TargetUnion::Version(version))
}

/// The operations on four keys, then everything.
fn does(name: &str, operations: impl Fn(&Session) -> Vec<RequestOp> + 'static) -> Case {
    Case::new(format!("do: {name}"), async move |s: &mut Session| {
        s.call(grant(60, 7)).await.ok()?;
        for key in ["a", "b", "c"] {
            s.call(put(key, "1")).await.ok()?;
        }
        s.call(put_leased("leased", "1", 7)).await.ok()?;
        let operations = operations(s);
        s.call(all_of(operations)).await;
        s.call(everything()).await;
        s.call(time_to_live(7)).await;
        Ok(())
    })
}

/// As Go's Mutex asks: put the own key if it is not there, and who is first.
async fn lock(s: &mut Session) -> Result<()> {
    for lease in [21, 22] {
        s.call(grant(60, lease)).await.ok()?;
    }
    let first = RangeRequest {
        sort_target: SortTarget::Create.into(),
        sort_order: SortOrder::Ascend.into(),
        limit: 1,
        ..prefix("m/")
    };
    for (key, lease) in [("m/15", 21), ("m/16", 22), ("m/15", 21)] {
        let absent = equal(key, CompareTarget::Create, TargetUnion::CreateRevision(0));
        let success = vec![put_leased(key, "", lease).op(), first.clone().op()];
        let failure = vec![get(key).op(), first.clone().op()];
        s.call(txn(vec![absent], success, failure)).await;
    }
    let before = RangeRequest {
        sort_target: SortTarget::Create.into(),
        sort_order: SortOrder::Descend.into(),
        limit: 1,
        max_create_revision: s.revision(1),
        ..prefix("m/")
    };
    s.call(before).await;
    Ok(())
}

/// As Go's Election does: put only while the own key is the one that was created.
async fn proclaim(s: &mut Session) -> Result<()> {
    s.call(grant(60, 21)).await.ok()?;
    s.call(put_leased("e/15", "a", 21)).await;
    for revision in [s.revision(1), s.revision(0)] {
        let mine = equal(
            "e/15",
            CompareTarget::Create,
            TargetUnion::CreateRevision(revision),
        );
        let say = vec![put_leased("e/15", "b", 21).op()];
        s.call(txn(vec![mine.clone()], say, Vec::new())).await;
        s.call(txn(vec![mine], vec![delete("e/15").op()], Vec::new()))
            .await;
    }
    Ok(())
}
