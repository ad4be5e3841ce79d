//! What `lock` and `elect` have in common: something is held while a command runs.

use std::time::Duration;

use clap::error::ErrorKind;

use super::mistake;
use crate::duration;

const DEFAULT_KILL_AFTER: Duration = Duration::from_secs(5);
/// What latchd gives, and more than the way to any server takes.
const LEAST_TTL: Duration = Duration::from_millis(100);

/// For how long something is held without news, and how the command ends when it is lost.
#[derive(Debug, clap::Args)]
pub struct HoldArgs {
    /// How long it stays held if latchctl dies, or cannot reach the server: from 100ms on latchd;
    /// whole seconds, at least 2, on etcd
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = ttl)]
    pub ttl: Duration,

    /// How long CMD has to end by itself when it is lost, before it is killed; at most half of
    /// --ttl [default: 5s, or half of --ttl if that is less]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    kill_after: Option<Duration>,
}

impl HoldArgs {
    /// The command has to be gone when the TTL is over, and a healthy session may be down to two
    /// thirds of its TTL; so this is at most half.
    pub fn kill_after(&self) -> Duration {
        let most = self.ttl / 2;
        self.kill_after.unwrap_or(DEFAULT_KILL_AFTER).min(most)
    }

    /// How long before the session's deadline the command is told to end: so that one that has to
    /// be killed is gone before the deadline, not just after it.
    pub fn notice(&self) -> Duration {
        self.kill_after() + self.ttl / 20
    }

    /// Refuses a `--kill-after` that is longer than [`HoldArgs::kill_after`] can be.
    pub fn check(&self, command: &str) -> Result<(), clap::Error> {
        match self.kill_after {
            Some(given) if given != self.kill_after() => Err(mistake(
                command,
                ErrorKind::ValueValidation,
                format!(
                    "--kill-after {given:?} must be at most half of --ttl {:?}: CMD has to be gone \
                     when the TTL is over; give less, or a longer --ttl",
                    self.ttl
                ),
            )),
            _ => Ok(()),
        }
    }
}

fn ttl(text: &str) -> Result<Duration, String> {
    match duration::parse(text)? {
        short if short < LEAST_TTL => Err("it must be at least 100ms".into()),
        ttl => Ok(ttl),
    }
}
