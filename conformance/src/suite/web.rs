//! What a case sends as plain HTTP: pages, the JSON gateway, and gRPC calls whose
//! deadline the server alone must watch.

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{BufMut, Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::{
    rpc::{Unary, short},
    session::{PATIENCE, Session, json_of},
};
use crate::wait::within;

/// The headers that mean something to a client; dates and lengths are left out.
const COMPARED: &[&str] = &[
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "allow",
    "content-type",
    "grpc-metadata-content-type",
    "location",
    "www-authenticate",
    "x-content-type-options",
];

/// A request.
#[derive(Clone, Debug)]
pub struct Http {
    method: Method,
    path: String,
    headers: Vec<(&'static str, &'static str)>,
    body: String,
}

impl Http {
    /// GET.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    /// POST with a body; see [`Session::filled`].
    #[must_use]
    pub fn post(path: &str, body: &str) -> Self {
        Self::new(Method::POST, path).body(body)
    }

    /// Any method, without a body.
    #[must_use]
    pub fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    fn what(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// A connection that is closed when it is dropped.
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An answer that comes line by line.
pub struct Lines {
    what: String,
    body: Incoming,
    received: BytesMut,
    _connection: Connection,
}

/// A websocket.
pub struct Socket {
    what: String,
    stream: WebSocketStream<TcpStream>,
}

impl Session {
    /// Sends a request and writes down the whole answer; returns its body.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn http(&mut self, request: Http) -> Result<Value> {
        let (head, body) = self.fetch(&request).await?;
        self.note(&request.what(), json!(request.body), answer(head, &body));
        Ok(body)
    }

    /// As [`Session::http`], but of a refusal only the status and the code: the
    /// words for wrong JSON are each parser's own.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn http_code(&mut self, request: Http) -> Result<()> {
        let (head, mut body) = self.fetch(&request).await?;
        for place in ["/message", "/error/message"] {
            if let Some(message) = body.pointer_mut(place) {
                *message = json!("<words>");
            }
        }
        self.note(&request.what(), json!(request.body), answer(head, &body));
        Ok(())
    }

    /// POSTs to the gateway, and writes down the whole answer.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn post(&mut self, path: &str, body: &str) -> Result<Value> {
        let body = self.filled(body);
        self.http(Http::post(path, &body)).await
    }

    /// A body in which `<text>` stands for the text in base64, and `$2` for the
    /// revision after two writes.
    #[must_use]
    pub fn filled(&self, body: &str) -> String {
        let mut filled = String::new();
        let mut rest = body;
        while let Some(at) = rest.find(['<', '$']) {
            filled.push_str(&rest[..at]);
            let (what, after) = rest[at..].split_at(1);
            rest = match (what, after.split_once('>')) {
                ("<", Some((text, after))) => {
                    filled.push_str(&BASE64_STANDARD.encode(text));
                    after
                }
                _ => {
                    let digits = after.find(|c: char| !c.is_ascii_digit());
                    let (number, after) = after.split_at(digits.unwrap_or(after.len()));
                    let writes = number.parse().unwrap_or_default();
                    filled.push_str(&self.revision(writes).to_string());
                    after
                }
            };
        }
        filled + rest
    }

    /// Sends a request whose answer comes in lines; writes down how it begins.
    ///
    /// # Errors
    /// When no answer begins.
    pub async fn lines(&mut self, path: &str, body: &str) -> Result<Lines> {
        let request = Http::post(path, &self.filled(body));
        let what = format!("{} (lines)", request.what());
        let (response, connection) = self.begin(&request).await?;
        let (parts, incoming) = response.into_parts();
        let head = head(parts.status.as_u16(), &parts.headers);
        self.note(&what, json!(request.body), head);
        Ok(Lines {
            what,
            body: incoming,
            received: BytesMut::new(),
            _connection: connection,
        })
    }

    /// Writes down the next line, or the end, which returns none.
    ///
    /// # Errors
    /// When nothing comes.
    pub async fn line(&mut self, lines: &mut Lines) -> Result<Option<Value>> {
        let what = lines.what.clone();
        let line = within(PATIENCE, &what, next_line(lines)).await?;
        let shown = line.clone().unwrap_or_else(|| json!("the end"));
        self.note(&what, Value::Null, shown);
        Ok(line)
    }

    /// Opens a websocket.
    ///
    /// # Errors
    /// When the server does not switch to it.
    pub async fn websocket(&mut self, path: &str) -> Result<Socket> {
        let url = format!("{}{path}", self.url().replacen("http", "ws", 1));
        let connect = async {
            let tcp = TcpStream::connect(authority(self.url())).await?;
            Ok(tokio_tungstenite::client_async(url, tcp).await?)
        };
        let (stream, response) = within(PATIENCE, "a websocket", connect).await?;
        let what = format!("{path} (websocket)");
        self.note(&what, Value::Null, json!(response.status().as_u16()));
        Ok(Socket { what, stream })
    }

    /// Sends a message on a websocket.
    ///
    /// # Errors
    /// When that is closed.
    pub async fn say(&mut self, socket: &mut Socket, body: &str) -> Result<()> {
        let body = self.filled(body);
        self.note(&socket.what, json!(body), Value::Null);
        Ok(socket.stream.send(Message::text(body)).await?)
    }

    /// Writes down the next message of a websocket, or its end.
    ///
    /// # Errors
    /// When nothing comes.
    pub async fn hear(&mut self, socket: &mut Socket) -> Result<()> {
        let next = async {
            let message = loop {
                match socket.stream.next().await {
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    other => break other,
                }
            };
            Ok(match message {
                Some(Ok(Message::Text(text))) => parsed(text.as_bytes()),
                Some(Ok(Message::Binary(bytes))) => json!({ "binary": parsed(&bytes) }),
                Some(Ok(_)) | Some(Err(_)) | None => json!("the end"),
            })
        };
        let shown = within(PATIENCE, &socket.what, next).await?;
        self.note(&socket.what, Value::Null, shown);
        Ok(())
    }

    /// A call with a deadline, as `200m`, that only the server watches; waits for its
    /// end.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn call_until<R: Unary>(&mut self, deadline: &str, request: R) -> Result<()> {
        let message = request.encode_to_vec();
        let mut frame = BytesMut::new();
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.len())?);
        frame.put_slice(&message);
        let http = Request::post(format!("{}{}", self.url(), R::PATH))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", deadline)
            .body(Full::new(frame.freeze()))?;
        let tcp = TcpStream::connect(authority(self.url())).await?;
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(tcp)).await?;
        let _connection = Connection(tokio::spawn(async { drop(connection.await) }));
        let ended = async {
            // Go resets the stream where others send a status: both mean the same.
            if let Ok(response) = sender.send_request(http).await {
                drop(response.into_body().collect().await);
            }
            Ok(())
        };
        within(PATIENCE, "a call's end", ended).await?;
        let outcome = json!("it ended");
        self.note(short(R::PATH), json_of(&request), outcome);
        Ok(())
    }

    /// Sends a request; returns status and headers, and the body. Nothing is written
    /// down.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn fetch(&mut self, request: &Http) -> Result<(Value, Value)> {
        let whole = async {
            let (response, _connection) = self.begin(request).await?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok((parts, body))
        };
        let (parts, body) = within(PATIENCE, "an answer", whole).await?;
        let head = head(parts.status.as_u16(), &parts.headers);
        Ok((head, parsed(&body)))
    }

    /// Sends a request on a connection of its own.
    async fn begin(&self, request: &Http) -> Result<(Response<Incoming>, Connection)> {
        let host = authority(self.url());
        let tcp = TcpStream::connect(host).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(tcp)).await?;
        let connection = Connection(tokio::spawn(async { drop(connection.await) }));
        let mut builder = Request::builder()
            .method(request.method.clone())
            .uri(&request.path)
            .header("host", host);
        for (name, value) in &request.headers {
            builder = builder.header(*name, *value);
        }
        let body = Full::new(Bytes::from(request.body.clone()));
        let sent = sender.send_request(builder.body(body)?);
        let response = within(PATIENCE, "an answer", async { Ok(sent.await?) }).await?;
        Ok((response, connection))
    }
}

