//! Making many of a kind, and keeping them.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use futures::{StreamExt, TryStreamExt, channel::mpsc, stream};
use latchd_proto::{
    etcdserverpb::{
        LeaseGrantRequest, LeaseLeasesRequest, PutRequest, RangeRequest, WatchCreateRequest,
        WatchRequest, WatchResponse, kv_client::KvClient, lease_client::LeaseClient,
        watch_client::WatchClient, watch_request::RequestUnion,
    },
    v3lockpb::{LockRequest, lock_client::LockClient},
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::Streaming;

use crate::wire::Wire;

use crate::servers::Server;

/// Connections that the pieces share.
const CONNECTIONS: usize = 10;
/// Watchers on one stream.
const ON_A_STREAM: usize = 100;
/// Calls that are under way at a time.
const AT_ONCE: usize = 256;
/// In seconds: longer than it all takes.
const TTL: i64 = 7200;
/// How long anything may take that should come at once.
const PATIENCE: Duration = Duration::from_secs(120);

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
    channels: Vec<Wire>,
    /// For the waiters.
    leases: Vec<i64>,
}

/// The pieces; they are there as long as this is.
pub enum Held {
    Connections(Vec<Wire>),
    Watches(Vec<Watch>, Wire),
    Leases(Wire, usize),
    Waiters(JoinSet<Result<()>>),
}

/// An open Watch stream.
pub struct Watch {
    /// The last key that it watches.
    key: String,
    _requests: mpsc::UnboundedSender<WatchRequest>,
    responses: Streaming<WatchResponse>,
}

/// Opens the connections, and grants the leases that are not weighed.
///
/// # Errors
/// When the server refuses.
pub async fn prepare(piece: Piece, server: &Server, count: usize) -> Result<Stand> {
    let channels = server.connections(CONNECTIONS).await?;
    for channel in &channels {
        touch(channel).await?;
    }
    let leases = match piece {
        Piece::Waiter => grant(&channels, count + 1).await?,
        _ => Vec::new(),
    };
    if let Some(first) = leases.first() {
        lock(channels[0].clone(), *first).await?;
    }
    Ok(Stand {
        piece,
        channels,
        leases,
    })
}

