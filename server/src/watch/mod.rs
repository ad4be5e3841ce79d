//! Watches: who is told of which change, without anyone waiting for the slow.
//!
//! A watcher is *active* (the [`Hub`] feeds it as commits are published) or *lagging* (it replays
//! history from the store until it has caught up, outside the hub's lock). Each stream of watches
//! has one bounded [`mailbox`]; a watcher whose mailbox is full becomes lagging, so a consumer that
//! stops reading costs its own replay and nobody's memory.

pub mod hub;
mod key_index;
pub mod mailbox;
pub mod stream;

pub use hub::Hub;
pub use stream::{Delivery, Filters, WatchSpec, Watches};
