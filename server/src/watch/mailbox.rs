//! What the hub has left for one stream, bounded in bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::mvcc::Change;
use crate::types::{Revision, WatchId};

/// How many bytes of events one stream may leave unread before its watches become lagging.
const CAPACITY: usize = 1 << 20;

/// A watch on a stream, told apart from an earlier one of the same ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addressee {
    /// The ID that the client knows.
    pub watch: WatchId,
    /// Counts the watches that the stream ever had.
    pub generation: u64,
}

/// One revision for one watch: which of its events the watch asked for.
#[derive(Clone, Debug)]
pub struct Letter {
    /// For whom.
    pub to: Addressee,
    /// The revision, shared with every other watcher of it.
    pub change: Arc<Change>,
    /// Indices of the events that match; `None` for all of them.
    pub picked: Option<Vec<u32>>,
}

impl Letter {
    /// The whole change, for it is what stays in memory.
    fn weight(&self) -> usize {
        self.change.weight
    }
}

/// The box itself: the hub puts, one stream takes.
#[derive(Debug, Default)]
pub struct Mailbox {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    letters: VecDeque<(usize, Letter)>,
    bytes: usize,
    /// Watches that missed something, and the first revision that they missed.
    lagging: Vec<(Addressee, Revision)>,
}

impl Mailbox {
    /// Leaves a letter; `false` if the box is full, and the watch is lagging from here on.
    pub fn put(&self, letter: Letter) -> bool {
        let weight = letter.weight();
        let mut state = self.state.lock();
        // One letter always fits, however large: it could never be delivered otherwise.
        let fits = state.letters.is_empty() || state.bytes + weight <= CAPACITY;
        if fits {
            state.bytes += weight;
            state.letters.push_back((weight, letter));
        } else {
            state.lagging.push((letter.to, letter.change.revision));
        }
        drop(state);
        self.filled.notify_one();
        fits
    }

    /// The next letter, if there is one.
    #[must_use]
    pub fn take(&self) -> Option<Letter> {
        let mut state = self.state.lock();
        let (weight, letter) = state.letters.pop_front()?;
        state.bytes -= weight;
        Some(letter)
    }

    /// Watches that have become lagging since the last call; none as long as there are letters,
    /// which come before what was missed.
    #[must_use]
    pub fn take_lagging(&self) -> Vec<(Addressee, Revision)> {
        let mut state = self.state.lock();
        if !state.letters.is_empty() {
            return Vec::new();
        }
        std::mem::take(&mut state.lagging)
    }

    /// Whether there is nothing to take.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let state = self.state.lock();
        state.letters.is_empty() && state.lagging.is_empty()
    }

    /// Resolves when something was put since the last time it resolved.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }
}
