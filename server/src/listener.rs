//! The ports: HTTP/1.1 and gRPC over cleartext HTTP/2, together or apart.
//!
//! Our own accept loop, because waiters are streams: a transport that allows 200 of them per
//! connection locks out the Unlock that would free the 201st.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::Either;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulConnection;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tracing::{debug, warn};

use crate::clock;
use crate::config::ConnectionSettings;
use crate::grpc::GrpcRouter;
use crate::http::HttpRouter;
use crate::proposer::Proposer;
use crate::socket::{Connection, Listener};
use crate::streams::Streams;

/// How long a client may take to say which protocol it speaks, and to send its headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// What an HTTP/2 client says first (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How often to look for the rest of a preface that came in pieces.
const PEEK_PAUSE: Duration = Duration::from_millis(10);
/// How long to wait before accepting again, when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Streams that a client may open and reset before we looked at them; more is an attack (HTTP/2
/// "rapid reset"). A thousand waiters cancelled at once are not.
const PENDING_RESETS: usize = 20_000;
/// HTTP/2 flow control: enough for one largest request in flight without a round trip.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// What every connection is served with.
#[derive(Clone)]
pub struct Routes {
    /// gRPC requests.
    pub grpc: GrpcRouter,
    /// All others.
    pub http: HttpRouter,
    /// Has what they ask for written.
    pub proposer: Proposer,
    /// Which of them are answered.
    pub door: Door,
    /// How connections are kept.
    pub settings: ConnectionSettings,
}

/// Who is at the other end; HTTP requests carry it.
#[derive(Clone, Debug)]
pub struct Peer(pub Arc<str>);

/// What a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// gRPC and HTTP (`--listen-client-urls`).
    Client,
    /// gRPC, as HTTP has a port of its own.
    GrpcOnly,
    /// HTTP (`--listen-client-http-urls`).
    HttpOnly,
    /// What monitors ask (`--listen-metrics-urls`).
    Monitoring,
}

impl Routes {
    /// What a waiting call of gRPC takes is little; all else is boxed, so that it has no share in
    /// that.
    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: &Peer,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + use<> {
        let answer = match (self.door, is_grpc(&request)) {
            (Door::Client | Door::GrpcOnly, true) => {
                Either::Left(self.grpc.clone().answer(request.map(Body::new)))
            }
            _ => Either::Right(self.answer_http(request, peer.clone()).boxed()),
        };
        answer.map(Ok)
    }

    async fn answer_http(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        peer: Peer,
    ) -> Response<Body> {
        match self.door {
            Door::GrpcOnly => not_grpc(),
            Door::Monitoring => self.http.answer_monitor(request).await,
            Door::Client | Door::HttpOnly => {
                request.extensions_mut().insert(peer);
                let dated = request.version() == Version::HTTP_2;
                let response = self.http.answer(request).await;
                if dated { with_date(response) } else { response }
            }
        }
    }
}

/// Over HTTP/1.1 nothing is gRPC: the JSON gateway takes any content type.
fn is_grpc(request: &Request<Incoming>) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let told = content_type.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    told && request.version() == Version::HTTP_2
}

/// As grpc-go refuses what is not gRPC.
fn not_grpc() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response
}

/// Over HTTP/2 hyper leaves this to us: gRPC has no use for it, and it would be most of an answer.
fn with_date(mut response: Response<Body>) -> Response<Body> {
    let date = jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&jiff::Timestamp::now());
    if let Some(date) = date.ok().and_then(|date| HeaderValue::from_str(&date).ok()) {
        response.headers_mut().entry(header::DATE).or_insert(date);
    }
    response
}

/// How the server ends, and what it waits for; cheap to clone.
#[derive(Clone, Default)]
pub struct Lifecycle {
    /// Cancelled when the server begins to drain: nothing new is taken, streams end.
    pub stopping: CancellationToken,
    /// Cancelled when draining has taken too long: connections are cut.
    pub cut: CancellationToken,
    /// Every connection.
    pub connections: TaskTracker,
}

/// Accepts connections until the server drains, and serves each as a task of its own.
pub async fn serve(listener: Listener, routes: Routes, lifecycle: Lifecycle) {
    let routes = Arc::new(routes);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = lifecycle.stopping.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = serve_connection(stream, routes.clone(), lifecycle.clone(), peer);
                lifecycle.connections.spawn(connection);
            }
            Err(error) => pause_if_out_of_descriptors(&error).await,
        }
    }
}

/// Waits a little after a connection that was not accepted, unless that was the client's doing.
pub async fn pause_if_out_of_descriptors(error: &io::Error) {
    warn!(%error, "a connection was not accepted");
    // A connection that broke before it was accepted says nothing about the next one.
    let broke = [
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::ConnectionReset,
    ];
    if !broke.contains(&error.kind()) {
        clock::sleep(ACCEPT_PAUSE).await;
    }
}

fn builder(door: Door, settings: ConnectionSettings, streams: Streams) -> Builder<Streams> {
    let mut builder = Builder::new(streams);
    if door == Door::GrpcOnly {
        builder = builder.http2_only();
    }
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_concurrent_streams(settings.max_streams)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(PENDING_RESETS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(settings.ping_interval)
        .keep_alive_timeout(settings.ping_timeout);
    builder
}

async fn serve_connection(
    stream: Connection,
    routes: Arc<Routes>,
    lifecycle: Lifecycle,
    peer: String,
) {
    // Until hyper can tell the protocol it would wait for ever.
    let spoke = tokio::select! {
        spoke = clock::timeout(HEADER_TIMEOUT, protocol_is_clear(&stream)) => spoke.unwrap_or(false),
        () = lifecycle.stopping.cancelled() => false,
    };
    if !spoke {
        return;
    }
    let (door, streams) = (routes.door, Streams::new(routes.proposer.clone()));
    let builder = builder(door, routes.settings, streams.clone());
    let from = Peer(peer.as_str().into());
    let service = service_fn(move |request| Arc::clone(&routes).answer(request, &from));
    let stream = TokioIo::new(stream);
    let outcome = if door == Door::GrpcOnly {
        // With upgrades, the builder would speak HTTP/1.1 although it was told not to.
        let connection = builder.serve_connection(stream, service);
        streams.run(until_drained(connection, &lifecycle)).await
    } else {
        let connection = builder.serve_connection_with_upgrades(stream, service);
        streams.run(until_drained(connection, &lifecycle)).await
    };
    if let Err(error) = outcome {
        debug!(peer, %error, "a connection ended with an error");
    }
}

/// Serves a connection to its end, which comes soon once the server drains.
async fn until_drained<C: GracefulConnection>(
    connection: C,
    lifecycle: &Lifecycle,
) -> Result<(), C::Error> {
    tokio::pin!(connection);
    tokio::select! {
        outcome = connection.as_mut() => return outcome,
        () = lifecycle.stopping.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        outcome = connection => outcome,
        () = lifecycle.cut.cancelled() => Ok(()),
    }
}

/// Resolves once the first bytes are HTTP/2's preface or cannot become it; `false` if the client
/// went away before.
async fn protocol_is_clear(stream: &Connection) -> bool {
    let mut head = [0; PREFACE.len()];
    loop {
        match stream.peek(&mut head).await {
            Ok(Some(0)) | Err(_) => return false,
            // Who may open the socket file is trusted to go on.
            Ok(None) => return true,
            Ok(Some(seen)) if seen == head.len() || head[..seen] != PREFACE[..seen] => return true,
            // Peeked bytes stay readable, so the next look would not wait for more of them.
            Ok(Some(_)) => clock::sleep(PEEK_PAUSE).await,
        }
    }
}
