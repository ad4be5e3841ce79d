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
