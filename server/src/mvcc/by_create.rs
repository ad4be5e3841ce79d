//! Who is first in line: leased keys by directory and create revision, in memory.
//!
//! Each attempt of Go's `concurrency.Mutex` asks for the oldest key under `name/`, and each waiter
//! for the youngest that is older than its own. Answered by sorting, N waiters cost N² in all;
//! from this index each costs O(log n).
//!
//! The index answers for a directory only while everything below it is a leased key directly in
//! it, which is what a lock's directory looks like. Anything else below it (a key without a lease,
//! a deeper key) counts as an *other*, and while there are others the caller sorts.
//!
//! Readers must see what is committed, the writer what it has just applied. So an entry is
//! [`Stage::Added`] or [`Stage::Removed`] until [`CreateIndex::publish`], which the applier calls
//! together with publishing the snapshot that the entries belong to.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use bytes::Bytes;

use super::change::Record;
use crate::types::Revision;

/// Directories deeper than this, or longer than [`MAX_DIR_LEN`], are left to sorting: a key of a
/// megabyte of slashes must not cost a megabyte for each of them.
const MAX_DEPTH: usize = 32;
const MAX_DIR_LEN: usize = 512;

/// Whose view of the index is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A reader's: as of the published revision.
    Published,
    /// The writer's, inside its transaction.
    Latest,
}

/// A question to the index: keys of `dir`, sorted by create revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateQuery<'a> {
    /// The directory, with its `/` at the end.
    pub dir: &'a [u8],
    /// Youngest first.
    pub descending: bool,
    /// How many at most; `None` for all.
    pub limit: Option<usize>,
    /// Only keys created at this revision or later.
    pub min: Option<Revision>,
    /// Only keys created at this revision or earlier.
    pub max: Option<Revision>,
}

/// What the index found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CreateHits {
    /// Whole keys, in the order asked for.
    pub keys: Vec<Bytes>,
    /// How many keys the directory has, filters and limit aside.
    pub count: usize,
    /// Whether the limit cut the answer short.
    pub more: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Applied, not committed: the writer's alone.
    Added,
    /// For everyone.
    Kept,
    /// Gone for the writer, still there for readers.
    Removed,
}

impl Stage {
    fn visible(self, seen: Seen) -> bool {
        match seen {
            Seen::Published => self != Stage::Added,
            Seen::Latest => self != Stage::Removed,
        }
    }
}

/// Create revision, then the key's name in its directory.
type Place = (Revision, Box<[u8]>);

#[derive(Debug, Default)]
struct Dir {
    entries: BTreeMap<Place, Stage>,
    /// Keys below this directory that are not leased keys directly in it.
    others: usize,
    latest: usize,
    published: usize,
}

impl Dir {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.others == 0
    }

    fn add(&mut self, place: Place) {
        let stage = match self.entries.get(&place) {
            Some(Stage::Removed) => Stage::Kept,
            _ => Stage::Added,
        };
        self.entries.insert(place, stage);
        self.latest += 1;
    }

    fn remove(&mut self, place: &Place) {
        match self.entries.get_mut(place) {
            Some(stage @ Stage::Kept) => *stage = Stage::Removed,
            Some(Stage::Added) => {
                self.entries.remove(place);
            }
            Some(Stage::Removed) | None => return,
        }
        self.latest -= 1;
    }

    fn settle(&mut self, place: &Place) {
        match self.entries.get_mut(place) {
            Some(stage @ Stage::Added) => *stage = Stage::Kept,
            Some(Stage::Removed) => {
                self.entries.remove(place);
            }
            Some(Stage::Kept) | None => {}
        }
        self.published = self.latest;
    }
}

/// What [`CreateIndex::publish`] has to settle.
#[derive(Debug)]
enum Pending {
    Entry(Box<[u8]>, Place),
    OtherGone(Box<[u8]>),
}

/// The index; see the module's page.
#[derive(Debug, Default)]
pub struct CreateIndex {
    dirs: HashMap<Box<[u8]>, Dir>,
    pending: Vec<Pending>,
}

impl CreateIndex {
    /// Takes note of a put or delete of `key`, as applied and not yet published.
    pub fn changed(&mut self, key: &[u8], before: Option<&Record>, after: Option<&Record>) {
        let old = before.map(|record| (record.created, record.lease.is_none()));
        let new = after.map(|record| (record.created, record.lease.is_none()));
        if old == new {
            return;
        }
        let split = directory_len(key);
        if let Some(dir) = split.map(|at| &key[..at]) {
            let name = &key[dir.len()..];
            if let Some((created, unleased)) = new {
                self.insert(dir, (created, name.into()), unleased);
            }
            if let Some((created, unleased)) = old {
                self.remove(dir, (created, name.into()), unleased);
            }
        }
        if old.is_some() != new.is_some() {
            self.count_above(key, split, new.is_some());
        }
    }

