//! Deleting a contender's keys, come what may.

use etcd_client::TxnResponse;
use tokio::task::JoinHandle;

use super::answers;
use super::requests::{self, Contender};
use crate::error::{Error, Result};
use crate::lane::Seat;
use crate::retry::Backoff;
use crate::types::{Loss, Revision};

/// What a claim leaves to be undone.
pub(crate) struct Undo {
    pub(crate) seat: Seat,
    pub(crate) contender: Contender,
    /// The create revision, if it is known; only keys created there are deleted.
    pub(crate) token: Option<Revision>,
    /// The Txn that may be putting the keys now: the delete must come after it.
    pub(crate) in_flight: Option<JoinHandle<Result<TxnResponse>>>,
}

impl Undo {
    /// Deletes the keys, trying again for as long as the session lives. After that, the lease's
    /// end does it.
    pub(crate) async fn run(mut self) -> Result<()> {
        if let Some(in_flight) = self.in_flight.take() {
            // Whatever it answered, a look is what counts.
            let _ = in_flight.await;
        }
        let undone = self.delete_until_answered().await;
        if let Err(error) = &undone {
            let key = &self.contender.places[0].key;
            tracing::debug!(key, %error, "a key was not deleted");
        }
        undone
    }

    async fn delete_until_answered(&mut self) -> Result<()> {
        let lane = self.seat.lane().clone();
        let mut backoff = Backoff::new();
        let mut may_be_done = false;
        loop {
            // The lease took its keys along.
            if let Some(loss @ (Loss::Expired | Loss::Closed)) = lane.loss() {
                return Err(lane.lost_error(loss));
            }
            match self.delete().await {
                Ok(all) if all || may_be_done => return Ok(()),
                Ok(_) => {
                    return Err(Error::NotHeld {
                        key: self.contender.places[0].key.clone(),
                    });
                }
                Err(error) if error.is_unreachable() && lane.loss().is_none() => {
                    may_be_done = true;
                    backoff.pause().await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One try: whether all keys were there and are now deleted. Keys that were never seen are looked
    /// for first, and their absence is as good.
    async fn delete(&mut self) -> Result<bool> {
        let mut kv = self.seat.lane().client().kv();
        if self.token.is_none() {
            let answer = kv.txn(requests::read_own(&self.contender)).await?;
            // They were put together, so one of them tells for all.
            self.token = answers::any_revision(answer.op_responses())?;
        }
        let Some(token) = self.token else {
            return Ok(true);
        };
        let deleted = kv.txn(requests::delete_all(&self.contender, token)).await?;
        if deleted.succeeded() {
            return Ok(true);
        }
        if self.contender.places.len() > 1 {
            self.delete_one_by_one(token).await?;
        }
        Ok(false)
    }

    /// Some are gone, and the others must not stay for that.
    async fn delete_one_by_one(&self, token: Revision) -> Result<()> {
        let mut kv = self.seat.lane().client().kv();
        for place in &self.contender.places {
            kv.txn(requests::delete(place.key.as_bytes(), token))
                .await?;
        }
        Ok(())
    }
}
