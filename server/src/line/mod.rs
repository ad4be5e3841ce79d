//! The doors of older lock servers that speak in lines: elock and Dreadlock.
//!
//! What this owns: accepting, lines within bounds ([`framing`]), limits, and the two protocols. A
//! client is a [`Guest`](crate::service::guest::Guest), who locks through `latchd.v1`.
//!
//! The connections of a door are served in a few tasks, each a share of them: what they ask for in
//! one round shares a commit, and its answers leave together, as those of the streams of one HTTP/2
//! connection do. There are several, so that some read and answer while another's commit is awaited.

mod connection;
pub mod dreadlock;
pub mod elock;
pub mod framing;
pub mod tls;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::rt::Executor;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::config::DoorSettings;
use crate::listener::{Lifecycle, pause_if_out_of_descriptors};
use crate::proposer::Proposer;
use crate::service::guest::{DoorName, Host};
use crate::service::locks::Keeper;
use crate::socket::{Connection, Listener};
use crate::streams::Streams;
use connection::{Visit, serve_wire};
use elock::Desk;

/// Shares of a door's connections for each thread of the runtime. (With two threads, one share made
/// 0.7 times as many cycles as four at 32 connections and 0.6 times at 256; two and eight were within
/// a tenth of four.)
const SHARES: usize = 2;

/// A door and what its connections have in common.
pub struct LineDoor {
    host: Host,
    /// Where elock's sessions are known.
    desk: Option<Desk>,
    settings: DoorSettings,
    lifecycle: Lifecycle,
    tls: Option<TlsAcceptor>,
    /// Connections, those that are being refused aside.
    admitted: AtomicUsize,
}

impl LineDoor {
    /// A door to `keeper`, through TLS if `tls` is given.
    #[must_use]
    pub fn new(
        door: DoorName,
        keeper: Keeper,
        settings: DoorSettings,
        tls: Option<TlsAcceptor>,
        lifecycle: Lifecycle,
    ) -> LineDoor {
        let host = Host::new(keeper, door, &settings, lifecycle.connections.clone());
        let (tasks, stopping) = (lifecycle.connections.clone(), lifecycle.stopping.clone());
        LineDoor {
            desk: (door == DoorName::Elock).then(|| Desk::new(host.clone(), tasks, stopping)),
            host,
            settings,
            lifecycle,
            tls,
            admitted: AtomicUsize::new(0),
        }
    }

    fn name(&self) -> DoorName {
        self.host.door()
    }
}

/// A connection to serve.
type Served = BoxFuture<'static, ()>;

/// Accepts connections until the server drains, and serves them to their ends.
pub async fn serve(listener: Listener, door: LineDoor, proposer: Proposer) {
    let door = Arc::new(door);
    let threads = tokio::runtime::Handle::current().metrics().num_workers();
    let shares: Vec<_> = (0..threads * SHARES)
        .map(|_| begin_share(door.clone(), proposer.clone()))
        .collect();
    if let Some(desk) = &door.desk {
        elock::adopt(desk.clone()).await;
    }
    for share in shares.iter().cycle() {
        let accepted = tokio::select! {
            biased;
            () = door.lifecycle.stopping.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((wire, peer)) => {
                let visit = Visit::begin(door.clone(), peer);
                // Known to the drain as well, which cuts what does not end in time.
                let served = door.lifecycle.connections.track_future(alone(wire, visit));
                // A share ends only when this does.
                let _ = share.send(Box::pin(served));
            }
            Err(error) => pause_if_out_of_descriptors(&error).await,
        }
    }
}

/// Serves a connection; if that panics, it is the end of this one only.
async fn alone(wire: Connection, visit: Visit) {
    let served = AssertUnwindSafe(serve_wire(wire, visit)).catch_unwind();
    if served.await.is_err() {
        error!("serving a connection panicked; it is closed");
    }
}

/// Begins a task that serves a share of the door's connections. As many may be on their way to it as
/// there are descriptors.
fn begin_share(door: Arc<LineDoor>, proposer: Proposer) -> UnboundedSender<Served> {
    let (share, arriving) = mpsc::unbounded_channel();
    let tasks = door.lifecycle.connections.clone();
    tasks.spawn(async move {
        let streams = Streams::new(proposer);
        let arrived = admit(arriving, door, streams.clone());
        streams.run(arrived).await;
    });
    share
}

async fn admit(mut arriving: UnboundedReceiver<Served>, door: Arc<LineDoor>, streams: Streams) {
    let connections = TaskTracker::new();
    while let Some(served) = arriving.recv().await {
        streams.execute(connections.track_future(served));
    }
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = door.lifecycle.cut.cancelled() => {}
    }
}