impl Stand {
    /// Makes `count` pieces.
    ///
    /// # Errors
    /// When the server refuses one.
    pub async fn hold(self, server: &Server, count: usize) -> Result<Held> {
        let channels = self.channels;
        let first = channels[0].clone();
        Ok(match self.piece {
            Piece::Connection => Held::Connections(connections(server, count).await?),
            Piece::Watcher => Held::Watches(watches(&channels, count, ON_A_STREAM).await?, first),
            Piece::WatchStream => Held::Watches(watches(&channels, count, 1).await?, first),
            Piece::Lease => {
                grant(&channels, count).await?;
                Held::Leases(first, count)
            }
            Piece::LeasedKey => {
                put_each(&channels, &grant(&channels, count).await?).await?;
                Held::Leases(first, count)
            }
            Piece::Waiter => Held::Waiters(wait_all(&channels, &self.leases[1..]).await?),
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
            Held::Connections(channels) => touch(channels.last().context("no connections")?).await,
            Held::Watches(watches, channel) => {
                let watch = watches.last_mut().context("no watches")?;
                put(channel, watch.key.clone(), 0).await?;
                let told = timeout(PATIENCE, watch.responses.message()).await??;
                let events = told.context("Watch: the stream ended")?.events.len();
                ensure!(events == 1, "Watch: {events} events instead of one");
                Ok(())
            }
            Held::Leases(channel, count) => {
                let request = LeaseLeasesRequest {};
                let mut client =
                    LeaseClient::new(channel.clone()).max_decoding_message_size(usize::MAX);
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

async fn touch(channel: &Wire) -> Result<()> {
    count_under(channel, "footprint/").await.map(|_| ())
}

async fn connections(server: &Server, count: usize) -> Result<Vec<Wire>> {
    let connections = (0..count).map(|_| async {
        let channel = server.connections(1).await?.remove(0);
        touch(&channel).await?;
        anyhow::Ok(channel)
    });
    stream::iter(connections)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// Streams with `on_a_stream` watchers each, every watcher on a key of its own.
async fn watches(channels: &[Wire], count: usize, on_a_stream: usize) -> Result<Vec<Watch>> {
    let keys: Vec<String> = (0..count).map(|n| format!("footprint/{n}")).collect();
    let streams = keys.chunks(on_a_stream).zip(channels.iter().cycle());
    let streams = streams.map(|(keys, channel)| watch(channel.clone(), keys.to_vec()));
    stream::iter(streams)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

async fn watch(channel: Wire, keys: Vec<String>) -> Result<Watch> {
    let (requests, sent) = mpsc::unbounded();
    for key in keys.clone() {
        let create = WatchCreateRequest {
            key: key.into(),
            ..Default::default()
        };
        let request_union = Some(RequestUnion::CreateRequest(create));
        requests.unbounded_send(WatchRequest { request_union })?;
    }
    let opened = WatchClient::new(channel)
        .watch(sent)
        .await
        .context("Watch")?;
    let mut responses = opened.into_inner();
    for _ in &keys {
        let created = responses
            .message()
            .await?
            .context("Watch: the stream ended")?;
        ensure!(created.created && !created.canceled, "Watch: {created:?}");
    }
    Ok(Watch {
        key: keys.last().cloned().unwrap_or_default(),
        _requests: requests,
        responses,
    })
}

async fn grant(channels: &[Wire], count: usize) -> Result<Vec<i64>> {
    let grants = channels.iter().cycle().take(count).map(|channel| async {
        let request = LeaseGrantRequest { ttl: TTL, id: 0 };
        let granted = LeaseClient::new(channel.clone()).lease_grant(request).await;
        anyhow::Ok(granted.context("LeaseGrant")?.into_inner().id)
    });
    stream::iter(grants)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

async fn put_each(channels: &[Wire], leases: &[i64]) -> Result<()> {
    let puts = leases
        .iter()
        .zip(channels.iter().cycle())
        .map(|(lease, channel)| put(channel, format!("footprint/{lease:x}"), *lease));
    stream::iter(puts)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

async fn put(channel: &Wire, key: String, lease: i64) -> Result<()> {
    let request = PutRequest {
        key: key.into(),
        lease,
        ..Default::default()
    };
    KvClient::new(channel.clone())
        .put(request)
        .await
        .context("Put")?;
    Ok(())
}

/// Calls that wait, each on its lease; returns when all their keys are there.
async fn wait_all(channels: &[Wire], leases: &[i64]) -> Result<JoinSet<Result<()>>> {
    let mut waiters = JoinSet::new();
    for (lease, channel) in leases.iter().zip(channels.iter().cycle()) {
        waiters.spawn(lock(channel.clone(), *lease));
    }
    let all_there = async {
        while count_under(&channels[0], "footprint/").await? <= leases.len() as i64 {
            sleep(Duration::from_millis(100)).await;
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, all_there)
        .await
        .context("not all waiters wait")??;
    Ok(waiters)
}

async fn lock(channel: Wire, lease: i64) -> Result<()> {
    let request = LockRequest {
        name: "footprint".into(),
        lease,
    };
    LockClient::new(channel)
        .lock(request)
        .await
        .context("Lock")?;
    Ok(())
}

async fn count_under(channel: &Wire, prefix: &'static str) -> Result<i64> {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    let request = RangeRequest {
        key: prefix.into(),
        range_end: end.into(),
        count_only: true,
        ..Default::default()
    };
    let counted = KvClient::new(channel.clone()).range(request).await;
    Ok(counted.context("Range")?.into_inner().count)
}
