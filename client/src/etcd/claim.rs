//! Keys that stand for their owner in locks' queues, or may: whoever drops the claim deletes them.

use etcd_client::{Txn, TxnResponse};
use tokio::task::JoinHandle;

use super::answers::{self, Joined, Look, Target, Tried};
use super::requests::{self, Contender, Depth, Place};
use super::undo::Undo;
use super::watch::{Watched, deleted};
use crate::ask::{Ask, Wait};
use crate::clock::{self, Moment};
use crate::error::{Error, Result};
use crate::keys;
use crate::lane::{Seat, flatten, released_within};
use crate::retry::Backoff;
use crate::types::{Loss, Revision};

/// A contender's keys. Dropping it deletes them in the background, wherever its owner was: also
/// while the Txn that puts them is on its way.
pub(crate) struct Claim {
    seat: Seat,
    contender: Contender,
    /// The create revision, once it is known.
    token: Option<Revision>,
    /// The Txn that may be putting the keys now. It runs in a task of its own: the delete must
    /// come after it, and a request that is dropped half-way may still arrive later.
    in_flight: Option<JoinHandle<Result<TxnResponse>>>,
    /// Whether the answer to a Txn was lost, which may have put the keys.
    unsure: bool,
    /// Whether there may be keys to delete.
    armed: bool,
}

/// A claim that is granted.
pub(crate) struct Granted {
    pub(crate) claim: Claim,
    pub(crate) token: Revision,
    pub(crate) at: Revision,
}

impl Claim {
    /// A claim that has sent nothing yet.
    pub(crate) fn new(seat: Seat, ask: &Ask, value: Vec<u8>) -> Self {
        let lease = seat.lane().lease();
        let attempt = keys::new_attempt();
        let place = |name: &String| Place {
            directory: keys::directory(name),
            key: keys::contender(name, ask.mode, lease, &attempt),
        };
        let contender = Contender {
            places: ask.names.iter().map(place).collect(),
            mode: ask.mode,
            lease,
            value,
        };
        Claim {
            seat,
            contender,
            token: None,
            in_flight: None,
            unsure: false,
            armed: true,
        }
    }

    /// Waits as asked until R0 holds; none when the wait is over, and the keys are gone then.
    pub(crate) async fn acquire(mut self, wait: Wait) -> Result<Option<Granted>> {
        let lane = self.seat.lane().clone();
        match wait {
            Wait::No => {
                let give_up = clock::now() + lane.client().request_timeout();
                match lane.unless_lost(self.take(give_up)).await? {
                    Some((token, at)) => Ok(Some(self.granted(token, at))),
                    None => Ok(None),
                }
            }
            Wait::Until(until, _) => {
                let joined = lane.unless_lost(self.join(Some(until))).await?;
                let waited = self.wait_from(joined);
                match clock::until(until, lane.unless_lost(waited))
                    .await
                    .transpose()?
                {
                    Some((token, at)) => Ok(Some(self.granted(token, at))),
                    None => {
                        self.withdraw().await;
                        Ok(None)
                    }
                }
            }
            Wait::Ever => {
                let joined = lane.unless_lost(self.join(None)).await?;
                let (token, at) = lane.unless_lost(self.wait_from(joined)).await?;
                Ok(Some(self.granted(token, at)))
            }
        }
    }

    fn granted(self, token: Revision, at: Revision) -> Granted {
        let claim = self;
        Granted { claim, token, at }
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        let places = self.contender.places.iter();
        places.map(|place| place.key.clone()).collect()
    }

    pub(crate) fn seat(&self) -> &Seat {
        &self.seat
    }

    /// Puts the keys at the queues' ends. Tries again while servers cannot be reached, until
    /// `give_up` if there is one; a free lock is taken however early that is.
    async fn join(&mut self, give_up: Option<Moment>) -> Result<Joined> {
        let txn = requests::join(&self.contender);
        let answer = self.send_until_answered(&txn, give_up).await?;
        let joined = answers::read_joined(&answer, &self.contender)?;
        self.token = joined.token;
        Ok(joined)
    }

    /// Puts the keys only if they are granted at once; tries again as [`join`](Claim::join) does.
    async fn take(&mut self, give_up: Moment) -> Result<Option<(Revision, Revision)>> {
        let mut txn = requests::take_if_alone(&self.contender);
        loop {
            let answer = self.send_until_answered(&txn, Some(give_up)).await?;
            match answers::read_tried(&answer, &self.contender)? {
                Tried::Ours {
                    token,
                    is_granted,
                    at,
                } => {
                    self.token = Some(token);
                    // Left from a lost answer, and somebody came before it: no longer wanted.
                    if !is_granted {
                        self.withdraw().await;
                        return Ok(None);
                    }
                    return Ok(Some((token, at)));
                }
                Tried::Open { at } => txn = requests::take_if_unchanged(&self.contender, at),
                Tried::Busy => {
                    // The server said that there are no keys. Should an earlier answer have been
                    // lost, dropping the claim looks once more.
                    self.armed = self.unsure;
                    return Ok(None);
                }
            }
        }
    }

