//! Which watchers want a key: by the key itself, by prefix, or by range.
//!
//! Single keys and prefixes are what clients watch, and are found by hashing: one look-up for the
//! key and one for each length of prefix that is being watched. Other ranges are few, and scanned.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use crate::mvcc::KeyRange;

/// Longer prefixes are scanned like other ranges: hashing them for every key would cost more.
const LONGEST_PREFIX: usize = 512;

/// Watchers by what they watch. `T` is what is kept of a watcher; IDs rise with every insert.
#[derive(Debug)]
pub struct KeyIndex<T> {
    keys: HashMap<Bytes, Vec<(u64, T)>>,
    prefixes: HashMap<Bytes, Vec<(u64, T)>>,
    /// How many prefixes of each length are watched.
    lengths: BTreeMap<usize, usize>,
    ranges: BTreeMap<u64, (KeyRange, T)>,
}

impl<T> Default for KeyIndex<T> {
    fn default() -> KeyIndex<T> {
        KeyIndex {
            keys: HashMap::new(),
            prefixes: HashMap::new(),
            lengths: BTreeMap::new(),
            ranges: BTreeMap::new(),
        }
    }
}

impl<T> KeyIndex<T> {
    /// Adds a watcher; `id` is larger than any before.
    pub fn insert(&mut self, id: u64, range: &KeyRange, watcher: T) {
        if let Some(key) = range.as_single() {
            push(&mut self.keys, key, id, watcher);
        } else if let Some(prefix) = indexed_prefix(range) {
            if push(&mut self.prefixes, prefix, id, watcher) {
                *self.lengths.entry(prefix.len()).or_default() += 1;
            }
        } else {
            self.ranges.insert(id, (range.clone(), watcher));
        }
    }

    /// Removes a watcher that was inserted with the same range, if it is still there.
    pub fn remove(&mut self, id: u64, range: &KeyRange) -> Option<T> {
        if let Some(key) = range.as_single() {
            return pull(&mut self.keys, key, id).map(|(watcher, _)| watcher);
        }
        let Some(prefix) = indexed_prefix(range) else {
            return self.ranges.remove(&id).map(|(_, watcher)| watcher);
        };
        let (watcher, was_last) = pull(&mut self.prefixes, prefix, id)?;
        if was_last && let Some(count) = self.lengths.get_mut(&prefix.len()) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&prefix.len());
            }
        }
        Some(watcher)
    }

    /// Calls `visit` with every watcher of `key`.
    pub fn each<'a>(&'a self, key: &[u8], mut visit: impl FnMut(u64, &'a T)) {
        let mut all = |found: Option<&'a Vec<(u64, T)>>| {
            for (id, watcher) in found.into_iter().flatten() {
                visit(*id, watcher);
            }
        };
        all(self.keys.get(key));
        for length in self
            .lengths
            .keys()
            .take_while(|length| **length <= key.len())
        {
            all(self.prefixes.get(&key[..*length]));
        }
        for (id, (range, watcher)) in &self.ranges {
            if range.contains(key) {
                visit(*id, watcher);
            }
        }
    }
}

fn indexed_prefix(range: &KeyRange) -> Option<&Bytes> {
    range
        .as_prefix()
        .filter(|prefix| prefix.len() <= LONGEST_PREFIX)
}

/// Returns whether `key` is new.
fn push<T>(map: &mut HashMap<Bytes, Vec<(u64, T)>>, key: &Bytes, id: u64, watcher: T) -> bool {
    if let Some(watchers) = map.get_mut(key) {
        watchers.push((id, watcher));
        return false;
    }
    // A copy, because the request's bytes would keep the whole request alive.
    map.insert(Bytes::copy_from_slice(key), vec![(id, watcher)]);
    true
}

/// Returns the watcher, and whether it was the last of `key`.
fn pull<T>(map: &mut HashMap<Bytes, Vec<(u64, T)>>, key: &Bytes, id: u64) -> Option<(T, bool)> {
    let watchers = map.get_mut(key)?;
    // IDs rise, so each list is sorted by them.
    let at = watchers.binary_search_by_key(&id, |(id, _)| *id).ok()?;
    let (_, watcher) = watchers.remove(at);
    let was_last = watchers.is_empty();
    if was_last {
        map.remove(key);
    }
    Some((watcher, was_last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges() -> impl Strategy<Value = KeyRange> {
        let key = prop::sample::select(vec!["", "a", "a/", "a/b", "b", "\u{7f}"]);
        let end = prop::sample::select(vec!["", "\0", "a0", "b", "c", "a/c"]);
        (key, end).prop_map(|(key, end)| KeyRange::from_wire(&key.into(), &end.into()))
    }

    proptest! {
        #[test]
        fn every_watcher_is_found_by_every_key_of_its_range(
            watched in prop::collection::vec(ranges(), 0..12),
            removed in prop::collection::vec(any::<bool>(), 12),
        ) {
            let mut index = KeyIndex::default();
            for (id, range) in (0..).zip(&watched) {
                index.insert(id, range, ());
            }
            let mut left = Vec::new();
            for (id, range) in (0..).zip(&watched) {
                if removed[id as usize] {
                    prop_assert!(index.remove(id, range).is_some());
                    prop_assert!(index.remove(id, range).is_none());
                } else {
                    left.push((id, range));
                }
            }
            for key in ["", "a", "a/", "a/b", "a/bc", "a0", "b", "z"] {
                let wanted: Vec<u64> = left.iter().filter(|(_, r)| r.contains(key.as_bytes())).map(|(id, _)| *id).collect();
                let mut found = Vec::new();
                index.each(key.as_bytes(), |id, ()| found.push(id));
                found.sort_unstable();
                prop_assert_eq!(found, wanted);
            }
        }
    }

    #[test]
    fn nothing_is_left_of_watchers_that_went() {
        let mut index = KeyIndex::default();
        let range = KeyRange::from_wire(&"a/".into(), &"a0".into());
        index.insert(1, &range, ());
        index.remove(1, &range);
        assert!(index.prefixes.is_empty() && index.lengths.is_empty());
    }
}
