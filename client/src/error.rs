//! What can go wrong, and whether trying again may help.

use std::time::Duration;

use tonic::Code;

use crate::types::{LeaseId, Loss};

/// The result of this crate's calls.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A lock needs a name.
    #[error("the name of a lock must not be empty")]
    EmptyName,
    /// [`try_lock`](crate::Mutex::try_lock) found the lock held or waited for.
    #[error("the lock {name:?} is held or waited for by somebody else")]
    Busy {
        /// The lock's name.
        name: String,
    },
    /// [`lock_timeout`](crate::Mutex::lock_timeout) did not get the lock in time.
    #[error("the lock {name:?} did not become free within {limit:?}")]
    Timeout {
        /// The lock's name.
        name: String,
        /// What was given.
        limit: Duration,
    },
    /// The session is over, and with it every lock and every wait on it; open a new one.
    #[error("the session {lease} is over: {loss}")]
    SessionLost {
        /// The session's lease.
        lease: LeaseId,
        /// Why.
        loss: Loss,
    },
    /// The key was deleted by somebody else before the lock was granted; lock again to queue anew.
    #[error("the key {key:?} was deleted by somebody else while it waited for its turn")]
    KeyDeleted {
        /// The key that waited.
        key: String,
    },
    /// A release found the key gone, or another one in its place, and freed nothing.
    #[error("the lock was no longer held: the key {key:?} is gone or is not the one granted")]
    NotHeld {
        /// The key that was granted.
        key: String,
    },
    /// No server could be reached, or none would answer now.
    #[error("no server could be reached: {0}")]
    Unreachable(#[source] etcd_client::Error),
    /// No server answered in time; what was asked for goes on in the background.
    #[error("no server answered within {after:?}")]
    NoAnswer {
        /// How long was waited.
        after: Duration,
    },
    /// The server answered, and refused.
    #[error("the server refused: {0}")]
    Refused(#[source] etcd_client::Error),
    /// The server ended a watch.
    #[error("the server ended a watch: {reason}")]
    WatchEnded {
        /// What it said.
        reason: String,
    },
    /// The server's answer lacks something that every etcd sends.
    #[error("the server's answer has no {missing}")]
    Malformed {
        /// What is missing.
        missing: &'static str,
    },
    /// The tokio runtime on which the client was made is shutting down.
    #[error("the runtime is shutting down")]
    ShuttingDown,
}

impl Error {
    /// Whether no server was reached, rather than one that refused: trying again may help.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Error::Unreachable(_) | Error::NoAnswer { .. })
    }
}

impl From<etcd_client::Error> for Error {
    fn from(error: etcd_client::Error) -> Self {
        if is_passing(&error) {
            Error::Unreachable(error)
        } else {
            Error::Refused(error)
        }
    }
}

/// Whether this is about the way to the server, or its state of the moment.
fn is_passing(error: &etcd_client::Error) -> bool {
    match error {
        etcd_client::Error::GRpcStatus(status) => is_passing_code(status.code()),
        etcd_client::Error::TransportError(_)
        | etcd_client::Error::IoError(_)
        | etcd_client::Error::WatchError(_)
        | etcd_client::Error::LeaseKeepAliveError(_)
        | etcd_client::Error::EndpointError(_) => true,
        _ => false,
    }
}

/// tonic reports a broken connection as Unknown, and a request that timed out as Cancelled.
fn is_passing_code(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::Unknown
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Internal
            | Code::Aborted
            | Code::ResourceExhausted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: Code) -> Error {
        etcd_client::Error::GRpcStatus(tonic::Status::new(code, "x")).into()
    }

    #[test]
    fn only_what_may_pass_is_unreachable() {
        for code in [
            Code::Unavailable,
            Code::Unknown,
            Code::Cancelled,
            Code::ResourceExhausted,
        ] {
            assert!(status(code).is_unreachable(), "{code:?}");
        }
        for code in [
            Code::PermissionDenied,
            Code::Unauthenticated,
            Code::NotFound,
        ] {
            assert!(!status(code).is_unreachable(), "{code:?}");
        }
    }
}
