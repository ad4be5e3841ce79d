//! Watch streams: what comes, in which order, and when nothing more does.

use std::collections::BTreeMap;

use latchd_proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, PutRequest, WatchCreateRequest,
};
use latchd_proto::mvccpb::event::EventType;
use latchd_proto::mvccpb::{Event, KeyValue};

use crate::raw::{InTxn, Raw, all_of, delete, end_of, put, revision, watch, watch_under};

/// An event's revision, key and kind.
fn told(event: &Event) -> (i64, String, EventType) {
    let kv = event.kv.as_ref().unwrap();
    let key = String::from_utf8(kv.key.to_vec()).unwrap();
    (kv.mod_revision, key, event.r#type())
}

fn from(revision: i64, request: WatchCreateRequest) -> WatchCreateRequest {
    WatchCreateRequest {
        start_revision: revision,
        ..request
    }
}

/// Trap 4: a watch from a revision that has passed tells what happened since, deletions above all:
/// a waiter that misses one hangs for ever.
#[tokio::test]
async fn trap_04_a_watch_from_the_past_replays() {
    let raw = Raw::start().await;
    let first = raw.put("past/k", "1").await;
    raw.put("other", "").await;
    let deleted = raw.delete("past/k").await;
    let mut stream = raw.watch([from(first, watch("past/k"))]).await;
    stream.created().await;
    let live = raw.put("past/k", "2").await;
    let events = stream.events(3).await;
    let key = || "past/k".to_owned();
    assert_eq!(
        events.iter().map(told).collect::<Vec<_>>(),
        [
            (first, key(), EventType::Put),
            (deleted, key(), EventType::Delete),
            (live, key(), EventType::Put),
        ]
    );
}

/// Trap 4: the current revision is past, too. Go waits from there for the key before its own.
#[tokio::test]
async fn trap_04_a_watch_from_the_current_revision_replays_it() {
    let raw = Raw::start().await;
    raw.put("now/k", "").await;
    let deleted = raw.delete("now/k").await;
    let mut stream = raw.watch([from(deleted, watch("now/k"))]).await;
    stream.created().await;
    let events = stream.events(1).await;
    assert_eq!(
        told(&events[0]),
        (deleted, "now/k".to_owned(), EventType::Delete)
    );
}

/// Trap 5: `created` comes first, in the order of the requests, with the revision at which the watch
/// began; its events come after it.
#[tokio::test]
async fn trap_05_created_comes_first_and_in_the_order_of_the_requests() {
    let raw = Raw::start().await;
    let first = raw.put("five/k", "").await;
    let current = raw.put("five/k", "").await;
    let creates = (0..20).map(|n| match n % 2 {
        0 => from(first, watch("five/k")),
        _ => watch("five/none"),
    });
    let mut stream = raw.watch(creates).await;
    let (mut created, mut events) = (Vec::new(), BTreeMap::<i64, usize>::new());
    while created.len() < 20 || events.values().sum::<usize>() < 20 {
        let response = stream.next().await;
        assert!(revision(response.header) >= current, "{response:?}");
        if response.created {
            created.push(response.watch_id);
        } else {
            assert!(
                created.contains(&response.watch_id),
                "events before created"
            );
            *events.entry(response.watch_id).or_default() += response.events.len();
        }
    }
    assert_eq!(created, (0..20).collect::<Vec<_>>());
    assert!(
        events.iter().all(|(id, count)| id % 2 == 0 && *count == 2),
        "{events:?}"
    );
}

/// Trap 6: a creation that fails is answered with created and canceled at once and the watch ID −1,
/// and the stream goes on.
#[tokio::test]
async fn trap_06_a_failed_creation_is_created_and_canceled_with_the_id_of_nobody() {
    let raw = Raw::start().await;
    let empty = WatchCreateRequest {
        range_end: "a".into(),
        ..watch("b")
    };
    let named = WatchCreateRequest {
        watch_id: 7,
        ..watch("six")
    };
    let mut stream = raw.watch([empty, named.clone(), named]).await;
    for reason in [
        "mvcc: watcher range is empty",
        "",
        "mvcc: duplicate watch ID provided on the WatchStream",
    ] {
        let response = stream.next().await;
        let failed = !reason.is_empty();
        assert_eq!(
            (response.created, response.canceled),
            (true, failed),
            "{response:?}"
        );
        assert_eq!(response.watch_id, if failed { -1 } else { 7 });
        assert_eq!(response.cancel_reason, reason);
    }
    raw.put("six", "").await;
    let response = stream.next().await;
    assert_eq!((response.watch_id, response.events.len()), (7, 1));
}

/// Trap 6: from a compacted revision on, a watch is created and then canceled, with the revision
/// from which the client may go on, and no reason.
#[tokio::test]
async fn trap_06_a_compacted_start_is_created_and_then_canceled_without_a_reason() {
    let raw = Raw::start().await;
    let first = raw.put("gone", "1").await;
    let last = raw.put("gone", "2").await;
    let compact = CompactionRequest {
        revision: last,
        physical: false,
    };
    raw.kv().compact(compact).await.unwrap();
    let mut stream = raw.watch([from(first, watch("gone"))]).await;
    let created = stream.created().await;
    assert!(!created.canceled && created.watch_id == 0, "{created:?}");
    let canceled = stream.next().await;
    assert!(canceled.canceled && !canceled.created, "{canceled:?}");
    assert_eq!((canceled.watch_id, canceled.compact_revision), (0, last));
    assert_eq!(canceled.cancel_reason, "");
}

/// Trap 7: IDs start at 0; a cancelled watch says so once (Node hangs otherwise) and nothing more.
#[tokio::test]
async fn trap_07_a_cancel_is_acknowledged_and_nothing_comes_after_it() {
    let raw = Raw::start().await;
    let mut stream = raw.watch([watch("seven"), watch("seven")]).await;
    for id in 0..2 {
        assert_eq!(stream.created().await.watch_id, id);
    }
    raw.put("seven", "1").await;
    stream.events(2).await;
    stream.cancel(0);
    let canceled = stream.next().await;
    assert!(canceled.canceled && !canceled.created, "{canceled:?}");
    assert_eq!((canceled.watch_id, canceled.compact_revision), (0, 0));
    stream.cancel(0);
    raw.put("seven", "2").await;
    let response = stream.next().await;
    assert_eq!(
        (response.watch_id, response.events.len()),
        (1, 1),
        "only the other one"
    );
    stream.create(watch("seven"));
    assert_eq!(
        stream.created().await.watch_id,
        2,
        "an ID does not come back"
    );
}

/// Trap 8: a client that has nothing more to ask still hears what happens.
#[tokio::test]
async fn trap_08_a_half_closed_watch_stays_open() {
    let raw = Raw::start().await;
    let mut stream = raw.watch([watch("eight")]).await;
    stream.created().await;
    stream.half_close();
    for _ in 0..3 {
        raw.put("eight", "").await;
        assert_eq!(stream.events(1).await.len(), 1);
    }
}

/// Trap 9: a deletion's record has the key and the revision, and nothing else.
#[tokio::test]
async fn trap_09_a_deletion_has_only_the_key_and_the_revision() {
    let raw = Raw::start().await;
    let lease = raw.grant().await;
    let leased = PutRequest {
        key: "nine".into(),
        value: "v".into(),
        lease,
        ..Default::default()
    };
    let written = revision(raw.kv().put(leased).await.unwrap().get_ref().header);
    let with_prev = WatchCreateRequest {
        prev_kv: true,
        ..watch("nine")
    };
    let mut stream = raw.watch([watch("nine"), with_prev]).await;
    stream.created().await;
    stream.created().await;
    let mod_revision = raw.delete("nine").await;
    for _ in 0..2 {
        let response = stream.next().await;
        let event = &response.events[0];
        assert_eq!(event.r#type(), EventType::Delete);
        let bare = KeyValue {
            key: "nine".into(),
            mod_revision,
            ..Default::default()
        };
        assert_eq!(event.kv, Some(bare));
        let before = event.prev_kv.as_ref();
        let before = before.map(|kv| (kv.create_revision, kv.lease, &kv.value[..]));
        let asked = response.watch_id == 1;
        assert_eq!(before, asked.then_some((written, lease, &b"v"[..])));
    }
}

/// Trap 9: what happened in one revision comes in one response, live and replayed, however large.
#[tokio::test]
async fn trap_09_the_events_of_a_revision_come_together() {
    let raw = Raw::start().await;
    let mut live = raw.watch([watch_under("n/")]).await;
    live.created().await;
    let mut large = vec![vec![b'v'; 1 << 10]; 100];
    let ops = large.iter_mut().enumerate().map(|(n, value)| {
        let put = PutRequest {
            key: format!("n/{n}").into(),
            value: std::mem::take(value).into(),
            ..Default::default()
        };
        put.op()
    });
    let written = revision(raw.txn(all_of(ops)).await.header);
    for _ in 0..3 {
        let filler = PutRequest {
            key: "n/large".into(),
            value: vec![b'v'; 1 << 20].into(),
            ..Default::default()
        };
        raw.kv().put(filler).await.unwrap();
    }
    let all = DeleteRangeRequest {
        range_end: end_of("n/").into(),
        ..delete("n/")
    };
    let deleted = revision(raw.kv().delete_range(all).await.unwrap().get_ref().header);
    let mut replayed = raw.watch([from(written, watch_under("n/"))]).await;
    replayed.created().await;
    for stream in [&mut live, &mut replayed] {
        let mut seen = Vec::new();
        let mut last = 0;
        while last < deleted {
            let response = stream.next().await;
            let mut of_response = BTreeMap::<i64, usize>::new();
            for event in &response.events {
                last = event.kv.as_ref().unwrap().mod_revision;
                *of_response.entry(last).or_default() += 1;
            }
            assert!(!response.fragment);
            seen.extend(of_response);
        }
        let wanted = [
            (written, 100),
            (written + 1, 1),
            (written + 2, 1),
            (written + 3, 1),
            (deleted, 101),
        ];
        assert_eq!(seen, wanted);
    }
}

/// Trap 9: only who asks for fragments gets a revision in pieces, each but the last marked.
#[tokio::test]
async fn trap_09_a_revision_is_split_only_for_those_who_ask() {
    let raw = Raw::start().await;
    for n in 0..4 {
        let large = PutRequest {
            key: format!("frag/{n}").into(),
            value: vec![b'v'; 1 << 20].into(),
            ..Default::default()
        };
        raw.kv().put(large).await.unwrap();
    }
    let in_pieces = WatchCreateRequest {
        fragment: true,
        prev_kv: true,
        ..watch_under("frag/")
    };
    let whole = WatchCreateRequest {
        fragment: false,
        ..in_pieces.clone()
    };
    let mut streams = [raw.watch([in_pieces]).await, raw.watch([whole]).await];
    for stream in &mut streams {
        stream.created().await;
    }
    let all = DeleteRangeRequest {
        range_end: end_of("frag/").into(),
        ..delete("frag/")
    };
    raw.kv().delete_range(all).await.unwrap();
    let mut pieces = Vec::new();
    loop {
        let piece = streams[0].next().await;
        pieces.push(piece.events.len());
        if !piece.fragment {
            break;
        }
    }
    assert!(
        pieces.len() > 1 && pieces.iter().sum::<usize>() == 4,
        "{pieces:?}"
    );
    let whole = streams[1].next().await;
    assert_eq!((whole.events.len(), whole.fragment), (4, false));
}

/// Trap 5 and the notices of progress: one that is asked for answers with the watch ID −1 and the
/// revision up to which the stream has told everything.
#[tokio::test]
async fn trap_05_progress_comes_after_the_events_that_it_vouches_for() {
    let raw = Raw::start().await;
    let mut stream = raw.watch([watch("vouched")]).await;
    stream.created().await;
    let written = raw.put("vouched", "").await;
    stream.events(1).await;
    stream.progress();
    let notice = stream.next().await;
    assert_eq!((notice.watch_id, revision(notice.header)), (-1, written));
    assert!(notice.events.is_empty() && !notice.created && !notice.canceled);
    // Put and watch have the same key; nothing else may have been told.
    assert_eq!(
        revision(raw.txn(all_of([put("vouched", "").op()])).await.header),
        written + 1
    );
    assert_eq!(stream.events(1).await.len(), 1);
}
