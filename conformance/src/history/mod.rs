//! Concurrent histories: many clients at once, everything that they were
//! answered and told with its times, and checkers that find what no correct
//! server does.
//!
//! | module | what it owns |
//! |---|---|
//! | [`request`], [`record`] | a history, as plain data |
//! | [`file`] | histories as files, to be checked again |
//! | [`state`] | what each request does to the keyspace |
//! | [`check`] | the checkers: pure functions of a history |
//! | [`workload`] | what the writing clients ask |
//! | [`live`] | clients that make histories on a real server |
//! | [`cli`] | the subcommand |
//! | [`violation`], [`text`] | what a checker says |

pub mod check;
pub mod cli;
pub mod file;
pub mod live;
pub mod record;
pub mod request;
pub mod state;
pub mod text;
pub mod violation;
pub mod workload;

#[cfg(test)]
mod tests;
