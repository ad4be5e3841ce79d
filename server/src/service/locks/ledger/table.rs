//! Every line, in memory: who holds, who waits. A fold over changes; no clock, no store.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use latchd_proto::mvccpb::KeyValue;

use super::owner::Owner;
use crate::clock::Instant;
use crate::service::locks::deadlock::{Situation, Spot};
use crate::service::locks::keys::{self, Mode, OwnKey};
use crate::service::locks::note::Note;
use crate::service::locks::rule::Older;
use crate::types::{LeaseId, Revision};

/// A key in a line.
#[derive(Debug)]
pub struct Entry {
    /// The name with its `/`; shares the key's memory.
    pub dir: Bytes,
    /// The key.
    pub key: Bytes,
    /// Its create revision.
    pub created: Revision,
    /// The lease that it goes with.
    pub lease: LeaseId,
    /// How it contends.
    pub mode: Mode,
    /// Whose it is when deadlocks are looked for.
    pub owner: Owner,
    /// What it says, unread; none for what this service would not have written.
    value: Option<Bytes>,
    /// Whether it is shown as a lock. Other leased keys only stand in the way.
    pub is_lock: bool,
    /// When it was put; none if that was before this server knew.
    pub put_at: Option<Instant>,
    /// When it was granted; the inner one is none if that was before this server knew.
    pub granted: Option<Option<Instant>>,
}

impl Entry {
    /// Reads a key that lies in a directory; none for others, and for those without a lease.
    fn read(kv: &KeyValue, at: Option<Instant>) -> Option<Entry> {
        let lease = LeaseId(kv.lease);
        let (dir, segment) = keys::split(&kv.key).filter(|_| !lease.is_none())?;
        let own = OwnKey::parse(segment);
        let named = own.and_then(|_| Note::owner_in(&kv.value));
        Some(Entry {
            dir: kv.key.slice(..dir.len()),
            created: Revision(kv.create_revision),
            mode: own.map_or(Mode::Exclusive, |own| own.mode),
            is_lock: keys::is_lock(segment, lease),
            owner: named.map_or(Owner::Lease(lease), |name| Owner::Named(name.into())),
            put_at: at,
            granted: None,
            key: kv.key.clone(),
            // Somebody else's may be of any size, and history keeps many.
            value: own
                .filter(|_| Note::may_be(&kv.value))
                .map(|_| kv.value.clone()),
            lease,
        })
    }

    /// What it says; none for what this service would not have written.
    #[must_use]
    pub fn note(&self) -> Option<Note> {
        self.value.as_deref().map(Note::read)
    }

    /// An exclusive one on the lease 1f.
    #[cfg(test)]
    pub fn example(key: String) -> Box<Entry> {
        let kv = KeyValue {
            key: key.into(),
            create_revision: 1,
            lease: 0x1f,
            ..Default::default()
        };
        Box::new(Entry::read(&kv, None).expect("a key in a directory"))
    }

    /// Its last segment.
    #[must_use]
    pub fn segment(&self) -> &[u8] {
        &self.key[self.dir.len()..]
    }

    /// The Acquire that it is of, if this service wrote it.
    #[must_use]
    pub fn attempt(&self) -> Option<(LeaseId, String)> {
        let own = OwnKey::parse(self.segment())?;
        Some((own.lease, own.attempt.to_owned()))
    }

    fn place(&self) -> Place {
        (self.created, self.key.clone())
    }
}

/// Create revision, then key.
type Place = (Revision, Bytes);

/// One name's line.
#[derive(Debug, Default)]
pub struct Line {
    /// Boxed, because most lines have one, and a tree has room for eleven.
    entries: BTreeMap<Place, Box<Entry>>,
    granted: usize,
}

impl Line {
    /// Its keys in their order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().map(Box::as_ref)
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.entries.len() - self.granted
    }

    /// Grants whatever R0 grants by now, tells of each, and returns how many.
    fn settle(&mut self, at: Option<Instant>, mut tell: impl FnMut(&Entry)) -> usize {
        let before = self.granted;
        if self.waiting() == 0 {
            return 0;
        }
        let mut older = Older::default();
        let mut equals: Vec<Mode> = Vec::new();
        let mut revision = Revision::default();
        let mut refused = false;
        for ((created, _), entry) in &mut self.entries {
            // Keys of one revision are not older than one another.
            if *created > revision {
                // Holders are the front of the line.
                if refused {
                    break;
                }
                equals.drain(..).for_each(|mode| older.add(mode));
                revision = *created;
            }
            equals.push(entry.mode);
            if entry.granted.is_some() {
                continue;
            }
            if older.admit(entry.mode) {
                entry.granted = Some(at);
                self.granted += 1;
                tell(entry);
            } else {
                refused = true;
            }
        }
        self.granted - before
    }
}

