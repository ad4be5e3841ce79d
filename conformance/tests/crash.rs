//! kill -9 of the server under load, several times over on the same data.
#![allow(missing_docs)]

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};
use etcd_client::{Client, GetOptions, Txn, TxnOp};
use latchd_conformance::{
    locks,
    server::Server,
    wait::{SOON, within},
};
use tokio::{sync::watch, task::JoinSet};

const ROUNDS: usize = 5;
const WRITERS: usize = 8;
/// The server is killed once so many writes of the round have been answered.
const WRITES: usize = 400;

/// What one writer was promised: the last number that was acknowledged, and the
/// revision which came with it. Its writes follow one another, so all earlier
/// ones were acknowledged too.
#[derive(Clone, Copy, Debug, Default)]
struct Promise {
    number: usize,
    revision: i64,
}

type Promises = BTreeMap<usize, Promise>;

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_and_held_locks_survive_kill_9() -> Result<()> {
    let mut server = Server::start().await?;
    let client = server.client().await?;
    let owner = locks::lease(&client, 600, 0).await?;
    let key = locks::take(&client, "job", owner).await?;

    let mut promises = Promises::new();
    for round in 0..ROUNDS {
        promises = kill_under_load(&mut server, promises).await?;
        server.start_again().await?;
        let client = server.client().await?;
        check_writes(&client, &promises).await?;
        check_lock(&client, &key, owner).await?;
        refuse_a_rival(&server, &client).await?;
        let total: usize = promises.values().map(|p| p.number).sum();
        println!("round {round}: {total} acknowledged writes are there");
    }

    let client = server.client().await?;
    client.lock_client().unlock(key).await?;
    let next = locks::lease(&client, 600, 0).await?;
    locks::take(&client, "job", next).await?;
    Ok(())
}

/// Lets the writers run, kills the server in their midst, and returns what they
/// were promised.
async fn kill_under_load(server: &mut Server, before: Promises) -> Result<Promises> {
    let (acknowledged, mut seen) = watch::channel(before.clone());
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let start = before.get(&writer).copied().unwrap_or_default();
        let client = server.client().await?;
        writers.spawn(write(client, writer, start.number, acknowledged.clone()));
    }
    let done = |all: &Promises| all.values().map(|p| p.number).sum::<usize>();
    let goal = done(&before) + WRITES;
    within(SOON, "enough writes", async {
        seen.wait_for(|all| done(all) >= goal).await?;
        Ok(())
    })
    .await?;
    server.kill().await?;
    // Whatever they still wait for will not be answered any more.
    writers.shutdown().await;
    Ok(seen.borrow().clone())
}

/// Writes numbers from `number + 1` on until the server is gone, each as a pair
/// of keys in one Txn, and notes each answer.
async fn write(
    mut client: Client,
    writer: usize,
    number: usize,
    acknowledged: watch::Sender<Promises>,
) {
    for number in number + 1.. {
        let value = number.to_string();
        let pair = ["left", "right"]
            .map(|side| TxnOp::put(key(side, writer, number), value.clone(), None));
        let Ok(answer) = client.txn(Txn::new().and_then(pair)).await else {
            return;
        };
        let Ok(revision) = locks::revision(answer.header()) else {
            return;
        };
        acknowledged.send_modify(|all| {
            all.insert(writer, Promise { number, revision });
        });
    }
}

fn key(side: &str, writer: usize, number: usize) -> String {
    format!("{side}/{writer}/{number:06}")
}

/// Everything promised is there, at most one write more for each writer, both
/// sides of each, and the revision has not gone back.
async fn check_writes(client: &Client, promises: &Promises) -> Result<()> {
    let highest = promises.values().map(|p| p.revision).max();
    let now = client.kv_client().get("-", None).await?;
    let now = locks::revision(now.header())?;
    ensure!(Some(now) >= highest, "revision {now}, promised {highest:?}");
    for (&writer, promise) in promises {
        let left = numbers(client, "left", writer).await?;
        let right = numbers(client, "right", writer).await?;
        ensure!(left == right, "writer {writer}: half a Txn is there");
        let found = left.len();
        // One more may have been committed without an answer.
        let allowed = promise.number..=promise.number + 1;
        ensure!(
            allowed.contains(&found),
            "writer {writer}: {found} writes, promised {promise:?}"
        );
        ensure!(
            left == (1..=found).collect::<Vec<_>>(),
            "writer {writer}: a gap"
        );
    }
    Ok(())
}

/// The numbers under one side of a writer, each with the value that was put.
async fn numbers(client: &Client, side: &str, writer: usize) -> Result<Vec<usize>> {
    let options = GetOptions::new().with_prefix();
    let mut kv = client.kv_client();
    let found = kv.get(format!("{side}/{writer}/"), Some(options)).await?;
    let mut numbers = Vec::new();
    for kv in found.kvs() {
        let number: usize = kv.value_str()?.parse()?;
        ensure!(kv.key_str()? == key(side, writer, number), "{kv:?}");
        numbers.push(number);
    }
    Ok(numbers)
}

/// The lock from before the crash is still its owner's, with its lease.
async fn check_lock(client: &Client, key: &[u8], owner: i64) -> Result<()> {
    ensure!(
        locks::queue(client, "job").await? == [key],
        "not one holder"
    );
    let mut leases = client.lease_client();
    let left = leases.time_to_live(owner, None).await?;
    ensure!(left.granted_ttl() == 600 && left.ttl() > 0, "{left:?}");
    Ok(())
}

/// Nobody else gets the lock, and who gives up waiting leaves no key.
async fn refuse_a_rival(server: &Server, client: &Client) -> Result<()> {
    let rival = locks::lease(client, 60, 0).await?;
    let patience = Duration::from_millis(300);
    ensure!(
        locks::stays_held(client, "job", rival, patience).await?,
        "a second holder"
    );
    if !server.is_latchd() {
        // A real etcd sometimes leaves it: see lost_waiters.rs.
        client.lease_client().revoke(rival).await?;
    }
    locks::await_count(client, "job", 1).await
}
