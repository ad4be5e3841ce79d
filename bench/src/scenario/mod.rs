//! What is measured. In a [`Work`], clients do one thing over and over: one file for each kind of
//! client. In a [`Shot`], one thing happens and is timed (see [`shot`](crate::shot)).
//!
//! A client prepares itself (leases, keys) before the load begins; `operate` is one operation and
//! sends nothing but what the scenario is about. Every reply is looked at: a server that is fast
//! because it refuses does not count as fast.

mod dreadlock;
mod keepalive;
mod kv;
mod lease;
pub mod lock;
mod redis;
mod txn_lock;

use anyhow::{Context, Result, bail};
use clap::{ValueEnum, builder::PossibleValue};
use latchd_proto::etcdserverpb::{LeaseGrantRequest, lease_client::LeaseClient};

use crate::{figures::Metric, shot::Shot, system::System, wire::Wire};

pub use kv::VALUE;
pub use redis::Connection as RedisConnection;

/// How long the clients' leases live, in seconds: longer than any round, so that nobody renews.
const LEASE_TTL: i64 = 3600;
/// How many clients want the same lock in `contended-groups`.
const GROUP: usize = 8;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Clients do it over and over.
    Loop(Work),
    /// It happens, and is timed.
    Shot(Shot),
}

/// What closed-loop clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// Lock and Unlock of the Lock service, each client on a name of its own
    Lock,
    /// The same through Txn and DeleteRange, as Go's concurrency.Mutex does it
    TxnLock,
    /// Put, each client on a key of its own
    Put,
    /// Get, each client its own key
    Get,
    /// One keepalive on an open stream
    Keepalive,
    /// LeaseGrant and LeaseRevoke
    GrantRevoke,
    /// Lock and Unlock, all clients on one name
    Contended,
    /// Lock and Unlock, eight clients on each name
    ContendedGroups,
    /// lock and unlock in Dreadlock's protocol, each client on a connection and a name of its own
    Dreadlock,
}

/// What a case has a number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Closed-loop clients.
    Client,
    /// Watchers.
    Watcher,
    /// Callers that wait for a lock.
    Waiter,
    /// Leases.
    Lease,
    /// Keys.
    Key,
}

impl Unit {
    /// Its plural, as the flags and the JSON have it.
    pub fn plural(self) -> &'static str {
        match self {
            Unit::Client => "clients",
            Unit::Watcher => "watchers",
            Unit::Waiter => "waiters",
            Unit::Lease => "leases",
            Unit::Key => "keys",
        }
    }
}

impl Work {
    /// All, in the order in which they run.
    const ALL: [Work; 9] = [
        Work::Lock,
        Work::TxnLock,
        Work::Put,
        Work::Get,
        Work::Keepalive,
        Work::GrantRevoke,
        Work::Contended,
        Work::ContendedGroups,
        Work::Dreadlock,
    ];

    fn name(self) -> &'static str {
        match self {
            Work::Lock => "lock",
            Work::TxnLock => "txn-lock",
            Work::Put => "put",
            Work::Get => "get",
            Work::Keepalive => "keepalive",
            Work::GrantRevoke => "grant-revoke",
            Work::Contended => "contended",
            Work::ContendedGroups => "contended-groups",
            Work::Dreadlock => "dreadlock",
        }
    }

    fn contends(self) -> bool {
        matches!(self, Work::Contended | Work::ContendedGroups)
    }
}

/// Every one there is.
const EVERY: [Scenario; Work::ALL.len() + Shot::ALL.len()] = {
    let mut every = [Scenario::Loop(Work::Lock); Work::ALL.len() + Shot::ALL.len()];
    let (mut n, mut shots) = (0, 0);
    while n < Work::ALL.len() {
        every[n] = Scenario::Loop(Work::ALL[n]);
        n += 1;
    }
    while shots < Shot::ALL.len() {
        every[n + shots] = Scenario::Shot(Shot::ALL[shots]);
        shots += 1;
    }
    every
};

