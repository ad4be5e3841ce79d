//! One Acquire: its keys are put at the end of their lines, or at once or not at all; it waits until
//! R0 holds for each, and looks once more before it says so. Where nobody is ahead, the Txn that puts
//! the keys is that look. Ended early, it leaves no key.

use std::task::Poll;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use latchd_proto::etcdserverpb::TxnRequest;
use latchd_proto::latchd::v1;
use latchd_proto::mvccpb::KeyValue;
use parking_lot::Mutex;

use super::Keeper;
use super::ask::{Ask, Holder, Wait, Wanted};
use super::attempts::{Running, Stop};
use super::keys::{Mode, mode_of};
use super::ledger::Intent;
use super::line::{Line, direct};
use super::note::Note;
use super::refusal::{Refusal, Result, shown};
use super::rule::Older;
use super::txns::{
    Put, found, join, line, read_all, record_key, release, take_if_alone, take_if_unchanged,
};
use crate::backend::Backend;
use crate::clock::{self, Instant};
use crate::error::Error;
use crate::service::requests::just;
use crate::types::Revision;

/// What became of a Txn on its way that may put the keys, and at which revision.
type Putting = BoxFuture<'static, Result<(Put, Revision)>>;

/// Keys that are there.
#[derive(Clone, Copy)]
struct Joined {
    /// Their create revision.
    created: Revision,
    /// Whether R0 held for each of them when they were put. The Txn that put them is the last look
    /// then: it has compared the session's epoch, and nobody comes before a key that is there.
    granted: bool,
}

/// An Acquire under way. Dropped before its answer, it leaves no key.
pub struct Acquire {
    keeper: Keeper,
    ask: Ask,
    began: Instant,
    running: Option<Running>,
    /// A Txn whose outcome is unknown.
    putting: Mutex<Option<Putting>>,
    /// The create revision of the keys, once they are there.
    created: Option<Revision>,
}

/// What a look at all lines found.
enum Found {
    /// The keys of this very request: it was asked before.
    Ours(Revision),
    /// None of them, and nothing against them, at this revision.
    Open(Revision),
    /// None of them, and somebody is ahead, at this revision.
    Held(Revision, Refusal),
}

impl Acquire {
    /// Takes note of an Acquire.
    pub async fn begin(keeper: &Keeper, ask: Ask) -> Result<Acquire> {
        let began = clock::now();
        Ok(Acquire {
            running: Some(keeper.attempts().begin(&ask).await?),
            keeper: keeper.clone(),
            putting: Mutex::new(None),
            created: None,
            began,
            ask,
        })
    }

    /// Does it.
    pub async fn run(mut self) -> Result<v1::AcquireResponse> {
        let joined = match self.ask.wait {
            Wait::No => self.take().await,
            Wait::For(_) | Wait::Ever => self.join().await,
        };
        let outcome = match joined {
            Ok(joined) if joined.granted => Ok(joined.created.0),
            Ok(joined) => self.wait(joined.created).await,
            Err(refusal) => Err(refusal),
        };
        match outcome {
            Ok(revision) => Ok(self.granted(revision)),
            Err(refusal) => Err(self.give_up(refusal).await),
        }
    }

    fn backend(&self) -> &Backend {
        self.keeper.backend()
    }

    /// Puts the keys at the end of their lines.
    async fn join(&mut self) -> Result<Joined> {
        loop {
            let (put, created) = self.put(join(&self.ask)).await?;
            if put != Put::Refused {
                let granted = put == Put::Done;
                return Ok(Joined { created, granted });
            }
            let (seen, granted) = match self.look().await? {
                Found::Ours(created) => return Ok(self.again(created)),
                Found::Open(seen) => (seen, true),
                Found::Held(seen, _) => (seen, false),
            };
            // What was against it has gone meanwhile, or is nothing to R0 and only looks like a key
            // of ours.
            let (put, created) = self.put(take_if_unchanged(&self.ask, seen)).await?;
            if put == Put::Done {
                return Ok(Joined { created, granted });
            }
            self.may_go_on()?;
        }
    }

