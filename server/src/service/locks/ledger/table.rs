//! Every line, in memory: who holds, who waits. A fold over changes; no clock, no store.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use latchd_proto::mvccpb::KeyValue;

use crate::clock::Instant;
use crate::service::locks::deadlock::{Situation, Spot};
use crate::service::locks::keys::{self, Mode, OwnKey};
use crate::service::locks::note::Note;
use crate::service::locks::rule::Older;
use crate::service::turn::hex;
use crate::types::{LeaseId, Revision};

/// A key in a line.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name with its `/`.
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
    pub owner: Arc<str>,
    /// What it says.
    pub note: Arc<Note>,
    /// Whether it is shown as a lock. Other leased keys only stand in the way.
    pub is_lock: bool,
    /// When it was put; none if that was before this server knew.
    pub put_at: Option<Instant>,
    /// When it was granted; the inner one is none if that was before this server knew.
    pub granted: Option<Option<Instant>>,
}

impl Entry {
    fn read(kv: &KeyValue, dir: &[u8], segment: &[u8], at: Option<Instant>) -> Entry {
        let lease = LeaseId(kv.lease);
        let note = match OwnKey::parse(segment) {
            Some(_) => Note::read(&kv.value),
            None => Note::default(),
        };
        let owner = note.owner.clone().unwrap_or_else(|| hex(lease));
        Entry {
            dir: Bytes::copy_from_slice(dir),
            key: Bytes::copy_from_slice(&kv.key),
            created: Revision(kv.create_revision),
            mode: keys::mode_of(segment),
            is_lock: keys::is_lock(segment, lease),
            owner: owner.into(),
            note: Arc::new(note),
            put_at: at,
            granted: None,
            lease,
        }
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
    entries: BTreeMap<Place, Entry>,
    granted: usize,
}

impl Line {
    /// Its keys in their order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.entries.len() - self.granted
    }

    /// Grants whatever R0 grants by now, and returns it.
    fn settle(&mut self, at: Option<Instant>) -> Vec<Entry> {
        if self.waiting() == 0 {
            return Vec::new();
        }
        let mut older = Older::default();
        let mut equals: Vec<Mode> = Vec::new();
        let mut revision = Revision::default();
        let mut refused = None;
        let mut granted = Vec::new();
        for ((created, _), entry) in &mut self.entries {
            // Keys of one revision are not older than one another.
            if *created > revision {
                // Holders are the front of the line.
                if refused.is_some() {
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
                granted.push(entry.clone());
            } else {
                refused = Some(*created);
            }
        }
        self.granted += granted.len();
        granted
    }
}

/// All lines.
#[derive(Debug, Default)]
pub struct Table {
    lines: BTreeMap<Bytes, Line>,
    places: HashMap<Bytes, (Bytes, Revision)>,
    owners: HashMap<Arc<str>, BTreeSet<(Bytes, Place)>>,
    leases: HashMap<LeaseId, BTreeSet<Bytes>>,
    entries: usize,
    granted: usize,
}

/// What a put was to the table.
#[derive(Debug)]
pub enum Put {
    /// A new key.
    Joined(Entry),
    /// A key that was there, with another value or lease.
    Changed,
    /// Nothing to it: no key of a line.
    Other,
    /// A key that has lost its lease, and is none of a line any more.
    Left(Entry),
}

impl Table {
    /// Takes note of a put.
    pub fn put(&mut self, kv: &KeyValue, at: Option<Instant>) -> Put {
        let before = match self.places.get(&kv.key) {
            Some((_, created)) if created.0 == kv.create_revision => self.delete(&kv.key),
            _ => None,
        };
        let split = keys::split(&kv.key).filter(|_| kv.lease != 0);
        let Some((dir, segment)) = split else {
            return before.map_or(Put::Other, Put::Left);
        };
        let mut entry = Entry::read(kv, dir, segment, at);
        let Some(before) = before else {
            self.insert(entry.clone());
            return Put::Joined(entry);
        };
        entry.put_at = before.put_at;
        entry.granted = before.granted;
        self.insert(entry);
        Put::Changed
    }

    fn insert(&mut self, entry: Entry) {
        let (dir, place) = (entry.dir.clone(), entry.place());
        self.places
            .insert(entry.key.clone(), (dir.clone(), entry.created));
        let owned = self.owners.entry(entry.owner.clone()).or_default();
        owned.insert((dir.clone(), place.clone()));
        let leased = self.leases.entry(entry.lease).or_default();
        leased.insert(entry.key.clone());
        let line = self.lines.entry(dir).or_default();
        let granted = usize::from(entry.granted.is_some());
        line.granted += granted;
        line.entries.insert(place, entry);
        self.granted += granted;
        self.entries += 1;
    }

