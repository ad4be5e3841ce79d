//! What happens once and is timed, where a closed loop would say nothing: one file for each.
//!
//! A shot has a fresh server, as a round of a closed loop has. What is over quickly is shot again
//! and again within the round; its figures are then the median of all.

mod expiry;
mod fan_out;
mod herd;
mod keys;
mod leases;
mod start;
mod watchers;

use anyhow::Result;
use clap::ValueEnum;

use crate::{
    figures::{Figures, Metric},
    ground::Ground,
    plan::Timing,
    scenario::Unit,
    servers::Server,
    system::System,
    wire::Wire,
};

/// What is shot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shot {
    /// One Put, and how long until the last watcher of the key was told
    FanOut,
    /// All who wait for a lock have their turn, one after the other
    Herd,
    /// Leases whose time is over at once, with Puts meanwhile
    Expiry,
    /// From exec to the first linearizable read
    Start,
    /// Put, Get, start and memory with many keys
    Keys,
    /// Keepalive, grant and revoke, and memory with many leases
    Leases,
    /// Put with many watchers of other keys
    Watchers,
}

impl Shot {
    /// All, in the order in which they run.
    pub const ALL: [Shot; 7] = [
        Shot::FanOut,
        Shot::Herd,
        Shot::Expiry,
        Shot::Start,
        Shot::Keys,
        Shot::Leases,
        Shot::Watchers,
    ];

    /// Its name, as the flag has it.
    pub fn name(self) -> &'static str {
        match self {
            Shot::FanOut => "fan-out",
            Shot::Herd => "herd",
            Shot::Expiry => "expiry",
            Shot::Start => "start",
            Shot::Keys => "keys",
            Shot::Leases => "leases",
            Shot::Watchers => "watchers",
        }
    }

    /// What there is a number of.
    pub fn unit(self) -> Unit {
        match self {
            Shot::FanOut | Shot::Watchers => Unit::Watcher,
            Shot::Herd => Unit::Waiter,
            Shot::Expiry | Shot::Leases => Unit::Lease,
            Shot::Start | Shot::Keys => Unit::Key,
        }
    }

    /// The smallest number that it can do with.
    pub fn least(self) -> usize {
        match self {
            Shot::Start | Shot::Watchers => 0,
            _ => 1,
        }
    }

    /// Whether it only shows how cost grows.
    pub fn is_for_sweeps(self) -> bool {
        matches!(self, Shot::Keys | Shot::Leases | Shot::Watchers)
    }

    /// What is measured. The first one counts most.
    pub fn columns(self) -> &'static [Metric] {
        match self {
            Shot::FanOut => &[
                Metric::LastTold,
                Metric::Events,
                Metric::Cpu,
                Metric::Load,
                Metric::Rss,
            ],
            Shot::Herd => &[
                Metric::HandOff,
                Metric::Drained,
                Metric::Cpu,
                Metric::Load,
                Metric::Rss,
            ],
            Shot::Expiry => &[
                Metric::LateP99,
                Metric::Late,
                Metric::Latest,
                Metric::Early,
                Metric::Span,
                Metric::PutsMeanwhile,
                Metric::PutsBefore,
                Metric::Rss,
            ],
            Shot::Start => &[Metric::Start, Metric::StartKilled, Metric::Rss],
            Shot::Keys => &[
                Metric::PutP50,
                Metric::PutP99,
                Metric::GetP50,
                Metric::GetP99,
                Metric::Start,
                Metric::Rss,
            ],
            Shot::Leases => &[Metric::KeepaliveP50, Metric::GrantRevokeP50, Metric::Rss],
            Shot::Watchers => &[
                Metric::P50,
                Metric::P99,
                Metric::Throughput,
                Metric::Cpu,
                Metric::Rss,
            ],
        }
    }

    /// One turn.
    ///
    /// # Errors
    /// When the server refuses something, or something does not come about.
    pub async fn fire(self, turn: Turn<'_>) -> Result<Figures> {
        match self {
            Shot::FanOut => fan_out::fire(turn).await,
            Shot::Herd => herd::fire(turn).await,
            Shot::Expiry => expiry::fire(turn).await,
            Shot::Start => start::fire(turn).await,
            Shot::Keys => keys::fire(turn).await,
            Shot::Leases => leases::fire(turn).await,
            Shot::Watchers => watchers::fire(turn).await,
        }
    }
}

/// What a shot has in one turn.
pub struct Turn<'a> {
    /// From what servers are started.
    pub ground: &'a Ground,
    /// Whose turn it is.
    pub system: System,
    /// Its server, fresh.
    pub server: &'a mut Server,
    /// Connections to it.
    pub wires: Vec<Wire>,
    /// How many of the shot's unit there are.
    pub size: usize,
    /// How long what is repeated is repeated.
    pub timing: Timing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_flag() {
        for shot in Shot::ALL {
            assert_eq!(Shot::from_str(shot.name(), false), Ok(shot));
        }
    }
}