    /// Fails when the call is to end.
    fn may_go_on(&self) -> Result<()> {
        let stop = self.running.as_ref().and_then(Running::stop);
        if let Some(stop) = stop {
            return Err(stop.refusal(self.ask.holder));
        }
        match over(self.ask.wait, self.began).now_or_never() {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }

    /// Goes on with keys that an earlier call has put.
    fn again(&mut self, created: Revision) -> Joined {
        self.created = Some(created);
        Joined {
            created,
            granted: false,
        }
    }

    /// Puts the keys if they are granted at once.
    async fn take(&mut self) -> Result<Joined> {
        let mut take = take_if_alone(&self.ask);
        loop {
            let (put, created) = self.put(take).await?;
            if put == Put::Done {
                return Ok(Joined {
                    created,
                    granted: true,
                });
            }
            self.may_go_on()?;
            match self.look().await? {
                Found::Ours(created) => return Ok(self.again(created)),
                Found::Held(_, refusal) => return Err(refusal),
                Found::Open(seen) => take = take_if_unchanged(&self.ask, seen),
            }
        }
    }

    /// Runs a Txn that puts the keys, where a drop can find it, and takes note of them.
    async fn put(&mut self, request: TxnRequest) -> Result<(Put, Revision)> {
        let (backend, lease) = (self.backend().clone(), self.ask.holder.lease);
        let putting = async move {
            let response = backend.txn(request).await.map_err(|error| match error {
                Error::LeaseNotFound => Refusal::NoSession(lease),
                other => other.into(),
            })?;
            let revision = response.header.as_ref().map_or(0, |header| header.revision);
            Ok((Put::of(&response), Revision(revision)))
        };
        *self.putting.lock() = Some(putting.boxed());
        let outcome = std::future::poll_fn(|cx| {
            let mut putting = self.putting.lock();
            let outcome = match putting.as_mut() {
                Some(future) => future.poll_unpin(cx),
                None => Poll::Pending,
            };
            if outcome.is_ready() {
                *putting = None;
            }
            outcome
        })
        .await;
        self.created = created_by(&outcome);
        outcome
    }

    /// Reads the session and all lines at one revision, and says what is against the request.
    async fn look(&self) -> Result<Found> {
        let holder = self.ask.holder;
        let lines = self.ask.wanted.iter().map(|wanted| line(&wanted.dir));
        let request = read_all([just(&record_key(holder.lease))].into_iter().chain(lines));
        let response = self.backend().txn(request).await?;
        let seen = Revision(response.header.map_or(0, |header| header.revision));
        let mut ranges = found(response);
        check_epoch(holder, &ranges.next().unwrap_or_default())?;
        let lines: Vec<Vec<KeyValue>> = ranges.collect();
        if let Some(ours) = self.ours(&lines)? {
            return Ok(Found::Ours(ours));
        }
        for (wanted, line) in self.ask.wanted.iter().zip(&lines) {
            self.check_line(wanted, line)?;
        }
        for (wanted, line) in self.ask.wanted.iter().zip(&lines) {
            if let Some(refusal) = self.ahead(wanted, line).await? {
                return Ok(Found::Held(seen, refusal));
            }
        }
        Ok(Found::Open(seen))
    }

    /// The create revision of the request's own keys, where it was asked before.
    fn ours(&self, lines: &[Vec<KeyValue>]) -> Result<Option<Revision>> {
        let own = |(wanted, line): (&Wanted, &Vec<KeyValue>)| {
            let own = line.iter().find(|kv| kv.key == wanted.key)?;
            Some(Revision(own.create_revision))
        };
        let created: Vec<Option<Revision>> = self.ask.wanted.iter().zip(lines).map(own).collect();
        let first = created.iter().flatten().next().copied();
        match created.iter().position(|each| *each != first) {
            // Some of them were taken away since.
            Some(at) => Err(Refusal::Lost(shown(&self.ask.wanted[at].name))),
            None => Ok(first),
        }
    }

    /// What no wait would help against.
    fn check_line(&self, wanted: &Wanted, line: &[KeyValue]) -> Result<()> {
        for (kv, segment) in direct(&wanted.dir, line) {
            if kv.lease == self.ask.holder.lease.0 {
                return Err(Refusal::AlreadyHeld(shown(&wanted.name)));
            }
            if let (Mode::Permit(asked), Mode::Permit(present)) = (self.ask.mode, mode_of(segment))
                && asked != present
            {
                let name = shown(&wanted.name);
                return Err(Refusal::OtherPermits(name, present, asked));
            }
        }
        Ok(())
    }

    /// Whether a new key would have to wait, and for whom.
    async fn ahead(&self, wanted: &Wanted, line: &[KeyValue]) -> Result<Option<Refusal>> {
        let mut older = Older::default();
        for (_, segment) in direct(&wanted.dir, line) {
            older.add(mode_of(segment));
        }
        if older.admit(self.ask.mode) {
            return Ok(None);
        }
        let first = direct(&wanted.dir, line).next().map(|(kv, _)| kv);
        let by = match first {
            Some(kv) => self.called(kv).await?,
            None => String::new(),
        };
        Ok(Some(Refusal::Held(shown(&wanted.name), by)))
    }

    /// What a holder calls itself.
    async fn called(&self, holder: &KeyValue) -> Result<String> {
        let response = self.backend().range(&just(&holder.key)).await?;
        let note = response.kvs.first().map(|kv| Note::read(&kv.value));
        let owner = note.and_then(|note| note.owner);
        Ok(owner.unwrap_or_else(|| format!("session {:016x}", holder.lease)))
    }

    /// Waits until all keys are granted; returns the revision of the last look.
    async fn wait(&mut self, created: Revision) -> Result<i64> {
        let stopped = async {
            match &self.running {
                Some(running) => running.stopped().await.refusal(self.ask.holder),
                None => Stop::Released.refusal(self.ask.holder),
            }
        };
        let mut line = Line::new(self.backend(), &self.ask, created);
        let waited = {
            let granted = async {
                line.until_granted().await?;
                self.last_look(created).await
            };
            tokio::select! {
                biased;
                refusal = stopped => Err(refusal),
                granted = granted => granted,
                refusal = over(self.ask.wait, self.began) => Err(refusal),
            }
        };
        match waited {
            // The grant may have come first.
            Err(Refusal::Timeout(_)) if line.is_granted().await? => self.last_look(created).await,
            waited => waited,
        }
    }

    /// The session must be the caller's still, and all keys there, at one revision.
    async fn last_look(&self, created: Revision) -> Result<i64> {
        let holder = self.ask.holder;
        let keys = self.ask.wanted.iter().map(|wanted| just(&wanted.key));
        let request = read_all([just(&record_key(holder.lease))].into_iter().chain(keys));
        let response = self.backend().txn(request).await?;
        let revision = response.header.map_or(0, |header| header.revision);
        let mut ranges = found(response);
        check_epoch(holder, &ranges.next().unwrap_or_default())?;
        for (wanted, kvs) in self.ask.wanted.iter().zip(ranges) {
            let present = kvs.first().map(|kv| Revision(kv.create_revision));
            if present != Some(created) {
                return Err(self.keeper.why_gone(holder, &wanted.name));
            }
        }
        Ok(revision)
    }

    /// The keys are the caller's from now on.
    fn granted(&mut self, revision: i64) -> v1::AcquireResponse {
        let token = self.created.take().unwrap_or_default();
        let holds = self.ask.wanted.iter().map(|wanted| v1::Hold {
            name: wanted.name.clone(),
            key: wanted.key.clone(),
            token: token.0,
        });
        v1::AcquireResponse {
            holds: holds.collect(),
            request_id: self.ask.attempt.clone(),
            waited_ms: i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX),
            revision,
        }
    }

