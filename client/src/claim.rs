//! A key that stands for its owner in a lock's queue, or may: whoever drops it deletes the key.

use etcd_client::{Txn, TxnResponse};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::error::{Error, Result};
use crate::names;
use crate::requests::{self, Joined, Look};
use crate::retry::Backoff;
use crate::session::{Session, flatten};
use crate::turns::Turn;
use crate::types::{Loss, Revision};
use crate::undo::Undo;
use crate::watch;

/// A contender's key. Dropping it deletes the key in the background, wherever its owner was: also
/// while the Txn that puts the key is on its way.
pub(crate) struct Claim {
    session: Session,
    directory: String,
    key: String,
    /// The create revision, once it is known.
    token: Option<Revision>,
    /// The Txn that may be putting the key now. It runs in a task of its own: the delete must
    /// come after it, and a request that is dropped half-way may still arrive later.
    in_flight: Option<JoinHandle<Result<TxnResponse>>>,
    /// Whether the answer to a Txn was lost, which may have put the key.
    unsure: bool,
    /// There for as long as there may be a key to delete.
    turn: Option<Turn>,
}

impl Claim {
    /// A claim that has sent nothing yet.
    pub(crate) fn new(session: &Session, name: &str, turn: Turn) -> Self {
        Claim {
            session: session.clone(),
            directory: names::directory(name),
            key: names::contender(name, session.lease()),
            token: None,
            in_flight: None,
            unsure: false,
            turn: Some(turn),
        }
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Puts the key at the queue's end. Tries again while servers cannot be reached, until
    /// `give_up` if there is one.
    pub(crate) async fn join(&mut self, give_up: Option<Instant>) -> Result<Joined> {
        let txn = requests::join(&self.directory, &self.key, self.session.lease());
        self.send_until_answered(&txn, give_up).await
    }

    /// Puts the key only if the lock is free; tries again as [`join`](Claim::join) does.
    pub(crate) async fn join_if_free(&mut self, give_up: Instant) -> Result<Joined> {
        let txn = requests::join_if_free(&self.directory, &self.key, self.session.lease());
        self.send_until_answered(&txn, Some(give_up)).await
    }

    async fn send_until_answered(&mut self, txn: &Txn, give_up: Option<Instant>) -> Result<Joined> {
        let mut backoff = Backoff::new();
        loop {
            match self.send(txn.clone()).await {
                Err(error) if error.is_unreachable() => {
                    let pause = backoff.step();
                    if give_up.is_some_and(|at| Instant::now() + pause >= at) {
                        return Err(error);
                    }
                    tokio::time::sleep(pause).await;
                }
                answered => return answered,
            }
        }
    }

    async fn send(&mut self, txn: Txn) -> Result<Joined> {
        let mut kv = self.session.client().kv();
        let sending = self.session.spawn(async move { Ok(kv.txn(txn).await?) });
        let answer = flatten(self.in_flight.insert(sending).await);
        self.in_flight = None;
        self.unsure |= answer.is_err();
        let joined = requests::read_joined(&answer?, &self.key)?;
        self.token = joined.token;
        Ok(joined)
    }

    /// Waits until nothing is older than the key; the revision at which it was seen.
    pub(crate) async fn first(&self, token: Revision) -> Result<Revision> {
        let mut backoff = Backoff::new();
        loop {
            match self.look_or_wait(token).await {
                Ok(Some(at)) => return Ok(at),
                Ok(None) => backoff.reset(),
                // The place in the queue is kept for as long as the session lives.
                Err(error) if error.is_unreachable() => backoff.pause().await,
                Err(error) => return Err(error),
            }
        }
    }

    /// `Some` if nothing is older; `None` when it is time to look again.
    async fn look_or_wait(&self, token: Revision) -> Result<Option<Revision>> {
        let client = self.session.client();
        let look = requests::look(&self.directory, &self.key, token);
        match requests::read_look(&client.kv().txn(look).await?)? {
            Look::Gone => {
                self.session.check_lease().await;
                Err(Error::KeyDeleted {
                    key: self.key.clone(),
                })
            }
            Look::First { at } => Ok(Some(at)),
            Look::Behind { key, at } => {
                watch::deleted(client, &key, at.next()).await?;
                Ok(None)
            }
        }
    }

    /// Resolves when the key is no longer the one created at `token`, and says why.
    pub(crate) async fn gone(&self, token: Revision) -> Loss {
        self.key_gone(token).await;
        self.session.check_lease().await;
        self.session.loss().unwrap_or(Loss::KeyDeleted)
    }

    async fn key_gone(&self, token: Revision) {
        let client = self.session.client();
        let mut backoff = Backoff::new();
        loop {
            let watched = async {
                let look = client
                    .kv()
                    .txn(requests::look_at_own(&self.key, token))
                    .await?;
                if !look.succeeded() {
                    return Ok(true);
                }
                let since = requests::revision(look.header())?.next();
                watch::deleted(client, self.key.as_bytes(), since).await?;
                Ok::<_, Error>(false)
            };
            match watched.await {
                Ok(true) => return,
                Ok(false) => backoff.reset(),
                // The session's end is told by its heartbeat; this only looks for the rest.
                Err(_) => backoff.pause().await,
            }
        }
    }

    /// Deletes the key. It goes on in the background if this is dropped, or takes longer than a
    /// request may.
    pub(crate) async fn release(mut self) -> Result<()> {
        let after = self.session.client().request_timeout();
        match self.release_in_background() {
            Some(releasing) => match timeout(after, releasing).await {
                Ok(released) => flatten(released),
                Err(_) => Err(Error::NoAnswer { after }),
            },
            None => Ok(()),
        }
    }

    /// The server said that there is no key. Should an earlier answer have been lost, dropping
    /// the claim looks once more.
    pub(crate) fn forget(mut self) {
        if !self.unsure {
            self.turn = None;
        }
    }

    fn release_in_background(&mut self) -> Option<JoinHandle<Result<()>>> {
        let undo = Undo {
            turn: self.turn.take()?,
            session: self.session.clone(),
            key: self.key.clone(),
            token: self.token,
            in_flight: self.in_flight.take(),
        };
        Some(self.session.spawn(undo.run()))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.release_in_background();
    }
}
