//! The doors of older lock servers that speak in lines: elock and Dreadlock.
//!
//! What this owns: accepting, lines within bounds ([`framing`]), limits, and the two protocols. A
//! client is a [`Guest`](crate::service::guest::Guest), who locks through `latchd.v1`.
//!
//! All connections of a door are one task: what they ask for in one round shares a commit, and its
//! answers leave together, as those of the streams of one HTTP/2 connection do.

mod connection;
pub mod dreadlock;
pub mod elock;
pub mod framing;
pub mod tls;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use hyper::rt::Executor;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::config::DoorSettings;
use crate::listener::{Lifecycle, pause_if_out_of_descriptors};
use crate::proposer::Proposer;
use crate::service::guest::{DoorName, Host};
use crate::service::locks::Keeper;
use crate::socket::Listener;
use crate::streams::Streams;
use connection::{Visit, serve_wire};
use elock::Desk;

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

/// Accepts connections until the server drains, and serves them to their ends.
pub async fn serve(listener: Listener, door: LineDoor, proposer: Proposer) {
    if let Some(desk) = &door.desk {
        elock::adopt(desk.clone()).await;
    }
    let streams = Streams::new(proposer);
    let accepting = accept(listener, Arc::new(door), streams.clone());
    streams.run(accepting).await;
}

async fn accept(listener: Listener, door: Arc<LineDoor>, streams: Streams) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = door.lifecycle.stopping.cancelled() => break,
        };
        match accepted {
            Ok((wire, peer)) => {
                let visit = Visit::begin(door.clone(), peer);
                let served = serve_wire(wire, visit);
                // Known to the drain as well, which cuts what does not end in time.
                let served = door.lifecycle.connections.track_future(served);
                streams.execute(connections.track_future(served));
            }
            Err(error) => pause_if_out_of_descriptors(&error).await,
        }
    }
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = door.lifecycle.cut.cancelled() => {}
    }
}
