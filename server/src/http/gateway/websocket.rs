//! Calls over a WebSocket, as etcd's gateway takes them: each message is a piece of the request's
//! body with a line end after it, and each line of the answer is a message. Any path can be asked
//! so, always as if by POST.
//!
//! Unlike etcd, a call that takes one message is answered as soon as that one is there, and the
//! socket is closed with a close frame.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tonic::body::Body;

use super::{Ask, Gateway};
use crate::clock::{self, Instant};
use crate::config::ConnectionSettings;
use crate::http::{nosniff, respond};

const VERSION: HeaderValue = HeaderValue::from_static("13");
/// How a token comes along: browsers can set no other header.
const BEARER: &str = "Bearer";

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Whether a request wants to become a WebSocket.
#[must_use]
pub fn is_wanted(headers: &HeaderMap) -> bool {
    has_token(headers, header::CONNECTION, "upgrade")
        && has_token(headers, header::UPGRADE, "websocket")
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let mut tokens = texts.flat_map(|text| text.split(','));
    tokens.any(|each| each.trim().eq_ignore_ascii_case(token))
}

/// Makes a WebSocket of a request that wants to be one, and serves it as a task of its own.
pub fn accept(gateway: &Gateway, path: String, request: Request<Incoming>) -> Response<Body> {
    let passed = authorization(request.headers());
    match handshake(request) {
        Ok((response, upgrade)) => {
            let serving = serve(gateway.clone(), path, passed, upgrade);
            gateway.lifecycle.connections.spawn(serving);
            response
        }
        Err(refusal) => refusal,
    }
}

/// The answer to a request that wants to become a WebSocket, and the connection that it becomes; or
/// the refusal.
#[allow(clippy::result_large_err, reason = "either way it is a response")]
pub fn handshake(
    mut request: Request<Incoming>,
) -> Result<(Response<Body>, OnUpgrade), Response<Body>> {
    let headers = request.headers();
    let key = challenge(request.method(), headers).map_err(refusal)?;
    let key = derive_accept_key(key);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let told = response.headers_mut();
    told.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    told.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(key) = HeaderValue::try_from(key) {
        told.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    }
    if protocol(headers).starts_with(BEARER) {
        let bearer = HeaderValue::from_static(BEARER);
        told.insert(header::SEC_WEBSOCKET_PROTOCOL, bearer);
    }
    let upgrade = hyper::upgrade::on(&mut request);
    Ok((response, upgrade))
}

/// What the client wants to see proof of.
fn challenge<'a>(method: &Method, headers: &'a HeaderMap) -> Result<&'a [u8], StatusCode> {
    if method != Method::GET {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
        return Err(StatusCode::BAD_REQUEST);
    }
    match headers.get(header::SEC_WEBSOCKET_KEY) {
        Some(key) if !key.is_empty() => Ok(key.as_bytes()),
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

fn refusal(status: StatusCode) -> Response<Body> {
    let text = format!("{}\n", status.canonical_reason().unwrap_or_default());
    let mut refused = nosniff(respond(status, "text/plain; charset=utf-8", text));
    let name = header::SEC_WEBSOCKET_VERSION;
    refused.headers_mut().insert(name, VERSION);
    refused
}

fn protocol(headers: &HeaderMap) -> &str {
    let protocol = headers.get(header::SEC_WEBSOCKET_PROTOCOL);
    protocol.and_then(|text| text.to_str().ok()).unwrap_or("")
}

/// Who asks: from a cookie, else from the protocol `Bearer, TOKEN`. Nothing else goes on.
fn authorization(headers: &HeaderMap) -> HeaderMap {
    let cookies = headers.get_all(header::COOKIE).into_iter();
    let cookies = cookies.filter_map(|cookies| cookies.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';'));
    let cookie = pairs.find_map(|pair| pair.trim().strip_prefix("token="));
    let told = protocol(headers).split_once("Bearer,");
    let token = cookie.or(told.map(|(_, token)| token.trim()));
    let value = token.and_then(|token| HeaderValue::try_from(format!("{BEARER} {token}")).ok());
    let passed = value.map(|value| (header::AUTHORIZATION, value));
    passed.into_iter().collect()
}

