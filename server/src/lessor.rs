//! When leases end. The store knows which leases there are and what they hold; this only watches
//! the clock, and asks for a revoke the moment a deadline passes.
//!
//! A keepalive moves a number in memory and touches no disk. Deadlines begin when a grant is
//! durable, and again in full when a restarted server is ready, as in etcd.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::clock::{self, Instant};
use crate::command::Command;
use crate::metrics::METRICS;
use crate::proposer::Proposer;
use crate::types::{LeaseId, Ttl};

/// A handle to the deadlines; cheap to clone.
#[derive(Clone, Default)]
pub struct Lessor(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is an earlier deadline than the one slept for.
    earlier: Notify,
}

#[derive(Default)]
struct State {
    leases: HashMap<LeaseId, Entry>,
    /// When to look at a lease. A keepalive leaves its place alone: looking too early is cheap,
    /// moving the place on every keepalive is not.
    agenda: BTreeSet<(Instant, LeaseId)>,
}

struct Entry {
    ttl: Ttl,
    deadline: Instant,
    /// Its place in the agenda, as long as it is not expiring.
    looked_at: Instant,
    expiring: bool,
    /// Dropped, and so woken, when the lease is gone.
    keepalives: Vec<oneshot::Sender<()>>,
}

/// What a keepalive found.
#[derive(Debug)]
pub enum Renewal {
    /// The lease lives on, for this long from now.
    Renewed(Ttl),
    /// The lease is about to be revoked; this resolves when it is. Never revived (as in etcd).
    Expiring(oneshot::Receiver<()>),
    /// There is no such lease.
    Unknown,
}

impl Lessor {
    /// A lease was granted, durably. Its deadline counts from now.
    pub fn granted(&self, id: LeaseId, ttl: Ttl) {
        METRICS.leases_granted.inc();
        let deadline = clock::now() + bounded(ttl);
        let mut state = self.0.state.lock();
        let earliest = state.agenda.first().map(|(at, _)| *at);
        state.agenda.insert((deadline, id));
        state.leases.insert(
            id,
            Entry {
                ttl,
                deadline,
                looked_at: deadline,
                expiring: false,
                keepalives: Vec::new(),
            },
        );
        drop(state);
        if earliest.is_none_or(|earliest| deadline < earliest) {
            self.0.earlier.notify_one();
        }
    }

    /// A lease was revoked, durably.
    pub fn revoked(&self, id: LeaseId) {
        let mut state = self.0.state.lock();
        if let Some(entry) = state.leases.remove(&id) {
            METRICS.leases_revoked.inc();
            state.agenda.remove(&(entry.looked_at, id));
        }
    }

    /// Counts a lease's deadline from now again, unless it has passed.
    #[must_use]
    pub fn renew(&self, id: LeaseId) -> Renewal {
        let now = clock::now();
        let mut state = self.0.state.lock();
        let Some(entry) = state.leases.get_mut(&id) else {
            return Renewal::Unknown;
        };
        if entry.expiring || entry.deadline <= now {
            let (sender, gone) = oneshot::channel();
            entry.keepalives.push(sender);
            return Renewal::Expiring(gone);
        }
        entry.deadline = now + bounded(entry.ttl);
        Renewal::Renewed(entry.ttl)
    }

    /// How long a lease has left, and what it was granted; `None` if there is no such lease.
    #[must_use]
    pub fn remaining(&self, id: LeaseId) -> Option<(Duration, Ttl)> {
        let state = self.0.state.lock();
        let entry = state.leases.get(&id)?;
        Some((
            entry.deadline.saturating_duration_since(clock::now()),
            entry.ttl,
        ))
    }

    /// The longest TTL that was granted and lives.
    #[must_use]
    pub fn longest_ttl(&self) -> Option<Duration> {
        let state = self.0.state.lock();
        state.leases.values().map(|entry| bounded(entry.ttl)).max()
    }

    /// Every lease, the one that ends first in front (etcd's order).
    #[must_use]
    pub fn all(&self) -> Vec<LeaseId> {
        let mut leases: Vec<(Instant, LeaseId)> = {
            let state = self.0.state.lock();
            let entries = state.leases.iter();
            entries.map(|(id, entry)| (entry.deadline, *id)).collect()
        };
        leases.sort_unstable();
        leases.into_iter().map(|(_, id)| id).collect()
    }

    /// Revokes leases as their deadlines pass, for ever.
    pub async fn run(self, proposer: Proposer) {
        loop {
            let next = self.0.state.lock().agenda.first().map(|(at, _)| *at);
            match next {
                Some(at) => tokio::select! {
                    () = clock::sleep_until(at) => {}
                    () = self.0.earlier.notified() => continue,
                },
                None => self.0.earlier.notified().await,
            }
            for id in self.take_due() {
                // Refused only when the server stops; the lease then expires after the restart.
                let _ = proposer.clean_up(Command::Revoke(id));
            }
        }
    }

