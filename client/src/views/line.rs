//! Locks as they follow from keys, for servers that have no word for them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::UNIX_EPOCH;

use etcd_client::KeyValue;

use super::types::{Contender, Lock};
use crate::ask::Note;
use crate::keys::{OwnKey, is_lock, mode_of, split};
use crate::latchd::duration;
use crate::rule::Older;
use crate::types::{LeaseId, Revision};

/// The keys of names, each name's in the order of its line.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines(BTreeMap<Vec<u8>, BTreeMap<Place, Entry>>);

/// Where a key stands: keys of one Txn share a revision.
type Place = (Revision, Vec<u8>);

#[derive(Clone, Debug)]
struct Entry {
    contender: Contender,
    /// Whether it is shown; any key contends.
    is_lock: bool,
}

impl Lines {
    /// A key as it is now. Returns its name, if it has one.
    pub(super) fn put(&mut self, kv: &KeyValue) -> Option<Vec<u8>> {
        let (name, segment) = split(kv.key())?;
        let lease = LeaseId(kv.lease());
        let entry = Entry {
            contender: contender(kv, segment),
            is_lock: is_lock(segment, lease),
        };
        let place = (Revision(kv.create_revision()), kv.key().to_vec());
        self.0
            .entry(name.to_vec())
            .or_default()
            .insert(place, entry);
        Some(name.to_vec())
    }

    /// A key is gone. Returns its name, if it had one.
    pub(super) fn delete(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        let (name, _) = split(key)?;
        let line = self.0.get_mut(name)?;
        line.retain(|(_, each), _| each != key);
        if line.is_empty() {
            self.0.remove(name);
        }
        Some(name.to_vec())
    }

    /// One lock; none if nobody that is shown contends for the name.
    pub(super) fn lock(&self, name: &[u8]) -> Option<Lock> {
        let line = self.0.get(name)?;
        let mut lock = Lock {
            name: name.to_vec(),
            holders: Vec::new(),
            waiting: Vec::new(),
        };
        let mut older = Older::default();
        // Those of the same revision are not older than one another.
        let mut peers = Vec::new();
        let mut revision = None;
        for ((created, _), entry) in line {
            if revision.replace(*created) != Some(*created) {
                peers.drain(..).for_each(|mode| older.add(mode));
            }
            let mode = entry.contender.mode;
            peers.push(mode);
            if entry.is_lock {
                let those = match older.admit(mode) {
                    true => &mut lock.holders,
                    false => &mut lock.waiting,
                };
                those.push(entry.contender.clone());
            }
        }
        let is_shown = !(lock.holders.is_empty() && lock.waiting.is_empty());
        is_shown.then_some(lock)
    }

    pub(super) fn to_locks(&self) -> Vec<Lock> {
        self.0.keys().filter_map(|name| self.lock(name)).collect()
    }

    /// The locks of these names as they are now.
    pub(super) fn some(&self, names: &BTreeSet<Vec<u8>>) -> BTreeMap<Vec<u8>, Lock> {
        let lock = |name: &Vec<u8>| Some((name.clone(), self.lock(name)?));
        names.iter().filter_map(lock).collect()
    }
}

fn contender(kv: &KeyValue, segment: &[u8]) -> Contender {
    let own = OwnKey::parse(segment);
    let note = Note::read(kv.value()).filter(|_| own.is_some());
    let door = match &note {
        Some(note) if !note.door.is_empty() => Some(note.door.clone()),
        _ => own.is_none().then(|| "etcd".to_owned()),
    };
    let note = note.unwrap_or_default();
    Contender {
        key: kv.key().to_vec(),
        token: Revision(kv.create_revision()),
        session: LeaseId(kv.lease()),
        mode: mode_of(segment),
        owner: note.owner,
        labels: note.labels,
        request_id: own.map(|own| own.attempt.to_owned()),
        door,
        since: (note.at_ms > 0).then(|| UNIX_EPOCH + duration(note.at_ms)),
        lasting: None,
    }
}
