//! One Acquire, from its request to its release: whoever drops it lets go, wherever it was.

use std::sync::Arc;

use latchd_proto::latchd::v1::{self, AcquireRequest, AcquireResponse};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::Status;

use super::bond::Bond;
use super::release::{Release, shown};
use super::{call, millis};
use crate::ask::{Ask, Wait};
use crate::clock::{self, Moment};
use crate::error::{Error, Result};
use crate::keys;
use crate::lane::{Lane, Seat, released_within};
use crate::refusal::{self, Reason};
use crate::retry::Backoff;
use crate::types::{Loss, Mode, Revision};

/// Locks that are held, or asked for.
pub(crate) struct Hold {
    seat: Seat,
    bond: Arc<Bond>,
    /// Names the Acquire, so that it can be repeated and cancelled.
    attempt: String,
    /// Once granted.
    holds: Vec<v1::Hold>,
    /// Whether the server has said that it is gone.
    told: watch::Receiver<Option<Loss>>,
    /// Whether there may be something to let go of.
    armed: bool,
}

/// Why an Acquire was not granted.
enum Refused {
    /// Somebody is ahead, and there is no time to wait any longer.
    Over,
    /// The session was resumed: ask under the new epoch.
    Fenced,
    /// Something else.
    For(Error),
}

/// A hold that is granted.
pub(crate) struct Granted {
    pub(crate) hold: Hold,
    pub(crate) keys: Vec<String>,
    pub(crate) token: Revision,
    pub(crate) at: Revision,
}

impl Hold {
    /// A hold that has sent nothing yet; none on a lane that is no latchd's.
    pub(crate) fn new(seat: Seat) -> Option<Hold> {
        let bond = seat.lane().bond()?.clone();
        let attempt = keys::new_attempt();
        let told = bond.begin(&attempt);
        Some(Hold {
            seat,
            bond,
            attempt,
            holds: Vec::new(),
            told,
            armed: false,
        })
    }

    /// Waits as asked; none when the wait is over, and nothing is in any queue then.
    pub(crate) async fn acquire(mut self, ask: &Ask, wait: Wait) -> Result<Option<Granted>> {
        let lane = self.lane().clone();
        let after = lane.client().request_timeout();
        let give_up = match wait {
            Wait::No => Some(clock::now() + after),
            Wait::Until(at, _) => Some(at),
            Wait::Ever => None,
        };
        let asking = lane.unless_lost(self.ask_until_answered(ask, wait, give_up));
        let answer = match give_up {
            None => asking.await?,
            // The server counts the wait; this is for a server that says nothing at all.
            Some(at) => clock::until(at + after, asking)
                .await
                .unwrap_or(Err(Error::NoAnswer { after }))?,
        };
        Ok(answer.map(|(answer, epoch)| self.granted(answer, epoch)))
    }

    fn lane(&self) -> &Arc<Lane> {
        self.seat.lane()
    }

    /// Repeats the request while servers cannot be reached, until `give_up` if there is one.
    async fn ask_until_answered(
        &mut self,
        ask: &Ask,
        wait: Wait,
        give_up: Option<Moment>,
    ) -> Result<Option<(AcquireResponse, i64)>> {
        let mut backoff = Backoff::new();
        let mut is_unsure = false;
        loop {
            let epoch = self.bond.epoch();
            self.armed = true;
            let request = self.request(ask, wait_ms(wait, is_unsure), epoch);
            match self.send(request).await {
                Ok(answer) => return Ok(Some((answer, epoch))),
                Err(status) => match self.refused(ask, status) {
                    Refused::Over => {
                        self.armed = is_unsure;
                        return Ok(None);
                    }
                    Refused::Fenced => self.bond.epoch_after(epoch).await,
                    Refused::For(error) if error.is_unreachable() => {
                        is_unsure = true;
                        self.pause(&mut backoff, give_up).await.ok_or(error)?;
                    }
                    Refused::For(error) => {
                        self.armed = is_unsure;
                        return Err(error);
                    }
                },
            }
        }
    }

    async fn send(&self, request: AcquireRequest) -> std::result::Result<AcquireResponse, Status> {
        call(self.lane().client(), request, |mut locks, request| {
            Box::pin(async move { locks.acquire(request).await })
        })
        .await
    }

