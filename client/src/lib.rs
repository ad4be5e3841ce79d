//! Distributed locks for latchd, a lock server that speaks etcd's API, and for any etcd.
//!
//! A [`Client`] talks to the servers; a [`Session`] is kept alive in the background, and holds locks; a
//! [`Mutex`], [`RwLock`], [`Semaphore`] or [`MultiLock`] of a session is a lock by name; a [`Guard`] is
//! that lock, held. An [`Election`] is a lock whose holder has something to say.
//!
//! ```
//! use std::time::Duration;
//! use latchd_client::{Client, Options};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let server = latchd::Server::start(latchd::Config::local(dir.path().into())).await?;
//! # let endpoint = format!("http://{}", server.addresses()[0]);
//! let client = Client::connect([endpoint], Options::default()).await?;
//! let session = client.session(Duration::from_secs(10)).await?;
//!
//! let guard = session.mutex("reports/nightly").lock().await?;
//! println!("mine alone; fencing token {}", guard.fencing_token());
//! tokio::select! {
//!     () = work() => guard.unlock().await?,
//!     loss = guard.lost() => eprintln!("stopped in the middle: {loss}"),
//! }
//!
//! // The same, shorter: the work is dropped when the lock is being lost.
//! session.run_exclusive("reports/nightly", work()).await?;
//! session.close().await?;
//! # Ok(())
//! # }
//! # async fn work() {}
//! ```
//!
//! # One crate for two kinds of servers
//! [`Client::connect`] asks the server what it is. On a latchd, locks go by `latchd.v1`; on an etcd, by
//! transactions, leases and watches. The keys are the same, and so is the rule that grants. So whoever
//! locks a name excludes everyone else who does: this crate on either kind, `etcdctl lock`, Go's
//! `concurrency.Mutex`, etcd's Lock service. (These look at everything below `NAME/`, this crate and
//! latchd at what lies directly there: a lock `a` of this crate does not wait for holders of `a/b`.)
//!
//! # What it promises
//! - Turns are first come, first served, across sessions, tasks and kinds of locks.
//! - A future that is dropped leaves no key, wherever it was. A guard that is dropped releases in
//!   the background; await [`Guard::unlock`] to know that it is done. (What is neither polled nor
//!   dropped, a leaked guard or future, is freed by [`Session::close`] or the end of the process.)
//! - A session counts its own deadline from the moment it *sent* the last heartbeat that was
//!   answered, so it ends here before it ends at the server. The clock goes on while the machine
//!   sleeps, and every look at a session is a look at that clock.
//! - While no server can be reached, calls try again: for as long as a request may take, and those that
//!   wait for a lock for as long as their session lives.
//!
//! # What no lock can promise
//! A process that is paused between a look at the clock and a write does not notice that it lost
//! the lock. Hand [`Guard::fencing_token`] to whatever you write to, and let it refuse a token
//! lower than the highest that it has seen; it rises with every hand-off. `docs/fencing.md` has the
//! whole story, and `examples/fencing.rs` two stores that refuse a late writer.
//!
//! # Features
//! - `tls` (on by default): TLS by rustls, with the system's roots or your own.

mod ask;
mod client;
mod clock;
mod credentials;
mod election;
mod error;
mod etcd;
mod guard;
mod keys;
mod lane;
mod latchd;
mod lock;
mod multi;
mod mutex;
mod options;
mod refusal;
mod retry;
mod rule;
mod rw_lock;
mod semaphore;
mod session;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod types;
mod views;
mod vitals;

pub use client::{Client, Locks};
pub use credentials::UserToken;
pub use election::{Election, Leader, Leadership, Observer};
pub use error::{Error, Result};
pub use guard::Guard;
pub use latchd_proto as proto;
pub use multi::MultiLock;
pub use mutex::Mutex;
pub use options::Options;
pub use rw_lock::RwLock;
pub use semaphore::Semaphore;
pub use session::{Session, SessionOptions};
#[cfg(feature = "tls")]
pub use tls::Tls;
pub use transport::{Request, Response, Transport};
pub use types::{LeaseId, Loss, Mode, Revision, ServerKind};
pub use views::{
    Contender, Deadlock, DeadlockWait, Event, EventKind, History, Lock, LockWatch, PastHold,
    SessionInfo, WatchItem,
};
