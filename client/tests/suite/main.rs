//! What the crate promises, on a latchd in this process and on a real etcd: the same cases on both, and
//! then what only a latchd can do.

#[macro_use]
mod support;

mod connect;
mod cut;
mod election;
mod latchd;
mod modes;
mod mutex;
mod processes;
mod random;
mod session;
mod views;