    async fn send_until_answered(
        &mut self,
        txn: &Txn,
        give_up: Option<Moment>,
    ) -> Result<TxnResponse> {
        let mut backoff = Backoff::new();
        loop {
            match self.send(txn.clone()).await {
                Err(error) if error.is_unreachable() => {
                    let pause = backoff.step();
                    if give_up.is_some_and(|at| clock::now() + pause >= at) {
                        return Err(error);
                    }
                    tokio::time::sleep(pause).await;
                }
                answered => return answered,
            }
        }
    }

    async fn send(&mut self, txn: Txn) -> Result<TxnResponse> {
        let mut kv = self.seat.lane().client().kv();
        let sending = self.seat.spawn(async move { Ok(kv.txn(txn).await?) });
        let answer = flatten(self.in_flight.insert(sending).await);
        self.in_flight = None;
        self.unsure |= answer.is_err();
        answer
    }

    /// Waits until R0 holds for each name; the token, and the revision at which it was seen.
    async fn wait_from(&self, joined: Joined) -> Result<(Revision, Revision)> {
        let token = joined.token.ok_or_else(|| self.key_deleted())?;
        if joined.is_granted {
            return Ok((token, joined.at));
        }
        let mut backoff = Backoff::new();
        loop {
            match self.look_or_wait(token).await {
                Ok(Some(at)) => return Ok((token, at)),
                Ok(None) => backoff.reset(),
                // The place in the queue is kept for as long as the session lives.
                Err(error) if error.is_unreachable() => backoff.pause().await,
                Err(error) => return Err(error),
            }
        }
    }

    /// `Some` if it is granted; `None` when it is time to look again.
    async fn look_or_wait(&self, token: Revision) -> Result<Option<Revision>> {
        let found = match self.look(token, Depth::Usual).await? {
            Look::Hidden => self.look(token, Depth::Whole).await?,
            found => found,
        };
        match found {
            Look::Granted { at } => Ok(Some(at)),
            Look::Behind { target, own, at } => {
                let watched = [wake_of(target), Watched::Key(own.into_bytes())];
                deleted(self.seat.lane().client(), &watched, at.next()).await?;
                Ok(None)
            }
            Look::Gone | Look::Hidden => {
                self.seat.lane().check().await;
                Err(self.key_deleted())
            }
        }
    }

    async fn look(&self, token: Revision, depth: Depth) -> Result<Look> {
        let look = requests::look(&self.contender, token, depth);
        let answer = self.seat.lane().client().kv().txn(look).await?;
        answers::read_look(&answer, &self.contender, depth)
    }

    fn key_deleted(&self) -> Error {
        Error::KeyDeleted {
            key: self.contender.places[0].key.clone(),
        }
    }

    /// Resolves when one of the keys is no longer the one created at `token`, and says why.
    pub(crate) async fn gone(&self, token: Revision) -> Loss {
        self.key_gone(token).await;
        self.seat.lane().check().await;
        self.seat.lane().loss().unwrap_or(Loss::KeyDeleted)
    }

    async fn key_gone(&self, token: Revision) {
        let client = self.seat.lane().client();
        let watched: Vec<Watched> = self
            .keys()
            .into_iter()
            .map(|key| Watched::Key(key.into_bytes()))
            .collect();
        let mut backoff = Backoff::new();
        loop {
            let look_and_wait = async {
                let look = requests::look_at_own(&self.contender, token);
                let answer = client.kv().txn(look).await?;
                if !answer.succeeded() {
                    return Ok(true);
                }
                let since = answers::revision(answer.header())?.next();
                deleted(client, &watched, since).await?;
                Ok::<_, Error>(false)
            };
            match look_and_wait.await {
                Ok(true) => return,
                Ok(false) => backoff.reset(),
                // The session's end is told by its heartbeat; this only looks for the rest.
                Err(_) => backoff.pause().await,
            }
        }
    }

    /// Leaves the queues. What keeps it from that is no news to the caller: the keys go with the
    /// lease at the latest.
    async fn withdraw(&mut self) {
        if let Err(error) = self.release_now().await {
            let key = &self.contender.places[0].key;
            tracing::debug!(key, %error, "a waiting key could not be deleted yet");
        }
    }

    /// Deletes the keys. It goes on in the background if this is dropped, or takes longer than a
    /// request may.
    pub(crate) async fn release(mut self) -> Result<()> {
        self.release_now().await
    }

    async fn release_now(&mut self) -> Result<()> {
        let after = self.seat.lane().client().request_timeout();
        released_within(after, self.release_in_background()).await
    }

    fn release_in_background(&mut self) -> Option<JoinHandle<Result<()>>> {
        if !std::mem::take(&mut self.armed) {
            return None;
        }
        let undo = Undo {
            seat: self.seat.clone(),
            contender: self.contender.clone(),
            token: self.token,
            in_flight: self.in_flight.take(),
        };
        Some(self.seat.spawn(undo.run()))
    }
}

/// Whose deletion ends the wait.
fn wake_of(target: Target) -> Watched {
    match target {
        Target::Key(key) => Watched::Key(key),
        Target::Any(directory) => Watched::Prefix(directory.into_bytes()),
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.release_in_background();
    }
}