    /// Takes the keys back before the call is answered.
    async fn give_up(&mut self, refusal: Refusal) -> Refusal {
        if refusal == Refusal::Superseded {
            self.created = None;
        }
        let Some(created) = self.created else {
            return refusal;
        };
        let undo = undo(&self.keeper, &self.ask, created);
        let undone = self.backend().undo(undo).await;
        self.created = None;
        match undone {
            Ok(_) => refusal,
            Err(error) => error.into(),
        }
    }
}

/// Deletes the keys of an Acquire, which may have been granted at the last moment.
fn undo(keeper: &Keeper, ask: &Ask, created: Revision) -> TxnRequest {
    let keys = || ask.wanted.iter().map(|wanted| (&wanted.key, created));
    keeper.ledger().intend(keys(), Intent::Release);
    release(Vec::new(), keys())
}

/// The create revision of the keys, if the Txn has put them.
fn created_by(outcome: &Result<(Put, Revision)>) -> Option<Revision> {
    match outcome {
        Ok((Put::Done | Put::Behind, created)) => Some(*created),
        Ok((Put::Refused, _)) | Err(_) => None,
    }
}

/// Resolves when the time to wait is over.
async fn over(wait: Wait, began: Instant) -> Refusal {
    let Wait::For(time) = wait else {
        return std::future::pending().await;
    };
    match began.checked_add(time) {
        Some(deadline) => clock::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
    Refusal::Timeout(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

/// Compares a session's record with the caller's epoch.
pub fn check_epoch(holder: Holder, record: &[KeyValue]) -> Result<()> {
    match record.first().map_or(0, |kv| kv.version) {
        version if version == holder.epoch => Ok(()),
        0 => Err(Refusal::NoSession(holder.lease)),
        _ => Err(Refusal::Fenced(holder.lease, holder.epoch)),
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let backend = self.keeper.backend().clone();
        let running = self.running.take();
        let Some(putting) = self.putting.lock().take() else {
            // Queued before the attempt is over: a call that repeats it must find the keys gone.
            if let Some(created) = self.created {
                backend.clean_up(undo(&self.keeper, &self.ask, created));
            }
            return drop(running);
        };
        // The Txn is on its way, and only its answer says whether there are keys to delete.
        let (keeper, ask) = (self.keeper.clone(), self.ask.clone());
        self.keeper.finish(async move {
            if let Some(created) = created_by(&putting.await) {
                backend.clean_up(undo(&keeper, &ask, created));
            }
            drop(running);
        });
    }
}

/// The name that a key in `dir` belongs to.
#[must_use]
pub fn name_of(dir: &Bytes) -> Bytes {
    dir.slice(..dir.len().saturating_sub(1))
}
