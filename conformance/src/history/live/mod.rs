//! Making histories: clients that ask a real server, and record what they see.
//!
//! | module | what it owns |
//! |---|---|
//! | [`wire`] | etcd's messages to and from a history's plain data |
//! | [`api`] | one connection, one request at a time |
//! | [`recorder`] | the clock, and the growing history |
//! | [`client`] | requests, with times and outcome |
//! | [`writers`], [`lockers`], [`watchers`] | what clients do |
//! | [`run`] | many clients at once, and the server killed in between |
//! | [`remote`], [`pause`] | a client that is stopped for longer than its lease lives |
//! | [`stage`], [`report`] | what runs share |

pub mod api;
pub mod client;
pub mod lockers;
pub mod pause;
pub mod recorder;
pub mod remote;
pub mod report;
pub mod run;
pub mod stage;
pub mod watchers;
pub mod wire;
pub mod writers;
