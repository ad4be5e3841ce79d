//! What the keys of a lock are called. Mode and attempt are in the name, so no Put can change or
//! forge them, and a lock taken again on the same lease is a new key.
//!
//! ```text
//! NAME/~x.<lease>.<attempt>     exclusive
//! NAME/~r.<lease>.<attempt>     shared
//! NAME/~s<N>.<lease>.<attempt>  one of N permits
//! NAME/<lease>                  exclusive: etcd's clients, the Lock and Election services
//! ```

use std::borrow::Cow;

use bytes::Bytes;
use latchd_proto::latchd::v1;

use crate::service::turn::hex;
use crate::types::LeaseId;

/// The most permits that a semaphore can have.
pub const MOST_PERMITS: u32 = 1_000_000;

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Alone.
    Exclusive,
    /// Together with others who share.
    Shared,
    /// As one of so many.
    Permit(u32),
}

impl Mode {
    /// The mode and the permits as a message has them.
    #[must_use]
    pub fn to_proto(self) -> (v1::Mode, u32) {
        match self {
            Mode::Exclusive => (v1::Mode::Exclusive, 0),
            Mode::Shared => (v1::Mode::Shared, 0),
            Mode::Permit(most) => (v1::Mode::Semaphore, most),
        }
    }

    /// How the last segment of a key of this mode begins, up to and with the first dot.
    fn tag(self) -> Cow<'static, str> {
        match self {
            Mode::Exclusive => "~x.".into(),
            Mode::Shared => "~r.".into(),
            Mode::Permit(most) => format!("~s{most}.").into(),
        }
    }
}

/// The last segment of a key that this service wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnKey<'a> {
    /// How it contends.
    pub mode: Mode,
    /// On which lease.
    pub lease: LeaseId,
    /// For which Acquire.
    pub attempt: &'a str,
}

