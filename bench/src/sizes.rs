//! How many of each: the flags.

use clap::builder::RangedU64ValueParser;

use crate::scenario::Unit;

/// The numbers of the scenarios' cases.
#[derive(clap::Args, Clone)]
pub struct Sizes {
    /// How many closed-loop clients; each number is a case of its own.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [1, 32, 256],
          value_parser = at_least_one())]
    pub clients: Vec<usize>,

    /// How many watchers of one key in fan-out.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [1_000],
          value_parser = at_least_one())]
    pub watchers: Vec<usize>,

    /// How many callers that wait in herd.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [1_000, 10_000],
          value_parser = at_least_one())]
    pub waiters: Vec<usize>,

    /// How many leases in expiry.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [1_000, 10_000],
          value_parser = at_least_one())]
    pub leases: Vec<usize>,

    /// How many keys in start.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [0, 1_000_000])]
    pub keys: Vec<usize>,
}

/// The usual numbers along the sweeps.
const WAITERS: [usize; 4] = [10, 100, 1_000, 10_000];
const KEYS: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
const LEASES: [usize; 3] = [1_000, 10_000, 100_000];
const WATCHERS: [usize; 5] = [1, 10, 100, 1_000, 10_000];

/// The numbers along the sweeps.
#[derive(clap::Args, Clone)]
pub struct SweepSizes {
    /// How many callers that wait for a lock.
    #[arg(long, value_name = "N,…", value_delimiter = ',',
          default_values_t = WAITERS, value_parser = at_least_one())]
    waiters: Vec<usize>,

    /// How many keys.
    #[arg(long, value_name = "N,…", value_delimiter = ',',
          default_values_t = KEYS, value_parser = at_least_one())]
    keys: Vec<usize>,

    /// How many leases.
    #[arg(long, value_name = "N,…", value_delimiter = ',',
          default_values_t = LEASES, value_parser = at_least_one())]
    leases: Vec<usize>,

    /// How many watchers.
    #[arg(long, value_name = "N,…", value_delimiter = ',',
          default_values_t = WATCHERS, value_parser = at_least_one())]
    watchers: Vec<usize>,
}

impl Sizes {
    /// The numbers of a unit.
    pub fn of(&self, unit: Unit) -> &[usize] {
        match unit {
            Unit::Client => &self.clients,
            Unit::Watcher => &self.watchers,
            Unit::Waiter => &self.waiters,
            Unit::Lease => &self.leases,
            Unit::Key => &self.keys,
        }
    }
}

impl SweepSizes {
    /// Those that are used unless others are given.
    pub fn usual() -> Self {
        Self {
            waiters: WAITERS.to_vec(),
            keys: KEYS.to_vec(),
            leases: LEASES.to_vec(),
            watchers: WATCHERS.to_vec(),
        }
    }

    /// The numbers of a unit; clients are no sweep.
    pub fn of(&self, unit: Unit) -> &[usize] {
        match unit {
            Unit::Client => &[],
            Unit::Watcher => &self.watchers,
            Unit::Waiter => &self.waiters,
            Unit::Lease => &self.leases,
            Unit::Key => &self.keys,
        }
    }
}

/// For flags that count what there must be at least one of.
pub fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}
