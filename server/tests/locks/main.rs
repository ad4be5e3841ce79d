//! latchd.v1 on a whole server, through the generated client. A test that holds a line of the lock
//! rules names it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

#[path = "../common/mod.rs"]
mod common;

mod acquire;
mod bad_input;
mod deadlocks;
mod gateway;
mod histories;
mod interplay;
mod letting_go;
mod model;
mod sessions;
mod support;
mod views;
