//! Letting go on a latchd, come what may.

use std::sync::Arc;

use latchd_proto::latchd::v1::{self, ReleaseRequest, ReleaseResponse};
use tonic::Status;

use super::bond::Bond;
use super::call;
use crate::error::{Error, Result};
use crate::lane::{Lane, Seat};
use crate::refusal::{self, Reason};
use crate::retry::Backoff;
use crate::types::Loss;

/// Letting go of holds, or of a request whatever became of it.
pub(crate) struct Release {
    pub(crate) seat: Seat,
    pub(crate) bond: Arc<Bond>,
    pub(crate) attempt: String,
    /// None for the request.
    pub(crate) holds: Vec<v1::Hold>,
}

/// What to do after an answer that was not the end.
enum Next {
    /// The session was resumed: speak under the new epoch.
    Epoch,
    /// No server could be reached. What was asked may have been done.
    Pause,
}

impl Release {
    /// Tries again for as long as the session lives. After that, the session's end does it.
    pub(crate) async fn run(self) -> Result<()> {
        let released = self.until_answered().await;
        if let Err(error) = &released {
            tracing::debug!(attempt = self.attempt, %error, "a lock was not released");
        }
        released
    }

    fn lane(&self) -> &Lane {
        self.seat.lane()
    }

    async fn until_answered(&self) -> Result<()> {
        let mut backoff = Backoff::new();
        let mut may_be_done = false;
        loop {
            // Whatever it held is free, or will be.
            if let Some(loss) = self.lane().loss().filter(|loss| *loss != Loss::NotRenewed) {
                return Err(self.lane().lost_error(loss));
            }
            let epoch = self.bond.epoch();
            let next = match self.send(epoch).await {
                Ok(answer) => return self.answered(&answer, may_be_done),
                Err(status) => self.refused(status, may_be_done)?,
            };
            match next {
                Some(Next::Epoch) => self.new_epoch(epoch).await?,
                Some(Next::Pause) => {
                    may_be_done = true;
                    backoff.pause().await;
                }
                None => return Ok(()),
            }
        }
    }

    async fn send(&self, epoch: i64) -> std::result::Result<ReleaseResponse, Status> {
        let by_attempt = self.holds.is_empty();
        let request = ReleaseRequest {
            session: self.lane().lease().0,
            epoch,
            holds: self.holds.clone(),
            request_id: match by_attempt {
                true => self.attempt.clone(),
                false => String::new(),
            },
        };
        call(self.lane().client(), request, |mut locks, request| {
            Box::pin(async move { locks.release(request).await })
        })
        .await
    }

    fn answered(&self, answer: &ReleaseResponse, may_be_done: bool) -> Result<()> {
        let is_complete = answer.released.len() >= self.holds.len();
        match is_complete || may_be_done {
            true => Ok(()),
            false => Err(self.not_held()),
        }
    }

    /// Nothing if it was done before.
    fn refused(&self, status: Status, may_be_done: bool) -> Result<Option<Next>> {
        match refusal::reason(&status) {
            Some(Reason::NotHeld) if may_be_done => Ok(None),
            Some(Reason::NotHeld) => Err(self.not_held()),
            Some(Reason::NoSession) => Err(self.lane().expired()),
            Some(Reason::Fenced) => Ok(Some(Next::Epoch)),
            _ => match Error::from(status) {
                error if error.is_unreachable() && self.lane().loss().is_none() => {
                    Ok(Some(Next::Pause))
                }
                error => Err(error),
            },
        }
    }

    async fn new_epoch(&self, fenced: i64) -> Result<()> {
        let resumed = async {
            self.bond.epoch_after(fenced).await;
            Ok(())
        };
        self.lane().unless_lost(resumed).await
    }

    fn not_held(&self) -> Error {
        let key = self.holds.first().map(|hold| &hold.key);
        Error::NotHeld {
            key: key.map_or_else(String::new, |key| shown(key)),
        }
    }
}

/// A key as people read it.
pub(crate) fn shown(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}