impl Scenario {
    /// Those of a run that is told nothing else, in their order. The others show how cost grows, and
    /// have a place in the sweeps.
    pub fn compared() -> Vec<Scenario> {
        let mut all = EVERY.to_vec();
        all.retain(|scenario| !matches!(scenario, Scenario::Shot(shot) if shot.is_for_sweeps()));
        all
    }

    /// Its name, as the flag has it.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Loop(work) => work.name(),
            Scenario::Shot(shot) => shot.name(),
        }
    }

    /// What there is a number of.
    pub fn unit(self) -> Unit {
        match self {
            Scenario::Loop(_) => Unit::Client,
            Scenario::Shot(shot) => shot.unit(),
        }
    }

    /// With fewer it would be another scenario.
    pub fn least(self) -> usize {
        match self {
            Scenario::Loop(Work::Contended) => 2,
            Scenario::Loop(Work::ContendedGroups) => 2 * GROUP,
            Scenario::Loop(_) => 1,
            Scenario::Shot(shot) => shot.least(),
        }
    }

    /// What is measured: the columns of its table. The first one counts most.
    pub fn columns(self) -> &'static [Metric] {
        match self {
            Scenario::Loop(_) => &[
                Metric::Throughput,
                Metric::P50,
                Metric::P99,
                Metric::Cpu,
                Metric::Load,
                Metric::Rss,
            ],
            Scenario::Shot(shot) => shot.columns(),
        }
    }

    /// What only the JSON and the plots have room for.
    pub fn details(self) -> &'static [Metric] {
        match self {
            Scenario::Loop(_) => &[Metric::P90, Metric::P999, Metric::Slowest],
            Scenario::Shot(_) => &[],
        }
    }

    /// Whether a system can do it. The floor holds no lock for anybody and remembers nothing; Redis
    /// has no queue of waiters, no watch that misses nothing, and no lease apart from its key.
    pub fn is_known_to(self, system: System) -> bool {
        match (system, self) {
            (_, Scenario::Loop(Work::Dreadlock)) => {
                matches!(system, System::Latchd | System::Floor)
            }
            (System::Latchd | System::Etcd, _) => true,
            (System::Floor, Scenario::Loop(work)) => !work.contends(),
            (System::Floor, Scenario::Shot(shot)) => shot == Shot::FanOut,
            (System::Redis, Scenario::Loop(work)) => {
                matches!(work, Work::Lock | Work::Put | Work::Get)
            }
            (System::Redis, Scenario::Shot(_)) => false,
        }
    }

    /// Whether one lock goes from client to client, so that its [`Bound`](crate::bound::Bound)
    /// says what could be reached.
    pub fn hands_over(self) -> bool {
        self == Scenario::Loop(Work::Contended)
    }
}

impl ValueEnum for Scenario {
    fn value_variants<'a>() -> &'a [Self] {
        &EVERY
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Scenario::Loop(work) => work.to_possible_value(),
            Scenario::Shot(shot) => shot.to_possible_value(),
        }
    }
}

/// A client, ready to operate.
pub enum Client {
    Lock(lock::Locker),
    TxnLock(txn_lock::TxnLocker),
    Put(kv::Putter),
    Get(kv::Getter),
    Keepalive(keepalive::Keeper),
    GrantRevoke(lease::Granter),
    Redis(redis::RedisClient),
    Dreadlock(dreadlock::LineLocker),
}

