//! The numbers that must not be mixed up, as types of their own.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// The store's logical clock: one more for each writing transaction.
///
/// An empty store is at revision 1, as in etcd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub i64);

impl Revision {
    /// The revision of a store that nobody has written to (etcd 3.x).
    pub const INITIAL: Revision = Revision(1);
    /// What `compacted` says before the first compaction (etcd's `compactMainRev`).
    pub const NEVER_COMPACTED: Revision = Revision(-1);

    /// The revision after this one.
    #[must_use]
    pub fn next(self) -> Revision {
        Revision(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number in lower-case hexadecimal without padding. (Without the formatter, because every lock
/// spells several, and it would take longer than the rest of the spelling.)
#[must_use]
pub fn hex(number: u64) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = (u64::BITS - (number | 1).leading_zeros()).div_ceil(4);
    let digit = |place: u32| char::from(DIGITS[(number >> (4 * place)) as usize & 0xf]);
    (0..digits).rev().map(digit).collect()
}

/// A lease, as its owner names it; 0 on the wire means "none".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub i64);

impl LeaseId {
    /// No lease: a key that lives until somebody deletes it.
    pub const NONE: LeaseId = LeaseId(0);

    /// True for [`LeaseId::NONE`].
    #[must_use]
    pub fn is_none(self) -> bool {
        self == LeaseId::NONE
    }

    /// As keys spell it: lower-case hexadecimal without padding, as Go's clients do.
    #[must_use]
    pub fn hex(self) -> String {
        // Go's %x of a negative number has a sign; such a lease is not found, but says so by this
        // name.
        let digits = hex(self.0.unsigned_abs());
        if self.0 < 0 {
            format!("-{digits}")
        } else {
            digits
        }
    }

    /// Whether a key of this lease is a lock, by its last segment: that is called after the lease,
    /// or begins with `~`.
    #[must_use]
    pub fn locks_with(self, segment: &[u8]) -> bool {
        !self.is_none() && (segment.starts_with(b"~") || segment == self.hex().as_bytes())
    }

    /// An ID that the server picks: positive, larger than the ones before it, and too random to
    /// clash with one that somebody else picks.
    ///
    /// The order is for the disk: leases that were granted together mostly end together, and then
    /// lie on few pages. etcd's IDs grow with time, too.
    #[must_use]
    pub fn fresh() -> LeaseId {
        /// How far apart two IDs are, before the random part.
        const STEP: i64 = 1 << 16;
        static NEXT: LazyLock<AtomicI64> =
            LazyLock::new(|| AtomicI64::new(rand::random_range(1..1 << 46) * STEP));
        let next = NEXT.fetch_add(STEP, Ordering::Relaxed);
        LeaseId(next + rand::random_range(0..STEP))
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One watch on a stream; the client knows it by this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub i64);

impl WatchId {
    /// Stands for "the whole stream", or "no such watch" (etcd's `InvalidWatchID`).
    pub const INVALID: WatchId = WatchId(-1);
}

/// How long a lease lives without a keepalive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl {
    /// Milliseconds; the wire carries whole seconds.
    pub millis: i64,
}

impl Ttl {
    /// A TTL of whole seconds.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Ttl {
        Ttl {
            millis: seconds.saturating_mul(1000),
        }
    }

    /// Whole seconds, rounded down, as etcd reports them.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.millis / 1000
    }

    /// The same as a [`Duration`]; zero for anything negative.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.millis.max(0).unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_leases_are_positive_in_order_and_not_one_after_the_other() {
        let picked: Vec<i64> = (0..1000).map(|_| LeaseId::fresh().0).collect();
        assert!(picked[0] > 0);
        assert!(picked.is_sorted_by(|a, b| a < b));
        assert!(picked.windows(2).any(|pair| pair[1] - pair[0] > 1));
    }
}
