//! The words of this crate that cross its edge.

use std::fmt;

/// A lease's ID. It displays as etcd's tools write it: lowercase hex, unpadded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId(pub i64);

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// A revision of the store: it grows with every write to it and never falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision(pub i64);

impl Revision {
    /// The first revision that a look at this one has not seen.
    pub(crate) fn next(self) -> Revision {
        Revision(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What kind of server a [`Client`](crate::Client) talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerKind {
    /// A latchd, which has the service `latchd.v1`.
    Latchd,
    /// An etcd, or anything else that speaks its API.
    Etcd,
}

impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ServerKind::Latchd => "latchd",
            ServerKind::Etcd => "etcd",
        })
    }
}

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Alone.
    Exclusive,
    /// Together with others who share.
    Shared,
    /// As one of so many.
    Permit {
        /// How many may hold at a time; the same for all who use the name.
        of: u32,
    },
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mode::Exclusive => f.write_str("exclusive"),
            Mode::Shared => f.write_str("shared"),
            Mode::Permit { of } => write!(f, "one of {of} permits"),
        }
    }
}

/// Why a session, or a lock held on it, is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// The server said that the lease is gone: it expired, or somebody revoked it.
    Expired,
    /// The lease could not be renewed before its deadline. The server may not know yet.
    NotRenewed,
    /// The lock's key was deleted by somebody else; the session lives on.
    KeyDeleted,
    /// Somebody took the lock away by force ([`Client::force_release`](crate::Client::force_release));
    /// the session lives on.
    Forced,
    /// The session was bound to its connection, which broke.
    Disconnected,
    /// The session was resumed on another connection, where it goes on.
    Resumed,
    /// [`Session::close`](crate::Session::close) was called.
    Closed,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Loss::Expired => "its lease expired or was revoked",
            Loss::NotRenewed => "its lease could not be renewed in time",
            Loss::KeyDeleted => "its key was deleted by somebody else",
            Loss::Forced => "somebody took it away by force",
            Loss::Disconnected => "the connection that it was bound to broke",
            Loss::Resumed => "its session was resumed on another connection",
            Loss::Closed => "its session was closed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_written_as_etcd_writes_it() {
        assert_eq!(
            LeaseId(0x694d_81a0_0000_00ff).to_string(),
            "694d81a0000000ff"
        );
        assert_eq!(LeaseId(10).to_string(), "a");
    }
}
