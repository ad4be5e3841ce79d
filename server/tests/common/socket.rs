//! WebSockets to the JSON gateway.

use futures::{SinkExt, StreamExt};
use http::Response;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{Fixture, soon};

/// A WebSocket, read as JSON.
pub struct Socket(pub WebSocketStream<TcpStream>);

impl Socket {
    pub async fn open(fixture: &Fixture, path: &str) -> Socket {
        Socket::open_with(fixture, path, &[]).await.0
    }

    pub async fn open_with(
        fixture: &Fixture,
        path: &str,
        headers: &[(&'static str, &'static str)],
    ) -> (Socket, Response<Option<Vec<u8>>>) {
        let address = fixture.server().addresses()[0];
        let url = format!("ws://{address}{path}");
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, response) = soon(client_async(request, stream)).await.unwrap();
        (Socket(socket), response)
    }

    pub async fn say(&mut self, text: impl ToString) {
        self.0.send(Message::text(text.to_string())).await.unwrap();
    }

    /// The next message; `None` when the server closes.
    pub async fn hear(&mut self) -> Option<Value> {
        loop {
            match soon(self.0.next()).await?.unwrap() {
                Message::Text(text) => return Some(serde_json::from_str(&text).unwrap()),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    pub async fn result(&mut self) -> Value {
        let mut line = self.hear().await.expect("the server has closed");
        assert!(line.get("error").is_none(), "{line}");
        line["result"].take()
    }
}
