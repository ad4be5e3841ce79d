//! The Acquires in progress, by session and request ID: so that they can be cancelled, repeated,
//! fenced, and ended by a deadlock.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use latchd_proto::latchd::v1::Deadlock;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::ask::{Ask, Holder, Wait};
use super::refusal::{Refusal, Result};
use crate::types::LeaseId;

/// How many released requests are remembered, so that an Acquire that comes later is refused.
const REMEMBERED: usize = 16_384;

/// What names an Acquire.
pub type AttemptId = (LeaseId, String);

/// Why an Acquire is to end.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// Release with its ID.
    Released,
    /// A later call with its ID goes on with its keys.
    Superseded,
    /// The session was resumed.
    Fenced,
    /// It is the victim.
    Deadlock(Deadlock),
}

impl Stop {
    /// What the call is told.
    #[must_use]
    pub fn refusal(self, holder: Holder) -> Refusal {
        match self {
            Stop::Released => Refusal::Cancelled,
            Stop::Superseded => Refusal::Superseded,
            Stop::Fenced => Refusal::Fenced(holder.lease, holder.epoch),
            Stop::Deadlock(deadlock) => Refusal::Deadlock(deadlock),
        }
    }
}

/// A handle to them; cheap to clone.
#[derive(Clone, Default)]
pub struct Attempts(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    calls: HashMap<AttemptId, Entry>,
    released: Released,
}

struct Entry {
    stop: watch::Sender<Option<Stop>>,
    /// Cancelled when the call is over, and what it leaves behind is queued to go.
    over: CancellationToken,
    epoch: i64,
    limited: bool,
    /// What it is for.
    keys: Vec<Bytes>,
}

/// Request IDs that were released; the oldest are forgotten.
#[derive(Default)]
struct Released {
    ids: HashSet<AttemptId>,
    order: VecDeque<AttemptId>,
}

