//! latchd.v1: locks with modes, waits and sessions, on the keys that etcd's clients lock with.
//!
//! There is no lock table: who holds follows from the keys of a name ([`rule`], on the names of
//! [`keys`]), and an [`acquire`] puts keys, waits in [`line`] and looks once more; the Txn that puts
//! them is that look where nobody is ahead. The [`ledger`] is only told of all this, and tells others.

pub mod acquire;
pub mod ask;
pub mod attempts;
pub mod deadlock;
pub mod keys;
pub mod ledger;
pub mod line;
pub mod note;
pub mod refusal;
pub mod release;
pub mod rule;
pub mod session;
pub mod sessions;
pub mod txns;
mod view;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use latchd_proto::latchd::v1;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::acquire::Acquire;
use self::ask::{Ask, Holder};
use self::attempts::Attempts;
use self::ledger::Ledger;
use self::refusal::{Refusal, Result, shown};
use self::sessions::Sessions;
use crate::backend::Backend;

pub use session::SessionStream;
pub use view::LockWatch;

/// The service; cheap to clone.
#[derive(Clone)]
pub struct Keeper(Arc<Parts>);

struct Parts {
    backend: Backend,
    attempts: Attempts,
    sessions: Sessions,
    ledger: Ledger,
    /// Whether somebody keeps the ledger: from the first call on, or when etcd's clients can be in a
    /// deadlock. Until then it costs nothing.
    kept: AtomicBool,
    /// What has to end before the store is closed.
    work: TaskTracker,
    stopping: CancellationToken,
}

impl Keeper {
    /// The service over `backend`.
    #[must_use]
    pub fn new(backend: Backend) -> Keeper {
        let (attempts, sessions) = (Attempts::default(), Sessions::default());
        let stopping = CancellationToken::new();
        let ledger = Ledger::new(
            backend.clone(),
            attempts.clone(),
            sessions.clone(),
            stopping.clone(),
        );
        Keeper(Arc::new(Parts {
            backend,
            attempts,
            sessions,
            ledger,
            kept: AtomicBool::new(false),
            work: TaskTracker::new(),
            stopping,
        }))
    }

    /// Waits until nothing that was given up has anything left to undo, and closes the ledger.
    /// Nobody may come any more.
    pub async fn settled(&self) {
        self.0.stopping.cancel();
        self.0.work.close();
        self.0.work.wait().await;
    }

    /// Where the keys are.
    #[must_use]
    pub fn backend(&self) -> &Backend {
        &self.0.backend
    }

    /// The Acquires in progress.
    #[must_use]
    pub fn attempts(&self) -> &Attempts {
        &self.0.attempts
    }

    /// The sessions with streams.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// The book of all locks, which is kept from now on.
    pub fn ledger(&self) -> &Ledger {
        if !self.0.kept.swap(true, Ordering::Relaxed) {
            self.0.work.spawn(self.0.ledger.clone().keep());
        }
        &self.0.ledger
    }

    /// Keeps the ledger as soon as deadlocks are possible, though nobody may ever call this service.
    pub async fn mind_etcds_clients(self) {
        let possible = self.0.backend.entangled();
        let possible = self.0.stopping.run_until_cancelled(possible).await;
        if possible.is_some() && !self.0.stopping.is_cancelled() {
            self.ledger();
        }
    }

    /// Does what a call that is gone has left to do.
    fn finish(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.0.work.spawn_on(work, &runtime);
        }
    }

    /// Why a waiter's key is gone.
    fn why_gone(&self, holder: Holder, name: &[u8]) -> Refusal {
        match self.0.backend.lease_left(holder.lease) {
            Some(_) => Refusal::Lost(shown(name)),
            None => Refusal::NoSession(holder.lease),
        }
    }

    /// Locks.Acquire. Dropping the future gives up: no key is left.
    pub async fn acquire(&self, request: v1::AcquireRequest) -> Result<v1::AcquireResponse> {
        let ask = Ask::read(request)?;
        self.ledger();
        Acquire::begin(self, ask).await?.run().await
    }
}