    /// Waits for a moment, and for the session's stream; none if there is no time for that.
    async fn pause(&self, backoff: &mut Backoff, give_up: Option<Moment>) -> Option<()> {
        let pause = backoff.step();
        if give_up.is_some_and(|at| clock::now() + pause >= at) {
            return None;
        }
        tokio::time::sleep(pause).await;
        let connected = self.bond.connected();
        match give_up {
            // Without the stream, the request itself will tell.
            Some(at) => clock::until(at, connected).await.unwrap_or_default(),
            None => connected.await,
        }
        Some(())
    }

    fn request(&self, ask: &Ask, wait_ms: i64, epoch: i64) -> AcquireRequest {
        let (mode, permits) = match ask.mode {
            Mode::Exclusive => (v1::Mode::Exclusive, 0),
            Mode::Shared => (v1::Mode::Shared, 0),
            Mode::Permit { of } => (v1::Mode::Semaphore, of),
        };
        AcquireRequest {
            names: ask.names.iter().map(|name| name.clone().into()).collect(),
            mode: mode as i32,
            permits,
            wait_ms,
            session: self.lane().lease().0,
            epoch,
            request_id: self.attempt.clone(),
            owner: ask.tag.owner.clone().unwrap_or_else(|| self.nobody()),
            labels: ask.tag.labels(),
        }
    }

    /// Deadlocks are looked for among owners, and who waits here may have handed what it holds to
    /// another task. So a lock without an owner is for itself, and never a part of a false alarm.
    fn nobody(&self) -> String {
        format!("{}.{:.8}", self.lane().lease(), self.attempt)
    }

    fn refused(&self, ask: &Ask, status: Status) -> Refused {
        Refused::For(match refusal::reason(&status) {
            Some(Reason::Held | Reason::Timeout) => return Refused::Over,
            Some(Reason::Fenced) => return Refused::Fenced,
            Some(Reason::NoSession) => self.lane().expired(),
            Some(Reason::Lost) => Error::KeyDeleted {
                key: keys::contender(&ask.name(), ask.mode, self.lane().lease(), &self.attempt),
            },
            Some(Reason::OtherPermits) => Error::OtherPermits {
                name: ask.name(),
                reason: refusal::text(&status),
            },
            _ => status.into(),
        })
    }

    fn granted(mut self, answer: AcquireResponse, epoch: i64) -> Granted {
        self.holds = answer.holds;
        self.bond.granted(&self.attempt, &self.holds, epoch);
        let keys = self.holds.iter().map(|hold| shown(&hold.key));
        Granted {
            keys: keys.collect(),
            // All names are put in line at one revision.
            token: Revision(self.holds.first().map_or(0, |hold| hold.token)),
            at: Revision(answer.revision),
            hold: self,
        }
    }

    pub(crate) fn seat(&self) -> &Seat {
        &self.seat
    }

    /// Why it is gone, for all that the server has said.
    pub(crate) fn loss(&self) -> Option<Loss> {
        *self.told.borrow()
    }

    /// Resolves when the server says that it is gone.
    pub(crate) async fn gone(&self) -> Loss {
        let mut told = self.told.clone();
        // The other end lives as long as this one.
        if told.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
        self.loss().unwrap_or(Loss::KeyDeleted)
    }

    /// Lets go. It goes on in the background if this is dropped, or takes longer than a request may.
    pub(crate) async fn release(mut self) -> Result<()> {
        let after = self.lane().client().request_timeout();
        released_within(after, self.release_in_background()).await
    }

    fn release_in_background(&mut self) -> Option<JoinHandle<Result<()>>> {
        if !std::mem::take(&mut self.armed) {
            return None;
        }
        let release = Release {
            seat: self.seat.clone(),
            bond: self.bond.clone(),
            attempt: self.attempt.clone(),
            holds: std::mem::take(&mut self.holds),
        };
        Some(self.seat.spawn(release.run()))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.bond.end(&self.attempt);
        self.release_in_background();
    }
}

/// How long the server should wait. A repeated request may find its own keys, and must not wait for
/// ever with them.
fn wait_ms(wait: Wait, is_repeated: bool) -> i64 {
    let least = i64::from(is_repeated);
    match wait {
        Wait::No => least,
        Wait::Until(at, _) => millis(at.left()).max(least),
        Wait::Ever => -1,
    }
}