fn authority(url: &str) -> &str {
    url.split("://").last().unwrap_or(url)
}

/// Status and headers, as an outcome.
fn head(status: u16, headers: &HeaderMap) -> Value {
    let named = COMPARED.iter().filter_map(|name| {
        let value = headers.get(*name)?;
        Some(((*name).to_owned(), json!(value.to_str().ok()?)))
    });
    let named: serde_json::Map<String, Value> = named.collect();
    json!({ "status": status, "headers": named })
}

fn answer(mut head: Value, body: &Value) -> Value {
    head["body"] = body.clone();
    head
}

/// Bytes as JSON if they are; several values as a list; else as text.
fn parsed(bytes: &[u8]) -> Value {
    let values = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    let values: Result<Vec<Value>, _> = values.collect();
    match values.as_deref() {
        Ok([one]) => one.clone(),
        Ok(several @ [_, ..]) => json!({ "values": several }),
        _ => json!(bytes.escape_ascii().to_string()),
    }
}

async fn next_line(lines: &mut Lines) -> Result<Option<Value>> {
    loop {
        if let Some(end) = lines.received.iter().position(|byte| *byte == b'\n') {
            let line = lines.received.split_to(end + 1);
            if line.len() > 1 {
                return Ok(Some(parsed(&line[..end])));
            }
            continue;
        }
        let Some(frame) = lines.body.frame().await else {
            let left = lines.received.split();
            ensure!(left.is_empty(), "half a line: {left:?}");
            return Ok(None);
        };
        let data = frame.context("the connection broke")?.into_data();
        lines.received.extend_from_slice(&data.unwrap_or_default());
    }
}
