//! The store: every key at every kept revision, in redb.
//!
//! What it owns: the data format ([`schema`], [`codec`]), reading at a revision ([`read`], [`range`]), what happened
//! ([`history`]), writing
//! one batch ([`write`]), the create-revision index ([`by_create`]), opening a data file without
//! harming it ([`open`], [`staging`]), and publishing a commit to readers ([`store`]).
//! What it leaves to others: deciding what to write (`apply/`), when to commit (`applier`), whom to
//! tell (`watch/`), and time (`lessor`).

pub mod by_create;
pub mod change;
pub mod codec;
pub mod hash;
pub mod history;
pub mod key_range;
pub mod open;
pub mod range;
pub mod read;
pub mod schema;
pub mod staging;
pub mod state;
pub mod store;
pub mod write;

pub use change::{Change, Event, Record};
pub use key_range::KeyRange;
pub use store::{Snapshot, Store};
