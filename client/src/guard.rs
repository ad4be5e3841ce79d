//! A lock, held.

use std::time::Duration;

use tracing::Instrument;

use crate::error::{Error, Result};
use crate::etcd::{self, Claim};
use crate::lane::{Lane, Seat};
use crate::latchd::{self, Hold};
use crate::lock::Lock;
use crate::session::Session;
use crate::types::{LeaseId, Loss, Mode, Revision};

/// Work is stopped when this part of the TTL is left, one in so many: late enough that a few
/// heartbeats may fail, early enough that a task has time to notice.
const NOTICE: u32 = 5;

/// A lock that is held, or several that were taken together. Dropping it releases them in the
/// background.
#[must_use = "dropping a guard releases the lock"]
pub struct Guard {
    session: Session,
    names: Vec<String>,
    mode: Mode,
    keys: Vec<String>,
    token: Revision,
    granted_at: Revision,
    held: Held,
}

enum Held {
    OnEtcd(Claim),
    OnLatchd(Hold),
}

impl Held {
    fn lane(&self) -> &Lane {
        let seat: &Seat = match self {
            Held::OnEtcd(claim) => claim.seat(),
            Held::OnLatchd(hold) => hold.seat(),
        };
        seat.lane()
    }

    /// Resolves when it is gone for another reason than its lease's deadline.
    async fn gone(&self, token: Revision) -> Loss {
        match self {
            Held::OnEtcd(claim) => claim.gone(token).await,
            Held::OnLatchd(hold) => hold.gone().await,
        }
    }
}

impl Guard {
    pub(crate) fn on_etcd(lock: &Lock, granted: etcd::Granted) -> Guard {
        Guard {
            session: lock.session().clone(),
            names: lock.names().to_vec(),
            mode: lock.mode(),
            keys: granted.claim.keys(),
            token: granted.token,
            granted_at: granted.at,
            held: Held::OnEtcd(granted.claim),
        }
    }

    pub(crate) fn on_latchd(lock: &Lock, granted: latchd::Granted) -> Guard {
        Guard {
            session: lock.session().clone(),
            names: lock.names().to_vec(),
            mode: lock.mode(),
            keys: granted.keys,
            token: granted.token,
            granted_at: granted.at,
            held: Held::OnLatchd(granted.hold),
        }
    }

    /// The lock's name; of several, the first.
    #[must_use]
    pub fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// The names of all locks that it holds.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The key that holds the lock; of several, the first. Data in the same store can be guarded by a
    /// transaction that compares its create revision with the
    /// [fencing token](Guard::fencing_token).
    #[must_use]
    pub fn key(&self) -> &str {
        self.keys.first().map_or("", String::as_str)
    }

    /// The keys, in the order of the names.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// How it is held.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The create revision of the keys, the same for all names. It is higher than that of every
    /// exclusive holder before; those of readers and permits are higher than that of the last
    /// exclusive holder. See `docs/fencing.md` for what to do with it.
    #[must_use]
    pub fn fencing_token(&self) -> Revision {
        self.token
    }

    /// The store's revision when the lock was granted: what `etcdctl lock` calls `ETCD_LOCK_REV`.
    /// It rises from holder to holder as the token does, and is not below it.
    #[must_use]
    pub fn granted_at(&self) -> Revision {
        self.granted_at
    }

    /// The session that holds the lock.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The lease that its keys are on: the session's first, or one beside it.
    #[must_use]
    pub fn lease(&self) -> LeaseId {
        self.held.lane().lease()
    }

    /// Whether the lock must no longer be relied on: its lease is over, or a latchd has said that the
    /// lock is gone. It looks at the clock; see [`Session::is_lost`]. On an etcd, a key that somebody
    /// deleted shows only in [`lost`](Guard::lost).
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.loss().is_some()
    }

    fn loss(&self) -> Option<Loss> {
        let told = match &self.held {
            Held::OnEtcd(_) => None,
            Held::OnLatchd(hold) => hold.loss(),
        };
        self.held.lane().loss().or(told)
    }

    /// Resolves when the lock is no longer held: its lease is over, or the key is gone. On an etcd the
    /// key is watched while this is awaited, so a revoked lease shows at once; a latchd tells.
    pub async fn lost(&self) -> Loss {
        self.lost_with_notice(Duration::ZERO).await
    }

    /// As [`lost`](Guard::lost), but also `notice` before the deadline if nothing renews the lease
    /// until then; see [`Session::lost_with_notice`].
    pub async fn lost_with_notice(&self, notice: Duration) -> Loss {
        tokio::select! {
            biased;
            loss = self.held.lane().vitals().lost_with_notice(notice) => loss,
            loss = self.held.gone(self.token) => loss,
        }
    }

    /// Asks the server whether the lock is still held. Advisory: it may end right after the answer.
    ///
    /// # Errors
    /// [`Unreachable`](Error::Unreachable) or [`Refused`](Error::Refused).
    pub async fn verify(&self) -> Result<bool> {
        for name in &self.names {
            if !self.session.client().verify(name, self.token).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Does `work` while the lock is held, and releases it. If the lock is lost meanwhile, or a fifth
    /// of its TTL before its deadline if nothing renews it, `work` is dropped half-way. In a process
    /// that was stopped past the deadline, `work` is not polled again.
    ///
    /// Dropping a future stops it at its next `await`. What must not happen late even so (a pause
    /// right before a write) needs the [fencing token](Guard::fencing_token).
    ///
    /// # Errors
    /// [`LockLost`](Error::LockLost) if `work` was dropped, or if the release found that the lock did
    /// not last until it was done. If no server could be told of the release, the work is done and
    /// that is what is returned; the release goes on in the background.
    pub async fn run<T>(self, work: impl Future<Output = T>) -> Result<T> {
        let notice = self.held.lane().ttl() / NOTICE;
        let outcome = tokio::select! {
            biased;
            loss = self.lost_with_notice(notice) => Err(loss),
            done = work => Ok(done),
        };
        let name = self.name().to_owned();
        let done = match outcome {
            Ok(done) => done,
            Err(loss) => {
                tracing::warn!(name, %loss, "the work under a lock is stopped: it is being lost");
                return Err(Error::LockLost { name, loss });
            }
        };
        match self.unlock().await {
            Err(Error::NotHeld { .. }) => {
                let loss = Loss::KeyDeleted;
                Err(Error::LockLost { name, loss })
            }
            Err(Error::SessionLost { loss, .. }) => Err(Error::LockLost { name, loss }),
            Ok(()) | Err(_) => Ok(done),
        }
    }

    /// Releases the lock and waits until it is released. Once called, the release goes on even if
    /// the future is dropped.
    ///
    /// A key is deleted only if it is still the one that was granted.
    ///
    /// # Errors
    /// [`NotHeld`](Error::NotHeld) if it was not, and [`SessionLost`](Error::SessionLost) if the
    /// session was over: what was done under the lock may then have been done by two.
    /// [`NoAnswer`](Error::NoAnswer) if no server answered within the request timeout: the
    /// release goes on in the background while the session lives.
    pub async fn unlock(self) -> Result<()> {
        let span = tracing::debug_span!("unlock", names = ?self.names, token = self.token.0);
        let releasing = async {
            match self.held {
                Held::OnEtcd(claim) => claim.release().await,
                Held::OnLatchd(hold) => hold.release().await,
            }
        };
        releasing.instrument(span).await
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("keys", &self.keys)
            .field("fencing_token", &self.token)
            .field("loss", &self.loss())
            .finish_non_exhaustive()
    }
}
