//! `latchctl bench`.

use std::ffi::OsString;
use std::time::Duration;

use crate::duration;

/// Measure how many lock cycles a second the server does: lock, then unlock.
///
/// Each client has a session of its own; they share the locks, so with fewer --locks than --clients
/// they wait for one another, and the figures tell the cost of a hand-off. It writes to the server
/// that it is pointed at, below NAME, and cleans up.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  latchctl bench                          # 16 clients, a lock each
  latchctl bench --locks 1                # all of them want the same one
  latchctl bench --clients 100 --duration 10s -o json")]
pub struct BenchArgs {
    /// The locks are NAME/0, NAME/1 and so on.
    #[arg(value_name = "NAME", default_value = "latchctl-bench")]
    pub name: OsString,
    /// How many lock and unlock at the same time.
    #[arg(long, short = 'c', value_name = "N", default_value_t = 16,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub clients: u32,
    /// How many locks there are [default: one for each client]
    #[arg(long, short = 'l', value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub locks: Option<u32>,
    /// For how long.
    #[arg(long, short = 't', value_name = "TIME", default_value = "3s", value_parser = duration::parse)]
    pub duration: Duration,
}
