//! elock: every command in its words, and sessions that outlive connections and servers.

use std::time::Duration;

use crate::common::{Fixture, keys_under, until_count};
use crate::lines::{Client, play};
use crate::support::{elock, open, open_doors, open_with};

/// What the document says, example by example.
const TRANSCRIPTS: &[(&str, &str)] = &[
    (
        "lock and unlock",
        "
        a> lock job
        a< 200 Acquired
        a> lock job
        a< 200 Acquired
        a> unlock job
        a< 200 Unlocked
        a> unlock job
        a< 403 not_locked
        ",
    ),
    (
        "what another holds",
        "
        a> lock job
        a< 200 Acquired
        b> lock job
        b< 409 Unavailable
        b> lock job 0
        b< 409 Unavailable
        b> lock job 1
        b< 409 Unavailable
        b> unlock job
        b< 403 not_yours
        ",
    ),
    (
        "a wait that ends well",
        "
        a> lock job
        a< 200 Acquired
        b> lock job 60
        a> unlock job
        a< 200 Unlocked
        b< 200 Acquired
        a> lock job
        a< 409 Unavailable
        ",
    ),
    (
        "unlock_all",
        "
        a> unlock_all
        a< 200 OK
        a> lock one
        a< 200 Acquired
        a> lock two
        a< 200 Acquired
        a> unlock_all
        a< 200 OK
        b> lock one
        b< 200 Acquired
        b> lock two
        b< 200 Acquired
        ",
    ),
    (
        "a session is resumed",
        "
        a> conn_id
        a< 200 $id
        a> conn_id
        a< 200 $id
        a> lock job
        a< 200 Acquired
        b> lock job
        b< 409 Unavailable
        a> quit
        a< 200 Hey, it was nice seeing you.
        a.
        c> conn_id $id
        c< 200 conn id set
        c> conn_id
        c< 200 $id
        c> lock job
        c< 200 Acquired
        c> unlock job
        c< 200 Unlocked
        ",
    ),
    (
        "a session is not resumed",
        "
        a> conn_id
        a< 200 $id
        b> conn_id $id
        b< 403 cannot set conn id
        b> conn_id 1
        b< 403 cannot set conn id
        b> conn_id 1f-00
        b< 403 cannot set conn id
        b> lock job
        b< 200 Acquired
        a!
        b> conn_id $id
        b< 403 cannot set conn id
        ",
    ),
    (
        "set_timeout",
        "
        a> set_timeout 3000
        a< 200 timeout set
        a> lock job
        a< 200 Acquired
        b> lock job 60
        a!
        b< 200 Acquired
        c> lock other
        c< 200 Acquired
        c> set_timeout 0
        c< 200 timeout set
        c!
        b> lock other 60
        b< 200 Acquired
        ",
    ),
    (
        "bad numbers",
        "
        a> lock job x
        a< 400 Bad number: x
        a> lock job -1
        a< 400 Bad number: -1
        a> lock job 99999999999999999999
        a< 400 Bad number: 99999999999999999999
        a> set_timeout 1.5
        a< 400 Bad number: 1.5
        a> set_timeout 86400001
        a< 400 Bad number: 86400001
        a> lock job
        a< 200 Acquired
        ",
    ),
    (
        "echo and stats",
        "
        a> stats
        a< 200 STATS
        a< STAT clients 0
        a< STAT locks 0
        a< STAT monitoring 0
        a< END
        a> echo one  two
        a< 200 one two
        a> lock job
        a< 200 Acquired
        a> lock other
        a< 200 Acquired
        b> conn_id
        b< 200 $id
        c> stats
        c< 200 STATS
        c< STAT clients 2
        c< STAT locks 2
        c< STAT monitoring 2
        c< END
        ",
    ),
    (
        "unknown commands",
        "
        a> nonsense a b
        a< 400 Unknown command: nonsense
        a> lock
        a< 400 Unknown command: lock
        a> LOCK job
        a< 400 Unknown command: LOCK
        a> stats now
        a< 400 Unknown command: stats
        a> echo still here
        a< 200 still here
        ",
    ),
    (
        "pipelined commands are answered in their order",
        "
        a> lock job
        a< 200 Acquired
        b> echo first
        b> lock job 60
        b> echo last
        b< 200 first
        a> unlock job
        a< 200 Unlocked
        b< 200 Acquired
        b< 200 last
        ",
    ),
];

#[tokio::test]
async fn transcripts() {
    for (what, script) in TRANSCRIPTS {
        println!("{what}");
        let fixture = open().await;
        play(elock(&fixture), script).await;
    }
}

/// "Text lines ending in LF; CR before it is stripped."
#[tokio::test]
async fn lines_may_end_in_lf_alone() {
    let fixture = open().await;
    let mut client = Client::connect(elock(&fixture)).await;
    client.send("echo a\n  lock job \nunlock job\r\n").await;
    for answer in ["200 a", "200 Acquired", "200 Unlocked"] {
        assert_eq!(client.hear().await.unwrap(), answer);
    }
}

