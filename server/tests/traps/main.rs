//! What breaks a client when an etcd look-alike gets it wrong: one test or more for each trap, which
//! has the trap's number in its name. Generated clients ask, so that no library smooths anything.
//!
//! `LATCHD_TRAPS_ENDPOINT=http://… cargo test -p latchd --test traps -- --test-threads=1` asks a
//! server that runs already: a real etcd shows that the tests ask for what etcd does. It must keep
//! its whole history, and nobody else may write to it meanwhile.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

#[path = "../common/mod.rs"]
mod common;

mod lease;
mod locks;
mod member;
mod port;
mod range;
mod raw;
mod txn;
mod watch;