    /// Marks every lease whose deadline has passed, so that no keepalive can revive it.
    fn take_due(&self) -> Vec<LeaseId> {
        let now = clock::now();
        let mut state = self.0.state.lock();
        let state = &mut *state;
        let mut due = Vec::new();
        while let Some((at, id)) = state.agenda.first().copied().filter(|(at, _)| *at <= now) {
            state.agenda.remove(&(at, id));
            let Some(entry) = state.leases.get_mut(&id) else {
                continue;
            };
            if entry.deadline > now {
                entry.looked_at = entry.deadline;
                state.agenda.insert((entry.deadline, id));
            } else {
                entry.expiring = true;
                METRICS.leases_expired.inc();
                due.push(id);
            }
        }
        due
    }
}

/// A TTL that a clock can be moved by, whatever a file says; none that etcd grants is longer.
fn bounded(ttl: Ttl) -> Duration {
    const MOST: Duration = Duration::from_secs(9_000_000_000);
    ttl.duration().min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proposer::QueueLimits;

    const TTL: Ttl = Ttl { millis: 5000 };

    /// A lessor at work, and what it proposes.
    fn running() -> (Lessor, Proposer) {
        let (lessor, proposer) = (Lessor::default(), Proposer::queued(QueueLimits::default()));
        tokio::spawn(lessor.clone().run(proposer.clone()));
        (lessor, proposer)
    }

    fn proposed(proposer: &Proposer) -> Vec<Command> {
        // Something is always queued, and last, so that taking never waits.
        let _marker = proposer.clean_up(Command::Trim).unwrap();
        let mut commands = Vec::new();
        while commands.last() != Some(&Command::Trim) {
            commands.extend(proposer.take().unwrap().into_iter().map(|job| job.command));
        }
        commands.pop();
        commands
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_never_expires_early_and_at_most_10_ms_late() {
        let (lessor, proposer) = running();
        lessor.granted(LeaseId(7), TTL);
        clock::sleep(Duration::from_millis(4999)).await;
        assert_eq!(proposed(&proposer), []);
        clock::sleep(Duration::from_millis(11)).await;
        assert_eq!(proposed(&proposer), [Command::Revoke(LeaseId(7))]);
        assert_eq!(
            lessor.all(),
            [LeaseId(7)],
            "it is there until the revoke is durable"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_ttl_is_counted_whole() {
        let (lessor, proposer) = running();
        let longest = Ttl {
            millis: 9_000_000_000_000,
        };
        lessor.granted(LeaseId(7), longest);
        clock::sleep(Duration::from_millis(1)).await;
        let left = lessor.remaining(LeaseId(7)).unwrap().0;
        assert_eq!(left, longest.duration() - Duration::from_millis(1));
        assert_eq!(proposed(&proposer), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_keepalive_counts_from_its_own_time() {
        let (lessor, proposer) = running();
        lessor.granted(LeaseId(7), TTL);
        clock::sleep(Duration::from_millis(3000)).await;
        assert!(matches!(lessor.renew(LeaseId(7)), Renewal::Renewed(TTL)));
        clock::sleep(Duration::from_millis(4990)).await;
        assert_eq!(proposed(&proposer), []);
        assert_eq!(
            lessor.remaining(LeaseId(7)).unwrap().0,
            Duration::from_millis(10)
        );
        clock::sleep(Duration::from_millis(21)).await;
        assert_eq!(proposed(&proposer).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_past_its_deadline_is_never_revived() {
        let (lessor, _proposer) = running();
        lessor.granted(LeaseId(7), TTL);
        clock::sleep(TTL.duration()).await;
        let Renewal::Expiring(gone) = lessor.renew(LeaseId(7)) else {
            panic!("renewed after its deadline");
        };
        lessor.revoked(LeaseId(7));
        assert!(gone.await.is_err(), "woken when it is gone");
        assert!(matches!(lessor.renew(LeaseId(7)), Renewal::Unknown));
    }

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_expire_together() {
        let (lessor, proposer) = running();
        for id in 1..=10_000 {
            lessor.granted(LeaseId(id), TTL);
        }
        clock::sleep(TTL.duration() + Duration::from_millis(10)).await;
        assert_eq!(proposed(&proposer).len(), 10_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_lease_is_not_slept_over() {
        let (lessor, proposer) = running();
        lessor.granted(LeaseId(1), Ttl::from_seconds(3600));
        clock::sleep(Duration::from_millis(1)).await;
        lessor.granted(LeaseId(2), Ttl::from_seconds(2));
        clock::sleep(Duration::from_millis(2010)).await;
        assert_eq!(proposed(&proposer), [Command::Revoke(LeaseId(2))]);
    }
}
