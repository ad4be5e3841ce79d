//! Helpers for the outside tests: they start a server binary as a user would,
//! and meet it only through sockets, signals and files.
//!
//! | module | what it owns |
//! |---|---|
//! | [`target`] | which binaries the tests run, and against which server |
//! | [`process`] | a child process: its output, signals and exit |
//! | [`ports`] | free loopback ports that stay free across a restart |
//! | [`server`] | latchd or etcd on such ports and a data directory |
//! | [`etcdctl`] | the real etcdctl, pointed at a server |
//! | [`clients`] | unmodified clients of other languages, and what each must see |
//! | [`suite`] | the differential cases: each on two servers, responses compared whole |
//! | [`model`] | a small pure model of etcd |
//! | [`random`] | random programs on both servers and the model, and their shrinking |
//! | [`history`] | recorded concurrent histories, and the checkers that judge them |
//! | [`files`] | what lies in a data directory |
//! | [`proxy`] | a TCP relay that notes when a client spoke |
//! | [`locks`] | what several tests ask of a lock |
//! | [`v1`], [`lock_client`] | what they ask of `latchd.v1`, and a client of it that can be killed |
//! | [`talk`] | clients in processes of their own that do what they are told |
//! | [`queue`] | a holder and its waiters over one connection |
//! | [`side_by_side`] | the same etcdctl commands on two servers, and what differs |
//! | [`wait`] | deadlines, and waiting for a condition |
//!
//! The tests are in `tests/`; README.md says how to run them.

pub mod clients;
pub mod etcdctl;
pub mod files;
pub mod history;
pub mod lock_client;
pub mod locks;
pub mod model;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod queue;
pub mod random;
pub mod server;
pub mod side_by_side;
pub mod suite;
pub mod talk;
pub mod target;
pub mod v1;
pub mod wait;