    /// Takes note of a delete, and returns what the key was, if it was one of a line.
    pub fn delete(&mut self, key: &Bytes) -> Option<Entry> {
        let (dir, created) = self.places.remove(key)?;
        let place = (created, key.clone());
        let line = self.lines.get_mut(&dir)?;
        let entry = line.entries.remove(&place)?;
        let granted = usize::from(entry.granted.is_some());
        line.granted -= granted;
        if line.entries.is_empty() {
            self.lines.remove(&dir);
        }
        self.granted -= granted;
        self.entries -= 1;
        if let Some(owned) = self.owners.get_mut(&entry.owner) {
            owned.remove(&(dir, place));
            if owned.is_empty() {
                self.owners.remove(&entry.owner);
            }
        }
        if let Some(leased) = self.leases.get_mut(&entry.lease) {
            leased.remove(key);
            if leased.is_empty() {
                self.leases.remove(&entry.lease);
            }
        }
        Some(entry)
    }

    /// Grants whatever R0 grants in `dir` by now, and returns it.
    pub fn settle(&mut self, dir: &Bytes, at: Option<Instant>) -> Vec<Entry> {
        let line = self.lines.get_mut(dir);
        let granted = line.map(|line| line.settle(at)).unwrap_or_default();
        self.granted += granted.len();
        granted
    }

    /// Grants whatever R0 grants anywhere.
    pub fn settle_all(&mut self, at: Option<Instant>) {
        for line in self.lines.values_mut() {
            self.granted += line.settle(at).len();
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
        let (dir, created) = self.places.get(key)?;
        let line = self.lines.get(dir)?;
        line.entries.get(&(*created, key.clone()))
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

    /// Everyone who waits.
    pub fn waiting(&self) -> impl Iterator<Item = &Entry> {
        let lines = self.lines.values().filter(|line| line.waiting() > 0);
        lines.flat_map(|line| line.entries().filter(|entry| entry.granted.is_none()))
    }

    /// Whether `owner` has had a key in some line since before `created`. Nobody can wait for one
    /// that has not.
    #[must_use]
    pub fn has_older(&self, owner: &str, created: Revision) -> bool {
        let owned = self.owners.get(owner).into_iter().flatten();
        owned
            .into_iter()
            .any(|(_, (revision, _))| *revision < created)
    }

    /// The lines in which `owner` waits, and those in which whoever it waits for waits, and so on;
    /// without keys that are `gone` already. `owner` is the first.
    #[must_use]
    pub fn situation(&self, owner: &Arc<str>, gone: &BTreeSet<Bytes>) -> Situation<Bytes> {
        let mut numbers: HashMap<Arc<str>, usize> = HashMap::from([(owner.clone(), 0)]);
        let mut next = vec![owner.clone()];
        let mut dirs: BTreeSet<Bytes> = BTreeSet::new();
        while let Some(owner) = next.pop() {
            for entry in self
                .waits_of(&owner)
                .filter(|entry| !gone.contains(&entry.key))
            {
                dirs.insert(entry.dir.clone());
                for ahead in self.ahead_of(entry) {
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
            lines: dirs.iter().filter_map(line).collect(),
        }
    }

    fn waits_of(&self, owner: &str) -> impl Iterator<Item = &Entry> {
        let owned = self.owners.get(owner).into_iter().flatten();
        let entries = owned.filter_map(|(dir, place)| self.lines.get(dir)?.entries.get(place));
        entries.filter(|entry| entry.granted.is_none() && entry.is_lock)
    }

    fn ahead_of<'t>(&'t self, entry: &'t Entry) -> impl Iterator<Item = &'t Entry> {
        let line = self.lines.get(&entry.dir).into_iter();
        let all = line.flat_map(Line::entries);
        all.take_while(|ahead| ahead.created < entry.created)
            .filter(|ahead| ahead.is_lock)
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

    #[test]
    fn a_hand_off() {
        let mut table = Table::default();
        let dir = Bytes::from_static(b"job/");
        table.put(&kv("job/7", 2, 7), None);
        table.put(&kv("job/~x.8.a", 3, 8), None);
        assert_eq!(table.settle(&dir, None).len(), 1);
        assert_eq!(holders(&table, "job/"), ["7"]);
        assert_eq!(table.totals(), (1, 1));
        table.delete(&"job/7".into()).unwrap();
        assert_eq!(table.settle(&dir, None)[0].lease, LeaseId(8));
        assert_eq!(holders(&table, "job/"), ["~x.8.a"]);
        table.delete(&"job/~x.8.a".into()).unwrap();
        assert_eq!(table.totals(), (0, 0));
        assert!(table.lines.is_empty() && table.owners.is_empty() && table.leases.is_empty());
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
        let situation = table.situation(&"2".into(), &BTreeSet::new());
        assert_eq!(situation.owners, 2);
        let keys: Vec<Vec<&Bytes>> = situation
            .lines
            .iter()
            .map(|line| line.iter().map(|spot| &spot.key).collect())
            .collect();
        assert_eq!(keys, [["a/1", "a/2"], ["b/2", "b/1"]]);
        assert!(table.has_older("2", Revision(5)) && !table.has_older("3", Revision(6)));
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
                table.settle(&dir, None);
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
