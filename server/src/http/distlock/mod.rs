//! distlock's protocol: JSON over a WebSocket at `/distlock/lock`.
//!
//! A session lasts as long as its WebSocket. Nothing blocks: a lock that somebody else has is
//! answered with WAIT, and whoever was told so hears RETRY when it is free again.

mod message;
mod visitor;
mod waits;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use prometheus::IntGauge;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tonic::body::Body;
use tracing::warn;

use crate::clock;
use crate::config::{ConnectionSettings, DoorSettings};
use crate::http::gateway::websocket::{Pings, handshake};
use crate::listener::{Lifecycle, Peer};
use crate::metrics::METRICS;
use crate::service::guest::{DoorName, Host};
use crate::service::locks::Keeper;
use message::{Said, Words};
use visitor::{News, Visitor};

/// Where it is.
pub const PATH: &str = "/distlock/lock";

/// What is read at a time; the default would be 128 KiB for each connection.
const READ_BUFFER: usize = 4096;
/// How long a client may leave its answers unread.
const STALLED: Duration = Duration::from_secs(30);
/// How long a client may take to see that it was sent away.
const GOODBYE: Duration = Duration::from_secs(1);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// The door; cheap to clone.
#[derive(Clone)]
pub struct Distlock(Arc<Parts>);

struct Parts {
    host: Host,
    settings: DoorSettings,
    connections: ConnectionSettings,
    lifecycle: Lifecycle,
    admitted: AtomicUsize,
}

impl Distlock {
    /// A door to `keeper`.
    #[must_use]
    pub fn new(
        keeper: Keeper,
        settings: DoorSettings,
        connections: ConnectionSettings,
        lifecycle: Lifecycle,
    ) -> Distlock {
        let tasks = lifecycle.connections.clone();
        Distlock(Arc::new(Parts {
            host: Host::new(keeper, DoorName::Distlock, &settings, tasks),
            settings,
            connections,
            lifecycle,
            admitted: AtomicUsize::new(0),
        }))
    }

    /// Makes a WebSocket of a request, and serves it as a task of its own.
    pub fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let peer = request.extensions().get::<Peer>();
        let peer = peer.map_or_else(String::new, |peer| peer.0.to_string());
        let words = Words::asked_for(request.uri().query().unwrap_or_default());
        match handshake(request) {
            Ok((response, upgrade)) => {
                let visit = Visit::begin(self.clone(), peer, words);
                self.0.lifecycle.connections.spawn(visit.serve(upgrade));
                response
            }
            Err(refusal) => refusal,
        }
    }
}

/// A WebSocket that is open, and counted.
struct Visit {
    door: Distlock,
    peer: String,
    words: Words,
    crowded: bool,
}

fn gauge() -> IntGauge {
    let door = DoorName::Distlock.as_str();
    METRICS.doors.connections.with_label_values(&[door])
}

impl Drop for Visit {
    fn drop(&mut self) {
        gauge().dec();
        if !self.crowded {
            self.door.0.admitted.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Visit {
    fn begin(door: Distlock, peer: String, words: Words) -> Visit {
        gauge().inc();
        let others = door.0.admitted.load(Ordering::Relaxed);
        let crowded = others >= door.0.settings.most_connections;
        if !crowded {
            door.0.admitted.fetch_add(1, Ordering::Relaxed);
        }
        Visit {
            door,
            peer,
            words,
            crowded,
        }
    }

    fn refuse(&self, reason: &str) {
        let labels = [DoorName::Distlock.as_str(), reason];
        METRICS.doors.refused.with_label_values(&labels).inc();
        warn!(
            door = DoorName::Distlock.as_str(),
            peer = self.peer,
            reason,
            "a connection was refused"
        );
    }

    async fn serve(self, upgrade: OnUpgrade) {
        let Ok(upgraded) = upgrade.await else {
            return;
        };
        let most = Some(self.door.0.settings.most_frame);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(most)
            .max_frame_size(most);
        let upgraded = TokioIo::new(upgraded);
        let socket = WebSocketStream::from_raw_socket(upgraded, Role::Server, Some(config)).await;
        let cut = self.door.0.lifecycle.cut.clone();
        tokio::select! {
            () = self.talk(socket) => {}
            () = cut.cancelled() => {}
        }
    }

    async fn talk(&self, mut socket: Socket) {
        if self.crowded {
            return self
                .turn_away(socket, "connections", "too many connections")
                .await;
        }
        let mut visitor = Visitor::new(&self.door.0.host, &self.peer, self.words);
        let end = self.exchange(&mut socket, &mut visitor).await;
        // What the session held is free before the client knows that it is over.
        drop(visitor);
        match end {
            End::Gone => {}
            End::Goodbye => close(socket).await,
            End::Refused(reason, said) => self.turn_away(socket, reason, said).await,
        }
    }

    async fn exchange(&self, socket: &mut Socket, visitor: &mut Visitor) -> End {
        let parts = &self.door.0;
        let mut pings = Pings::new(parts.connections);
        let mut patience = parts.settings.first_command.map(|time| clock::now() + time);
        let door = [DoorName::Distlock.as_str()];
        let commands = METRICS.doors.commands.with_label_values(&door);
        loop {
            let said = tokio::select! {
                biased;
                () = parts.lifecycle.stopping.cancelled() => return End::Goodbye,
                message = socket.next() => {
                    pings.heard();
                    match message {
                        Some(Ok(message)) if message.is_text() || message.is_binary() => {
                            patience = None;
                            commands.inc();
                            visitor.answer(&message.into_data()).await
                        }
                        Some(Ok(message)) if message.is_close() => return End::Gone,
                        Some(Ok(_)) => continue,
                        Some(Err(SocketError::Capacity(_))) => {
                            return End::Refused("frame", "the message is too long");
                        }
                        Some(Err(_)) | None => return End::Gone,
                    }
                }
                news = visitor.news() => match news {
                    News::Freed(name) => Said::retry(name),
                    News::Expelled => return End::Refused("session", "the session is over"),
                    News::Stopped => return End::Goodbye,
                },
                () = until(patience) => return End::Refused("idle", "no command came"),
                () = pings.due() => {
                    if pings.unanswered() || !send(socket, Message::Ping(Bytes::new())).await {
                        return End::Gone;
                    }
                    continue;
                }
            };
            if !send(socket, Message::text(said.to_json())).await {
                return End::Gone;
            }
        }
    }

    async fn turn_away(&self, mut socket: Socket, reason: &str, said: &str) {
        self.refuse(reason);
        if send(&mut socket, Message::text(Said::fail(said).to_json())).await {
            close(socket).await;
        }
    }
}

/// Why a conversation ends.
enum End {
    /// The client has gone.
    Gone,
    /// The server goes.
    Goodbye,
    /// The client is past a limit: its name, and what is said.
    Refused(&'static str, &'static str),
}

async fn until(time: Option<clock::Instant>) {
    match time {
        Some(time) => clock::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Sends, unless nobody takes it.
async fn send(socket: &mut Socket, message: Message) -> bool {
    let sent = clock::timeout(STALLED, socket.send(message)).await;
    matches!(sent, Ok(Ok(())))
}

async fn close(mut socket: Socket) {
    let goodbye = async {
        let _ = socket.close(None).await;
        // Closing with something unread would cost the client what it has not read yet.
        while let Some(Ok(_)) = socket.next().await {}
    };
    let _ = clock::timeout(GOODBYE, goodbye).await;
}
