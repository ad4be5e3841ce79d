//! What the locks of a session have to know of it: under which epoch to speak, and whether the server
//! has said that one of them is gone.

use std::collections::{HashMap, HashSet};

use latchd_proto::latchd::v1::{Hold, lock_event::Kind, session_response::Lost};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::keys::{OwnKey, split};
use crate::types::Loss;

/// Shared by a session's heart and its locks.
pub(crate) struct Bond {
    epoch: watch::Sender<i64>,
    /// Whether the session's stream is open, for all that is known here.
    is_open: watch::Sender<bool>,
    attempts: Mutex<Attempts>,
}

#[derive(Default)]
struct Attempts {
    known: HashMap<String, Attempt>,
    /// What the last resume told: a grant under an earlier epoch that is not here is gone.
    resumed: Option<HashSet<HoldId>>,
}

struct Attempt {
    granted: Vec<HoldId>,
    loss: watch::Sender<Option<Loss>>,
}

/// A key and its create revision.
type HoldId = (Vec<u8>, i64);

impl Bond {
    pub(crate) fn new(epoch: i64) -> Bond {
        Bond {
            epoch: watch::Sender::new(epoch),
            is_open: watch::Sender::new(true),
            attempts: Mutex::default(),
        }
    }

    pub(crate) fn epoch(&self) -> i64 {
        *self.epoch.borrow()
    }

    /// Waits for a resume, if `fenced` is still the epoch.
    pub(crate) async fn epoch_after(&self, fenced: i64) {
        let mut epochs = self.epoch.subscribe();
        // The sender is ours.
        let _ = epochs.wait_for(|epoch| *epoch > fenced).await;
    }

    /// The stream broke.
    pub(crate) fn disconnect(&self) {
        self.is_open.send_replace(false);
    }

    /// Waits until the stream is open. A request that comes again before its session does would be
    /// fenced by the resume, and lose its place in the queue.
    pub(crate) async fn connected(&self) {
        let mut open = self.is_open.subscribe();
        // The sender is ours.
        let _ = open.wait_for(|is_open| *is_open).await;
    }

    /// An Acquire begins. Its loss may be told before its answer comes.
    pub(crate) fn begin(&self, attempt: &str) -> watch::Receiver<Option<Loss>> {
        let (loss, told) = watch::channel(None);
        let granted = Vec::new();
        let entry = Attempt { granted, loss };
        self.attempts.lock().known.insert(attempt.to_owned(), entry);
        told
    }

    /// It was granted, in answer to a request of that epoch.
    pub(crate) fn granted(&self, attempt: &str, holds: &[Hold], epoch: i64) {
        let mut attempts = self.attempts.lock();
        let is_late = epoch < self.epoch();
        let ids: Vec<HoldId> = holds.iter().map(id).collect();
        let gone = |resumed: &HashSet<HoldId>| ids.iter().any(|id| !resumed.contains(id));
        let is_gone = is_late && attempts.resumed.as_ref().is_some_and(gone);
        if let Some(entry) = attempts.known.get_mut(attempt) {
            entry.granted = ids;
            if is_gone {
                entry.lose(Loss::KeyDeleted);
            }
        }
    }

    /// Nobody asks about it any more.
    pub(crate) fn end(&self, attempt: &str) {
        self.attempts.lock().known.remove(attempt);
    }

    /// The server says that a hold is gone.
    pub(crate) fn lose(&self, lost: &Lost) {
        let Some(hold) = &lost.hold else {
            return;
        };
        let own = split(&hold.key).and_then(|(_, segment)| OwnKey::parse(segment));
        let attempts = self.attempts.lock();
        if let Some(entry) = own.and_then(|own| attempts.known.get(own.attempt)) {
            entry.lose(match lost.how() {
                Kind::Forced => Loss::Forced,
                Kind::Expired => Loss::Expired,
                _ => Loss::KeyDeleted,
            });
        }
    }

    /// The session was resumed, and this is what it still holds.
    pub(crate) fn resume(&self, epoch: i64, holds: &[Hold]) {
        let held: HashSet<HoldId> = holds.iter().map(id).collect();
        let mut attempts = self.attempts.lock();
        for entry in attempts.known.values() {
            if entry.granted.iter().any(|id| !held.contains(id)) {
                entry.lose(Loss::KeyDeleted);
            }
        }
        attempts.resumed = Some(held);
        self.epoch.send_replace(epoch);
        self.is_open.send_replace(true);
    }
}

impl Attempt {
    /// The first loss is the one that counts.
    fn lose(&self, loss: Loss) {
        self.loss
            .send_if_modified(|known| known.is_none() && known.replace(loss).is_none());
    }
}

fn id(hold: &Hold) -> HoldId {
    (hold.key.to_vec(), hold.token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(attempt: &str, token: i64) -> Hold {
        Hold {
            name: "job".into(),
            key: format!("job/~x.1f.{attempt}").into(),
            token,
        }
    }

    fn lost(attempt: &str, how: Kind) -> Lost {
        Lost {
            hold: Some(hold(attempt, 7)),
            how: how as i32,
        }
    }

    #[test]
    fn a_loss_reaches_its_attempt_even_before_the_grant() {
        let bond = Bond::new(1);
        let (a, b) = (bond.begin("a"), bond.begin("b"));
        bond.lose(&lost("a", Kind::Forced));
        bond.lose(&lost("a", Kind::Released));
        bond.lose(&lost("unknown", Kind::Forced));
        assert_eq!((*a.borrow(), *b.borrow()), (Some(Loss::Forced), None));
    }

    #[test]
    fn what_a_resume_does_not_tell_is_gone() {
        let bond = Bond::new(1);
        let (kept, gone, waits) = (bond.begin("kept"), bond.begin("gone"), bond.begin("waits"));
        bond.granted("kept", &[hold("kept", 3)], 1);
        bond.granted("gone", &[hold("gone", 4)], 1);
        bond.resume(2, &[hold("kept", 3)]);
        assert_eq!(bond.epoch(), 2);
        assert_eq!((*kept.borrow(), *waits.borrow()), (None, None));
        assert_eq!(*gone.borrow(), Some(Loss::KeyDeleted));
    }

    #[test]
    fn an_answer_from_before_the_resume_is_held_against_it() {
        let bond = Bond::new(1);
        let (kept, gone) = (bond.begin("kept"), bond.begin("gone"));
        bond.resume(2, &[hold("kept", 3)]);
        bond.granted("kept", &[hold("kept", 3)], 1);
        bond.granted("gone", &[hold("gone", 4)], 1);
        assert_eq!(*kept.borrow(), None);
        assert_eq!(*gone.borrow(), Some(Loss::KeyDeleted));
        let new = bond.begin("new");
        bond.granted("new", &[hold("new", 5)], 2);
        assert_eq!(*new.borrow(), None);
    }
}
