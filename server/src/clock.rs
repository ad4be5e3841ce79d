//! The only place that reads a clock.
//!
//! It is tokio's, so that a test can pause it. `clippy.toml` bans the standard library's
//! `Instant::now` and `thread::sleep` everywhere else.

pub use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

/// The monotonic clock.
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// The wall clock, in milliseconds of Unix time: for people to read, and for nothing to depend on.
#[must_use]
pub fn unix_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
