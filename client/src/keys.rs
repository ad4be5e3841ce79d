//! From a lock's name to its keys and back, as `locks.proto` and etcd's clients write them.
//!
//! ```text
//! NAME/~x.<lease>.<attempt>     exclusive
//! NAME/~r.<lease>.<attempt>     shared
//! NAME/~s<N>.<lease>.<attempt>  one of N permits
//! NAME/<lease>                  exclusive: etcd's own clients
//! ```

use crate::types::{LeaseId, Mode};

/// The most permits that a semaphore can have.
pub(crate) const MOST_PERMITS: u32 = 1_000_000;

/// Everything directly under it contends for the lock.
pub(crate) fn directory(name: &str) -> String {
    format!("{name}/")
}

/// The key with which an attempt contends.
pub(crate) fn contender(name: &str, mode: Mode, lease: LeaseId, attempt: &str) -> String {
    format!("{name}/{}{lease}.{attempt}", tag(mode))
}

/// A name for an attempt that nobody else has.
pub(crate) fn new_attempt() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// How the last segment of a key of this mode begins, up to and with the first dot.
fn tag(mode: Mode) -> String {
    match mode {
        Mode::Exclusive => "~x.".to_owned(),
        Mode::Shared => "~r.".to_owned(),
        Mode::Permit { of } => format!("~s{of}."),
    }
}

/// The last segment of a key that latchd or this crate wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OwnKey<'a> {
    pub(crate) mode: Mode,
    pub(crate) lease: LeaseId,
    pub(crate) attempt: &'a str,
}

impl<'a> OwnKey<'a> {
    /// Reads the last segment of a key; none if it is anything else.
    pub(crate) fn parse(segment: &'a [u8]) -> Option<OwnKey<'a>> {
        let text = std::str::from_utf8(segment).ok()?;
        let mut parts = text.splitn(3, '.');
        let (tagged, lease, attempt) = (parts.next()?, parts.next()?, parts.next()?);
        let key = OwnKey {
            mode: mode_of_tag(tagged)?,
            lease: LeaseId(i64::from_str_radix(lease, 16).ok()?),
            attempt,
        };
        // Only the one spelling: no capitals, no padding, no plus.
        let spelled = format!("{}{}.{attempt}", tag(key.mode), key.lease);
        (is_attempt(attempt) && spelled == text).then_some(key)
    }
}

fn mode_of_tag(tag: &str) -> Option<Mode> {
    match tag {
        "~x" => Some(Mode::Exclusive),
        "~r" => Some(Mode::Shared),
        _ => {
            let of = tag.strip_prefix("~s")?.parse().ok()?;
            (1..=MOST_PERMITS)
                .contains(&of)
                .then_some(Mode::Permit { of })
        }
    }
}

fn is_attempt(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// How a key contends, by its last segment alone: whatever else it may be is exclusive.
pub(crate) fn mode_of(segment: &[u8]) -> Mode {
    OwnKey::parse(segment).map_or(Mode::Exclusive, |key| key.mode)
}

/// A key's name and its last segment; none for a key outside of any directory.
pub(crate) fn split(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = key.iter().rposition(|byte| *byte == b'/')?;
    Some((&key[..slash], &key[slash + 1..]))
}

/// The last segment of a key that lies directly in `directory`. Deeper ones don't contend.
pub(crate) fn segment_in<'a>(directory: &[u8], key: &'a [u8]) -> Option<&'a [u8]> {
    let segment = key.strip_prefix(directory)?;
    (!segment.contains(&b'/')).then_some(segment)
}

/// Whether a leased key is shown as a lock: it is called after its own lease, or begins with `~`.
pub(crate) fn is_lock(segment: &[u8], lease: LeaseId) -> bool {
    let called_after = || segment == lease.to_string().as_bytes();
    lease.0 != 0 && (segment.starts_with(b"~") || called_after())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: LeaseId = LeaseId(0x1f);

    /// The examples beside `locks.proto`.
    #[test]
    fn golden_keys() {
        let cases = [
            (Mode::Exclusive, "job/~x.1f.a1"),
            (Mode::Shared, "job/~r.1f.a1"),
            (Mode::Permit { of: 3 }, "job/~s3.1f.a1"),
        ];
        for (mode, key) in cases {
            assert_eq!(contender("job", mode, LEASE, "a1"), key);
            let (name, segment) = split(key.as_bytes()).expect("a directory");
            assert_eq!(name, b"job");
            let own = OwnKey {
                mode,
                lease: LEASE,
                attempt: "a1",
            };
            assert_eq!(OwnKey::parse(segment), Some(own));
        }
        // etcd does not tidy names, and keys must be the same to exclude one another.
        assert_eq!(directory("a//b/"), "a//b//");
    }

    #[test]
    fn everything_else_is_exclusive() {
        for segment in [
            "1f",
            "",
            "~",
            "~r.1f",
            "~r.1f.",
            "~r.1F.a",
            "~r.01f.a",
            "~r.+1f.a",
            "~s.1f.a",
            "~s0.1f.a",
            "~s01.1f.a",
            "~s1000001.1f.a",
            "~r.1f.a.b",
            "~R.1f.a",
            "~r.1f.a b",
        ] {
            assert_eq!(mode_of(segment.as_bytes()), Mode::Exclusive, "{segment}");
        }
        assert_eq!(mode_of(b"~r.\xff"), Mode::Exclusive);
    }

    #[test]
    fn what_is_shown_as_a_lock() {
        assert!(is_lock(b"1f", LEASE) && is_lock(b"~anything", LEASE));
        assert!(!is_lock(b"1e", LEASE) && !is_lock(b"~x.1f.a", LeaseId(0)));
    }

    #[test]
    fn deeper_keys_do_not_contend() {
        assert_eq!(segment_in(b"a/", b"a/1f"), Some(&b"1f"[..]));
        assert_eq!(segment_in(b"a/", b"a/b/1f"), None);
    }

    #[test]
    fn attempts_are_names_that_the_server_takes() {
        let (one, two) = (new_attempt(), new_attempt());
        assert!(is_attempt(&one) && one != two);
    }
}
