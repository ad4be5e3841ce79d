//! What all kinds of locks have in common: a session, what is asked, and the ways to ask.

use std::time::Duration;

use tracing::Instrument;

use crate::ask::{Ask, Wait};
use crate::clock;
use crate::error::{Error, Result};
use crate::etcd::Claim;
use crate::guard::Guard;
use crate::lane::Seat;
use crate::latchd::Hold;
use crate::session::Session;
use crate::types::Mode;

/// A lock of any kind.
#[derive(Clone, Debug)]
pub(crate) struct Lock {
    session: Session,
    ask: Ask,
}

impl Lock {
    pub(crate) fn new(session: Session, names: Vec<String>, mode: Mode) -> Lock {
        let tag = session.tag().clone();
        Lock {
            session,
            ask: Ask { names, mode, tag },
        }
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.ask.names
    }

    pub(crate) fn mode(&self) -> Mode {
        self.ask.mode
    }

    pub(crate) fn with_mode(mut self, mode: Mode) -> Lock {
        self.ask.mode = mode;
        self
    }

    pub(crate) fn with_owner(mut self, owner: String) -> Lock {
        self.ask.tag.owner = Some(owner);
        self
    }

    pub(crate) fn with_label(mut self, key: String, value: String) -> Lock {
        self.ask.tag.labels.insert(key, value);
        self
    }

    pub(crate) async fn wait(&self) -> Result<Guard> {
        self.acquire(Wait::Ever).await
    }

    pub(crate) async fn attempt(&self) -> Result<Guard> {
        self.acquire(Wait::No).await
    }

    pub(crate) async fn wait_for(&self, limit: Duration) -> Result<Guard> {
        self.acquire(Wait::at_most(limit)).await
    }

    async fn acquire(&self, wait: Wait) -> Result<Guard> {
        self.ask.check()?;
        let span = tracing::debug_span!(
            "lock",
            names = ?self.ask.names,
            mode = %self.ask.mode,
            session = %self.session.lease(),
            token = tracing::field::Empty,
        );
        let asking = async {
            let guard = self.obtain(wait).await?;
            tracing::Span::current().record("token", guard.fencing_token().0);
            tracing::debug!("granted");
            Ok(guard)
        };
        asking.instrument(span).await
    }

    async fn obtain(&self, wait: Wait) -> Result<Guard> {
        let seat = self.seat(wait).await?;
        let over = || wait.over(&self.ask);
        match Hold::new(seat.clone()) {
            Some(hold) => {
                let granted = hold.acquire(&self.ask, wait).await?;
                Ok(Guard::on_latchd(self, granted.ok_or_else(over)?))
            }
            None => {
                let claim = Claim::new(seat, &self.ask, self.ask.note());
                let granted = claim.acquire(wait).await?;
                Ok(Guard::on_etcd(self, granted.ok_or_else(over)?))
            }
        }
    }

    /// May have to open another lane first, which is a part of the wait; but a free lock is to be had
    /// however little time is given.
    async fn seat(&self, wait: Wait) -> Result<Seat> {
        let seating = self.session.seat(&self.ask.names);
        let Wait::Until(at, _) = wait else {
            return seating.await;
        };
        let after = self.session.client().request_timeout();
        clock::until(at + after, seating)
            .await
            .unwrap_or(Err(Error::NoAnswer { after }))
    }

    pub(crate) fn ask(&self) -> &Ask {
        &self.ask
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }
}

/// Whom a lock is for, on each kind of lock.
macro_rules! tagged {
    ($lock:ty) => {
        impl $lock {
            /// What the lock calls its owner, instead of the session's owner; see
            /// [`SessionOptions::with_owner`]($crate::SessionOptions::with_owner).
            #[must_use]
            pub fn with_owner(self, owner: impl Into<String>) -> Self {
                Self(self.0.with_owner(owner.into()))
            }

            /// A label, for people and tools, beside the session's.
            #[must_use]
            pub fn with_label(self, key: impl Into<String>, value: impl Into<String>) -> Self {
                Self(self.0.with_label(key.into(), value.into()))
            }

            /// The session that it is taken on.
            #[must_use]
            pub fn session(&self) -> &$crate::Session {
                self.0.session()
            }
        }
    };
}
pub(crate) use tagged;
