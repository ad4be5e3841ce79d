//! Clients that send garbage, half lines, endless lines, or stop reading: each costs itself alone.

use std::time::Duration;

use crate::common::until_count;
use crate::lines::Client;
use crate::support::{dreadlock, elock, open, open_with};

/// What is past a limit is counted.
#[tokio::test]
async fn refusals_are_counted() {
    let fixture = open_with(|config| {
        config.doors.most_connections = 1;
        config.doors.most_line = 100;
        config.doors.most_names = 1;
    })
    .await;
    let mut crowd = Client::connect(dreadlock(&fixture)).await;
    assert_eq!(crowd.ask("lock a 0").await, "l locked");
    assert_eq!(crowd.ask("lock b 0").await, "e more than 1 keys");
    let mut second = Client::connect(dreadlock(&fixture)).await;
    second.hear().await.unwrap();
    crowd.send("?\r\n").await;
    crowd.is_dropped().await;
    // A connection is counted until it has ended on this side, too.
    let long = loop {
        let mut client = Client::connect(dreadlock(&fixture)).await;
        client.send([b'x'; 200]).await;
        match client.hear().await.unwrap() {
            crowded if crowded == "e too many connections" => {}
            long => break long,
        }
    };
    assert_eq!(long, "e line too long");
    let patience = Some(Duration::from_millis(50));
    let fixture = open_with(|config| config.doors.first_command = patience).await;
    let mut silent = Client::connect(dreadlock(&fixture)).await;
    assert_eq!(silent.hear().await.unwrap(), "e no command came");
    let refused = &latchd::metrics::METRICS.doors.refused;
    for reason in ["connections", "names", "syntax", "line", "idle"] {
        let count = refused.with_label_values(&["dreadlock", reason]).get();
        assert!(count > 0, "{reason}");
    }
}

/// What the doors say of a name that nobody holds.
const NOT_LOCKED: [&str; 2] = ["e not locked", "403 not_locked"];

/// The same for whoever is polite, at any time.
async fn others_are_served(address: std::net::SocketAddr) {
    let mut polite = Client::connect(address).await;
    assert_eq!(polite.ask("lock polite 0").await, "l locked");
    assert_eq!(polite.ask("unlock polite").await, "u unlocked");
}

#[tokio::test]
async fn garbage_drops_the_connection_and_its_locks() {
    let fixture = open().await;
    let mut etcd = fixture.client().await;
    for garbage in [
        &b"\r\n"[..],
        b"\n",
        b"lock job 0\n",
        b"\0\0\0\0\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\n",
        b"lock \xff\xfe 0\r\n",
        b"unlock a/b\r\n",
    ] {
        let mut client = Client::connect(dreadlock(&fixture)).await;
        assert_eq!(client.ask("lock job 0").await, "l locked");
        client.send(garbage).await;
        client.is_dropped().await;
        until_count(&mut etcd, "job/", 0).await;
    }
    others_are_served(dreadlock(&fixture)).await;
}

