//! latchd: a lock server that speaks etcd's v3 API over a redb store, in one process.
//!
//! ```text
//!  gRPC ─► grpc ─┐                 reads: mvcc snapshot
//!  HTTP ─► http ─┴─► service ─► backend ──────────────────────────────► reply
//!                                 │ writes
//!                                 ▼
//!                  proposer (bounded queue) ─► applier (one at a time) ─► apply ─► mvcc ─► commit
//!                                                  │ after the commit
//!                                                  ├─► watch hub ─► watch streams, lock waiters
//!                                                  └─► replies
//!                  lessor (deadlines only) ─► proposer (revoke)
//! ```
//! A reader follows a request downwards through these modules. `ARCHITECTURE.md` says why it is so.

pub mod applier;
pub mod apply;
pub mod backend;
pub mod clock;
pub mod command;
pub mod compactor;
pub mod config;
pub mod error;
pub mod grpc;
pub mod http;
pub mod lessor;
pub mod line;
pub mod listener;
pub mod logging;
pub mod metrics;
pub mod mvcc;
pub mod proposer;
pub mod server;
pub mod service;
pub mod socket;
pub mod streams;
pub mod types;
pub mod version;
pub mod watch;

pub use config::Config;
pub use server::{Server, StartError, run};
