//! Txns: what they see, what they count, what they compare with.

use latchd_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use latchd_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use latchd_proto::etcdserverpb::{Compare, RangeRequest, TxnRequest};

use crate::raw::{
    InTxn, Raw, all_of, delete, header_of, keys, put, range, range_under, ranged, revision,
};

/// The first key under a prefix, by age: how Go finds out who holds a lock.
fn oldest(prefix: &'static str) -> RangeRequest {
    RangeRequest {
        sort_order: SortOrder::Ascend.into(),
        sort_target: SortTarget::Create.into(),
        limit: 1,
        ..range_under(prefix)
    }
}

fn compare(
    key: &'static str,
    result: CompareResult,
    target: CompareTarget,
    to: TargetUnion,
) -> Compare {
    Compare {
        result: result.into(),
        target: target.into(),
        key: key.into(),
        range_end: Default::default(),
        target_union: Some(to),
    }
}

/// The Txn of Go's `Mutex`: put the key unless it is there, and see who is first.
fn acquire(key: &'static str, prefix: &'static str) -> TxnRequest {
    let absent = TargetUnion::CreateRevision(0);
    TxnRequest {
        compare: vec![compare(
            key,
            CompareResult::Equal,
            CompareTarget::Create,
            absent,
        )],
        success: vec![put(key, "").op(), oldest(prefix).op()],
        failure: vec![range(key).op(), oldest(prefix).op()],
    }
}

/// Trap 1: a Range inside a Txn sees the Txn's earlier Puts; otherwise Go believes that it holds a
/// lock that it does not hold, or never that it does.
#[tokio::test]
async fn trap_01_a_range_inside_a_txn_sees_the_puts_before_it() {
    let raw = Raw::start().await;
    let first = raw.txn(acquire("lock/a", "lock/")).await;
    assert!(first.succeeded);
    let owner = ranged(&first.responses[1]);
    assert_eq!(keys(owner), ["lock/a"]);
    assert_eq!(owner.kvs[0].create_revision, revision(first.header));
    let second = raw.txn(acquire("lock/b", "lock/")).await;
    assert_eq!(
        keys(ranged(&second.responses[1])),
        ["lock/a"],
        "it does not hold it"
    );
    let again = raw.txn(acquire("lock/a", "lock/")).await;
    assert!(!again.succeeded);
    assert_eq!(keys(ranged(&again.responses[0])), ["lock/a"]);
}

/// Trap 1, the other way round and one level down.
#[tokio::test]
async fn trap_01_a_range_inside_a_txn_sees_the_deletes_before_it_also_when_nested() {
    let raw = Raw::start().await;
    raw.put("seen/a", "").await;
    let nested = all_of([put("seen/b", "").op(), range_under("seen/").op()]);
    let txn = all_of([
        range_under("seen/").op(),
        delete("seen/a").op(),
        range_under("seen/").op(),
        nested.op(),
        range_under("seen/").op(),
    ]);
    let response = raw.txn(txn).await;
    let [before, _, deleted, nested, after] = &response.responses[..] else {
        panic!("{response:?}");
    };
    assert_eq!(keys(ranged(before)), ["seen/a"]);
    assert!(keys(ranged(deleted)).is_empty());
    assert_eq!(keys(ranged(after)), ["seen/b"]);
    let Some(latchd_proto::etcdserverpb::response_op::Response::ResponseTxn(nested)) =
        &nested.response
    else {
        panic!("{nested:?}");
    };
    assert_eq!(keys(ranged(&nested.responses[1])), ["seen/b"]);
}