async fn serve(gateway: Gateway, path: String, headers: HeaderMap, upgrade: OnUpgrade) {
    let Ok(upgraded) = upgrade.await else {
        return;
    };
    let most = Some(gateway.longest);
    let config = WebSocketConfig::default()
        .max_message_size(most)
        .max_frame_size(most);
    let upgraded = TokioIo::new(upgraded);
    let socket = WebSocketStream::from_raw_socket(upgraded, Role::Server, Some(config)).await;
    let cut = gateway.lifecycle.cut.clone();
    tokio::select! {
        () = exchange(gateway, path, headers, socket) => {}
        () = cut.cancelled() => {}
    }
}

/// Makes the call and carries its messages, until it ends or the client goes. Then the call is
/// dropped, and with it what it waited for.
async fn exchange(gateway: Gateway, path: String, headers: HeaderMap, mut socket: Socket) {
    let mut pings = Pings::new(gateway.settings);
    let (sender, receiver) = mpsc::channel(1);
    let ask = Ask {
        headers,
        chunks: pieces(receiver),
        drained: false,
    };
    let mut lines = lines(gateway, path, ask);
    let mut held: Option<Bytes> = None;
    loop {
        tokio::select! {
            message = socket.next(), if held.is_none() => match message {
                Some(Ok(message)) if !message.is_close() => {
                    pings.heard();
                    held = piece(message);
                }
                _ => return,
            },
            // An error: the call has what it needs, and the piece is passed over.
            place = sender.reserve(), if held.is_some() => {
                if let (Ok(place), Some(piece)) = (place, held.take()) {
                    place.send(piece);
                }
            }
            line = lines.next() => match line.map(Utf8Bytes::try_from) {
                Some(Ok(line)) => if socket.send(Message::Text(line)).await.is_err() {
                    return;
                },
                Some(Err(_)) => return,
                None => break,
            },
            () = pings.due() => {
                if pings.unanswered() || socket.send(Message::Ping(Bytes::new())).await.is_err() {
                    return;
                }
            }
        }
    }
    let said_goodbye = async {
        let _ = socket.close(None).await;
        // Whatever it still says; closing before it has read everything could cost it the rest.
        while let Some(Ok(_)) = socket.next().await {}
    };
    let _ = clock::timeout(pings.patience, said_goodbye).await;
}

/// A message as a piece of the body.
fn piece(message: Message) -> Option<Bytes> {
    if !message.is_text() && !message.is_binary() {
        return None;
    }
    let data = message.into_data();
    let mut piece = BytesMut::with_capacity(data.len() + 1);
    piece.put(data);
    piece.put_u8(b'\n');
    Some(piece.freeze())
}

fn pieces(receiver: mpsc::Receiver<Bytes>) -> super::Chunks {
    let pieces = futures::stream::unfold(receiver, |mut receiver| async {
        Some((Ok(receiver.recv().await?), receiver))
    });
    pieces.boxed()
}

/// The lines of the answer, without their ends.
fn lines(gateway: Gateway, path: String, ask: Ask) -> BoxStream<'static, Bytes> {
    let response = async move { gateway.respond(&path, &Method::POST, ask).await };
    let chunks = futures::stream::once(response)
        .flat_map(|response| response.into_body().into_data_stream());
    let lines = chunks.filter_map(|chunk| {
        let line = chunk.ok().map(|mut chunk: Bytes| {
            chunk.truncate(chunk.trim_ascii_end().len());
            chunk
        });
        std::future::ready(line.filter(|line| !line.is_empty()))
    });
    lines.boxed()
}

/// Finds out when a silent client is not there any more, as over HTTP/2.
pub struct Pings {
    interval: Option<Duration>,
    /// How long an answer may take.
    patience: Duration,
    next: Option<Instant>,
    asked: bool,
}

impl Pings {
    /// The client has just been heard.
    #[must_use]
    pub fn new(settings: ConnectionSettings) -> Pings {
        let mut pings = Pings {
            interval: settings.ping_interval,
            patience: settings.ping_timeout,
            next: None,
            asked: false,
        };
        pings.heard();
        pings
    }

    /// The client is there.
    pub fn heard(&mut self) {
        self.asked = false;
        self.next = self.interval.map(|interval| clock::now() + interval);
    }

    /// Resolves when it is time to ask, or the answer to that has not come.
    pub async fn due(&self) {
        match self.next {
            Some(next) => clock::sleep_until(next).await,
            None => std::future::pending().await,
        }
    }

    /// Whether it was asked already; from now on it is.
    pub fn unanswered(&mut self) -> bool {
        self.next = Some(clock::now() + self.patience);
        std::mem::replace(&mut self.asked, true)
    }
}