impl<'a> OwnKey<'a> {
    /// Reads the last segment of a key; none if this service would not have written it.
    #[must_use]
    pub fn parse(segment: &'a [u8]) -> Option<OwnKey<'a>> {
        let text = std::str::from_utf8(segment).ok()?;
        let mut parts = text.splitn(3, '.');
        let (tag, digits, attempt) = (parts.next()?, parts.next()?, parts.next()?);
        let mode = mode_of_tag(tag)?;
        let lease = LeaseId(i64::from_str_radix(digits, 16).ok()?);
        // Only the one spelling: no capitals, no padding, no plus.
        let spelled = mode.tag().strip_suffix('.') == Some(tag) && hex(lease) == digits;
        (spelled && is_attempt(attempt)).then_some(OwnKey {
            mode,
            lease,
            attempt,
        })
    }

    fn segment(&self) -> String {
        [&self.mode.tag(), &*hex(self.lease), ".", self.attempt].concat()
    }
}

fn mode_of_tag(tag: &str) -> Option<Mode> {
    match tag {
        "~x" => Some(Mode::Exclusive),
        "~r" => Some(Mode::Shared),
        _ => {
            let most = tag.strip_prefix("~s")?.parse().ok()?;
            (1..=MOST_PERMITS)
                .contains(&most)
                .then_some(Mode::Permit(most))
        }
    }
}

/// Whether a text can name an attempt: 1 to 64 letters, digits, `-` and `_`.
#[must_use]
pub fn is_attempt(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// The key of an attempt in `dir` (the name with its `/`).
#[must_use]
pub fn key_of(dir: &[u8], mode: Mode, lease: LeaseId, attempt: &str) -> Bytes {
    let segment = OwnKey {
        mode,
        lease,
        attempt,
    }
    .segment();
    Bytes::from([dir, segment.as_bytes()].concat())
}

/// What all keys of a lease in `dir` begin with that have this mode.
#[must_use]
pub fn prefix_of_lease(dir: &[u8], mode: Mode, lease: LeaseId) -> Bytes {
    let (tag, lease) = (mode.tag(), hex(lease));
    Bytes::from([dir, tag.as_bytes(), lease.as_bytes(), b"."].concat())
}

/// How a key contends, by its last segment alone: whatever this service did not write is exclusive.
#[must_use]
pub fn mode_of(segment: &[u8]) -> Mode {
    OwnKey::parse(segment).map_or(Mode::Exclusive, |key| key.mode)
}

/// A key's directory, with its `/`, and its last segment; none for a key outside of any.
#[must_use]
pub fn split(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = key.iter().rposition(|byte| *byte == b'/')?;
    Some(key.split_at(slash + 1))
}

/// Whether a leased key is shown as a lock: it is called after its own lease, or begins with `~`.
#[must_use]
pub fn is_lock(segment: &[u8], lease: LeaseId) -> bool {
    lease.locks_with(segment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LEASE: LeaseId = LeaseId(0x1f);

    /// The examples beside `locks.proto`.
    #[test]
    fn golden_keys() {
        for (mode, key) in [
            (Mode::Exclusive, "job/~x.1f.a1"),
            (Mode::Shared, "job/~r.1f.a1"),
            (Mode::Permit(3), "job/~s3.1f.a1"),
        ] {
            assert_eq!(key_of(b"job/", mode, LEASE, "a1"), key);
            let (dir, segment) = split(key.as_bytes()).unwrap();
            assert_eq!(dir, b"job/");
            let parsed = OwnKey::parse(segment).unwrap();
            assert_eq!(
                (parsed.mode, parsed.lease, parsed.attempt),
                (mode, LEASE, "a1")
            );
        }
    }

    #[test]
    fn everything_else_is_exclusive() {
        for segment in [
            "1f",
            "",
            "~",
            "~r",
            "~r.",
            "~r.1f",
            "~r.1f.",
            "~r.1F.a",
            "~r.01f.a",
            "~r.+1f.a",
            "~s.1f.a",
            "~s0.1f.a",
            "~s01.1f.a",
            "~s+1.1f.a",
            "~s1000001.1f.a",
            "~r.1f.a.b",
            "~r.1f.ä",
            "~R.1f.a",
            "r.1f.a",
            "~r.1f.a b",
        ] {
            assert_eq!(OwnKey::parse(segment.as_bytes()), None, "{segment}");
            assert_eq!(mode_of(segment.as_bytes()), Mode::Exclusive, "{segment}");
        }
        assert_eq!(mode_of(b"~r.\xff"), Mode::Exclusive);
    }

    /// Rule: "A list shows a key as a lock when it is leased and its last segment is its own
    /// lease's hex or begins with `~`."
    #[test]
    fn what_is_shown_as_a_lock() {
        assert!(is_lock(b"1f", LEASE) && is_lock(b"~anything", LEASE));
        assert!(!is_lock(b"1e", LEASE) && !is_lock(b"web-1", LEASE));
        assert!(!is_lock(b"~x.1f.a", LeaseId::NONE) && !is_lock(b"0", LeaseId::NONE));
    }

    fn modes() -> impl Strategy<Value = Mode> {
        prop_oneof![
            Just(Mode::Exclusive),
            Just(Mode::Shared),
            (1..=MOST_PERMITS).prop_map(Mode::Permit)
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(mode in modes(), lease: i64, attempt in "[A-Za-z0-9_-]{1,64}") {
            prop_assume!(lease != i64::MIN);
            let key = key_of(b"a/b/", mode, LeaseId(lease), &attempt);
            let (dir, segment) = split(&key).unwrap();
            let parsed = OwnKey::parse(segment).unwrap();
            prop_assert_eq!(dir, b"a/b/");
            prop_assert_eq!(parsed, OwnKey { mode, lease: LeaseId(lease), attempt: &attempt });
            prop_assert!(key.starts_with(&prefix_of_lease(b"a/b/", mode, LeaseId(lease))));
        }

        #[test]
        fn any_segment_is_survived(segment: Vec<u8>) {
            if let Some(key) = OwnKey::parse(&segment) {
                prop_assert_eq!(key.segment().into_bytes(), segment);
            }
        }
    }
}