impl Client {
    /// Client number `index` of a work, speaking gRPC.
    ///
    /// # Errors
    /// When the server refuses what it prepares.
    pub async fn prepare(work: Work, wire: Wire, index: usize) -> Result<Self> {
        let own = format!("bench/{index}");
        let prepared = async {
            Ok(match work {
                Work::Lock => Self::Lock(lock::Locker::prepare(wire, &own).await?),
                Work::TxnLock => Self::TxnLock(txn_lock::TxnLocker::prepare(wire, &own).await?),
                Work::Put => Self::Put(kv::Putter::prepare(wire, own)?),
                Work::Get => Self::Get(kv::Getter::prepare(wire, own).await?),
                Work::Keepalive => Self::Keepalive(keepalive::Keeper::prepare(wire).await?),
                Work::GrantRevoke => Self::GrantRevoke(lease::Granter::prepare(&wire)?),
                Work::Dreadlock => bail!("Dreadlock does not come over gRPC"),
                Work::Contended => Self::Lock(lock::Locker::prepare(wire, "bench/all").await?),
                Work::ContendedGroups => {
                    let group = format!("bench/group/{}", index / GROUP);
                    Self::Lock(lock::Locker::prepare(wire, &group).await?)
                }
            })
        };
        let prepared: Result<Self> = prepared.await;
        prepared.with_context(|| format!("preparing client {index}"))
    }

    /// Client number `index` of a work, speaking to Redis.
    ///
    /// # Errors
    /// When the server refuses what it prepares, or Redis has no such thing.
    pub async fn prepare_redis(
        work: Work,
        connection: RedisConnection,
        index: usize,
    ) -> Result<Self> {
        let own = format!("bench/{index}");
        Ok(Self::Redis(match work {
            Work::Lock => redis::RedisClient::locker(connection, own).await?,
            Work::Put => redis::RedisClient::putter(connection, own),
            Work::Get => redis::RedisClient::getter(connection, own).await?,
            other => bail!("Redis does not do {}", other.name()),
        }))
    }

    /// Client number `index` of Dreadlock, on a connection of its own.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn prepare_line(port: u16, index: usize) -> Result<Self> {
        let locker = dreadlock::LineLocker::prepare(port, &format!("bench{index}")).await;
        let locker = locker.with_context(|| format!("preparing client {index}"))?;
        Ok(Self::Dreadlock(locker))
    }

    /// Overwrites one of these keys after the other.
    ///
    /// # Errors
    /// None that is expected.
    pub fn putting(wire: Wire, keys: impl Iterator<Item = String>) -> Result<Self> {
        Ok(Self::Put(kv::Putter::among(wire, keys)?))
    }

    /// Reads one of these keys after the other; they are there, with [`VALUE`].
    ///
    /// # Errors
    /// None that is expected.
    pub fn getting(wire: Wire, keys: impl Iterator<Item = String>) -> Result<Self> {
        Ok(Self::Get(kv::Getter::among(wire, keys)?))
    }

    /// One operation.
    ///
    /// # Errors
    /// When the server refuses it, or its reply is not what it must be.
    pub async fn operate(&mut self) -> Result<()> {
        match self {
            Self::Lock(client) => client.operate().await,
            Self::TxnLock(client) => client.operate().await,
            Self::Put(client) => client.operate().await,
            Self::Get(client) => client.operate().await,
            Self::Keepalive(client) => client.operate().await,
            Self::GrantRevoke(client) => client.operate().await,
            Self::Redis(client) => client.operate().await,
            Self::Dreadlock(client) => client.operate().await,
        }
    }
}

/// A lease that outlives the round.
async fn grant(wire: Wire) -> Result<i64> {
    grant_for(wire, LEASE_TTL).await
}

/// A lease of `ttl` seconds.
async fn grant_for(wire: Wire, ttl: i64) -> Result<i64> {
    let request = LeaseGrantRequest { ttl, id: 0 };
    let granted = LeaseClient::new(wire).lease_grant(request).await;
    Ok(granted.context("LeaseGrant")?.into_inner().id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_flag() {
        for scenario in EVERY {
            let parsed = Scenario::from_str(scenario.name(), false);
            assert_eq!(parsed, Ok(scenario));
        }
    }

    #[test]
    fn what_only_sweeps_need_is_left_to_them() {
        let names: Vec<_> = Scenario::compared().iter().map(|s| s.name()).collect();
        assert!(names.contains(&"herd") && names.contains(&"lock"));
        assert!(!names.contains(&"keys") && !names.contains(&"leases"));
    }
}