/// All lines.
#[derive(Debug, Default)]
pub struct Table {
    lines: BTreeMap<Bytes, Line>,
    places: HashMap<Bytes, Revision>,
    /// The keys of those who have a name; the others' are under their leases.
    named: HashMap<Arc<str>, BTreeSet<Bytes>>,
    leases: HashMap<LeaseId, BTreeSet<Bytes>>,
    entries: usize,
    granted: usize,
}

/// What a put was to the table.
#[derive(Debug)]
pub enum Put {
    /// A new key.
    Joined {
        /// Its name with the `/`.
        dir: Bytes,
    },
    /// A key that was there, with another value or lease.
    Changed,
    /// Nothing to it: no key of a line.
    Other,
    /// A key that has lost its lease, and is none of a line any more.
    Left(Box<Entry>),
}

impl Table {
    /// Takes note of a put.
    pub fn put(&mut self, kv: &KeyValue, at: Option<Instant>) -> Put {
        let before = match self.places.get(&kv.key) {
            Some(created) if created.0 == kv.create_revision => self.delete(&kv.key),
            _ => None,
        };
        let Some(mut entry) = Entry::read(kv, at) else {
            return before.map_or(Put::Other, Put::Left);
        };
        let Some(before) = before else {
            let dir = entry.dir.clone();
            self.insert(entry);
            return Put::Joined { dir };
        };
        entry.put_at = before.put_at;
        entry.granted = before.granted;
        self.insert(entry);
        Put::Changed
    }

    fn insert(&mut self, entry: Entry) {
        self.places.insert(entry.key.clone(), entry.created);
        if let Owner::Named(name) = &entry.owner {
            let named = self.named.entry(name.clone()).or_default();
            named.insert(entry.key.clone());
        }
        let leased = self.leases.entry(entry.lease).or_default();
        leased.insert(entry.key.clone());
        let line = self.lines.entry(entry.dir.clone()).or_default();
        let granted = usize::from(entry.granted.is_some());
        line.granted += granted;
        line.entries.insert(entry.place(), Box::new(entry));
        self.granted += granted;
        self.entries += 1;
    }

    /// Takes note of a delete, and returns what the key was, if it was one of a line.
    pub fn delete(&mut self, key: &Bytes) -> Option<Box<Entry>> {
        let place = (self.places.remove(key)?, key.clone());
        let (dir, _) = keys::split(key)?;
        let line = self.lines.get_mut(dir)?;
        let entry = line.entries.remove(&place)?;
        let granted = usize::from(entry.granted.is_some());
        line.granted -= granted;
        if line.entries.is_empty() {
            self.lines.remove(dir);
        }
        self.granted -= granted;
        self.entries -= 1;
        if let Owner::Named(name) = &entry.owner {
            forget(&mut self.named, name, key);
        }
        forget(&mut self.leases, &entry.lease, key);
        Some(entry)
    }

    /// Grants whatever R0 grants in `dir` by now, and tells of each.
    pub fn settle(&mut self, dir: &Bytes, at: Option<Instant>, tell: impl FnMut(&Entry)) {
        if let Some(line) = self.lines.get_mut(dir) {
            self.granted += line.settle(at, tell);
        }
    }

    /// Grants whatever R0 grants anywhere.
    pub fn settle_all(&mut self, at: Option<Instant>) {
        for line in self.lines.values_mut() {
            self.granted += line.settle(at, |_| ());
        }
    }

    /// How many hold, and how many wait.
    #[must_use]
    pub fn totals(&self) -> (usize, usize) {
        (self.granted, self.entries - self.granted)
    }

    /// A key of a line.
    #[must_use]
    pub fn entry(&self, key: &Bytes) -> Option<&Entry> {
        let place = (*self.places.get(key)?, key.clone());
        let (dir, _) = keys::split(key)?;
        self.lines.get(dir)?.entries.get(&place).map(Box::as_ref)
    }

    /// The line of a name.
    #[must_use]
    pub fn line(&self, dir: &Bytes) -> Option<&Line> {
        self.lines.get(dir)
    }

