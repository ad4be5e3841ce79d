//! What the programs are asked to play.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A scenario, by the name that programs know it by.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// A holder, and another who is refused or waits, and gets it afterwards.
    Lock,
    /// Several clients take their turns, in the order they came if they queue.
    Contend,
    /// A holder goes silent and loses the lock; another is kept alive.
    Expire,
    /// A leader proclaims and resigns, a candidate follows, an observer sees it.
    Elect,
    /// A key from an old revision on, a prefix, and a compacted revision.
    Watch,
    /// Several clients increment an unprotected counter under the lock.
    Counter,
    /// A lease with a key, renewed and revoked.
    Lease,
    /// Sessions whose leases are revoked under them.
    Revoke,
    /// A waiter who gives up.
    LostWaiter,
    /// Transfers between accounts by transactional memory.
    Stm,
}

impl Scenario {
    /// Those that every program is asked, as far as its library can.
    pub const COMMON: [Self; 6] = [
        Self::Lock,
        Self::Contend,
        Self::Expire,
        Self::Elect,
        Self::Watch,
        Self::Counter,
    ];
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_possible_value() {
            Some(value) => f.write_str(value.get_name()),
            None => Err(fmt::Error),
        }
    }
}
