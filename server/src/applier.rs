//! The one writer: takes a batch, applies it in one transaction, commits once, publishes, replies.
//!
//! Nothing leaves before the commit: no reply, no event, no lease's deadline. In production it
//! runs on a thread of its own; tests that pause time run it inline ([`Proposer::inline`]).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::apply::apply;
use crate::error::{Error, Result};
use crate::lessor::Lessor;
use crate::mvcc::Store;
use crate::mvcc::state::State;
use crate::mvcc::write::{Batch, LeaseEffect, Written};
use crate::proposer::{Job, Proposer};
use crate::watch::Hub;

/// The process's exit status when the writer fails (`EX_IOERR`).
const EXIT_WRITER_FAILED: i32 = 74;

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

    /// Applies, commits, publishes and answers a batch. An error means that the store failed, and
    /// that nothing of the batch may be told to anyone.
    pub fn run(&mut self, jobs: Vec<Job>) -> Result<()> {
        let mut answers = Vec::with_capacity(jobs.len());
        let written = self.write(jobs, |job, answer| answers.push((job, answer)))?;
        self.publish(written);
        for (reply, answer) in answers {
            // A caller that has gone away needs no answer.
            let _ = reply.send(answer);
        }
        Ok(())
    }

    fn write(
        &mut self,
        jobs: Vec<Job>,
        mut answered: impl FnMut(
            tokio::sync::oneshot::Sender<Result<crate::command::Reply>>,
            Result<crate::command::Reply>,
        ),
    ) -> Result<Written> {
        let txn = self.store.begin()?;
        let mut batch = Batch::new(&txn, &mut self.state, self.store.published())?;
        for job in jobs {
            let answer = apply(&mut batch, job.command);
            if let Err(Error::Storage(reason)) = answer {
                return Err(Error::Storage(reason));
            }
            answered(job.reply, answer);
        }
        let written = batch.finish();
        if written.dirty {
            txn.commit()?;
            self.store.publish(&self.state)?;
        } else {
            txn.abort()?;
        }
        Ok(written)
    }

    fn publish(&self, written: Written) {
        self.hub.publish(written.changes, self.state.revision);
        for effect in written.leases {
            match effect {
                LeaseEffect::Granted(id, ttl) => self.lessor.granted(id, ttl),
                LeaseEffect::Revoked(id) => self.lessor.revoked(id),
            }
        }
    }

    /// Runs on a thread of its own until `proposer` is closed and empty. If it fails, the process
    /// ends: a server that can't write must not look alive.
    pub fn spawn(mut self, proposer: Proposer) -> std::io::Result<JoinHandle<()>> {
        thread::Builder::new()
            .name("latchd-applier".into())
            .spawn(move || {
                let work = || {
                    while let Some(jobs) = proposer.take() {
                        self.run(jobs)?;
                    }
                    Ok(())
                };
                let outcome: thread::Result<Result<()>> = catch_unwind(AssertUnwindSafe(work));
                let reason = match outcome {
                    Ok(Ok(())) => return,
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => "the writer panicked".to_owned(),
                };
                tracing::error!(%reason, "the store cannot be written to; latchd stops");
                std::process::exit(EXIT_WRITER_FAILED);
            })
    }
}
