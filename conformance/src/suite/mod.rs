//! The differential cases: each runs on two servers, and all that they answer is
//! compared whole.
//!
//! | module | what it owns |
//! |---|---|
//! | [`case`] | what a case is; names and patterns of names |
//! | [`cases`] | the families, one file or folder each |
//! | [`session`] | one server under one case: sends, receives, writes down |
//! | [`stream`], [`pending`] | streaming calls, and calls that wait |
//! | [`gather`] | several messages of a watch stream, in the order that etcd promises |
//! | [`rpc`], [`frames`] | which path a request belongs to; messages as raw bytes |
//! | [`requests`] | short ways to write a request |
//! | [`web`] | plain HTTP, the gateway's lines and websockets, deadlines |
//! | [`standard`] | the messages of gRPC's own services |
//! | [`transcript`] | what was written down |
//! | [`mask`] | what two servers may answer differently, by field |
//! | [`compare`] | where two masked transcripts differ |
//! | [`differences`] | where latchd differs from etcd for a reason |
//! | [`servers`], [`pair`] | the two servers: built, started, or given; emptied |
//! | [`runner`] | all chosen cases on pairs of servers; the verdicts |
//! | [`options`], [`report`] | the command line; table, JSON and JUnit |

pub mod case;
pub mod cases;
pub mod compare;
pub mod differences;
pub mod frames;
pub mod gather;
pub mod mask;
pub mod options;
pub mod pair;
pub mod pending;
pub mod report;
pub mod requests;
pub mod rpc;
pub mod runner;
pub mod servers;
pub mod session;
pub mod standard;
pub mod stream;
pub mod transcript;
pub mod web;

pub use case::{Case, Family};
pub use options::Options;
pub use requests::*;
pub use session::Session;
pub use web::Http;
