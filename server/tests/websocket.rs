//! The JSON gateway over WebSockets, as etcd 3.7.1 has it.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod common;

use common::json::{Gateway, b64};
use common::socket::Socket;
use common::{Fixture, soon, until_count};
use futures::{SinkExt, StreamExt};
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

fn gateway(fixture: &Fixture) -> Gateway {
    Gateway(fixture.server().addresses()[0])
}

fn create(key: &str) -> Value {
    json!({"create_request": {"key": b64(key)}})
}

#[tokio::test]
async fn a_watch_in_both_directions() {
    let fixture = Fixture::start().await;
    for path in ["/v3/watch", "/v3beta/watch", "/v3/watch?method=GET"] {
        let mut socket = Socket::open(&fixture, path).await;
        socket.say(create("a")).await;
        assert_eq!(socket.result().await["created"], true);
        socket.say(create("b")).await;
        assert_eq!(socket.result().await["watch_id"], "1");
        gateway(&fixture)
            .post("/v3/kv/put", json!({"key": b64("b")}))
            .await;
        let event = socket.result().await;
        assert_eq!(event["events"][0]["kv"]["key"], b64("b"));
        socket.say(json!({"cancel_request": {"watch_id": 1}})).await;
        assert_eq!(socket.result().await["canceled"], true);
    }
}

#[tokio::test]
async fn messages_are_pieces_of_one_body() {
    let fixture = Fixture::start().await;
    let text = create("a").to_string();
    let mut socket = Socket::open(&fixture, "/v3/watch").await;
    let (head, tail) = text.split_at(text.find(':').unwrap());
    socket.say(head).await;
    socket.say("").await;
    socket.say(tail).await;
    assert_eq!(socket.result().await["created"], true);
    socket.say(format!("{text}{text}")).await;
    for id in ["1", "2"] {
        assert_eq!(socket.result().await["watch_id"], id);
    }
    let mut binary = Socket::open(&fixture, "/v3/watch").await;
    binary.0.send(Message::binary(text)).await.unwrap();
    assert_eq!(binary.result().await["created"], true);
}

#[tokio::test]
async fn keepalives_go_on_as_long_as_the_socket() {
    let fixture = Fixture::start().await;
    let granted = gateway(&fixture)
        .post("/v3/lease/grant", json!({"TTL": 60}))
        .await;
    let mut socket = Socket::open(&fixture, "/v3/lease/keepalive").await;
    for _ in 0..3 {
        socket.say(json!({"ID": granted["ID"]})).await;
        assert_eq!(socket.result().await["TTL"], "60");
    }
    socket.say("junk").await;
    assert_eq!(socket.hear().await, None);
}

#[tokio::test]
async fn a_call_that_takes_one_message() {
    let fixture = Fixture::start().await;
    let mut socket = Socket::open(&fixture, "/v3/kv/range").await;
    socket.say(json!({"key": b64("a")})).await;
    assert_eq!(socket.hear().await.unwrap()["header"]["revision"], "1");
    assert_eq!(socket.hear().await, None);
    for (path, text, code) in [
        ("/v3/kv/range", "junk", 3),
        ("/v3/kv/range", "{}", 3),
        ("/v3/election/observe", "[]", 3),
        ("/v3/nope", "{}", 5),
        ("/v3/lease/revoke", "{\"ID\":7}", 5),
    ] {
        let mut socket = Socket::open(&fixture, path).await;
        socket.say(text).await;
        assert_eq!(socket.hear().await.unwrap()["code"], code, "{path}");
        assert_eq!(socket.hear().await, None, "{path}");
    }
}

#[tokio::test]
async fn a_waiter_whose_socket_closes_leaves_no_key() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let lock = json!({"name": b64("l")});
    gateway(&fixture).post("/v3/lock/lock", lock.clone()).await;
    for politely in [true, false] {
        let mut waiting = Socket::open(&fixture, "/v3/lock/lock").await;
        waiting.say(&lock).await;
        until_count(&mut client, "l/", 2).await;
        // Nobody reads these any more.
        waiting.say("{}").await;
        waiting.say("{}").await;
        if politely {
            waiting.0.close(None).await.unwrap();
        } else {
            drop(waiting);
        }
        until_count(&mut client, "l/", 1).await;
    }
}

#[tokio::test]
async fn a_bearer_is_told_so() {
    let fixture = Fixture::start().await;
    let protocol = "sec-websocket-protocol";
    let headers = [(protocol, "Bearer, abc")];
    let (mut socket, response) = Socket::open_with(&fixture, "/v3/watch", &headers).await;
    assert_eq!(response.headers()[protocol], "Bearer");
    socket.say(create("a")).await;
    assert_eq!(socket.result().await["created"], true);
}

#[tokio::test]
async fn what_is_no_handshake() {
    let fixture = Fixture::start().await;
    let ask = |method: &str, path: &str, version: &str, key: &str| {
        let request = Request::builder().method(method).uri(path);
        let request = request
            .header("connection", "keep-alive, Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", version)
            .header("sec-websocket-key", key);
        request.body(Full::default()).unwrap()
    };
    let gateway = gateway(&fixture);
    for (method, path, version, key, status) in [
        ("POST", "/v3/watch", "13", "x", 405),
        ("GET", "/v3/watch", "12", "x", 400),
        ("GET", "/v3/watch", "13", "", 400),
        ("GET", "/version", "13", "x", 200),
        ("GET", "/nope", "13", "x", 404),
    ] {
        let answer = gateway.ask(ask(method, path, version, key)).await;
        assert_eq!(answer.status, status, "{method} {path} {version} {key}");
    }
}

#[tokio::test]
async fn sockets_close_when_the_server_ends() {
    let mut fixture = Fixture::start().await;
    let mut watch = Socket::open(&fixture, "/v3/watch").await;
    watch.say(create("a")).await;
    watch.result().await;
    let mut silent = Socket::open(&fixture, "/v3/kv/range").await;
    let stopped = json!({"code": 14, "message": "etcdserver: server stopped"});
    let ended = tokio::spawn(async move {
        let told = (watch.hear().await, silent.hear().await);
        let closed = (watch.hear().await, silent.hear().await);
        (told, closed)
    });
    soon(fixture.stop()).await;
    let (told, closed) = soon(ended).await.unwrap();
    assert_eq!(told, (Some(json!({"error": stopped})), Some(stopped)));
    assert_eq!(closed, (None, None));
}

#[tokio::test]
async fn a_silent_client_is_asked_and_then_left() {
    let fixture = Fixture::start_with(|config| {
        config.connections.ping_interval = Some(Duration::from_millis(100));
        config.connections.ping_timeout = Duration::from_secs(5);
    })
    .await;
    // One that reads answers pings by itself.
    let mut alive = Socket::open(&fixture, "/v3/watch").await;
    alive.say(create("a")).await;
    alive.result().await;
    let pinged = soon(alive.0.next()).await.unwrap().unwrap();
    assert!(pinged.is_ping(), "{pinged}");
    // One that reads nothing is gone; what it waited for is let go.
    let lock = json!({"name": b64("l")});
    gateway(&fixture).post("/v3/lock/lock", lock.clone()).await;
    let mut dead = Socket::open(&fixture, "/v3/lock/lock").await;
    dead.say(&lock).await;
    let mut client = fixture.client().await;
    until_count(&mut client, "l/", 2).await;
    until_count(&mut client, "l/", 1).await;
    drop(dead);
}
