//! A lock for one at a time.

use std::time::Duration;

use crate::error::Result;
use crate::guard::Guard;
use crate::lock::{Lock, tagged};
use crate::session::Session;
use crate::types::Mode;

/// A lock by name for one holder at a time, to be taken on a session; made by
/// [`Session::mutex`], cheap to clone.
///
/// It excludes every other holder of the name: other sessions and kinds of locks, other tasks of this
/// session, `etcdctl lock`, Go's `concurrency.Mutex`, etcd's Lock service. Locking it again while
/// holding its guard waits for that guard.
///
/// All ways to lock fail with [`SessionLost`](crate::Error::SessionLost) when the session ends first,
/// [`Invalid`](crate::Error::Invalid) for a name that is empty or longer than 1,024 bytes, and
/// [`Refused`](crate::Error::Refused) when the server refuses. While no server can be reached, they
/// try again.
#[derive(Clone, Debug)]
pub struct Mutex(Lock);

impl Mutex {
    pub(crate) fn new(session: Session, name: String) -> Self {
        Mutex(Lock::new(session, vec![name], Mode::Exclusive))
    }

    /// The lock's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.names()[0]
    }

    /// Waits for the lock, first come, first served.
    ///
    /// Dropping the future gives the place in the queue up and leaves no key.
    ///
    /// # Errors
    /// [`KeyDeleted`](crate::Error::KeyDeleted) if somebody deletes the waiting key;
    /// [`Deadlock`](crate::Error::Deadlock) if a latchd finds that the wait would never end; else see
    /// [`Mutex`].
    pub async fn lock(&self) -> Result<Guard> {
        self.0.wait().await
    }

    /// Takes the lock if nobody holds it or waits for it, in one transaction that writes nothing
    /// otherwise.
    ///
    /// # Errors
    /// [`Busy`](crate::Error::Busy) if the lock is not free, also for another task of this session;
    /// [`Unreachable`](crate::Error::Unreachable) if no server answers within the request timeout;
    /// else see [`Mutex`].
    pub async fn try_lock(&self) -> Result<Guard> {
        self.0.attempt().await
    }

    /// Waits for the lock no longer than `limit`; a limit of zero takes it if it is free.
    ///
    /// When it answers [`Timeout`](crate::Error::Timeout), the key is gone: the delete is waited for,
    /// up to the request timeout. Dropping the future leaves no key either.
    ///
    /// # Errors
    /// [`Timeout`](crate::Error::Timeout) if the lock was not free in time; else as
    /// [`lock`](Mutex::lock).
    pub async fn lock_timeout(&self, limit: Duration) -> Result<Guard> {
        self.0.wait_for(limit).await
    }
}

tagged!(Mutex);