    /// Makes everything noted so far visible to readers.
    pub fn publish(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            let name = match &pending {
                Pending::Entry(dir, _) | Pending::OtherGone(dir) => dir,
            };
            let Some(dir) = self.dirs.get_mut(name) else {
                continue;
            };
            match &pending {
                Pending::Entry(_, place) => dir.settle(place),
                Pending::OtherGone(_) => dir.others -= 1,
            }
            if dir.is_empty() {
                self.dirs.remove(name);
            }
        }
    }

    /// Whether readers see keys directly in `dir`.
    #[must_use]
    pub fn has_any(&self, dir: &[u8]) -> bool {
        self.dirs.get(dir).is_some_and(|dir| dir.published > 0)
    }

    /// Whether the writer sees other leased keys in the directory of `key`, or might, where it is one
    /// that the index leaves out.
    #[must_use]
    pub fn has_company(&self, key: &[u8]) -> bool {
        match directory_len(key) {
            Some(len) => self.dirs.get(&key[..len]).is_some_and(|dir| dir.latest > 1),
            None => key.contains(&b'/'),
        }
    }

    /// Answers `query`, or `None` where the caller has to sort.
    #[must_use]
    pub fn query(&self, query: CreateQuery<'_>, seen: Seen) -> Option<CreateHits> {
        if !is_indexable(query.dir) {
            return None;
        }
        let Some(dir) = self.dirs.get(query.dir) else {
            return Some(CreateHits::default());
        };
        if dir.others > 0 {
            return None;
        }
        let count = match seen {
            Seen::Published => dir.published,
            Seen::Latest => dir.latest,
        };
        let (keys, more) = collect(dir, query, seen);
        Some(CreateHits { keys, count, more })
    }

    fn dir(&mut self, dir: &[u8]) -> &mut Dir {
        if !self.dirs.contains_key(dir) {
            self.dirs.insert(dir.into(), Dir::default());
        }
        self.dirs.get_mut(dir).expect("it was just inserted")
    }

    fn insert(&mut self, dir: &[u8], place: Place, unleased: bool) {
        if unleased {
            self.dir(dir).others += 1;
        } else {
            self.dir(dir).add(place.clone());
            self.pending.push(Pending::Entry(dir.into(), place));
        }
    }

    fn remove(&mut self, dir: &[u8], place: Place, unleased: bool) {
        if unleased {
            self.pending.push(Pending::OtherGone(dir.into()));
        } else {
            self.dir(dir).remove(&place);
            self.pending.push(Pending::Entry(dir.into(), place));
        }
    }

    /// Counts `key` as an other in every directory above its own.
    fn count_above(&mut self, key: &[u8], own: Option<usize>, added: bool) {
        for dir in directories(key).filter(|dir| Some(dir.len()) != own) {
            if added {
                self.dir(dir).others += 1;
            } else {
                self.pending.push(Pending::OtherGone(dir.into()));
            }
        }
    }
}

/// The length of the directory that `key` lies directly in, where that is one we index.
fn directory_len(key: &[u8]) -> Option<usize> {
    let len = key.iter().rposition(|byte| *byte == b'/')? + 1;
    is_indexable(&key[..len]).then_some(len)
}

/// Every directory that `key` lies below and that we index, the shallowest first.
fn directories(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = key.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let ends = slashes.map(|(at, _)| at + 1).take(MAX_DEPTH);
    ends.take_while(|end| *end <= MAX_DIR_LEN)
        .map(|end| &key[..end])
}

fn is_indexable(dir: &[u8]) -> bool {
    dir.ends_with(b"/")
        && dir.len() <= MAX_DIR_LEN
        && dir.iter().filter(|byte| **byte == b'/').count() <= MAX_DEPTH
}

