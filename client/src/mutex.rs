//! A lock by name.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::claim::Claim;
use crate::error::{Error, Result};
use crate::guard::Guard;
use crate::requests::Joined;
use crate::session::Session;
use crate::turns::Turn;
use crate::types::Revision;

/// A lock by name, to be taken on a session; made by [`Session::mutex`], cheap to clone.
///
/// It excludes every other holder of the name: other sessions, other tasks of this session,
/// `etcdctl lock`, Go's `concurrency.Mutex`, etcd's Lock service. Locking it again while holding
/// its guard waits for that guard.
///
/// All ways to lock fail with [`Error::SessionLost`] when the session ends first,
/// [`Error::EmptyName`] for an empty name, and [`Error::Refused`] when the server refuses. While no
/// server can be reached, they try again.
#[derive(Clone, Debug)]
pub struct Mutex {
    session: Session,
    name: String,
}

impl Mutex {
    pub(crate) fn new(session: Session, name: String) -> Self {
        Mutex { session, name }
    }

    /// The lock's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key with which this session contends for the lock: name, slash, lease in hex.
    #[must_use]
    pub fn key(&self) -> String {
        crate::names::contender(&self.name, self.session.lease())
    }

    /// Waits for the lock, first come, first served.
    ///
    /// Dropping the future gives the place in the queue up and leaves no key.
    ///
    /// # Errors
    /// [`Error::KeyDeleted`] if somebody deletes the waiting key; else see [`Mutex`].
    pub async fn lock(&self) -> Result<Guard> {
        self.acquire(None).await?.ok_or_else(|| self.busy())
    }

    /// Takes the lock if nobody holds it or waits for it, in one transaction that writes nothing
    /// otherwise.
    ///
    /// # Errors
    /// [`Error::Busy`] if the lock is not free, also for another task of this session;
    /// [`Error::Unreachable`] if no server answers within the request timeout; else see [`Mutex`].
    pub async fn try_lock(&self) -> Result<Guard> {
        self.check_name()?;
        let turn = self
            .session
            .turns()
            .take(&self.name)
            .ok_or_else(|| self.busy())?;
        let mut claim = Claim::new(&self.session, &self.name, turn);
        let give_up = Instant::now() + self.session.client().request_timeout();
        match self
            .session
            .unless_lost(claim.join_if_free(give_up))
            .await?
        {
            Joined {
                token: Some(token),
                is_first: true,
                at,
            } => Ok(self.grant(claim, token, at)),
            Joined { token: None, .. } => {
                claim.forget();
                Err(self.busy())
            }
            // A key that an earlier attempt left when its answer got lost.
            Joined { token: Some(_), .. } => {
                self.withdraw(claim).await;
                Err(self.busy())
            }
        }
    }

    /// Waits for the lock no longer than `limit`; a limit of zero takes it if it is free.
    ///
    /// When it answers [`Error::Timeout`], the key is gone: the delete is waited for, up to the
    /// request timeout. Dropping the future leaves no key either.
    ///
    /// # Errors
    /// [`Error::Timeout`] if the lock was not free in time; else as [`lock`](Mutex::lock).
    pub async fn lock_timeout(&self, limit: Duration) -> Result<Guard> {
        // A limit beyond what the clock can count is none.
        let until = Instant::now().checked_add(limit);
        self.acquire(until).await?.ok_or_else(|| Error::Timeout {
            name: self.name.clone(),
            limit,
        })
    }

    /// `None` when time is up.
    async fn acquire(&self, until: Option<Instant>) -> Result<Option<Guard>> {
        self.check_name()?;
        let Some(turn) = by(until, self.session.unless_lost(self.turn())).await? else {
            return Ok(None);
        };
        let mut claim = Claim::new(&self.session, &self.name, turn);
        // Not cut short by the limit: a free lock is taken however little time is given.
        let joined = self.session.unless_lost(claim.join(until)).await?;
        let token = joined
            .token
            .ok_or(Error::Malformed { missing: "own key" })?;
        if joined.is_first {
            return Ok(Some(self.grant(claim, token, joined.at)));
        }
        match by(until, self.session.unless_lost(claim.first(token))).await? {
            Some(at) => Ok(Some(self.grant(claim, token, at))),
            None => {
                self.withdraw(claim).await;
                Ok(None)
            }
        }
    }

    async fn turn(&self) -> Result<Turn> {
        Ok(self.session.turns().wait(&self.name).await)
    }

    /// Leaves the queue. What keeps it from that is no news to the caller: the key goes with the
    /// lease at the latest.
    async fn withdraw(&self, claim: Claim) {
        if let Err(error) = claim.release().await {
            tracing::debug!(name = self.name, %error, "a waiting key could not be deleted yet");
        }
    }

    fn grant(&self, claim: Claim, token: Revision, at: Revision) -> Guard {
        Guard::new(claim, self.name.clone(), token, at)
    }

    fn check_name(&self) -> Result<()> {
        if self.name.is_empty() {
            Err(Error::EmptyName)
        } else {
            Ok(())
        }
    }

    fn busy(&self) -> Error {
        Error::Busy {
            name: self.name.clone(),
        }
    }
}

/// `None` if `work` is not done by `until`; done at the last moment is done.
async fn by<T>(until: Option<Instant>, work: impl Future<Output = Result<T>>) -> Result<Option<T>> {
    match until {
        None => work.await.map(Some),
        Some(until) => match timeout_at(until, work).await {
            Ok(done) => done.map(Some),
            Err(_) => Ok(None),
        },
    }
}