#[tokio::test]
async fn garbage_and_half_lines() {
    let fixture = open().await;
    let mut client = Client::connect(elock(&fixture)).await;
    assert_eq!(client.ask("lock job").await, "200 Acquired");
    client.send(b"\0\xff\xfe\n").await;
    let answered = client.hear().await.unwrap();
    assert!(answered.starts_with("400 Unknown command: "), "{answered}");
    for garbage in ["", "  ", "GET / HTTP/1.1", "lock  "] {
        let answered = client.ask(garbage).await;
        assert!(answered.starts_with("400 Unknown command: "), "{answered}");
    }
    for byte in b"unlock jo" {
        client.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    let mut other = Client::connect(elock(&fixture)).await;
    assert_eq!(other.ask("lock job").await, "409 Unavailable");
    client.send("b\r").await;
    client.send("\n").await;
    assert_eq!(client.hear().await.unwrap(), "200 Unlocked");
}

/// An ID is a name for its session only with the token in it, and the store has only a hash of that.
#[tokio::test]
async fn ids_cannot_be_guessed() {
    let fixture = open().await;
    let mut client = Client::connect(elock(&fixture)).await;
    let id = client.ask("conn_id").await.split_off(4);
    let (lease, token) = id.split_once('-').unwrap();
    assert_eq!(token.len(), 64);
    drop(client);
    let mut thief = Client::connect(elock(&fixture)).await;
    let guess = format!("conn_id {lease}-{}", "0".repeat(64));
    assert_eq!(thief.ask(&guess).await, "403 cannot set conn id");
    let mut etcd = fixture.client().await;
    let everything = etcd_client::GetOptions::new().with_all_keys();
    let found = etcd.get("", Some(everything)).await.unwrap();
    assert!(!found.kvs().is_empty());
    for kv in found.kvs() {
        let text = format!("{}{}", kv.key_str().unwrap(), kv.value_str().unwrap());
        assert!(!text.contains(token), "{text}");
    }
    assert_eq!(thief.ask(&format!("conn_id {id}")).await, "200 conn id set");
}

/// "A session and its locks survive a restart of latchd within the grace."
#[tokio::test]
async fn a_session_survives_a_restart() {
    let mut fixture = open().await;
    let mut client = Client::connect(elock(&fixture)).await;
    let id = client.ask("conn_id").await.split_off(4);
    assert_eq!(client.ask("lock job").await, "200 Acquired");
    restart(&mut fixture).await;
    let mut other = Client::connect(elock(&fixture)).await;
    assert_eq!(other.ask("lock job").await, "409 Unavailable");
    other.say("lock job 60").await;
    let mut again = Client::connect(elock(&fixture)).await;
    assert_eq!(again.ask(&format!("conn_id {id}")).await, "200 conn id set");
    assert_eq!(again.ask("lock job").await, "200 Acquired");
    assert_eq!(again.ask("unlock job").await, "200 Unlocked");
    assert_eq!(other.hear().await.unwrap(), "200 Acquired");
}

async fn restart(fixture: &mut Fixture) {
    fixture.restart_with(open_doors).await;
}

/// A timeout that is set after the session began is longer than its lease lives, and survives.
#[tokio::test]
async fn a_longer_timeout_survives_a_restart() {
    let mut fixture = open().await;
    let mut client = Client::connect(elock(&fixture)).await;
    assert_eq!(client.ask("set_timeout 4000").await, "200 timeout set");
    let id = client.ask("conn_id").await.split_off(4);
    assert_eq!(client.ask("lock job").await, "200 Acquired");
    assert_eq!(client.ask("set_timeout 60000").await, "200 timeout set");
    for _ in 0..2 {
        drop(client);
        tokio::time::sleep(Duration::from_secs(6)).await;
        client = Client::connect(elock(&fixture)).await;
        let resumed = client.ask(&format!("conn_id {id}")).await;
        assert_eq!(resumed, "200 conn id set");
        assert_eq!(client.ask("lock job").await, "200 Acquired");
        restart(&mut fixture).await;
    }
}

/// A waiter that loses its connection leaves the queue at once, although its session lives on.
#[tokio::test]
async fn a_lost_connection_leaves_the_queue() {
    let fixture = open().await;
    let mut etcd = fixture.client().await;
    let mut holder = Client::connect(elock(&fixture)).await;
    assert_eq!(holder.ask("lock job").await, "200 Acquired");
    let mut waiter = Client::connect(elock(&fixture)).await;
    let id = waiter.ask("conn_id").await.split_off(4);
    waiter.say("lock job 3600").await;
    until_count(&mut etcd, "job/", 2).await;
    drop(waiter);
    until_count(&mut etcd, "job/", 1).await;
    drop(holder);
    let mut again = Client::connect(elock(&fixture)).await;
    assert_eq!(again.ask(&format!("conn_id {id}")).await, "200 conn id set");
    assert_eq!(again.ask("unlock job").await, "403 not_yours");
    assert_eq!(keys_under(&mut etcd, "job/").await.len(), 1);
}

#[tokio::test]
async fn each_limit_has_its_answer() {
    let fixture = open_with(|config| {
        config.doors.most_connections = 1;
        config.doors.most_names = 1;
    })
    .await;
    let mut client = Client::connect(elock(&fixture)).await;
    assert_eq!(client.ask("lock one").await, "200 Acquired");
    assert_eq!(client.ask("lock two").await, "400 More than 1 locks");
    let mut second = Client::connect(elock(&fixture)).await;
    assert_eq!(second.hear().await.unwrap(), "503 Too many connections");
    second.is_dropped().await;
    client.send(vec![b'x'; 5000]).await;
    assert_eq!(client.hear().await.unwrap(), "400 Line too long");
    client.is_dropped().await;
    let patience = Some(Duration::from_millis(100));
    let fixture = open_with(|config| config.doors.first_command = patience).await;
    let mut silent = Client::connect(elock(&fixture)).await;
    assert_eq!(silent.hear().await.unwrap(), "408 No command came");
    silent.is_dropped().await;
}
