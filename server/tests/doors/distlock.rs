//! distlock: JSON over a WebSocket, where nothing blocks and who waits is told to try again.

use std::collections::HashMap;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::common::{Fixture, soon, until_count};
use crate::lines::Client;
use crate::support::{dreadlock, list, open, open_with};

/// A client.
pub struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    pub async fn open(fixture: &Fixture, query: &str) -> Socket {
        let address = fixture.server().addresses()[0];
        let stream = TcpStream::connect(address).await.unwrap();
        let url = format!("ws://{address}/distlock/lock{query}");
        Socket(soon(client_async(url, stream)).await.unwrap().0)
    }

    pub async fn send(&mut self, message: Message) {
        soon(self.0.send(message)).await.unwrap();
    }

    pub async fn say(&mut self, request: Value) {
        self.send(Message::text(request.to_string())).await;
    }

    /// The next message's status and text; none when the server closes.
    pub async fn hear(&mut self) -> Option<(String, String)> {
        loop {
            match soon(self.0.next()).await? {
                Ok(Message::Text(text)) => {
                    let said: Value = serde_json::from_str(&text).unwrap();
                    assert!(said["time"].as_i64().unwrap() > 1_600_000_000_000, "{said}");
                    let text = |name: &str| said[name].as_str().unwrap().to_owned();
                    return Some((text("status"), text("message")));
                }
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    pub async fn ask(&mut self, request: Value) -> (String, String) {
        self.say(request).await;
        self.hear().await.expect("the server has closed")
    }
}

/// Plays a conversation: `a> ACTION PARAMS`, `a< STATUS MESSAGE`, `a!`. See `lines::play`.
async fn play(fixture: &Fixture, query: &str, script: &str) {
    let mut sockets: HashMap<&str, Socket> = HashMap::new();
    let steps = script.lines().map(str::trim);
    for step in steps.filter(|step| !step.is_empty()) {
        let (name, rest) = step.split_at(1);
        let (what, text) = rest.split_at(1);
        if !sockets.contains_key(name) {
            sockets.insert(name, Socket::open(fixture, query).await);
        }
        if what == "!" {
            sockets.remove(name);
            continue;
        }
        let socket = sockets.get_mut(name).unwrap();
        match what {
            ">" => socket.say(request(text.trim())).await,
            "<" => {
                let (status, message) = socket.hear().await.expect(step);
                assert_eq!(format!("{status} {message}"), text.trim(), "{step}");
            }
            _ => panic!("{step}"),
        }
    }
}

fn request(text: &str) -> Value {
    let mut words = text.split(' ');
    let action = words.next().unwrap();
    let params: Vec<&str> = words.collect();
    match action.strip_prefix('m') {
        Some(_) => json!({"action": action, "params": params, "time": 1}),
        None => json!({"action": action, "param": params.first(), "time": 1}),
    }
}

/// What the document and the source say, example by example.
const TRANSCRIPTS: &[(&str, &str)] = &[
    (
        "connect, lock, unlock, close",
        "
        a> connect alice
        a< OK Open session: alice
        a> lock job
        a< OK Acquired
        a> lock job
        a< OK Already own the lock
        a> unlock job
        a< OK Unlocked job
        a> lock job
        a< OK Acquired
        a> close alice
        a< OK Close session: alice
        b> connect bob
        b< OK Open session: bob
        b> lock job
        b< OK Acquired
        ",
    ),
    (
        "who waits is told to try again",
        "
        a> connect alice
        a< OK Open session: alice
        a> lock job
        a< OK Acquired
        b> connect bob
        b< OK Open session: bob
        b> lock job
        b< WAIT Lock owned by alice
        c> connect carol
        c< OK Open session: carol
        c> lock job
        c< WAIT Lock owned by alice
        b> unlock job
        b< FAIL lock owned by alice
        a> unlock job
        a< OK Unlocked job
        b< RETRY job
        c< RETRY job
        c> lock job
        c< OK Acquired
        b> lock job
        b< WAIT Lock owned by carol
        c!
        b< RETRY job
        b> lock job
        b< OK Acquired
        ",
    ),
    (
        "several names: all or none",
        "
        a> connect alice
        a< OK Open session: alice
        b> connect bob
        b< OK Open session: bob
        b> lock two
        b< OK Acquired
        a> mlock one two three
        a< WAIT Lock owned by bob
        b> mlock one three
        b< OK Acquired
        b> munlock one other
        b< FAIL lock owned by null
        a> munlock one two
        a< FAIL lock owned by bob
        a> lock one
        a< WAIT Lock owned by bob
        b> munlock two three
        b< OK Unlocked two, three
        a< RETRY two
        b> unlock one
        b< OK Unlocked one
        a< RETRY one
        a> mlock one two three
        a< OK Acquired
        a> mlock one two
        a< OK Already own the lock
        a> mlock one four
        a< OK Acquired
        b> lock four
        b< WAIT Lock owned by alice
        ",
    ),
    (
        "without a session",
        "
        a> lock job
        a< FAIL Not sid, connect first
        a> unlock job
        a< FAIL Not sid, connect first
        a> close alice
        a< FAIL Not sid, connect first
        a> connect alice
        a< OK Open session: alice
        a> connect alice
        a< OK Open session: alice
        a> connect bob
        a< FAIL session alice is open; close it first
        a> unlock job
        a< FAIL lock owned by null
        a> dance job
        a< FAIL Unknown action: dance
        a> mlock job job
        a< FAIL latchd: \"job\" is there twice; name it once
        ",
    ),
];

#[tokio::test]
async fn transcripts() {
    for (what, script) in TRANSCRIPTS {
        println!("{what}");
        for query in [
            "",
            "?X-Atmosphere-tracking-id=0&X-Atmosphere-Transport=websocket",
        ] {
            let fixture = open().await;
            play(&fixture, query, script).await;
        }
    }
}

/// "`?status=document` selects the document's word."
#[tokio::test]
async fn the_documents_word() {
    let fixture = open().await;
    let script = "
        a> connect alice
        a< OK Open session: alice
        a> lock job
        a< LOCKED Acquired
        a> lock job
        a< LOCKED Already own the lock
        a> unlock job
        a< OK Unlocked job
    ";
    play(&fixture, "?status=document", script).await;
}

/// "A closed websocket ends its session and frees its locks at once", and "when a lock frees, every
/// waiting session gets RETRY", through whatever door it was locked.
#[tokio::test]
async fn a_lock_of_another_door() {
    let fixture = open().await;
    let mut line = Client::connect(dreadlock(&fixture)).await;
    assert_eq!(line.ask("lock job 0").await, "l locked");
    let mut socket = Socket::open(&fixture, "").await;
    socket.ask(request("connect alice")).await;
    let (status, message) = socket.ask(request("lock job")).await;
    let address = line.stream().local_addr().unwrap();
    assert_eq!(status, "WAIT");
    assert_eq!(message, format!("Lock owned by dreadlock {address}"));
    drop(line);
    assert_eq!(socket.hear().await, Some(("RETRY".into(), "job".into())));
    assert_eq!(socket.ask(request("lock job")).await.0, "OK");
    let locks = list(&fixture).await;
    let holder = &locks[0].holders[0];
    assert_eq!(
        (holder.door.as_str(), holder.owner.as_str()),
        ("distlock", "alice")
    );
    let mut etcd = fixture.client().await;
    drop(socket);
    until_count(&mut etcd, "job/", 0).await;
}

/// "A JSON answer to malformed input."
#[tokio::test]
async fn garbage() {
    let fixture = open().await;
    let mut socket = Socket::open(&fixture, "").await;
    for message in [
        Message::text(""),
        Message::text("lock job"),
        Message::text("[1, 2]"),
        Message::text(r#"{"action": {"a": 1}}"#),
        Message::text(r#"{"action": "lock", "param": 7}"#),
        Message::text("[".repeat(60_000)),
        Message::binary(vec![0xff, 0, 1]),
    ] {
        socket.send(message).await;
        let (status, reason) = socket.hear().await.unwrap();
        assert_eq!(status, "FAIL");
        assert!(reason.contains("the message is no request"), "{reason}");
    }
    assert_eq!(socket.ask(request("connect alice")).await.0, "OK");
}

/// A client that does not read costs itself alone.
#[tokio::test]
async fn who_stops_reading_is_not_read_from() {
    let fixture = open().await;
    let mut deaf = Socket::open(&fixture, "").await;
    // Each is answered with as much: an action that nobody knows is told by its name.
    let asked = json!({"action": "x".repeat(60_000)}).to_string();
    let mut sent = 0;
    while let Ok(taken) = tokio::time::timeout(
        Duration::from_secs(1),
        deaf.0.send(Message::text(asked.clone())),
    )
    .await
    {
        taken.unwrap();
        sent += 1;
        assert!(sent < 10_000, "everything is taken");
    }
    let mut polite = Socket::open(&fixture, "").await;
    assert_eq!(polite.ask(request("connect alice")).await.0, "OK");
    assert_eq!(polite.ask(request("lock job")).await.0, "OK");
}

#[tokio::test]
async fn each_limit_has_its_answer() {
    let fixture = open_with(|config| {
        config.doors.most_connections = 1;
        config.doors.most_names = 1;
        config.doors.most_frame = 1000;
    })
    .await;
    let mut socket = Socket::open(&fixture, "").await;
    assert_eq!(socket.ask(request("connect alice")).await.0, "OK");
    assert_eq!(socket.ask(request("lock one")).await.0, "OK");
    let fail = |reason: &str| Some(("FAIL".to_owned(), reason.to_owned()));
    assert_eq!(
        Some(socket.ask(request("lock two")).await),
        fail("more than 1 locks")
    );
    let mut second = Socket::open(&fixture, "").await;
    assert_eq!(second.hear().await, fail("too many connections"));
    assert_eq!(second.hear().await, None);
    socket.send(Message::text("x".repeat(1001))).await;
    assert_eq!(socket.hear().await, fail("the message is too long"));
    assert_eq!(socket.hear().await, None);
    let mut etcd = fixture.client().await;
    until_count(&mut etcd, "one/", 0).await;
    let patience = Some(Duration::from_millis(100));
    let fixture = open_with(|config| config.doors.first_command = patience).await;
    let mut silent = Socket::open(&fixture, "").await;
    assert_eq!(silent.hear().await, fail("no command came"));
    assert_eq!(silent.hear().await, None);
}

#[tokio::test]
async fn what_is_no_websocket() {
    let fixture = open().await;
    let address = fixture.server().addresses()[0];
    let mut client = Client::connect(address).await;
    client
        .send("GET /distlock/lock HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    assert_eq!(client.hear().await.unwrap(), "HTTP/1.1 400 Bad Request");
}

/// A stop ends connections, and their locks with them.
#[tokio::test]
async fn a_stop_ends_sessions() {
    let mut fixture = open().await;
    let mut socket = Socket::open(&fixture, "").await;
    socket.ask(request("connect alice")).await;
    assert_eq!(socket.ask(request("lock job")).await.0, "OK");
    let hearing = tokio::spawn(async move { socket.hear().await });
    fixture.stop().await;
    assert_eq!(hearing.await.unwrap(), None);
    fixture.restart().await;
    let mut etcd = fixture.client().await;
    until_count(&mut etcd, "job/", 0).await;
}
