//! Keys and their history by revision.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use latchd_proto::mvccpb::KeyValue;

/// Every key that is there.
pub(super) type Keys = BTreeMap<Bytes, KeyValue>;

/// The keys that a request means by `key` and `range_end`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'a> {
    key: &'a [u8],
    end: &'a [u8],
}

impl<'a> Span<'a> {
    pub(super) fn new(key: &'a [u8], end: &'a [u8]) -> Self {
        Self { key, end }
    }

    /// Whether it is all keys from one on.
    pub(super) fn is_from_key(self) -> bool {
        self.end == b"\0"
    }

    pub(super) fn contains(self, key: &[u8]) -> bool {
        match self.end {
            b"" => key == self.key,
            b"\0" => key >= self.key,
            end => key >= self.key && key < end,
        }
    }
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Change {
    pub(super) revision: i64,
    pub(super) key: Bytes,
    /// `None` for a deletion.
    pub(super) now: Option<KeyValue>,
    /// As it was at the revision before, whatever else this revision did to it.
    pub(super) before: Option<KeyValue>,
}

/// The keys, and each change that is not compacted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Store {
    revision: i64,
    compacted: i64,
    live: Keys,
    log: Vec<Change>,
}

impl Store {
    pub(super) fn new(revision: i64, compacted: i64) -> Self {
        Self {
            revision,
            compacted,
            live: Keys::new(),
            log: Vec::new(),
        }
    }

    pub(super) fn revision(&self) -> i64 {
        self.revision
    }

    pub(super) fn compacted(&self) -> i64 {
        self.compacted
    }

    /// The keys now.
    pub(super) fn live(&self) -> &Keys {
        &self.live
    }

    /// The keys as they were at a revision that is not compacted.
    pub(super) fn at(&self, revision: i64) -> Cow<'_, Keys> {
        let later = self.log.iter().rev();
        let mut later = later
            .take_while(|change| change.revision > revision)
            .peekable();
        if later.peek().is_none() {
            return Cow::Borrowed(&self.live);
        }
        let mut keys = self.live.clone();
        for change in later {
            match &change.before {
                Some(kv) => keys.insert(change.key.clone(), kv.clone()),
                None => keys.remove(&change.key),
            };
        }
        Cow::Owned(keys)
    }

    /// The changes from a revision on, in order.
    pub(super) fn since(&self, revision: i64) -> &[Change] {
        let first = self
            .log
            .partition_point(|change| change.revision < revision);
        &self.log[first..]
    }

    /// Whether a revision deleted a key and put it again.
    pub(super) fn remade_at(&self, revision: i64) -> bool {
        let later = self.since(revision);
        let own = later.partition_point(|change| change.revision <= revision);
        let put_again = |deleted: &Change, rest: &[Change]| {
            deleted.now.is_none()
                && rest
                    .iter()
                    .any(|change| change.key == deleted.key && change.now.is_some())
        };
        let own = &later[..own];
        (0..own.len()).any(|at| put_again(&own[at], &own[at + 1..]))
    }

    pub(super) fn compact(&mut self, revision: i64) {
        self.compacted = revision;
        self.log.retain(|change| change.revision >= revision);
    }

    /// Begins a revision; it counts if something is written.
    pub(super) fn write(&mut self) -> Writer<'_> {
        Writer {
            begun: self.log.len(),
            store: self,
        }
    }
}

/// The changes of one revision. Dropping it ends the revision.
pub(super) struct Writer<'a> {
    store: &'a mut Store,
    /// How long the log was before.
    begun: usize,
}

impl Writer<'_> {
    /// The store, with what was written so far.
    pub(super) fn store(&self) -> &Store {
        self.store
    }

    /// The present revision as a read in between sees it.
    pub(super) fn revision(&self) -> i64 {
        self.store.revision + i64::from(self.has_written())
    }

    pub(super) fn put(&mut self, key: &Bytes, value: Bytes, lease: i64) {
        let revision = self.store.revision + 1;
        let old = self.store.live.get(key);
        let kv = KeyValue {
            key: key.clone(),
            create_revision: old.map_or(revision, |old| old.create_revision),
            mod_revision: revision,
            version: old.map_or(0, |old| old.version) + 1,
            value,
            lease,
        };
        self.change(key, Some(kv));
    }

    pub(super) fn delete(&mut self, key: &Bytes) {
        self.change(key, None);
    }

    fn change(&mut self, key: &Bytes, now: Option<KeyValue>) {
        let old = match &now {
            Some(kv) => self.store.live.insert(key.clone(), kv.clone()),
            None => self.store.live.remove(key),
        };
        let mut own = self.store.log[self.begun..].iter();
        let before = match own.find(|change| change.key == key) {
            Some(first) => first.before.clone(),
            None => old,
        };
        self.store.log.push(Change {
            revision: self.store.revision + 1,
            key: key.clone(),
            now,
            before,
        });
    }

    fn has_written(&self) -> bool {
        self.store.log.len() > self.begun
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        self.store.revision = self.revision();
    }
}
