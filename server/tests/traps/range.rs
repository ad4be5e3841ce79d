//! Ranges and deletions of ranges.

use latchd_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use latchd_proto::etcdserverpb::{DeleteRangeRequest, PutRequest, RangeRequest};

use crate::raw::{Raw, delete, end_of, keys, range_under};

/// Trap 3: the limit counts what the revision filters have left.
#[tokio::test]
async fn trap_03_filters_come_before_the_limit() {
    let raw = Raw::start().await;
    raw.put("f/a", "").await;
    raw.put("f/b", "").await;
    let third = raw.put("f/c", "").await;
    raw.put("f/d", "").await;
    let one = RangeRequest {
        min_mod_revision: third,
        limit: 1,
        ..range_under("f/")
    };
    let response = raw.range(one.clone()).await;
    assert_eq!(keys(&response), ["f/c"]);
    assert!(response.more);
    assert_eq!(
        response.count, 4,
        "all of the range, filters and limit aside"
    );
    let two = RangeRequest { limit: 2, ..one };
    let response = raw.range(two).await;
    assert_eq!(keys(&response), ["f/c", "f/d"]);
    assert!(!response.more);
    let created_before = RangeRequest {
        max_create_revision: third - 1,
        limit: 3,
        ..range_under("f/")
    };
    assert_eq!(keys(&raw.range(created_before).await), ["f/a", "f/b"]);
}

/// Trap 3: the limit counts from the sorted end. Go asks in this way who is before it.
#[tokio::test]
async fn trap_03_the_sort_comes_before_the_limit() {
    let raw = Raw::start().await;
    for key in ["s/c", "s/a", "s/b"] {
        raw.put(key, "").await;
    }
    let last = raw.put("s/a", "again").await;
    let first_by = |target: SortTarget, order: SortOrder| RangeRequest {
        sort_target: target.into(),
        sort_order: order.into(),
        limit: 1,
        ..range_under("s/")
    };
    for (target, order, wanted) in [
        (SortTarget::Create, SortOrder::Ascend, "s/c"),
        (SortTarget::Create, SortOrder::Descend, "s/b"),
        (SortTarget::Mod, SortOrder::Descend, "s/a"),
        (SortTarget::Version, SortOrder::Descend, "s/a"),
        (SortTarget::Value, SortOrder::Descend, "s/a"),
        (SortTarget::Key, SortOrder::Descend, "s/c"),
    ] {
        let response = raw.range(first_by(target, order)).await;
        assert_eq!(keys(&response), [wanted], "{target:?} {order:?}");
        assert!(response.more);
    }
    let before_the_last = RangeRequest {
        max_mod_revision: last - 1,
        ..first_by(SortTarget::Mod, SortOrder::Descend)
    };
    assert_eq!(keys(&raw.range(before_the_last).await), ["s/b"]);
}

/// Trap 15: a deletion that is asked for what was there returns it; C++ takes an empty answer for
/// "not found".
#[tokio::test]
async fn trap_15_a_deletion_returns_what_was_there_when_asked() {
    let raw = Raw::start().await;
    let lease = raw.grant().await;
    let leased = PutRequest {
        key: "d/a".into(),
        value: "1".into(),
        lease,
        ..Default::default()
    };
    raw.kv().put(leased).await.unwrap();
    let second = raw.put("d/b", "2").await;
    let request = DeleteRangeRequest {
        range_end: end_of("d/").into(),
        prev_kv: true,
        ..delete("d/")
    };
    let response = raw
        .kv()
        .delete_range(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(response.deleted, 2);
    let [a, b] = &response.prev_kvs[..] else {
        panic!("{response:?}");
    };
    assert_eq!(
        (&a.key[..], &a.value[..], a.lease),
        (&b"d/a"[..], &b"1"[..], lease)
    );
    assert_eq!(
        (&b.key[..], b.mod_revision, b.version),
        (&b"d/b"[..], second, 1)
    );
    let again = raw.kv().delete_range(request).await.unwrap().into_inner();
    assert_eq!((again.deleted, again.prev_kvs.len()), (0, 0));
    raw.put("d/c", "").await;
    let unasked = raw
        .kv()
        .delete_range(delete("d/c"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((unasked.deleted, unasked.prev_kvs.len()), (1, 0));
}
