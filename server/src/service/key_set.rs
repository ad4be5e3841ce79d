//! A set of keys given as ranges, merged as they come, so that asking costs O(log n) however many
//! ranges a request has.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

/// Disjoint half-open ranges, by their start.
#[derive(Debug, Default)]
pub struct KeySet(BTreeMap<Bytes, Bytes>);

impl KeySet {
    /// Adds what `key` and `range_end` mean in a delete: one key, or `[key, range_end)` with the
    /// end at its word.
    pub fn insert(&mut self, key: &Bytes, range_end: &Bytes) {
        let end = match range_end.as_ref() {
            // The first key after `key` is `key` with a zero byte behind it.
            [] => Bytes::from([key.as_ref(), b"\0"].concat()),
            _ => range_end.clone(),
        };
        self.insert_range(key.clone(), end);
    }

    fn insert_range(&mut self, mut start: Bytes, mut end: Bytes) {
        if start >= end {
            return;
        }
        while let Some((from, to)) = self.last_before(Bound::Included(&end)) {
            if to < start {
                break;
            }
            self.0.remove(&from);
            start = start.min(from);
            end = end.max(to);
        }
        self.0.insert(start, end);
    }

    /// Adds everything of another set.
    pub fn merge(&mut self, other: KeySet) {
        for (start, end) in other.0 {
            self.insert_range(start, end);
        }
    }

    /// Whether a key is in the set.
    #[must_use]
    pub fn contains(&self, key: &Bytes) -> bool {
        let before = self.last_before(Bound::Included(key));
        before.is_some_and(|(_, end)| *key < end)
    }

    fn last_before(&self, bound: Bound<&Bytes>) -> Option<(Bytes, Bytes)> {
        let range = self.0.range::<Bytes, _>((Bound::Unbounded, bound));
        range
            .into_iter()
            .next_back()
            .map(|(start, end)| (start.clone(), end.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_holds_what_any_of_its_ranges_holds(
            ranges in prop::collection::vec(("[a-d]{1,2}", "[a-e]{0,2}"), 0..12),
            key in "[a-e]{1,2}",
        ) {
            let mut set = KeySet::default();
            for (start, end) in &ranges {
                set.insert(&start.clone().into(), &end.clone().into());
            }
            let wanted = ranges.iter().any(|(start, end)| {
                if end.is_empty() { *start == key } else { *start <= key && key < *end }
            });
            prop_assert_eq!(set.contains(&key.into()), wanted);
            let disjoint = set.0.iter().zip(set.0.iter().skip(1)).all(|((_, end), (start, _))| end < start);
            prop_assert!(disjoint, "{set:?}");
        }
    }
}
