//! Looking at locks: who holds and who waits, what happens, and what happened.
//!
//! A latchd knows; on an etcd it follows from the keys, and what does not is `None`.

mod line;
mod on_etcd;
mod on_latchd;
mod types;
mod watch;

pub use types::{
    Contender, Deadlock, DeadlockWait, Event, EventKind, History, Lock, PastHold, SessionInfo,
    WatchItem,
};
pub use watch::LockWatch;

use crate::client::{Client, patiently};
use crate::error::{Error, Result};
use crate::types::{Revision, ServerKind};

/// Locks, as programs that watch over others see them.
impl Client {
    /// Every lock whose name begins with `prefix`, with its holders and its queue.
    ///
    /// On an etcd it reads every key that begins so, a thousand at a time: a prefix keeps data out that
    /// is no lock's.
    ///
    /// # Errors
    /// [`Unreachable`](Error::Unreachable) if no server answers within the request timeout;
    /// [`Refused`](Error::Refused).
    pub async fn list(&self, prefix: impl AsRef<[u8]>) -> Result<Vec<Lock>> {
        let prefix = prefix.as_ref();
        let list = || async {
            match self.server() {
                ServerKind::Latchd => on_latchd::list(self, prefix).await,
                ServerKind::Etcd => Ok(on_etcd::list(self, prefix).await?.0.to_locks()),
            }
        };
        patiently(self.request_timeout(), list).await
    }

    /// One lock, with its holders and its queue; `None` if nobody holds it.
    ///
    /// # Errors
    /// As [`list`](Client::list).
    pub async fn show(&self, name: impl AsRef<[u8]>) -> Result<Option<Lock>> {
        let name = name.as_ref();
        let show = || async {
            match self.server() {
                ServerKind::Latchd => on_latchd::show(self, name).await,
                ServerKind::Etcd => on_etcd::show(self, name).await,
            }
        };
        patiently(self.request_timeout(), show).await
    }

    /// What [`list`](Client::list) says, and then every change of it. After a broken connection it
    /// begins again, with a new snapshot.
    ///
    /// # Errors
    /// As [`list`](Client::list).
    pub async fn watch(&self, prefix: impl AsRef<[u8]>) -> Result<LockWatch> {
        LockWatch::begin(self, prefix.as_ref()).await
    }

    /// Whether a token still stands for a hold of that name. Advisory: it may end right after the
    /// answer. For data in the same store use a Txn that compares the create revision of the key with
    /// the token.
    ///
    /// # Errors
    /// As [`list`](Client::list).
    pub async fn verify(&self, name: impl AsRef<[u8]>, token: Revision) -> Result<bool> {
        let name = name.as_ref();
        let verify = || async {
            match self.server() {
                ServerKind::Latchd => on_latchd::verify(self, name, token).await,
                ServerKind::Etcd => on_etcd::verify(self, name, token).await,
            }
        };
        patiently(self.request_timeout(), verify).await
    }

    /// Takes a lock away from whoever holds or awaits it with that token, and says who that was. A
    /// client of etcd is not told; a session of a latchd is, and so is a guard of this crate that
    /// somebody awaits.
    ///
    /// # Errors
    /// [`NotHeld`](Error::NotHeld) if no lock key of that name has that token; else as
    /// [`list`](Client::list).
    pub async fn force_release(
        &self,
        name: impl AsRef<[u8]>,
        token: Revision,
    ) -> Result<Contender> {
        let name = name.as_ref();
        match self.server() {
            ServerKind::Latchd => on_latchd::force_release(self, name, token).await,
            ServerKind::Etcd => on_etcd::force_release(self, name, token).await,
        }
    }

    /// Who held what: at most `limit` holds that have ended, of names that begin with `prefix`, the
    /// last one first. It is the server's memory, and begins with its start.
    ///
    /// # Errors
    /// [`NeedsLatchd`](Error::NeedsLatchd) on an etcd; else as [`list`](Client::list).
    pub async fn history(&self, prefix: impl AsRef<[u8]>, limit: usize) -> Result<History> {
        self.needs_latchd("the history of locks")?;
        let prefix = prefix.as_ref();
        let history = || on_latchd::history(self, prefix, limit);
        patiently(self.request_timeout(), history).await
    }

    /// Every session of `latchd.v1`.
    ///
    /// # Errors
    /// [`NeedsLatchd`](Error::NeedsLatchd) on an etcd; else as [`list`](Client::list).
    pub async fn sessions(&self) -> Result<Vec<SessionInfo>> {
        self.needs_latchd("the list of sessions")?;
        patiently(self.request_timeout(), || on_latchd::sessions(self)).await
    }

    /// Waits that wait for one another, and that the server leaves to people because none of them is
    /// its own to end.
    ///
    /// # Errors
    /// [`NeedsLatchd`](Error::NeedsLatchd) on an etcd; else as [`list`](Client::list).
    pub async fn deadlocks(&self) -> Result<Vec<Deadlock>> {
        self.needs_latchd("the list of deadlocks")?;
        patiently(self.request_timeout(), || on_latchd::deadlocks(self)).await
    }

    fn needs_latchd(&self, what: &'static str) -> Result<()> {
        match self.server() {
            ServerKind::Latchd => Ok(()),
            ServerKind::Etcd => Err(Error::NeedsLatchd { what }),
        }
    }
}
