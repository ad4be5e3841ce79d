//! Micro-benchmarks of the parts that every request goes through, over the library's public API.
//!
//! One program, because each costs a link with the whole server in it. Figures go by
//! `group/what/size`, and `cargo bench -p latchd -- hub` runs those that have `hub` in their name.
//! Each benchmark says what one iteration of it is.

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on fails here"
)]

mod common;
mod hub;
mod index;
mod lessor;
mod mvcc;
mod queue;

use std::time::Duration;

use criterion::Criterion;
use mimalloc::MiMalloc;

/// The server's allocator, or the figures would be of another server.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    // Short, because there are many; `--measurement-time` and the like win over it.
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(50)
        .configure_from_args();
    mvcc::benches(&mut criterion);
    index::benches(&mut criterion);
    hub::benches(&mut criterion);
    lessor::benches(&mut criterion);
    queue::benches(&mut criterion);
    criterion.final_summary();
}
