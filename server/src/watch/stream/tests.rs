//! The hub and its streams over an inline applier: no thread, no clock.

use std::sync::Arc;

use futures::FutureExt;
use latchd_proto::etcdserverpb::PutRequest;

use super::*;
use crate::applier::Applier;
use crate::command::Command;
use crate::lessor::Lessor;
use crate::mvcc::open::{DirectoryLock, open};
use crate::proposer::Proposer;

struct Fixture {
    store: Arc<Store>,
    hub: Hub,
    proposer: Proposer,
    _lock: DirectoryLock,
    _dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let opened = open(dir.path()).unwrap();
        let store = Arc::new(opened.store);
        let hub = Hub::new(store.revision());
        let applier = Applier::new(store.clone(), opened.state, hub.clone(), Lessor::default());
        Fixture {
            proposer: Proposer::inline(applier),
            store,
            hub,
            _lock: opened.lock,
            _dir: dir,
        }
    }

    fn watches(&self) -> Watches {
        Watches::new(self.store.clone(), self.hub.clone())
    }

    fn put(&self, key: &'static str, value: impl Into<Bytes>) {
        let request = PutRequest {
            key: key.into(),
            value: value.into(),
            ..Default::default()
        };
        drop(self.proposer.propose(Command::Put(request)).unwrap());
    }

    fn compact(&self, revision: i64) {
        let command = Command::Compact(Revision(revision));
        drop(self.proposer.propose(command).unwrap());
    }
}

fn spec(key: &'static str, end: &'static str, start: Option<i64>) -> WatchSpec {
    WatchSpec {
        range: KeyRange::from_wire(&key.into(), &end.into()),
        start: start.map(Revision),
        filters: Filters::default(),
        previous: false,
    }
}

/// Everything that can be had without waiting: (watch, header revision, mod revisions).
fn drain(watches: &mut Watches) -> Vec<(i64, i64, Vec<i64>)> {
    let mut all = Vec::new();
    for _ in 0..10_000 {
        match watches.next().now_or_never() {
            Some(Ok(Delivery::Events {
                watch,
                revision,
                events,
            })) => {
                let revisions = events.iter().map(|e| e.kv.as_ref().unwrap().mod_revision);
                all.push((watch.0, revision.0, revisions.collect()));
            }
            Some(other) => panic!("{other:?}"),
            None if watches.behind.is_empty() && watches.mailbox.is_empty() => return all,
            None => {}
        }
    }
    panic!("never caught up");
}

#[test]
fn an_active_watch_is_fed_each_revision_once() {
    let f = Fixture::new();
    let mut watches = f.watches();
    assert_eq!(watches.create(WatchId(0), spec("k", "", None)), Revision(1));
    f.put("k", "1");
    f.put("other", "1");
    f.put("k", "2");
    assert_eq!(drain(&mut watches), [(0, 2, vec![2]), (0, 4, vec![4])]);
}

#[test]
fn a_watch_from_the_past_replays_and_then_goes_on() {
    let f = Fixture::new();
    for value in ["1", "2", "3"] {
        f.put("k", value);
    }
    let mut watches = f.watches();
    watches.create(WatchId(0), spec("k", "", Some(3)));
    f.put("k", "4");
    assert_eq!(drain(&mut watches), [(0, 5, vec![3, 4, 5])]);
    f.put("k", "5");
    assert_eq!(drain(&mut watches), [(0, 6, vec![6])]);
}

#[test]
fn a_watch_on_an_unchanged_key_is_active_without_a_replay() {
    let f = Fixture::new();
    f.put("k", "1"); // 2
    f.put("other", "1"); // 3
    let mut watches = f.watches();
    watches.create(WatchId(0), spec("k", "", Some(3)));
    assert!(watches.next().now_or_never().is_none());
    let active = |watch: &Watch| matches!(watch.mode, Mode::Active(_));
    assert!(watches.watches.values().all(|watch| active(watch)));
}

/// "A single-key watch whose key exists with mod revision < start needs no replay: active at once,
/// also when auto-compaction has passed start. Explicit Compact keeps etcd's answer."
#[test]
fn a_watch_that_has_missed_nothing_outlives_what_nobody_asked_for() {
    let f = Fixture::new();
    f.put("k", "1"); // 2
    for value in ["1", "2", "3"] {
        f.put("other", value); // 3, 4, 5
    }
    let compact = |command| drop(f.proposer.propose(command).unwrap());
    compact(Command::AutoCompact(Revision(5)));
    let mut watches = f.watches();
    watches.create(WatchId(0), spec("k", "", Some(3)));
    assert_eq!(drain(&mut watches), []);
    f.put("k", "2"); // 6
    assert_eq!(drain(&mut watches), [(0, 6, vec![6])]);
    let ends = |key, start| {
        let mut watches = f.watches();
        watches.create(WatchId(0), spec(key, "", Some(start)));
        let next = watches.next().now_or_never();
        matches!(next, Some(Ok(Delivery::Compacted { .. })))
    };
    // These may have missed something: a change of theirs, or all that became of a key that is gone.
    assert!(ends("other", 3) && ends("gone", 3) && ends("k", 3));
    f.put("last", "1"); // 7
    assert!(!ends("other", 6), "it was last written at 5");
    compact(Command::Compact(Revision(7)));
    assert!(ends("other", 6) && !ends("other", 7));
}