fn collect(dir: &Dir, query: CreateQuery<'_>, seen: Seen) -> (Vec<Bytes>, bool) {
    let whole = |name: &[u8]| Bytes::from([query.dir, name].concat());
    let wanted = query
        .limit
        .map_or(usize::MAX, |limit| limit.saturating_add(1));
    let Some(bounds) = bounds(&query) else {
        return (Vec::new(), false);
    };
    let visible = dir
        .entries
        .range(bounds)
        .filter(|(_, stage)| stage.visible(seen))
        .map(|((created, name), _)| (*created, name));
    let mut keys: Vec<Bytes> = if query.descending {
        youngest_first(visible.rev(), wanted, whole)
    } else {
        visible.take(wanted).map(|(_, name)| whole(name)).collect()
    };
    let more = query.limit.is_some_and(|limit| keys.len() > limit);
    keys.truncate(query.limit.unwrap_or(usize::MAX));
    (keys, more)
}

/// Takes `wanted` keys by falling create revision; keys of one revision keep their own order, as
/// a stable sort leaves them.
fn youngest_first<'a>(
    entries: impl Iterator<Item = (Revision, &'a Box<[u8]>)>,
    wanted: usize,
    whole: impl Fn(&[u8]) -> Bytes,
) -> Vec<Bytes> {
    let (mut keys, mut start, mut group) = (Vec::new(), 0, None);
    for (created, name) in entries {
        if group != Some(created) {
            // The group before came backwards, as all entries do.
            keys[start..].reverse();
            if keys.len() >= wanted {
                return keys;
            }
            (start, group) = (keys.len(), Some(created));
        }
        keys.push(whole(name));
    }
    keys[start..].reverse();
    keys
}