    /// Lines whose name begins with `prefix` and comes after `after`, in the order of directories.
    pub fn lines<'t>(
        &'t self,
        prefix: &'t [u8],
        after: &'t [u8],
    ) -> impl Iterator<Item = (&'t Bytes, &'t Line)> {
        let after = Bytes::from([after, b"/"].concat());
        let start = match after.as_ref() {
            b"/" => Bound::Included(Bytes::copy_from_slice(prefix)),
            _ if after < *prefix => Bound::Included(Bytes::copy_from_slice(prefix)),
            _ => Bound::Excluded(after),
        };
        let from = self.lines.range((start, Bound::Unbounded));
        let below = from.take_while(move |(dir, _)| dir.starts_with(prefix));
        below.filter(move |(dir, _)| dir.len() > prefix.len())
    }

    /// The keys of a lease that are in lines.
    pub fn of_lease(&self, lease: LeaseId) -> impl Iterator<Item = &Entry> {
        let keys = self.leases.get(&lease).into_iter().flatten();
        keys.filter_map(|key| self.entry(key))
    }

    /// The keys of an owner that are in lines.
    fn of_owner(&self, owner: &Owner) -> impl Iterator<Item = &Entry> {
        let keys = match owner {
            Owner::Lease(lease) => self.leases.get(lease),
            Owner::Named(name) => self.named.get(name),
        };
        let entries = keys.into_iter().flatten().filter_map(|key| self.entry(key));
        entries.filter(move |entry| entry.owner == *owner)
    }

    /// Everyone who waits.
    pub fn waiting(&self) -> impl Iterator<Item = &Entry> {
        let lines = self.lines.values().filter(|line| line.waiting() > 0);
        lines.flat_map(|line| line.entries().filter(|entry| entry.granted.is_none()))
    }

    /// Whether `owner` has had a key in some line since before `created`. Nobody can wait for one
    /// that has not.
    #[must_use]
    pub fn has_older(&self, owner: &Owner, created: Revision) -> bool {
        self.of_owner(owner).any(|entry| entry.created < created)
    }

    /// The lines in which `owner` waits, and those in which whoever it waits for waits, and so on;
    /// without keys that are `gone` already. `owner` is the first.
    #[must_use]
    pub fn situation(&self, owner: &Owner, gone: &BTreeSet<Bytes>) -> Situation<Bytes> {
        let mut numbers: HashMap<Owner, usize> = HashMap::from([(owner.clone(), 0)]);
        let mut next = vec![owner.clone()];
        // How far each line has been gone through: once, however many wait in it.
        let mut passed: BTreeMap<Bytes, Revision> = BTreeMap::new();
        while let Some(owner) = next.pop() {
            for entry in self
                .waits_of(&owner)
                .filter(|entry| !gone.contains(&entry.key))
            {
                let from = passed.entry(entry.dir.clone()).or_default();
                let start = std::mem::replace(from, entry.created.max(*from));
                for ahead in self.between(&entry.dir, start, entry.created) {
                    let number = numbers.len();
                    numbers.entry(ahead.owner.clone()).or_insert_with(|| {
                        next.push(ahead.owner.clone());
                        number
                    });
                }
            }
        }
        let spot = |entry: &Entry| {
            Some(Spot {
                owner: *numbers.get(&entry.owner)?,
                mode: entry.mode,
                created: entry.created,
                key: entry.key.clone(),
            })
        };
        let line = |dir: &Bytes| {
            let entries = self.lines.get(dir)?.entries();
            let entries = entries.filter(|entry| entry.is_lock && !gone.contains(&entry.key));
            Some(entries.filter_map(spot).collect())
        };
        Situation {
            owners: numbers.len(),
            lines: passed.keys().filter_map(line).collect(),
        }
    }

    fn waits_of(&self, owner: &Owner) -> impl Iterator<Item = &Entry> {
        let entries = self.of_owner(owner);
        entries.filter(|entry| entry.granted.is_none() && entry.is_lock)
    }

    /// The locks of a line that were created from `start` on and before `end`.
    fn between(&self, dir: &Bytes, start: Revision, end: Revision) -> impl Iterator<Item = &Entry> {
        let line = self.lines.get(dir).into_iter();
        let from = (start, Bytes::new());
        line.flat_map(move |line| line.entries.range(from.clone()..))
            .map(|(_, entry)| entry.as_ref())
            .take_while(move |entry| entry.created < end)
            .filter(|entry| entry.is_lock)
    }
}

