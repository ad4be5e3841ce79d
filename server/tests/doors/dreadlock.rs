//! Dreadlock: exact answers, first come first served, and a lost connection loses everything.

use crate::common::{keys_under, until_count};
use crate::lines::{Client, play};
use crate::support::{dreadlock, list, open, open_with};

/// What the document says, example by example.
const TRANSCRIPTS: &[(&str, &str)] = &[
    (
        "lock and unlock",
        "
        a> lock job 1000
        a< l locked
        a> unlock job
        a< u unlocked
        a> lock job 0
        a< l locked
        ",
    ),
    (
        "a timeout",
        "
        a> lock job 1000
        a< l locked
        b> lock job 0
        b< t timeout
        b> lock job 20
        b< t timeout
        ",
    ),
    (
        "each error",
        "
        a> lock job 0
        a< l locked
        a> lock job 0
        a< e already locked
        a> lock job 1000
        a< e already locked
        b> unlock job
        b< e not owner
        b> unlock other
        b< e not locked
        a> unlock job
        a< u unlocked
        a> unlock job
        a< e not locked
        ",
    ),
    (
        "keywords in any case, spaces between words and after them",
        "
        a> LOCK job 0
        a< l locked
        a> uNlOcK   job
        a< u unlocked
        a> Lock    Job2      50
        a< l locked
        a> UNLOCK Job2     
        a< u unlocked
        ",
    ),
    (
        "keys are told apart by their case",
        "
        a> lock job 0
        a< l locked
        b> lock JOB 0
        b< l locked
        ",
    ),
    (
        "a lost connection loses its locks",
        "
        a> lock job 0
        a< l locked
        b> lock job 60000
        a!
        b< l locked
        ",
    ),
    (
        "pipelined commands are answered in their order",
        "
        a> lock job 0
        a> lock job 0
        a> unlock job
        a> unlock job
        a< l locked
        a< e already locked
        a< u unlocked
        a< e not locked
        ",
    ),
    (
        "an earlier answer does not wait for a later command",
        "
        a> lock job 0
        a< l locked
        b> lock free 0
        b> lock job 60000
        b< l locked
        a> unlock job
        a< u unlocked
        b< l locked
        ",
    ),
    (
        "a syntax error drops the connection",
        "
        a> lock job 0
        a< l locked
        b> lock job
        b.
        c> status
        c.
        a> unlock job
        a< u unlocked
        ",
    ),
];

#[tokio::test]
async fn transcripts() {
    for (what, script) in TRANSCRIPTS {
        println!("{what}");
        let fixture = open().await;
        play(dreadlock(&fixture), script).await;
    }
}

/// "First come, first served."
#[tokio::test]
async fn the_first_to_wait_is_the_first_to_get() {
    let fixture = open().await;
    let mut etcd = fixture.client().await;
    let mut holder = Client::connect(dreadlock(&fixture)).await;
    assert_eq!(holder.ask("lock job 0").await, "l locked");
    let mut waiting = Vec::new();
    for place in 2..6 {
        let mut client = Client::connect(dreadlock(&fixture)).await;
        client.say("lock job 60000").await;
        until_count(&mut etcd, "job/", place).await;
        waiting.push(client);
    }
    assert_eq!(holder.ask("unlock job").await, "u unlocked");
    for mut client in waiting {
        assert_eq!(client.hear().await.unwrap(), "l locked");
        let answered = client.ask("unlock job").await;
        assert_eq!(answered, "u unlocked");
    }
}

/// "A dropped connection loses its locks and its place at once", also while it waits, and also
/// when it has said more than anybody wanted to hear.
#[tokio::test]
async fn a_lost_connection_leaves_the_queue() {
    let fixture = open().await;
    let mut etcd = fixture.client().await;
    let mut holder = Client::connect(dreadlock(&fixture)).await;
    assert_eq!(holder.ask("lock job 0").await, "l locked");
    for said in [String::new(), "unlock job\r\n".repeat(5000)] {
        let mut waiter = Client::connect(dreadlock(&fixture)).await;
        waiter.say("lock job 3600000").await;
        until_count(&mut etcd, "job/", 2).await;
        waiter.send(said).await;
        drop(waiter);
        until_count(&mut etcd, "job/", 1).await;
    }
    drop(holder);
    until_count(&mut etcd, "job/", 0).await;
}

/// "A name locked at any door is the key prefix NAME/ in etcd's keyspace, with the owner (door,
/// address, session) in its value."
#[tokio::test]
async fn a_lock_is_listed_like_all_others() {
    let fixture = open_with(|config| config.doors.prefix = "old/".into()).await;
    let mut client = Client::connect(dreadlock(&fixture)).await;
    assert_eq!(client.ask("lock job 0").await, "l locked");
    let address = client.stream().local_addr().unwrap().to_string();
    let mut etcd = fixture.client().await;
    let keys = keys_under(&mut etcd, "old/job/").await;
    let locks = list(&fixture).await;
    let [lock] = &locks[..] else {
        panic!("{locks:?}");
    };
    let [holder] = &lock.holders[..] else {
        panic!("{lock:?}");
    };
    assert_eq!(lock.name, "old/job");
    assert_eq!(keys, [String::from_utf8(holder.key.to_vec()).unwrap()]);
    assert!(keys[0].starts_with("old/job/~x."), "{keys:?}");
    assert_eq!(holder.door, "dreadlock");
    assert_eq!(holder.owner, format!("dreadlock {address}"));
    let label = |key: &str| {
        let found = holder.labels.iter().find(|label| label.key == key);
        found.map(|label| label.value.clone())
    };
    assert_eq!(label("address"), Some(address));
    assert_eq!(label("session"), Some(format!("{:x}", holder.session)));
}
