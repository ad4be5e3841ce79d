//! Why this server deletes keys, noted before it does, so that the book can say how a hold ended. Apart
//! from the book, so that no release waits for it.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::types::Revision;

/// How many are remembered; the oldest are forgotten.
const REMEMBERED: usize = 65_536;

/// Why this server deletes a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Its holder asked for it.
    Release,
    /// Somebody else did.
    Force,
}

/// What is about to be deleted.
#[derive(Debug, Default)]
pub struct Intents(Mutex<Notes>);

#[derive(Debug, Default)]
struct Notes {
    all: HashMap<(Bytes, Revision), Intent>,
    order: VecDeque<(Bytes, Revision)>,
}

impl Intents {
    /// The key that was created then is about to be deleted.
    pub fn add(&self, key: Bytes, created: Revision, intent: Intent) {
        let notes = &mut *self.0.lock();
        let place = (key, created);
        if notes.all.insert(place.clone(), intent).is_none() {
            notes.order.push_back(place);
        }
        if notes.order.len() > REMEMBERED
            && let Some(oldest) = notes.order.pop_front()
        {
            notes.all.remove(&oldest);
        }
    }

    /// What was noted of a key; it is forgotten.
    pub fn take(&self, key: &Bytes, created: Revision) -> Option<Intent> {
        self.0.lock().all.remove(&(key.clone(), created))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let intents = Intents::default();
        let key = |n: usize| Bytes::from(n.to_string());
        for n in 0..=REMEMBERED {
            intents.add(key(n), Revision(1), Intent::Force);
        }
        assert_eq!(intents.take(&key(0), Revision(1)), None);
        assert_eq!(intents.take(&key(1), Revision(2)), None);
        assert_eq!(intents.take(&key(1), Revision(1)), Some(Intent::Force));
        assert_eq!(intents.take(&key(1), Revision(1)), None);
        assert_eq!(intents.0.lock().order.len(), REMEMBERED);
    }
}
