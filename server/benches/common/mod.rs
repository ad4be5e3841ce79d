//! What several benchmarks need: a store on a disk, and commands for it.

pub mod commands;
mod disk;

pub use disk::{Disk, Syncing};