impl Released {
    fn remember(&mut self, id: AttemptId) {
        if !self.ids.insert(id.clone()) {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

impl Attempts {
    /// An Acquire begins. One with the same ID ends first, and leaves its keys to this one.
    pub async fn begin(&self, ask: &Ask) -> Result<Running> {
        let id = (ask.holder.lease, ask.attempt.clone());
        loop {
            let over = match self.try_begin(&id, ask)? {
                Ok(running) => return Ok(running),
                Err(over) => over,
            };
            over.cancelled().await;
        }
    }

    /// The inner error is the call to wait for.
    fn try_begin(
        &self,
        id: &AttemptId,
        ask: &Ask,
    ) -> Result<std::result::Result<Running, CancellationToken>> {
        let mut state = self.0.lock();
        if state.released.ids.contains(id) {
            return Err(Refusal::Cancelled);
        }
        let keys: Vec<Bytes> = ask.wanted.iter().map(|w| w.key.clone()).collect();
        if let Some(entry) = state.calls.get(id) {
            if entry.keys != keys {
                return Err(Refusal::Invalid(format!(
                    "request_id {:?} is that of another Acquire under way; give each its own",
                    id.1
                )));
            }
            entry.stop.send_replace(Some(Stop::Superseded));
            return Ok(Err(entry.over.clone()));
        }
        let (stop, stopped) = watch::channel(None);
        let over = CancellationToken::new();
        let entry = Entry {
            stop,
            over: over.clone(),
            epoch: ask.holder.epoch,
            limited: matches!(ask.wait, Wait::For(_)),
            keys,
        };
        state.calls.insert(id.clone(), entry);
        Ok(Ok(Running {
            attempts: self.clone(),
            id: id.clone(),
            stopped,
            over,
        }))
    }

    /// Ends the Acquire of that ID, now or when it comes. If it was in progress, it is over.
    pub async fn release(&self, id: &AttemptId) {
        let over = {
            let mut state = self.0.lock();
            state.released.remember(id.clone());
            state.calls.get(id).map(|entry| {
                entry.stop.send_replace(Some(Stop::Released));
                entry.over.clone()
            })
        };
        if let Some(over) = over {
            over.cancelled().await;
        }
    }

    /// Ends every Acquire of a session with an earlier epoch, and waits until they are over.
    pub async fn fence(&self, holder: Holder) {
        let over: Vec<CancellationToken> = {
            let state = self.0.lock();
            let calls = state.calls.iter();
            let fenced =
                calls.filter(|((lease, _), e)| *lease == holder.lease && e.epoch < holder.epoch);
            fenced
                .map(|(_, entry)| {
                    entry.stop.send_replace(Some(Stop::Fenced));
                    entry.over.clone()
                })
                .collect()
        };
        for over in over {
            over.cancelled().await;
        }
    }

    /// Ends an Acquire as the victim of a deadlock.
    pub fn sacrifice(&self, id: &AttemptId, deadlock: Deadlock) {
        if let Some(entry) = self.0.lock().calls.get(id) {
            entry.stop.send_replace(Some(Stop::Deadlock(deadlock)));
        }
    }

    /// Whether an Acquire waits in this server, and if so, whether it does for a time only.
    #[must_use]
    pub fn waits(&self, id: &AttemptId) -> Option<bool> {
        self.0.lock().calls.get(id).map(|entry| entry.limited)
    }
}

/// An Acquire in progress. Dropped when it is over.
pub struct Running {
    attempts: Attempts,
    id: AttemptId,
    stopped: watch::Receiver<Option<Stop>>,
    over: CancellationToken,
}

impl Running {
    /// Why it is to end, if it is.
    #[must_use]
    pub fn stop(&self) -> Option<Stop> {
        self.stopped.borrow().clone()
    }

    /// Resolves when it is to end, with the reason.
    pub async fn stopped(&self) -> Stop {
        let mut stopped = self.stopped.clone();
        let stop = stopped.wait_for(Option::is_some).await;
        match stop.map(|stop| stop.clone()) {
            Ok(Some(stop)) => stop,
            // The sender goes with this.
            _ => std::future::pending().await,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.attempts.0.lock().calls.remove(&self.id);
        self.over.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchd_proto::latchd::v1::AcquireRequest;

    fn ask(id: &str) -> Ask {
        Ask::read(AcquireRequest {
            names: vec!["job".into()],
            session: 7,
            epoch: 1,
            request_id: id.into(),
            ..Default::default()
        })
        .unwrap()
    }

    #[tokio::test]
    async fn a_release_may_come_first() {
        let attempts = Attempts::default();
        attempts.release(&(LeaseId(7), "a".into())).await;
        assert!(matches!(
            attempts.begin(&ask("a")).await,
            Err(Refusal::Cancelled)
        ));
        attempts.begin(&ask("b")).await.map(drop).unwrap();
    }

    #[tokio::test]
    async fn a_repeated_call_waits_for_the_first_to_end() {
        let attempts = Attempts::default();
        let first = attempts.begin(&ask("a")).await.unwrap();
        let again = attempts.clone();
        let again = tokio::spawn(async move { again.begin(&ask("a")).await.map(drop) });
        assert_eq!(first.stopped().await, Stop::Superseded);
        assert!(!again.is_finished());
        drop(first);
        again.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn another_request_has_another_id() {
        let attempts = Attempts::default();
        let _first = attempts.begin(&ask("a")).await.unwrap();
        let mut other = ask("a");
        other.wanted[0].key = "job/~r.7.a".into();
        let refused = attempts.begin(&other).await.map(drop);
        assert!(matches!(refused, Err(Refusal::Invalid(_))));
    }

    #[tokio::test]
    async fn only_earlier_epochs_are_fenced() {
        let attempts = Attempts::default();
        let old = attempts.begin(&ask("a")).await.unwrap();
        let fenced = attempts.clone();
        let holder = |epoch| Holder {
            lease: LeaseId(7),
            epoch,
        };
        fenced.fence(holder(1)).await;
        let fencing = tokio::spawn(async move { fenced.fence(holder(2)).await });
        assert_eq!(old.stopped().await, Stop::Fenced);
        drop(old);
        fencing.await.unwrap();
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut released = Released::default();
        for n in 0..=REMEMBERED {
            released.remember((LeaseId(1), n.to_string()));
            released.remember((LeaseId(1), n.to_string()));
        }
        assert_eq!(
            (released.ids.len(), released.order.len()),
            (REMEMBERED, REMEMBERED)
        );
        assert!(!released.ids.contains(&(LeaseId(1), "0".into())));
    }
}