fn bounds(query: &CreateQuery<'_>) -> Option<(Bound<Place>, Bound<Place>)> {
    let first = |revision: Revision| (revision, Box::default());
    if let (Some(min), Some(max)) = (query.min, query.max)
        && min > max
    {
        return None;
    }
    let lower = query
        .min
        .map_or(Bound::Unbounded, |min| Bound::Included(first(min)));
    let upper = match query.max {
        // Nothing was ever created beyond the largest revision.
        Some(max) if max.0 < i64::MAX => Bound::Excluded(first(max.next())),
        _ => Bound::Unbounded,
    };
    Some((lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::LeaseId;
    use proptest::prelude::*;

    fn record(created: i64, lease: i64) -> Record {
        Record {
            created: Revision(created),
            modified: Revision(created),
            version: 1,
            lease: LeaseId(lease),
            value: Bytes::new(),
        }
    }

    fn all(dir: &[u8]) -> CreateQuery<'_> {
        CreateQuery {
            dir,
            descending: false,
            limit: None,
            min: None,
            max: None,
        }
    }

    fn keys(hits: Option<CreateHits>) -> Vec<String> {
        let text = |key: &Bytes| String::from_utf8_lossy(key).into_owned();
        hits.unwrap().keys.iter().map(text).collect()
    }

    #[test]
    fn readers_see_what_is_published_and_the_writer_what_it_applied() {
        let mut index = CreateIndex::default();
        index.changed(b"job/a", None, Some(&record(2, 7)));
        assert!(keys(index.query(all(b"job/"), Seen::Published)).is_empty());
        assert_eq!(keys(index.query(all(b"job/"), Seen::Latest)), ["job/a"]);
        index.publish();
        index.changed(b"job/a", Some(&record(2, 7)), None);
        assert_eq!(keys(index.query(all(b"job/"), Seen::Published)), ["job/a"]);
        assert!(keys(index.query(all(b"job/"), Seen::Latest)).is_empty());
        index.publish();
        assert!(keys(index.query(all(b"job/"), Seen::Published)).is_empty());
        assert!(index.dirs.is_empty(), "an empty directory costs nothing");
    }

    #[test]
    fn the_waiter_before_mine() {
        let mut index = CreateIndex::default();
        for created in 2..10 {
            index.changed(
                format!("job/{created:x}").as_bytes(),
                None,
                Some(&record(created, created)),
            );
        }
        index.publish();
        let before_mine = CreateQuery {
            descending: true,
            limit: Some(1),
            max: Some(Revision(6)),
            ..all(b"job/")
        };
        let hits = index.query(before_mine, Seen::Published).unwrap();
        assert_eq!((hits.keys.len(), hits.count, hits.more), (1, 8, true));
        assert_eq!(hits.keys[0].as_ref(), b"job/6");
    }

    #[test]
    fn anything_else_below_the_directory_is_left_to_sorting() {
        let mut index = CreateIndex::default();
        index.changed(b"job/a", None, Some(&record(2, 7)));
        index.changed(b"job/deep/b", None, Some(&record(3, 8)));
        assert_eq!(index.query(all(b"job/"), Seen::Latest), None);
        assert_eq!(
            keys(index.query(all(b"job/deep/"), Seen::Latest)),
            ["job/deep/b"]
        );
        index.changed(b"job/deep/b", Some(&record(3, 8)), None);
        assert_eq!(
            index.query(all(b"job/"), Seen::Latest),
            None,
            "not before it is published"
        );
        index.publish();
        assert_eq!(keys(index.query(all(b"job/"), Seen::Latest)), ["job/a"]);
        index.changed(b"job/plain", None, Some(&record(4, 0)));
        assert_eq!(index.query(all(b"job/"), Seen::Published), None);
    }

    #[test]
    fn a_key_of_slashes_costs_a_bounded_number_of_directories() {
        let mut index = CreateIndex::default();
        let key = vec![b'/'; 100_000];
        index.changed(&key, None, Some(&record(2, 7)));
        assert_eq!(index.dirs.len(), MAX_DEPTH);
        index.changed(&key, Some(&record(2, 7)), None);
        index.publish();
        assert!(index.dirs.is_empty());
    }

    /// A key (some directories clash, some keys lie deeper) and what becomes of it.
    fn step() -> impl Strategy<Value = (String, Option<i64>)> {
        let key = prop::sample::select(vec![
            "a/1", "a/2", "a/3", "a/b/1", "a/b/2", "b/1", "c", "a/", "/",
        ]);
        (key, prop::option::of(0..3i64)).prop_map(|(key, lease)| (key.to_owned(), lease))
    }

    proptest! {
        /// The property that the lock rules ask for: wherever the index answers, it answers what
        /// sorting would.
        #[test]
        fn the_index_agrees_with_brute_force(
            batches in prop::collection::vec(prop::collection::vec(step(), 1..6), 1..12),
            descending: bool,
            limit in prop::option::of(1..4usize),
            min in prop::option::of(0..20i64),
            max in prop::option::of(0..20i64),
        ) {
            let mut index = CreateIndex::default();
            let mut live: BTreeMap<String, Record> = BTreeMap::new();
            let mut revision = 1;
            for batch in batches {
                for (key, lease) in batch {
                    // Two steps share a revision now and then, as two keys of one Txn do.
                    revision += i64::from(key.len() % 2 == 0);
                    let before = live.get(&key).cloned();
                    let created = before.as_ref().map_or(revision, |r| r.created.0);
                    let after = lease.map(|lease| record(created, lease));
                    index.changed(key.as_bytes(), before.as_ref(), after.as_ref());
                    match after {
                        Some(after) => live.insert(key, after),
                        None => live.remove(&key),
                    };
                    for dir in ["a/", "a/b/", "b/", "/"] {
                        let query = CreateQuery {
                            dir: dir.as_bytes(),
                            descending,
                            limit,
                            min: min.map(Revision),
                            max: max.map(Revision),
                        };
                        check(&index, &live, query, Seen::Latest)?;
                    }
                }
                index.publish();
                check(&index, &live, all(b"a/"), Seen::Published)?;
                check(&index, &live, all(b"a/b/"), Seen::Published)?;
            }
        }
    }

    fn check(
        index: &CreateIndex,
        live: &BTreeMap<String, Record>,
        query: CreateQuery<'_>,
        seen: Seen,
    ) -> Result<(), TestCaseError> {
        let Some(hits) = index.query(query, seen) else {
            return Ok(());
        };
        let dir = std::str::from_utf8(query.dir).unwrap();
        let below: Vec<_> = live
            .iter()
            .filter(|(key, _)| key.starts_with(dir))
            .collect();
        let mut wanted: Vec<_> = below
            .iter()
            .map(|(key, record)| (record.created, key.as_bytes().to_vec()))
            .filter(|(created, _)| query.min.is_none_or(|min| *created >= min))
            .filter(|(created, _)| query.max.is_none_or(|max| *created <= max))
            .collect();
        if query.descending {
            wanted.sort_by_key(|(created, _)| std::cmp::Reverse(*created));
        } else {
            wanted.sort_by_key(|(created, _)| *created);
        }
        let more = query.limit.is_some_and(|limit| wanted.len() > limit);
        wanted.truncate(query.limit.unwrap_or(usize::MAX));
        let wanted: Vec<_> = wanted.into_iter().map(|(_, key)| key).collect();
        prop_assert_eq!(hits.keys, wanted);
        prop_assert_eq!((hits.count, hits.more), (below.len(), more));
        Ok(())
    }
}
