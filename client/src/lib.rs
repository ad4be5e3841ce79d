//! Distributed locks for [latchd](https://github.com/latchd/latchd) and for any etcd.
//!
//! A [`Client`] talks to the servers; a [`Session`] is a lease that is kept alive in the
//! background; a [`Mutex`] of a session is a lock by name; a [`Guard`] is that lock, held.
//!
//! ```no_run
//! use std::time::Duration;
//! use latchd_client::{Client, Options};
//!
//! # async fn example() -> Result<(), latchd_client::Error> {
//! let client = Client::connect(["http://127.0.0.1:2379"], Options::default()).await?;
//! let session = client.session(Duration::from_secs(10)).await?;
//!
//! let guard = session.mutex("reports/nightly").lock().await?;
//! println!("mine alone; fencing token {}", guard.fencing_token());
//! tokio::select! {
//!     () = work() => guard.unlock().await?,
//!     loss = guard.lost() => eprintln!("stopped in the middle: {loss}"),
//! }
//! session.close().await
//! # }
//! # async fn work() {}
//! ```
//!
//! # What it promises
//! - The keys are those that Go's `concurrency.Mutex` writes, so `etcdctl lock`, etcd's Lock
//!   service and this crate exclude one another. A lock `a` also waits for holders of `a/b`, and
//!   not the other way round, as in etcd.
//! - Turns are first come, first served among sessions. Tasks that share a session take turns
//!   among themselves first; give each task a session of its own for a place of its own.
//! - A future that is dropped leaves no key, wherever it was. A guard that is dropped releases in
//!   the background; await [`Guard::unlock`] to know that it is done.
//! - A session counts its own deadline from the moment it *sent* the last heartbeat that was
//!   answered, so it ends here before it ends at the server.
//!
//! # What no lock can promise
//! A process that is paused between a look at the clock and a write does not notice that it lost
//! the lock. Hand [`Guard::fencing_token`] to whatever you write to, and let it refuse a token
//! lower than the highest that it has seen; it rises with every hand-off.
//!
//! The deadline is counted on the monotonic clock, which on Linux stands still while the machine
//! is suspended.

mod claim;
mod client;
mod error;
mod guard;
mod heartbeat;
mod lease_stream;
mod mutex;
mod names;
mod options;
mod requests;
mod retry;
mod session;
mod turns;
mod types;
mod undo;
mod vitals;
mod watch;

pub use client::Client;
pub use error::{Error, Result};
pub use guard::Guard;
pub use mutex::Mutex;
pub use options::Options;
pub use session::Session;
pub use types::{LeaseId, Loss, Revision};