/// Trap 2: a Txn that writes bumps the revision once, however much it writes.
#[tokio::test]
async fn trap_02_a_txn_that_writes_bumps_the_revision_once() {
    let raw = Raw::start().await;
    let before = raw.revision().await;
    let nested = all_of([put("once/c", "").op()]);
    let txn = all_of([put("once/a", "").op(), put("once/b", "").op(), nested.op()]);
    assert_eq!(revision(raw.txn(txn).await.header), before + 1);
    let all = raw.range(range_under("once/")).await;
    assert_eq!(revision(all.header), before + 1);
    assert!(
        all.kvs.iter().all(|kv| kv.mod_revision == before + 1),
        "{all:?}"
    );
    let reading = all_of([range("once/a").op()]);
    assert_eq!(revision(raw.txn(reading).await.header), before + 1);
}

/// Trap 2: a delete that finds nothing never bumps it, alone or in a Txn.
#[tokio::test]
async fn trap_02_a_delete_that_finds_nothing_bumps_no_revision() {
    let raw = Raw::start().await;
    let before = raw.put("there", "").await;
    assert_eq!(raw.delete("not/there").await, before);
    let txn = all_of([delete("not/there").op(), delete("nor/there").op()]);
    assert_eq!(revision(raw.txn(txn).await.header), before);
    assert_eq!(raw.put("there", "").await, before + 1);
}

/// Trap 2: a header has the current revision, also when the answer is an old one.
#[tokio::test]
async fn trap_02_the_header_of_an_old_answer_has_the_current_revision() {
    let raw = Raw::start().await;
    let old = raw.put("aged", "old").await;
    let current = raw.put("aged", "new").await;
    let request = RangeRequest {
        revision: old,
        ..range("aged")
    };
    let response = raw.range(request).await;
    assert_eq!(&response.kvs[0].value[..], b"old");
    assert_eq!(revision(response.header), current);
}

/// Trap 2: each answer inside a Txn has a header with a revision; Python reads the Put's.
#[tokio::test]
async fn trap_02_nested_answers_have_headers() {
    let raw = Raw::start().await;
    let before = raw.put("head/a", "").await;
    let nested = all_of([put("head/c", "").op()]);
    let txn = all_of([
        range("head/a").op(),
        put("head/b", "").op(),
        delete("head/a").op(),
        nested.op(),
    ]);
    let response = raw.txn(txn).await;
    let [read, written, deleted, nested] = &response.responses[..] else {
        panic!("{response:?}");
    };
    let after = before + 1;
    assert_eq!(header_of(written).revision, after);
    assert_eq!(header_of(deleted).revision, after);
    assert_eq!(revision(response.header), after);
    // Before the first write of a Txn, the revision is the old one.
    assert_eq!(header_of(read).revision, before);
    header_of(nested);
}

/// Trap 13: on a key that is not there, a comparison of the value is false whatever it asks, and
/// those of the numbers see 0.
#[tokio::test]
async fn trap_13_a_missing_key_has_no_value_and_every_number_is_0() {
    use CompareResult::{Equal, Greater, Less, NotEqual};
    let raw = Raw::start().await;
    let holds = async |result, target, to| {
        let txn = TxnRequest {
            compare: vec![compare("missing", result, target, to)],
            ..Default::default()
        };
        raw.txn(txn).await.succeeded
    };
    for result in [Equal, NotEqual, Greater, Less] {
        for value in ["", "v"] {
            let to = TargetUnion::Value(value.into());
            assert!(
                !holds(result, CompareTarget::Value, to).await,
                "{result:?} {value:?}"
            );
        }
    }
    let numbers: [(_, fn(_) -> _); 4] = [
        (CompareTarget::Create, TargetUnion::CreateRevision),
        (CompareTarget::Version, TargetUnion::Version),
        (CompareTarget::Mod, TargetUnion::ModRevision),
        (CompareTarget::Lease, TargetUnion::Lease),
    ];
    for (target, to) in numbers {
        assert!(holds(Equal, target, to(0)).await, "{target:?}");
        assert!(!holds(Equal, target, to(1)).await, "{target:?}");
        assert!(holds(NotEqual, target, to(1)).await, "{target:?}");
        assert!(holds(Less, target, to(1)).await, "{target:?}");
        assert!(!holds(Greater, target, to(0)).await, "{target:?}");
    }
}
