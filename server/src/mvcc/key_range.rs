//! Which keys a request means: etcd's `key` and `range_end`.

use std::ops::Bound;

use bytes::Bytes;

/// A set of keys, as `key` and `range_end` describe it on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    start: Bytes,
    end: End,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// Just `start`.
    Single,
    /// Everything from `start` up to this key, without it.
    Before(Bytes),
    /// Everything from `start` on.
    Unbounded,
}

impl KeyRange {
    /// Reads the wire's pair: an empty `range_end` is a single key, `"\0"` is "from `key` on",
    /// anything else is the half-open range `[key, range_end)`.
    #[must_use]
    pub fn from_wire(key: &Bytes, range_end: &Bytes) -> KeyRange {
        let end = match range_end.as_ref() {
            [] => End::Single,
            [0] => End::Unbounded,
            _ => End::Before(range_end.clone()),
        };
        KeyRange {
            start: key.clone(),
            end,
        }
    }

    /// A single key.
    #[must_use]
    pub fn single(key: Bytes) -> KeyRange {
        KeyRange {
            start: key,
            end: End::Single,
        }
    }

    /// The first key of the range.
    #[must_use]
    pub fn start(&self) -> &Bytes {
        &self.start
    }

    /// The key, where the range is just one.
    #[must_use]
    pub fn as_single(&self) -> Option<&Bytes> {
        matches!(self.end, End::Single).then_some(&self.start)
    }

    /// The prefix `p`, where the range is exactly the keys that begin with `p`.
    #[must_use]
    pub fn as_prefix(&self) -> Option<&Bytes> {
        match &self.end {
            End::Before(end) if prefix_end(&self.start).as_deref() == Some(end.as_ref()) => {
                Some(&self.start)
            }
            _ => None,
        }
    }

    /// True where no key can lie in the range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(&self.end, End::Before(end) if *end <= self.start)
    }

    /// Whether `key` lies in the range.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        match &self.end {
            End::Single => key == self.start.as_ref(),
            End::Before(end) => key >= self.start.as_ref() && key < end.as_ref(),
            End::Unbounded => key >= self.start.as_ref(),
        }
    }

    /// The same range over bytes that `change` made, such as copies.
    #[must_use]
    pub fn map_bytes(&self, change: impl Fn(&Bytes) -> Bytes) -> KeyRange {
        KeyRange {
            start: change(&self.start),
            end: match &self.end {
                End::Before(end) => End::Before(change(end)),
                other => other.clone(),
            },
        }
    }

    /// The range as bounds for a sorted table.
    #[must_use]
    pub fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let start = self.start.as_ref();
        let upper = match &self.end {
            End::Single => Bound::Included(start),
            End::Before(end) => Bound::Excluded(end.as_ref()),
            End::Unbounded => Bound::Unbounded,
        };
        (Bound::Included(start), upper)
    }
}

/// The first key after all keys that begin with `prefix`; `None` where there is no such key
/// (an empty prefix, or one of `0xff` bytes only).
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(key: &'static [u8], end: &'static [u8]) -> KeyRange {
        KeyRange::from_wire(&Bytes::from_static(key), &Bytes::from_static(end))
    }

    #[test]
    fn the_three_forms_of_range_end() {
        assert!(range(b"a", b"").contains(b"a") && !range(b"a", b"").contains(b"b"));
        assert!(range(b"a", b"c").contains(b"b") && !range(b"a", b"c").contains(b"c"));
        assert!(range(b"a", b"\0").contains(b"zzz") && !range(b"b", b"\0").contains(b"a"));
    }

    #[test]
    fn a_range_that_ends_before_it_starts_is_empty() {
        assert!(range(b"b", b"a").is_empty() && range(b"b", b"b").is_empty());
        assert!(!range(b"b", b"").is_empty() && !range(b"b", b"\0").is_empty());
    }

    #[test]
    fn prefixes_are_recognised() {
        assert_eq!(
            range(b"job/", b"job0").as_prefix().unwrap().as_ref(),
            b"job/"
        );
        assert_eq!(range(b"job/", b"job1").as_prefix(), None);
        assert_eq!(prefix_end(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(prefix_end(b"\xff"), None);
        assert_eq!(prefix_end(b""), None);
    }
}
