//! The one writer: takes a batch, applies it in one transaction, commits once, publishes, replies.
//!
//! Nothing leaves before the commit: no reply, no event, no lease's deadline. Who runs it, and
//! when, is the [`crate::proposer`]'s.

use std::sync::Arc;

use crate::apply::apply;
use crate::clock;
use crate::command::{Command, Reply};
use crate::error::{Error, Result};
use crate::lessor::Lessor;
use crate::metrics::METRICS;
use crate::mvcc::Store;
use crate::mvcc::state::State;
use crate::mvcc::write::{Batch, LeaseEffect, Written};
use crate::proposer::Job;
use crate::watch::Hub;
use tokio::sync::oneshot;

/// An answer that waits for the commit, and who waits for it.
type Answer = (oneshot::Sender<Result<Reply>>, Result<Reply>);

/// The writer and all that it alone may touch.
pub struct Applier {
    store: Arc<Store>,
    state: State,
    hub: Hub,
    lessor: Lessor,
}

impl Applier {
    /// A writer for `store`; leases that it has get their full TTL from now on.
    #[must_use]
    pub fn new(store: Arc<Store>, state: State, hub: Hub, lessor: Lessor) -> Applier {
        for (id, lease) in &state.leases {
            lessor.granted(*id, lease.ttl);
        }
        Applier {
            store,
            state,
            hub,
            lessor,
        }
    }

    /// Does all jobs, in order. An error means that the store failed, and that nothing that was not
    /// answered may be told to anyone.
    pub fn run(&mut self, jobs: Vec<Job>) -> Result<()> {
        let mut batch = Vec::with_capacity(jobs.len());
        for job in jobs {
            if job.command == Command::Defragment {
                self.run_batch(std::mem::take(&mut batch))?;
                let defragmenting = METRICS.defragmenting();
                let compacted = self.store.defragment();
                // Whatever became of it, readers are waiting.
                self.store.publish(&self.state)?;
                drop(defragmenting);
                let _ = job.reply.send(compacted.map(|()| Reply::Defragment));
            } else {
                batch.push(job);
            }
        }
        self.run_batch(batch)
    }

    /// Applies, commits, publishes and answers a batch.
    fn run_batch(&mut self, jobs: Vec<Job>) -> Result<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        let (written, answers) = self.write(jobs)?;
        self.publish(written);
        for (reply, answer) in answers {
            // A caller that has gone away needs no answer.
            let _ = reply.send(answer);
        }
        Ok(())
    }

    fn write(&mut self, jobs: Vec<Job>) -> Result<(Written, Vec<Answer>)> {
        let mut answers = Vec::with_capacity(jobs.len());
        let (began, commands) = (clock::now(), jobs.len());
        let txn = self.store.begin()?;
        let mut batch = Batch::new(&txn, &mut self.state, self.store.published())?;
        for job in jobs {
            let lane = job.lane();
            let answer = apply(&mut batch, job.command, lane);
            if let Err(Error::Storage(reason)) = answer {
                return Err(Error::Storage(reason));
            }
            answers.push((job.reply, answer));
        }
        let written = batch.finish();
        if written.dirty {
            txn.commit()?;
            METRICS.batch(commands, began.elapsed());
            // Before a reader can see the keys gone, so that no keepalive answers for a lease that
            // visibly holds nothing any more.
            self.end_leases(&written);
            self.store.publish(&self.state)?;
        } else {
            txn.abort()?;
        }
        Ok((written, answers))
    }

    fn publish(&self, written: Written) {
        let events: usize = written
            .changes
            .iter()
            .map(|change| change.events.len())
            .sum();
        self.hub.publish(written.changes, self.state.revision);
        METRICS.events.inc_by(events as u64);
        for effect in written.leases {
            // Unless the same batch revoked it again.
            if let LeaseEffect::Granted(id, ttl) = effect
                && self.state.leases.contains_key(&id)
            {
                self.lessor.granted(id, ttl);
            }
        }
    }

    fn end_leases(&self, written: &Written) {
        for effect in &written.leases {
            if let LeaseEffect::Revoked(id) = effect {
                self.lessor.revoked(*id);
            }
        }
    }
}