#[test]
fn a_future_start_drops_what_comes_before_it() {
    let f = Fixture::new();
    let mut watches = f.watches();
    watches.create(WatchId(0), spec("k", "", Some(4)));
    for value in ["1", "2", "3"] {
        f.put("k", value);
    }
    assert_eq!(drain(&mut watches), [(0, 4, vec![4])]);
}

#[test]
fn a_consumer_that_stops_reading_costs_a_bounded_queue_and_misses_nothing() {
    let f = Fixture::new();
    let mut watches = f.watches();
    watches.create(WatchId(0), spec("k", "l", None));
    let large = Bytes::from(vec![b'v'; 100 << 10]);
    for _ in 0..50 {
        f.put("k", large.clone());
    }
    let queued = std::iter::from_fn(|| watches.mailbox.take()).count();
    assert!(queued < 12, "{queued} letters of 100 KiB were queued");
    let missed = 2 + i64::try_from(queued).unwrap();
    let revisions: Vec<i64> = drain(&mut watches)
        .into_iter()
        .flat_map(|(_, _, r)| r)
        .collect();
    assert_eq!(revisions, (missed..=51).collect::<Vec<_>>());
    f.put("k", "small");
    assert_eq!(drain(&mut watches), [(0, 52, vec![52])]);
}

#[test]
fn what_was_missed_comes_after_what_was_queued() {
    let mailbox = Mailbox::default();
    let to = Addressee {
        watch: WatchId(0),
        generation: 1,
    };
    let letter = |revision: i64| Letter {
        to,
        change: Arc::new(Change {
            revision: Revision(revision),
            events: Vec::new(),
            weight: 1 << 20,
        }),
        picked: None,
    };
    assert!(mailbox.put(letter(2)) && !mailbox.put(letter(3)));
    assert!(
        mailbox.take_lagging().is_empty(),
        "not before the letter is taken"
    );
    assert_eq!(mailbox.take().unwrap().change.revision, Revision(2));
    assert_eq!(mailbox.take_lagging(), [(to, Revision(3))]);
}

#[test]
fn a_compacted_start_ends_the_watch() {
    let f = Fixture::new();
    for value in ["1", "2", "3"] {
        f.put("k", value);
    }
    f.compact(4);
    let mut watches = f.watches();
    watches.create(WatchId(0), spec("j", "l", Some(2)));
    let compacted = Revision(4);
    assert_eq!(
        watches.next().now_or_never().unwrap().unwrap(),
        Delivery::Compacted {
            watch: WatchId(0),
            compacted
        }
    );
    assert!(!watches.contains(WatchId(0)));
    watches.create(WatchId(1), spec("j", "l", Some(4)));
    assert_eq!(drain(&mut watches), [(1, 4, vec![4])]);
}

#[test]
fn what_was_before_the_first_kept_revision_is_not_told() {
    let f = Fixture::new();
    for value in ["1", "2", "3"] {
        f.put("k", value); // 2, 3, 4
    }
    f.compact(3);
    let mut watches = f.watches();
    let with_previous = WatchSpec {
        previous: true,
        ..spec("k", "", Some(3))
    };
    watches.create(WatchId(0), with_previous);
    let delivery = watches.next().now_or_never().unwrap().unwrap();
    let Delivery::Events { events, .. } = delivery else {
        panic!("{delivery:?}");
    };
    let previous = events
        .iter()
        .map(|event| Some(event.prev_kv.as_ref()?.mod_revision));
    assert_eq!(previous.collect::<Vec<_>>(), [None, Some(3)]);
}

#[test]
fn nothing_follows_a_cancel_even_under_the_same_id() {
    let f = Fixture::new();
    let mut watches = f.watches();
    watches.create(WatchId(5), spec("k", "", None));
    f.put("k", "1");
    assert!(watches.cancel(WatchId(5)) && !watches.cancel(WatchId(5)));
    watches.create(WatchId(5), spec("k", "", None));
    assert_eq!(drain(&mut watches), []);
    f.put("k", "2");
    assert_eq!(drain(&mut watches), [(5, 3, vec![3])]);
}

#[test]
fn progress_comes_after_everything_that_it_claims() {
    let f = Fixture::new();
    let mut watches = f.watches();
    watches.ask_progress();
    watches.create(WatchId(0), spec("k", "", None));
    f.put("k", "1");
    watches.ask_progress();
    let mut next = || watches.next().now_or_never();
    assert!(matches!(next(), Some(Ok(Delivery::Events { .. }))));
    assert_eq!(next().unwrap().unwrap(), Delivery::Progress(Revision(2)));
    assert!(
        next().is_none(),
        "the question before there was a watch is not answered"
    );
}

#[test]
fn a_dropped_stream_leaves_nothing_in_the_hub() {
    let f = Fixture::new();
    let mut watches = f.watches();
    watches.create(WatchId(0), spec("k", "", None));
    let mailbox = watches.mailbox.clone();
    drop(watches);
    f.put("k", "1");
    assert!(mailbox.is_empty());
    assert_eq!(Arc::strong_count(&mailbox), 1);
}
