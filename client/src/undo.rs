//! Deleting a contender's key, come what may.

use etcd_client::TxnResponse;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::requests;
use crate::retry::Backoff;
use crate::session::Session;
use crate::turns::Turn;
use crate::types::{Loss, Revision};

/// What a claim leaves to be undone.
pub(crate) struct Undo {
    pub(crate) session: Session,
    pub(crate) key: String,
    /// The create revision, if it is known; only the key created there is deleted.
    pub(crate) token: Option<Revision>,
    /// The Txn that may be putting the key now: the delete must come after it.
    pub(crate) in_flight: Option<JoinHandle<Result<TxnResponse>>>,
    /// Over only when the key is gone, so that the session's next attempt makes a new key.
    pub(crate) turn: Turn,
}

impl Undo {
    /// Deletes the key, trying again for as long as the session lives. After that, the lease's
    /// end does it.
    pub(crate) async fn run(mut self) -> Result<()> {
        if let Some(in_flight) = self.in_flight.take() {
            // Whatever it answered, a look is what counts.
            let _ = in_flight.await;
        }
        let undone = self.delete_until_answered().await;
        if let Err(error) = &undone {
            tracing::debug!(key = self.key, %error, "a key was not deleted");
        }
        drop(self.turn);
        undone
    }

    async fn delete_until_answered(&mut self) -> Result<()> {
        let mut backoff = Backoff::new();
        let mut may_be_done = false;
        loop {
            // The lease took its keys along.
            if let Some(loss @ (Loss::Expired | Loss::Closed)) = self.session.loss() {
                return Err(self.session.lost_error(loss));
            }
            match self.delete().await {
                Ok(deleted) if deleted || may_be_done => return Ok(()),
                Ok(_) => {
                    return Err(Error::NotHeld {
                        key: self.key.clone(),
                    });
                }
                Err(error) if error.is_unreachable() && !self.session.is_lost() => {
                    may_be_done = true;
                    backoff.pause().await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One try: whether the key was there and is now deleted. One that was never seen is looked
    /// for first, and its absence is as good.
    async fn delete(&mut self) -> Result<bool> {
        let mut kv = self.session.client().kv();
        if self.token.is_none() {
            self.token = requests::read_token(&kv.get(self.key.as_str(), None).await?);
        }
        match self.token {
            Some(token) => Ok(kv
                .txn(requests::delete(&self.key, token))
                .await?
                .succeeded()),
            None => Ok(true),
        }
    }
}
