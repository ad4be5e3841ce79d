//! Keeps history short by itself: the last revisions, and those of the last minutes.
//!
//! etcd leaves compaction to the operator unless told otherwise. A lock server's history is churn
//! that nobody reads again, so here it is on by default (`--auto-compaction-retention=0` turns it
//! off), and spares whatever a waiter may still have to look up: what is younger than five minutes,
//! or than the longest lease (up to an hour), because a client that comes back within its lease
//! resumes its watch from where it was.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use crate::backend::trim;
use crate::clock::{self, Instant};
use crate::command::Command;
use crate::config::AutoCompaction;
use crate::lessor::Lessor;
use crate::mvcc::Store;
use crate::proposer::Proposer;
use crate::types::Revision;

/// How often the compactor looks.
const TICK: Duration = Duration::from_secs(30);
/// What is younger than this stays, whatever the number of revisions.
const LEAST_AGE: Duration = Duration::from_secs(300);
/// The longest that a lease keeps history.
const MOST_AGE: Duration = Duration::from_secs(3600);

/// The compactor at work.
pub struct Compactor {
    mode: AutoCompaction,
    store: Arc<Store>,
    lessor: Lessor,
    proposer: Proposer,
    /// Where the store stood, the oldest first; one entry older than needed.
    seen: VecDeque<(Instant, Revision)>,
}

impl Compactor {
    /// A compactor of `store`.
    #[must_use]
    pub fn new(
        mode: AutoCompaction,
        store: Arc<Store>,
        lessor: Lessor,
        proposer: Proposer,
    ) -> Compactor {
        Compactor {
            mode,
            store,
            lessor,
            proposer,
            seen: VecDeque::new(),
        }
    }

    /// Compacts as time goes by, for ever.
    pub async fn run(mut self) {
        if self.mode == AutoCompaction::Off {
            return;
        }
        loop {
            self.tick().await;
            clock::sleep(TICK).await;
        }
    }

    async fn tick(&mut self) {
        let now = clock::now();
        self.seen.push_back((now, self.store.revision()));
        let Some(target) = self.target(now) else {
            return;
        };
        // Refused only where there is nothing to compact, or the server stops.
        let Ok(pending) = self.proposer.clean_up(Command::AutoCompact(target)) else {
            return;
        };
        if pending.await.is_ok() {
            info!(revision = %target, "history was compacted up to this revision");
            trim(self.proposer.clone()).await;
        }
    }

    /// The revision below which nothing is kept, if it is time to move it.
    fn target(&mut self, now: Instant) -> Option<Revision> {
        let (age, count) = match self.mode {
            AutoCompaction::Off => return None,
            AutoCompaction::Periodic(age) => (age, 0),
            AutoCompaction::Revision(count) => (self.least_age(), count),
        };
        let then = self.revision_at(now.checked_sub(age)?)?;
        let enough = Revision(self.store.revision().0.saturating_sub(count));
        let target = then.min(enough);
        (target > Revision::INITIAL).then_some(target)
    }

    fn least_age(&self) -> Duration {
        let longest = self.lessor.longest_ttl().unwrap_or_default();
        longest.clamp(LEAST_AGE, MOST_AGE)
    }

    /// Where the store stood at `time`; forgets what came before.
    fn revision_at(&mut self, time: Instant) -> Option<Revision> {
        while self.seen.get(1).is_some_and(|(seen, _)| *seen <= time) {
            self.seen.pop_front();
        }
        let (seen, revision) = *self.seen.front()?;
        (seen <= time).then_some(revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::applier::Applier;
    use crate::mvcc::open::{DirectoryLock, open};
    use crate::types::{LeaseId, Ttl};
    use crate::watch::Hub;
    use latchd_proto::etcdserverpb::PutRequest;

    struct Fixture {
        store: Arc<Store>,
        lessor: Lessor,
        proposer: Proposer,
        _lock: DirectoryLock,
        _dir: tempfile::TempDir,
    }

    impl Fixture {
        fn new(mode: AutoCompaction) -> Fixture {
            let dir = tempfile::tempdir().unwrap();
            let opened = open(dir.path()).unwrap();
            let store = Arc::new(opened.store);
            let (hub, lessor) = (Hub::new(store.revision()), Lessor::default());
            let applier = Applier::new(store.clone(), opened.state, hub, lessor.clone());
            let proposer = Proposer::inline(applier);
            let parts = (store.clone(), lessor.clone(), proposer.clone());
            tokio::spawn(Compactor::new(mode, parts.0, parts.1, parts.2).run());
            Fixture {
                store,
                lessor,
                proposer,
                _lock: opened.lock,
                _dir: dir,
            }
        }

        fn put(&self, times: usize) {
            for _ in 0..times {
                let request = PutRequest {
                    key: "k".into(),
                    ..Default::default()
                };
                drop(self.proposer.propose(Command::Put(request)).unwrap());
            }
        }

        async fn compacted(&self) -> i64 {
            self.store.snapshot().await.compacted.0
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_revisions_and_the_last_minutes_stay() {
        let f = Fixture::new(AutoCompaction::Revision(10));
        f.put(50); // up to revision 51
        clock::sleep(LEAST_AGE - TICK).await;
        assert_eq!(f.compacted().await, -1, "all of it is too young");
        clock::sleep(TICK * 3).await;
        assert_eq!(f.compacted().await, 41, "the last ten stay");
        f.put(50);
        clock::sleep(TICK).await;
        assert_eq!(f.compacted().await, 51, "what is new is too young");
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_lease_keeps_history_longer() {
        let f = Fixture::new(AutoCompaction::Revision(10));
        f.lessor.granted(LeaseId(7), Ttl::from_seconds(900));
        f.put(50);
        clock::sleep(LEAST_AGE * 2).await;
        assert_eq!(f.compacted().await, -1);
    }

    #[tokio::test(start_paused = true)]
    async fn periodic_keeps_a_time_and_off_keeps_all() {
        let f = Fixture::new(AutoCompaction::Periodic(Duration::from_secs(60)));
        let off = Fixture::new(AutoCompaction::Off);
        f.put(5);
        off.put(5);
        clock::sleep(TICK * 4).await;
        assert_eq!((f.compacted().await, off.compacted().await), (6, -1));
    }
}
