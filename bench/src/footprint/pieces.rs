//! Making many of a kind, and keeping them.

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use futures::{StreamExt, TryStreamExt, stream};
use latchd_proto::etcdserverpb::{LeaseLeasesRequest, lease_client::LeaseClient};
use tokio::{task::JoinSet, time::timeout};
use tonic::codegen::Bytes;

use crate::{
    crowd::{self, Watch},
    servers::Server,
    wire::Wire,
};

/// Connections that the pieces share.
const CONNECTIONS: usize = 10;
/// Watchers on one stream.
const ON_A_STREAM: usize = 100;
/// In seconds: longer than it all takes.
const TTL: i64 = 7200;
/// The lock that is waited for, and where all keys are.
const NAME: &str = "footprint";
const PREFIX: &str = "footprint/";

/// What is weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Piece {
    /// An HTTP/2 connection on which one call has been made.
    Connection,
    /// A watcher, with 99 others on its stream.
    Watcher,
    /// A Watch stream with one watcher.
    WatchStream,
    /// A lease.
    Lease,
    /// A key with a lease of its own, both.
    LeasedKey,
    /// A Lock call that waits: its key and its call, its lease aside.
    Waiter,
}

impl Piece {
    /// All, in the order of the rows.
    pub const ALL: [Piece; 6] = [
        Piece::Connection,
        Piece::Watcher,
        Piece::WatchStream,
        Piece::Lease,
        Piece::LeasedKey,
        Piece::Waiter,
    ];

    /// Its name, as the flag has it.
    pub fn name(self) -> &'static str {
        match self {
            Piece::Connection => "connection",
            Piece::Watcher => "watcher",
            Piece::WatchStream => "watch-stream",
            Piece::Lease => "lease",
            Piece::LeasedKey => "leased-key",
            Piece::Waiter => "waiter",
        }
    }

    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Piece::Connection => "idle connection",
            Piece::Watcher => "watcher, 100 a stream",
            Piece::WatchStream => "watcher, own stream",
            Piece::Lease => "lease",
            Piece::LeasedKey => "lease and its key",
            Piece::Waiter => "waiter for a lock",
        }
    }
}

/// What was there before the first piece.
pub struct Stand {
    piece: Piece,
    wires: Vec<Wire>,
    /// For the waiters.
    leases: Vec<i64>,
}

/// The pieces; they are there as long as this is.
pub enum Held {
    Connections(Vec<Wire>),
    Watches(Vec<Watch>, Wire),
    Leases(Wire, usize),
    Waiters(JoinSet<Result<Bytes>>),
}

/// Opens the connections, and grants the leases that are not weighed.
///
/// # Errors
/// When the server refuses.
pub async fn prepare(piece: Piece, server: &Server, count: usize) -> Result<Stand> {
    let wires = server.connections(CONNECTIONS).await?;
    for wire in &wires {
        touch(wire).await?;
    }
    let leases = match piece {
        Piece::Waiter => crowd::grant(&wires, count + 1, TTL).await?,
        _ => Vec::new(),
    };
    if let Some(first) = leases.first() {
        crowd::lock(&wires[0], NAME, *first).await?;
    }
    Ok(Stand {
        piece,
        wires,
        leases,
    })
}

impl Stand {
    /// Makes `count` pieces.
    ///
    /// # Errors
    /// When the server refuses one.
    pub async fn hold(self, server: &Server, count: usize) -> Result<Held> {
        let wires = self.wires;
        let first = wires[0].clone();
        Ok(match self.piece {
            Piece::Connection => Held::Connections(connections(server, count).await?),
            Piece::Watcher => Held::Watches(watches(&wires, count, ON_A_STREAM).await?, first),
            Piece::WatchStream => Held::Watches(watches(&wires, count, 1).await?, first),
            Piece::Lease => {
                crowd::grant(&wires, count, TTL).await?;
                Held::Leases(first, count)
            }
            Piece::LeasedKey => {
                let leases = crowd::grant(&wires, count, TTL).await?;
                put_each(&wires, &leases).await?;
                Held::Leases(first, count)
            }
            Piece::Waiter => Held::Waiters(wait_all(&wires, &self.leases[1..]).await?),
        })
    }
}

impl Held {
    /// Looks whether they are what they should be.
    ///
    /// # Errors
    /// When they are not.
    pub async fn check(&mut self) -> Result<()> {
        match self {
            Held::Connections(wires) => touch(wires.last().context("no connections")?).await,
            Held::Watches(watches, wire) => {
                let watch = watches.last_mut().context("no watches")?;
                crowd::put(wire, watch.key.clone(), 0).await?;
                let told = timeout(crowd::PATIENCE, watch.responses.message()).await??;
                let events = told.context("Watch: the stream ended")?.events.len();
                ensure!(events == 1, "Watch: {events} events instead of one");
                Ok(())
            }
            Held::Leases(wire, count) => {
                let request = LeaseLeasesRequest {};
                let mut client =
                    LeaseClient::new(wire.clone()).max_decoding_message_size(usize::MAX);
                let listed = client.lease_leases(request).await?.into_inner();
                let there = listed.leases.len();
                ensure!(there == *count, "{there} leases instead of {count}");
                Ok(())
            }
            Held::Waiters(waiters) => {
                let Some(ended) = waiters.try_join_next() else {
                    return Ok(());
                };
                ended.context("a waiter panicked")??;
                bail!("a waiter got a lock that is held")
            }
        }
    }
}

async fn touch(wire: &Wire) -> Result<()> {
    crowd::count_under(wire, PREFIX).await.map(|_| ())
}

async fn connections(server: &Server, count: usize) -> Result<Vec<Wire>> {
    let connections = (0..count).map(|_| async {
        let wire = server.connections(1).await?.remove(0);
        touch(&wire).await?;
        anyhow::Ok(wire)
    });
    stream::iter(connections)
        .buffer_unordered(crowd::AT_ONCE)
        .try_collect()
        .await
}

/// Streams with `on_a_stream` watchers each, every watcher on a key of its own.
async fn watches(wires: &[Wire], count: usize, on_a_stream: usize) -> Result<Vec<Watch>> {
    let keys: Vec<String> = (0..count).map(|n| format!("{PREFIX}{n}")).collect();
    crowd::watches(wires, &keys, on_a_stream).await
}

async fn put_each(wires: &[Wire], leases: &[i64]) -> Result<()> {
    let puts = leases
        .iter()
        .zip(wires.iter().cycle())
        .map(|(lease, wire)| crowd::put(wire, format!("{PREFIX}{lease:x}"), *lease));
    stream::iter(puts)
        .buffer_unordered(crowd::AT_ONCE)
        .try_collect()
        .await
}

/// Calls that wait, each on its lease; returns when all their keys are there.
async fn wait_all(wires: &[Wire], leases: &[i64]) -> Result<JoinSet<Result<Bytes>>> {
    let mut waiters = JoinSet::new();
    for (lease, wire) in leases.iter().zip(wires.iter().cycle()) {
        let (wire, lease) = (wire.clone(), *lease);
        waiters.spawn(async move { crowd::lock(&wire, NAME, lease).await });
    }
    crowd::until_under(&wires[0], PREFIX, leases.len() + 1).await?;
    Ok(waiters)
}
