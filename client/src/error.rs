//! What can go wrong, and what to do about it.

use std::time::Duration;

use tonic::Code;

use crate::refusal::{self, Reason};
use crate::types::{LeaseId, Loss};

/// The result of this crate's calls.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong. Each variant says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request makes no sense as it is: a name that is empty or too long, a permit of none.
    /// Nothing was sent, or the server did nothing; the text says what to give instead.
    #[error("not valid: {what}")]
    Invalid {
        /// What is wrong, and what to give instead.
        what: String,
    },
    /// A try found the lock held or waited for. Wait for it with `lock` or `lock_timeout`, or try
    /// again later.
    #[error("the lock {name:?} is held or waited for by somebody else")]
    Busy {
        /// The lock's name; of several, the first.
        name: String,
    },
    /// The lock did not become free in time, and this contender has left its queue. Ask again to
    /// queue anew.
    #[error("the lock {name:?} did not become free within {limit:?}")]
    Timeout {
        /// The lock's name; of several, the first.
        name: String,
        /// What was given.
        limit: Duration,
    },
    /// Waiting would never end: those in the cycle wait for one another. Release what you hold and
    /// begin again; take several locks at once with a [`MultiLock`](crate::MultiLock) to avoid it.
    #[error("deadlock: {cycle}")]
    Deadlock {
        /// Who waits for what, each for the next.
        cycle: String,
    },
    /// The semaphore is in use with another number of permits. Ask for that number, or wait until
    /// nobody uses it.
    #[error("the semaphore {name:?} has another number of permits: {reason}")]
    OtherPermits {
        /// The lock's name; of several, the first.
        name: String,
        /// The numbers.
        reason: String,
    },
    /// The session is over, and with it every lock and every wait on it. Open a new one, and take
    /// what was done under its locks since the loss as done by somebody without them.
    #[error("the session {lease} is over: {loss}")]
    SessionLost {
        /// The session's lease.
        lease: LeaseId,
        /// Why.
        loss: Loss,
    },
    /// The work that ran under the lock was stopped because the lock was being lost, or the lock did
    /// not last until the work was done. Lock again and begin anew; a store that checks the
    /// [fencing token](crate::Guard::fencing_token) has kept the old work's late writes out.
    #[error("the lock {name:?} did not last as long as the work under it: {loss}")]
    LockLost {
        /// The lock's name; of several, the first.
        name: String,
        /// Why.
        loss: Loss,
    },
    /// The key was deleted by somebody else before the lock was granted. Lock again to queue anew.
    #[error("the key {key:?} was deleted by somebody else while it waited for its turn")]
    KeyDeleted {
        /// The key that waited.
        key: String,
    },
    /// A release found the key gone, or another one in its place, and freed nothing. Take what was
    /// done under the lock as possibly done by two.
    #[error("the lock was no longer held: the key {key:?} is gone or is not the one granted")]
    NotHeld {
        /// The key that was granted.
        key: String,
    },
    /// A leader that proclaims or resigns is the leader no more. Campaign again.
    #[error("no longer the leader of {name:?}")]
    NotLeader {
        /// The election's name.
        name: String,
    },
    /// Only a latchd knows this. Ask one, or do without.
    #[error("{what} is known to latchd only, and this server is an etcd")]
    NeedsLatchd {
        /// What was asked for.
        what: &'static str,
    },
    /// The options say that the server is a latchd, and it has no `latchd.v1`. Let
    /// [`Client::connect`](crate::Client::connect) find out, or give the address of a latchd.
    #[error("the server is no latchd: it has no service latchd.v1.Locks")]
    NotLatchd,
    /// No server could be reached, or none would answer now. Try again later; look at the endpoints.
    #[error("no server could be reached: {0}")]
    Unreachable(#[source] etcd_client::Error),
    /// No server answered in time; what was asked for goes on in the background. Try again, or give
    /// more time ([`Options::with_request_timeout`](crate::Options::with_request_timeout)).
    #[error("no server answered within {after:?}")]
    NoAnswer {
        /// How long was waited.
        after: Duration,
    },
    /// The server answered, and refused: a wrong password, a missing permission, a full store. Trying
    /// again does not help; its text says what would.
    #[error("the server refused: {0}")]
    Refused(#[source] etcd_client::Error),
    /// The server ended a watch. Watch anew.
    #[error("the server ended a watch: {reason}")]
    WatchEnded {
        /// What it said.
        reason: String,
    },
    /// The server's answer lacks something that every etcd sends. Look at what stands between.
    #[error("the server's answer has no {missing}")]
    Malformed {
        /// What is missing.
        missing: &'static str,
    },
    /// The tokio runtime on which the client was made is shutting down. Connect anew on another.
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
        match error {
            etcd_client::Error::GRpcStatus(status) => status.into(),
            error if is_passing(&error) => Error::Unreachable(error),
            error => Error::Refused(error),
        }
    }
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        let is_passing = match refusal::reason(&status) {
            Some(Reason::Invalid) => {
                let what = refusal::text(&status);
                return Error::Invalid { what };
            }
            Some(Reason::Deadlock) => {
                let cycle = refusal::cycle(&status);
                return Error::Deadlock { cycle };
            }
            // The store's own words; a server that stops is among them.
            Some(Reason::Other) | None => is_passing_code(status.code()),
            Some(_) => false,
        };
        let error = etcd_client::Error::GRpcStatus(status);
        match is_passing {
            true => Error::Unreachable(error),
            false => Error::Refused(error),
        }
    }
}

/// Whether this is about the way to the server, or its state of the moment.
fn is_passing(error: &etcd_client::Error) -> bool {
    matches!(
        error,
        etcd_client::Error::TransportError(_)
            | etcd_client::Error::IoError(_)
            | etcd_client::Error::WatchError(_)
            | etcd_client::Error::LeaseKeepAliveError(_)
            | etcd_client::Error::EndpointError(_)
    )
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

    #[test]
    fn a_word_of_latchd_goes_before_the_code() {
        let mut status = tonic::Status::aborted("latchd: deadlock: a waits for \"x\"");
        let word = |word| tonic::metadata::MetadataValue::from_static(word);
        status
            .metadata_mut()
            .insert("latchd-reason", word("deadlock"));
        assert!(
            matches!(Error::from(status.clone()), Error::Deadlock { cycle } if cycle.contains("waits"))
        );
        status
            .metadata_mut()
            .insert("latchd-reason", word("cancelled"));
        assert!(!Error::from(status.clone()).is_unreachable());
        status.metadata_mut().insert("latchd-reason", word("store"));
        assert!(Error::from(status).is_unreachable());
    }
}
