//! Clients of other languages, unmodified from their registries: small programs that
//! all play the same scenarios and print what they saw, and one table that says what
//! each must see, on latchd and on a real etcd alike.
//!
//! | module | what it owns |
//! |---|---|
//! | [`scenario`] | what programs are asked to play |
//! | [`program`] | the programs, and how each is started or why it cannot be |
//! | [`expected`] | what each must see, and what its library cannot do |
//! | [`judge`] | comparing what was seen with that |
//! | [`play`] | a program on a server |
//! | [`together`] | several programs on one lock and one counter |
//! | [`options`] | the command line: all programs, both servers, a table |
//! | [`rust`] | the program for Rust's `etcd-client` |

pub mod expected;
pub mod judge;
pub mod options;
pub mod play;
pub mod program;
mod report;
pub mod rust;
pub mod scenario;
pub mod together;

pub use self::{
    play::{Play, Scale},
    program::{Launcher, Program},
    scenario::Scenario,
};
