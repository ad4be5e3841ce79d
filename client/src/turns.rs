//! The tasks of one session share one key a name, so they take turns at it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// Somebody's turn at a name; over when it is dropped.
pub(crate) type Turn = tokio::sync::OwnedMutexGuard<()>;

type Queue = tokio::sync::Mutex<()>;

/// Who may use which name now. A name that nobody uses takes no memory for long.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<String, Weak<Queue>>>);

impl Turns {
    /// Waits for the turn, first come, first served.
    pub(crate) async fn wait(&self, name: &str) -> Turn {
        self.queue(name).lock_owned().await
    }

    /// The turn if it is free now.
    pub(crate) fn take(&self, name: &str) -> Option<Turn> {
        self.queue(name).try_lock_owned().ok()
    }

    fn queue(&self, name: &str) -> Arc<Queue> {
        let mut queues = self.0.lock();
        if let Some(queue) = queues.get(name).and_then(Weak::upgrade) {
            return queue;
        }
        // Making one is when a look at the others is cheap enough.
        queues.retain(|_, queue| queue.strong_count() > 0);
        let queue = Arc::new(Queue::default());
        queues.insert(name.to_owned(), Arc::downgrade(&queue));
        queue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_turn_a_name() {
        let turns = Turns::default();
        let first = turns.wait("a").await;
        assert!(turns.take("a").is_none());
        assert!(turns.take("b").is_some());
        drop(first);
        assert!(turns.take("a").is_some());
    }

    #[test]
    fn unused_names_are_forgotten() {
        let turns = Turns::default();
        for n in 0..100 {
            drop(turns.take(&n.to_string()));
        }
        assert_eq!(turns.0.lock().len(), 1);
    }
}
