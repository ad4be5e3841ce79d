//! A lock, held.

use std::time::Duration;

use crate::claim::Claim;
use crate::error::Result;
use crate::session::Session;
use crate::types::{Loss, Revision};

/// A lock that is held. Dropping it releases the lock in the background.
#[must_use = "dropping a guard releases the lock"]
pub struct Guard {
    claim: Claim,
    name: String,
    token: Revision,
    granted_at: Revision,
}

impl Guard {
    pub(crate) fn new(claim: Claim, name: String, token: Revision, granted_at: Revision) -> Self {
        Guard {
            claim,
            name,
            token,
            granted_at,
        }
    }

    /// The lock's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key that holds the lock. Data in the same store can be guarded by a transaction that
    /// compares its create revision with the [fencing token](Guard::fencing_token).
    #[must_use]
    pub fn key(&self) -> &str {
        self.claim.key()
    }

    /// The create revision of the key: higher than that of every holder before.
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
        self.claim.session()
    }

    /// Whether the session is over; see [`Session::is_lost`]. A key that somebody deleted shows
    /// only in [`lost`](Guard::lost).
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.session().is_lost()
    }

    /// Resolves when the lock is no longer held: the session is lost, or the key is gone. The key
    /// is watched while this is awaited, so a revoked lease shows at once.
    pub async fn lost(&self) -> Loss {
        self.lost_with_notice(Duration::ZERO).await
    }

    /// As [`lost`](Guard::lost), but also `notice` before the session's deadline if nothing renews
    /// it until then; see [`Session::lost_with_notice`].
    pub async fn lost_with_notice(&self, notice: Duration) -> Loss {
        tokio::select! {
            biased;
            loss = self.session().lost_with_notice(notice) => loss,
            loss = self.claim.gone(self.token) => loss,
        }
    }

    /// Releases the lock and waits until it is released. Once called, the release goes on even if
    /// the future is dropped.
    ///
    /// The key is deleted only if it is still the one that was granted.
    ///
    /// # Errors
    /// [`NotHeld`](crate::Error::NotHeld) if it was not, and
    /// [`SessionLost`](crate::Error::SessionLost) if the session's lease was gone: what was done
    /// under the lock may then have been done by two.
    /// [`NoAnswer`](crate::Error::NoAnswer) if no server answered within the request timeout: the
    /// release goes on in the background while the session lives.
    pub async fn unlock(self) -> Result<()> {
        self.claim.release().await
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("key", &self.key())
            .field("fencing_token", &self.token)
            .finish_non_exhaustive()
    }
}