/// Takes a key out of a set, and the set away with its last one.
fn forget<O: Eq + Hash>(sets: &mut HashMap<O, BTreeSet<Bytes>>, of: &O, key: &Bytes) {
    if let Some(keys) = sets.get_mut(of) {
        keys.remove(key);
        if keys.is_empty() {
            sets.remove(of);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::locks::rule::{Place as RulePlace, is_granted};
    use proptest::prelude::*;

    fn kv(key: &str, created: i64, lease: i64) -> KeyValue {
        KeyValue {
            key: Bytes::copy_from_slice(key.as_bytes()),
            create_revision: created,
            mod_revision: created,
            version: 1,
            lease,
            value: Bytes::new(),
        }
    }

    fn holders(table: &Table, dir: &'static str) -> Vec<String> {
        let line = table.line(&Bytes::from_static(dir.as_bytes()));
        let entries = line.into_iter().flat_map(Line::entries);
        let granted = entries.filter(|entry| entry.granted.is_some());
        granted
            .map(|entry| String::from_utf8(entry.segment().to_vec()).unwrap())
            .collect()
    }

    fn settled(table: &mut Table, dir: &Bytes) -> Vec<LeaseId> {
        let mut granted = Vec::new();
        table.settle(dir, None, |entry| granted.push(entry.lease));
        granted
    }

    #[test]
    fn a_hand_off() {
        let mut table = Table::default();
        let dir = Bytes::from_static(b"job/");
        table.put(&kv("job/7", 2, 7), None);
        table.put(&kv("job/~x.8.a", 3, 8), None);
        assert_eq!(settled(&mut table, &dir), [LeaseId(7)]);
        assert_eq!(holders(&table, "job/"), ["7"]);
        assert_eq!(table.totals(), (1, 1));
        table.delete(&"job/7".into()).unwrap();
        assert_eq!(settled(&mut table, &dir), [LeaseId(8)]);
        assert_eq!(holders(&table, "job/"), ["~x.8.a"]);
        table.delete(&"job/~x.8.a".into()).unwrap();
        assert_eq!(table.totals(), (0, 0));
        assert!(table.lines.is_empty() && table.named.is_empty() && table.leases.is_empty());
    }

    #[test]
    fn a_put_on_a_key_that_is_there_keeps_its_place() {
        let mut table = Table::default();
        table.put(&kv("job/~r.7.a", 2, 7), None);
        table.settle_all(None);
        let changed = KeyValue {
            mod_revision: 5,
            version: 2,
            value: r#"{"owner":"forged"}"#.into(),
            ..kv("job/~r.7.a", 2, 7)
        };
        assert!(matches!(table.put(&changed, None), Put::Changed));
        assert_eq!(holders(&table, "job/"), ["~r.7.a"]);
        let unleased = KeyValue {
            lease: 0,
            ..changed
        };
        assert!(matches!(table.put(&unleased, None), Put::Left(_)));
        assert_eq!(table.totals(), (0, 0));
    }

    #[test]
    fn a_situation_has_whom_the_owner_waits_for_and_nobody_else() {
        let mut table = Table::default();
        for (key, created, lease) in [
            ("a/1", 2, 1),
            ("b/2", 3, 2),
            ("b/1", 4, 1),
            ("a/2", 5, 2),
            ("a/3", 6, 3),
            ("c/4", 7, 4),
        ] {
            table.put(&kv(key, created, lease), None);
        }
        table.settle_all(None);
        let owner = |lease| Owner::Lease(LeaseId(lease));
        let situation = table.situation(&owner(2), &BTreeSet::new());
        assert_eq!(situation.owners, 2);
        let keys: Vec<Vec<&Bytes>> = situation
            .lines
            .iter()
            .map(|line| line.iter().map(|spot| &spot.key).collect())
            .collect();
        assert_eq!(keys, [["a/1", "a/2"], ["b/2", "b/1"]]);
        assert!(table.has_older(&owner(2), Revision(5)));
        assert!(!table.has_older(&owner(3), Revision(6)));
    }

    const SEGMENTS: [&str; 9] = [
        "1", "2", "~x.3.a", "~r.4.a", "~r.5.a", "~s2.6.a", "~s2.7.a", "~s3.8.a", "odd",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        /// The table's holders are those of R0, whatever happens in whatever order.
        #[test]
        fn holders_are_r0s(steps in prop::collection::vec((0..9usize, any::<bool>()), 1..40)) {
            let mut table = Table::default();
            let mut model: BTreeMap<String, RulePlace> = BTreeMap::new();
            let dir = Bytes::from_static(b"n/");
            for (created, (which, put)) in (2..).zip(steps) {
                let segment = SEGMENTS[which];
                let key = format!("n/{segment}");
                if put && !model.contains_key(segment) {
                    table.put(&kv(&key, created, 9), None);
                    let mode = keys::mode_of(segment.as_bytes());
                    model.insert(segment.into(), RulePlace { created: Revision(created), mode });
                } else if !put {
                    table.delete(&key.into());
                    model.remove(segment);
                }
                table.settle(&dir, None, |_| ());
                let mut expected: Vec<(&RulePlace, &String)> = model
                    .iter()
                    .filter(|(_, own)| is_granted(**own, model.values().copied()))
                    .map(|(segment, own)| (own, segment))
                    .collect();
                expected.sort_by_key(|(own, _)| own.created);
                let expected: Vec<&String> = expected.into_iter().map(|(_, s)| s).collect();
                let found = holders(&table, "n/");
                prop_assert_eq!(found.iter().collect::<Vec<_>>(), expected);
                prop_assert_eq!(table.totals().0 + table.totals().1, model.len());
            }
        }
    }
}