#[tokio::test]
async fn a_half_line_waits_for_its_other_half() {
    let fixture = open().await;
    let mut slow = Client::connect(dreadlock(&fixture)).await;
    for byte in b"lock job 0" {
        slow.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    others_are_served(dreadlock(&fixture)).await;
    slow.send("\r").await;
    slow.send("\nunlock jo").await;
    assert_eq!(slow.hear().await.unwrap(), "l locked");
    slow.send("b\r\n").await;
    assert_eq!(slow.hear().await.unwrap(), "u unlocked");
}

#[tokio::test]
async fn an_endless_line_is_refused() {
    let fixture = open().await;
    let mut endless = Client::connect(dreadlock(&fixture)).await;
    endless.send(vec![b'x'; 5000]).await;
    assert_eq!(endless.hear().await.unwrap(), "e line too long");
    endless.is_dropped().await;
    // The longest line there may be, and one byte more.
    for (digits, answer) in [(4086, "l locked"), (4087, "e line too long")] {
        let mut long = Client::connect(dreadlock(&fixture)).await;
        let line = format!("lock long {}", "0".repeat(digits));
        assert_eq!(long.ask(&line).await, answer);
    }
    others_are_served(dreadlock(&fixture)).await;
}

/// Sends commands until nobody has taken any for a while; others are served all the time.
async fn until_nothing_is_taken(address: std::net::SocketAddr, commands: &str) -> Client {
    let mut deaf = Client::connect(address).await;
    let mut sent = 0;
    while let Ok(written) = tokio::time::timeout(
        Duration::from_secs(1),
        tokio::io::AsyncWriteExt::write(deaf.stream(), commands.as_bytes()),
    )
    .await
    {
        sent += written.unwrap();
        assert!(sent < 100 << 20, "everything is taken");
        let mut polite = Client::connect(address).await;
        let answered = polite.ask("unlock other").await;
        assert!(NOT_LOCKED.contains(&answered.as_str()), "{answered}");
    }
    deaf
}

/// Its answers wait in the system's buffers, then its commands do.
#[tokio::test]
async fn who_stops_reading_is_not_read_from() {
    let mut fixture = open().await;
    let asked = [
        (dreadlock(&fixture), "unlock nothing\r\n"),
        (elock(&fixture), "echo nothing\n"),
    ];
    let mut deaf = Vec::new();
    for (address, line) in asked {
        deaf.push(until_nothing_is_taken(address, &line.repeat(4096)).await);
    }
    others_are_served(dreadlock(&fixture)).await;
    let begun = tokio::time::Instant::now();
    fixture.stop().await;
    // It gives connections five seconds to drain.
    assert!(
        begun.elapsed() < Duration::from_secs(45),
        "a stop waits for nobody"
    );
}

/// A client that asks as fast as it can, and reads what it is answered.
fn flood(address: std::net::SocketAddr, line: &'static str) -> std::net::TcpStream {
    use std::io::{Read, Write};
    let stream = std::net::TcpStream::connect(address).unwrap();
    let (mut asking, mut hearing) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
    let lines = line.repeat(1000);
    std::thread::spawn(move || while asking.write_all(lines.as_bytes()).is_ok() {});
    std::thread::spawn(move || {
        let mut heard = [0; 65536];
        while hearing.read(&mut heard).is_ok_and(|read| read > 0) {}
    });
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_keeps_nobody_waiting() {
    let fixture = open().await;
    for (address, line) in [
        (dreadlock(&fixture), "unlock nothing\r\n"),
        (elock(&fixture), "echo echo\n"),
    ] {
        let floods: Vec<_> = (0..4).map(|_| flood(address, line)).collect();
        for _ in 0..10 {
            let mut polite = Client::connect(address).await;
            let answered = polite.ask("unlock other").await;
            assert!(NOT_LOCKED.contains(&answered.as_str()), "{answered}");
        }
        for flood in floods {
            let _ = flood.shutdown(std::net::Shutdown::Both);
        }
    }
}

#[tokio::test]
async fn too_many_connections() {
    let fixture = open_with(|config| config.doors.most_connections = 2).await;
    let mut first = Client::connect(dreadlock(&fixture)).await;
    assert_eq!(first.ask("lock one 0").await, "l locked");
    let mut second = Client::connect(dreadlock(&fixture)).await;
    assert_eq!(second.ask("lock two 0").await, "l locked");
    let mut third = Client::connect(dreadlock(&fixture)).await;
    assert_eq!(third.hear().await.unwrap(), "e too many connections");
    third.is_dropped().await;
    drop(first);
    let mut etcd = fixture.client().await;
    until_count(&mut etcd, "one/", 0).await;
    others_are_served(dreadlock(&fixture)).await;
}

#[tokio::test]
async fn too_many_names() {
    let fixture = open_with(|config| config.doors.most_names = 2).await;
    let mut client = Client::connect(dreadlock(&fixture)).await;
    for name in ["a", "b"] {
        assert_eq!(client.ask(&format!("lock {name} 0")).await, "l locked");
    }
    assert_eq!(client.ask("lock c 0").await, "e more than 2 keys");
    assert_eq!(client.ask("unlock a").await, "u unlocked");
    assert_eq!(client.ask("lock c 0").await, "l locked");
}

#[tokio::test]
async fn who_says_nothing_is_sent_away() {
    let fixture =
        open_with(|config| config.doors.first_command = Some(Duration::from_millis(100))).await;
    let mut early = in_time(dreadlock(&fixture)).await;
    let mut silent = Client::connect(dreadlock(&fixture)).await;
    assert_eq!(silent.hear().await.unwrap(), "e no command came");
    silent.is_dropped().await;
    // Only before the first command.
    assert_eq!(early.ask("unlock job").await, "u unlocked");
}

/// A client that has locked `job`, although the server gives it little time to say so, which a busy
/// machine may take from it.
async fn in_time(address: std::net::SocketAddr) -> Client {
    loop {
        let mut client = Client::connect(address).await;
        match client.ask("lock job 0").await {
            locked if locked == "l locked" => return client,
            late => assert_eq!(late, "e no command came"),
        }
    }
}

/// "Drain on SIGTERM": connections are closed, waiters leave no key.
#[tokio::test]
async fn a_stop_ends_connections() {
    let mut fixture = open().await;
    let mut holder = Client::connect(dreadlock(&fixture)).await;
    assert_eq!(holder.ask("lock job 0").await, "l locked");
    let mut waiter = Client::connect(dreadlock(&fixture)).await;
    waiter.say("lock job 60000").await;
    let mut etcd = fixture.client().await;
    until_count(&mut etcd, "job/", 2).await;
    drop(etcd);
    let begun = tokio::time::Instant::now();
    fixture.stop().await;
    let drained = begun.elapsed();
    assert!(
        drained < Duration::from_secs(5),
        "they were cut: {drained:?}"
    );
    holder.is_dropped().await;
    waiter.is_dropped().await;
    fixture.restart().await;
    let mut etcd = fixture.client().await;
    until_count(&mut etcd, "job/", 0).await;
}
