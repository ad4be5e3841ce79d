//! The client port: HTTP/1.1 and gRPC over cleartext HTTP/2 on one listener.
//!
//! Our own accept loop, because waiters are streams: a transport that allows 200 of them per
//! connection locks out the Unlock that would free the 201st.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, Response, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tracing::{debug, warn};

use crate::clock;
use crate::grpc::GrpcRouter;
use crate::http::HttpRouter;

/// How long a client may take to say which protocol it speaks, and to send its headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// What an HTTP/2 client says first (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How often to look for the rest of a preface that came in pieces.
const PEEK_PAUSE: Duration = Duration::from_millis(10);
/// How often an idle HTTP/2 connection is asked whether it is still there, and how long it may
/// take to answer. A host that vanished must not keep its place in a queue for hours.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long to wait before accepting again, when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Streams that a client may open and reset before we looked at them; more is an attack (HTTP/2
/// "rapid reset"). A thousand waiters cancelled at once are not.
const PENDING_RESETS: usize = 20_000;
/// HTTP/2 flow control: enough for one largest request in flight without a round trip.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// What every connection is served with; cheap to clone.
#[derive(Clone)]
pub struct Routes {
    /// gRPC requests.
    pub grpc: GrpcRouter,
    /// All others.
    pub http: HttpRouter,
}

impl Routes {
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let is_grpc =
            content_type.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        Ok(if is_grpc {
            self.grpc.answer(request).await
        } else {
            self.http.answer(request).await
        })
    }
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
pub async fn serve(listener: TcpListener, routes: Routes, lifecycle: Lifecycle) {
    let builder = builder();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = lifecycle.stopping.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (builder, routes) = (builder.clone(), routes.clone());
                let connection = serve_connection(builder, stream, routes, lifecycle.clone(), peer);
                lifecycle.connections.spawn(connection);
            }
            Err(error) => pause_if_out_of_descriptors(&error).await,
        }
    }
}

async fn pause_if_out_of_descriptors(error: &io::Error) {
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

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(None)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(PENDING_RESETS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

async fn serve_connection(
    builder: Builder<TokioExecutor>,
    stream: TcpStream,
    routes: Routes,
    lifecycle: Lifecycle,
    peer: SocketAddr,
) {
    // Answers are small and somebody waits for each.
    let _ = stream.set_nodelay(true);
    // Until hyper can tell the protocol it would wait for ever.
    let spoke = tokio::select! {
        spoke = clock::timeout(HEADER_TIMEOUT, protocol_is_clear(&stream)) => spoke.unwrap_or(false),
        () = lifecycle.stopping.cancelled() => false,
    };
    if !spoke {
        return;
    }
    let service = service_fn(move |request| routes.clone().answer(request));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = lifecycle.stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                outcome = connection => outcome,
                () = lifecycle.cut.cancelled() => return,
            }
        }
    };
    if let Err(error) = outcome {
        debug!(%peer, %error, "a connection ended with an error");
    }
}

/// Resolves once the first bytes are HTTP/2's preface or cannot become it; `false` if the client
/// went away before.
async fn protocol_is_clear(stream: &TcpStream) -> bool {
    let mut head = [0; PREFACE.len()];
    loop {
        match stream.peek(&mut head).await {
            Ok(0) | Err(_) => return false,
            Ok(seen) if seen == head.len() || head[..seen] != PREFACE[..seen] => return true,
            // Peeked bytes stay readable, so the next look would not wait for more of them.
            Ok(_) => clock::sleep(PEEK_PAUSE).await,
        }
    }
}
