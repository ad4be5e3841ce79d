//! What the clients do: one file for each kind of client.
//!
//! A client prepares itself (leases, keys) before the load begins; `operate` is one operation and
//! sends nothing but what the scenario is about. Every reply is looked at: a server that is fast
//! because it refuses does not count as fast.

mod keepalive;
mod kv;
mod lease;
pub mod lock;
mod txn_lock;

use crate::wire::Wire;
use anyhow::{Context, Result};
use clap::ValueEnum;
use latchd_proto::etcdserverpb::{LeaseGrantRequest, lease_client::LeaseClient};

pub use kv::VALUE;

/// How long the clients' leases live, in seconds: longer than any round, so that nobody renews.
const LEASE_TTL: i64 = 3600;
/// How many clients want the same lock in `contended-groups`.
const GROUP: usize = 8;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
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
}

impl Scenario {
    /// All, in the order in which they run.
    pub const ALL: [Scenario; 8] = [
        Scenario::Lock,
        Scenario::TxnLock,
        Scenario::Put,
        Scenario::Get,
        Scenario::Keepalive,
        Scenario::GrantRevoke,
        Scenario::Contended,
        Scenario::ContendedGroups,
    ];

    /// Its name, as the flag has it.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Lock => "lock",
            Scenario::TxnLock => "txn-lock",
            Scenario::Put => "put",
            Scenario::Get => "get",
            Scenario::Keepalive => "keepalive",
            Scenario::GrantRevoke => "grant-revoke",
            Scenario::Contended => "contended",
            Scenario::ContendedGroups => "contended-groups",
        }
    }

    /// With fewer clients it would be another scenario.
    pub fn least_clients(self) -> usize {
        match self {
            Scenario::Contended => 2,
            Scenario::ContendedGroups => 2 * GROUP,
            _ => 1,
        }
    }

    /// Whether one lock goes from client to client, so that its [`Bound`](crate::bound::Bound)
    /// says what could be reached.
    pub fn hands_over(self) -> bool {
        self == Scenario::Contended
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
}

impl Client {
    /// Client number `index` of a scenario.
    ///
    /// # Errors
    /// When the server refuses what it prepares.
    pub async fn prepare(scenario: Scenario, channel: Wire, index: usize) -> Result<Self> {
        let own = format!("bench/{index}");
        let prepared = async {
            Ok(match scenario {
                Scenario::Lock => Self::Lock(lock::Locker::prepare(channel, &own).await?),
                Scenario::TxnLock => {
                    Self::TxnLock(txn_lock::TxnLocker::prepare(channel, &own).await?)
                }
                Scenario::Put => Self::Put(kv::Putter::prepare(channel, own)),
                Scenario::Get => Self::Get(kv::Getter::prepare(channel, own).await?),
                Scenario::Keepalive => Self::Keepalive(keepalive::Keeper::prepare(channel).await?),
                Scenario::GrantRevoke => Self::GrantRevoke(lease::Granter::prepare(channel)),
                Scenario::Contended => {
                    Self::Lock(lock::Locker::prepare(channel, "bench/all").await?)
                }
                Scenario::ContendedGroups => {
                    let group = format!("bench/group/{}", index / GROUP);
                    Self::Lock(lock::Locker::prepare(channel, &group).await?)
                }
            })
        };
        let prepared: Result<Self> = prepared.await;
        prepared.with_context(|| format!("preparing client {index}"))
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
        }
    }
}

/// A lease that outlives the round.
async fn grant(channel: Wire) -> Result<i64> {
    grant_for(channel, LEASE_TTL).await
}

/// A lease of `ttl` seconds.
async fn grant_for(channel: Wire, ttl: i64) -> Result<i64> {
    let request = LeaseGrantRequest { ttl, id: 0 };
    let granted = LeaseClient::new(channel).lease_grant(request).await;
    Ok(granted.context("LeaseGrant")?.into_inner().id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_flag() {
        for scenario in Scenario::ALL {
            let parsed = Scenario::from_str(scenario.name(), false);
            assert_eq!(parsed, Ok(scenario));
        }
    }
}
