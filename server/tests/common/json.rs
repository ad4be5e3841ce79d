//! A client of the JSON gateway that sees statuses, headers and chunks as they come.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::soon;

/// A key or value as JSON has it.
pub fn b64(text: impl AsRef<[u8]>) -> String {
    STANDARD.encode(text)
}

/// A server's gateway.
#[derive(Clone, Copy)]
pub struct Gateway(pub SocketAddr);

/// A whole answer.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

impl Gateway {
    /// POSTs `body` and waits for the whole answer.
    pub async fn send(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        let request = Request::post(path).body(Full::new(body.into())).unwrap();
        self.ask(request).await
    }

    /// Sends any request, with a Host, and waits for the whole answer.
    pub async fn ask(&self, request: Request<Full<Bytes>>) -> Answer {
        let (response, connection) = self.begin(request).await;
        let (parts, body) = response.into_parts();
        let body = soon(body.collect()).await.unwrap().to_bytes();
        drop(connection);
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// POSTs JSON; it must succeed.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.send(path, body.to_string()).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    }

    /// POSTs JSON; the status and body of the refusal.
    pub async fn refusal(&self, path: &str, body: impl ToString) -> (u16, Value) {
        let answer = self.send(path, body.to_string()).await;
        assert_ne!(answer.status, 200, "{path}: {}", answer.text);
        (answer.status, answer.json())
    }

    /// POSTs JSON and reads the answer as it comes. Dropping it closes the connection.
    pub async fn open(&self, path: &str, body: impl ToString) -> Open {
        let body = Full::new(Bytes::from(body.to_string()));
        let request = Request::post(path).body(body).unwrap();
        let (response, connection) = self.begin(request).await;
        Open {
            response,
            _connection: connection,
        }
    }

    /// Sends a request that nobody waits for; dropping what this returns closes the connection.
    pub async fn send_only(&self, path: &str, body: Value) -> Connection {
        let (mut sender, connection) = self.connect().await;
        let body = Full::new(Bytes::from(body.to_string()));
        let request = Request::post(path).header("host", "a").body(body).unwrap();
        tokio::spawn(sender.send_request(request));
        connection
    }

    async fn begin(&self, mut request: Request<Full<Bytes>>) -> (Response<Incoming>, Connection) {
        let (mut sender, connection) = self.connect().await;
        request.headers_mut().insert("host", "a".parse().unwrap());
        let response = soon(sender.send_request(request)).await.unwrap();
        (response, connection)
    }

    async fn connect(
        &self,
    ) -> (
        hyper::client::conn::http1::SendRequest<Full<Bytes>>,
        Connection,
    ) {
        let stream = TokioIo::new(TcpStream::connect(self.0).await.unwrap());
        let (sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        let task = tokio::spawn(async move {
            // How it ends shows in the request.
            let _ = connection.await;
        });
        (sender, Connection(task.abort_handle()))
    }
}

/// A connection, closed when dropped.
pub struct Connection(AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An answer that is still coming.
pub struct Open {
    response: Response<Incoming>,
    _connection: Connection,
}

impl Open {
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// The next chunk, which must be one line of JSON; `None` at the end.
    pub async fn next(&mut self) -> Option<Value> {
        let frame = soon(self.response.body_mut().frame()).await?.unwrap();
        let chunk = frame.into_data().unwrap();
        let line = std::str::from_utf8(&chunk).unwrap();
        assert_eq!(line.find('\n'), Some(line.len() - 1), "{line}");
        Some(serde_json::from_str(line).unwrap())
    }

    /// What the next line has as its result.
    pub async fn result(&mut self) -> Value {
        let mut line = self.next().await.expect("the stream has ended");
        assert!(line.get("error").is_none(), "{line}");
        line["result"].take()
    }
}
