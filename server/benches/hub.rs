//! The watch hub: what a commit costs the writer by those who watch, and coming and going.

use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use latchd::mvcc::{Change, Event, KeyRange, Record};
use latchd::types::{LeaseId, Revision, WatchId};
use latchd::watch::hub::{From, Place};
use latchd::watch::mailbox::{Addressee, Mailbox};
use latchd::watch::{Filters, Hub};

/// Where the hub stands, so that the change comes next, as often as it is published.
const PUBLISHED: Revision = Revision(1);

/// The key that changes.
const KEY: &str = "watched/key";

/// How many changes are published between two times that the mailboxes are emptied: few enough
/// for a mailbox.
const LETTERS: u64 = 16;

const MANY: usize = 10_000;

/// What the `i`th watcher watches.
type Watched = fn(usize) -> KeyRange;

pub fn benches(criterion: &mut Criterion) {
    same_key(criterion);
    among_others(criterion);
    come_and_go(criterion);
}

/// `hub/publish-to/N`: one iteration publishes one event to the mailboxes of N watchers of its key,
/// each on a stream of its own. Emptying them is not timed.
fn same_key(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hub/publish-to");
    for watchers in [1, 1000] {
        let mut crowd = None;
        group.throughput(Throughput::Elements(watchers as u64));
        group.bench_function(BenchmarkId::from_parameter(watchers), |b| {
            let crowd = crowd.get_or_insert_with(|| {
                let mut crowd = Crowd::empty();
                (0..watchers).for_each(|_| crowd.join(&single(KEY)));
                crowd
            });
            publish(b, crowd, watchers);
        });
    }
}

/// `hub/publish-to-1-among/…`: one iteration publishes one event that one watcher wants, and 10,000
/// others of other keys, prefixes or ranges don't.
fn among_others(criterion: &mut Criterion) {
    let other: [(&str, Watched); 3] = [
        ("10000-keys", |i| single(&format!("other/{i:05}"))),
        ("10000-prefixes", |i| {
            range(&format!("other/{i:05}/"), &format!("other/{i:05}0"))
        }),
        // Neither a key nor a prefix: found by looking at each.
        ("10000-ranges", |i| {
            range(&format!("other/{i:05}/a"), &format!("other/{i:05}/m"))
        }),
    ];
    let mut group = criterion.benchmark_group("hub/publish-to-1-among");
    for (name, other) in other {
        let mut crowd = None;
        group.bench_function(name, |b| {
            let crowd = crowd.get_or_insert_with(|| {
                let mut crowd = Crowd::with_others(MANY, other);
                crowd.join(&single(KEY));
                crowd
            });
            publish(b, crowd, 1);
        });
    }
}

/// `hub/activate-deactivate/…`: one iteration makes one more watcher active, and lets it go again.
fn come_and_go(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hub/activate-deactivate");
    let cases: [(&str, usize, Watched); 3] = [
        ("alone", 0, |_| single(KEY)),
        ("among-10000-keys", MANY, |i| {
            single(&format!("other/{i:05}"))
        }),
        ("with-10000-on-its-key", MANY, |_| single(KEY)),
    ];
    for (name, others, other) in cases {
        let mut crowd = None;
        group.bench_function(name, |b| {
            let crowd = crowd.get_or_insert_with(|| Crowd::with_others(others, other));
            let (range, mailbox) = (single(KEY), Arc::default());
            b.iter(|| {
                let place = crowd.activate(&range, &mailbox);
                crowd.hub.deactivate(&range, place);
            });
        });
    }
}

fn publish(b: &mut criterion::Bencher<'_>, crowd: &Crowd, told: usize) {
    let change = change();
    crowd.hub.publish(vec![change.clone()], PUBLISHED);
    assert_eq!(crowd.read(), told);
    b.iter_batched(
        || {
            crowd.read();
            vec![change.clone()]
        },
        |changes| crowd.hub.publish(changes, PUBLISHED),
        BatchSize::NumIterations(LETTERS),
    );
    crowd.read();
}

/// A hub and its active watchers, each with a mailbox of its own.
struct Crowd {
    hub: Hub,
    /// Of those who joined. The others are never told anything, and looking into their mailboxes
    /// would only leave the hub cold.
    mailboxes: Vec<Arc<Mailbox>>,
}

impl Crowd {
    fn empty() -> Crowd {
        Crowd {
            hub: Hub::new(PUBLISHED),
            mailboxes: Vec::new(),
        }
    }

    fn with_others(others: usize, watched: Watched) -> Crowd {
        let crowd = Crowd::empty();
        for i in 0..others {
            crowd.activate(&watched(i), &Arc::default());
        }
        crowd
    }

    fn join(&mut self, range: &KeyRange) {
        let mailbox = Arc::default();
        self.activate(range, &mailbox);
        self.mailboxes.push(mailbox);
    }

    fn activate(&self, range: &KeyRange, mailbox: &Arc<Mailbox>) -> Place {
        let to = Addressee {
            watch: WatchId(1),
            generation: 1,
        };
        let active = self
            .hub
            .activate(range, to, From::Now, Filters::default(), mailbox);
        active.unwrap().0
    }

    /// Empties the mailboxes; how many letters there were.
    fn read(&self) -> usize {
        let of = |mailbox: &Arc<Mailbox>| std::iter::from_fn(|| mailbox.take()).count();
        self.mailboxes.iter().map(of).sum()
    }
}

/// A put of an empty value on [`KEY`].
fn change() -> Arc<Change> {
    let revision = PUBLISHED.next();
    let put = Record {
        created: revision,
        modified: revision,
        version: 1,
        lease: LeaseId(7),
        value: Bytes::new(),
    };
    let event = Event {
        key: Bytes::from_static(KEY.as_bytes()),
        put: Some(put),
        previous: None,
    };
    Arc::new(Change::new(revision, vec![event]))
}

fn single(key: &str) -> KeyRange {
    KeyRange::single(Bytes::copy_from_slice(key.as_bytes()))
}

fn range(key: &str, end: &str) -> KeyRange {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    KeyRange::from_wire(&bytes(key), &bytes(end))
}
