//! The Lock service.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use etcd_client::{Client, LockOptions};
use serde_json::{Value, json};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep},
};

use super::{LONG, Task, get, say};
use crate::locks::{await_count, count, lease};

/// A holder, and a waiter who gets the lock when the holder unlocks.
pub(super) async fn lock(task: &Task) -> Result<Value> {
    let (one, other) = (task.connect().await?, task.connect().await?);
    let own = lease(&one, LONG, 0).await?;
    let held = take(&one, &task.name, own).await?;
    let again = take(&one, &task.name, own).await?;
    let kv = get(&one, &held).await?.context("the lock has no key")?;
    let waiting = lease(&other, LONG, 0).await?;
    let name = task.name.clone();
    let client = other.clone();
    let waiter = tokio::spawn(async move { take(&client, &name, waiting).await });
    await_count(&one, &task.name, 2).await?;
    let waited = !waiter.is_finished();
    unlock(&one, &held).await?;
    let key = waiter.await??;
    unlock(&other, &key).await?;
    let unknown = take(&one, &task.name, 123).await.err();
    Ok(json!({
        "key": held,
        "lease": format!("{:x}", kv.lease()),
        "same_key_again": again == held,
        "waited": waited,
        "after": key == format!("{}/{waiting:x}", task.name),
        "unknown_lease": unknown.map(|error| error.to_string()),
        "keys_left": count(&one, &task.name).await?,
    }))
}

/// All queue behind a holder, one after the other, and take their turns.
pub(super) async fn contend(task: &Task) -> Result<Value> {
    let first = task.connect().await?;
    let held = take(&first, &task.name, lease(&first, LONG, 0).await?).await?;
    let grants = Arc::new(Mutex::new(Grants::default()));
    let mut all = JoinSet::new();
    for (number, client) in task.connect_all().await?.into_iter().enumerate() {
        let (name, turns) = (task.name.clone(), task.options.turns);
        all.spawn(contender(client, name, turns, number, Arc::clone(&grants)));
        await_count(&first, &task.name, i64::try_from(number)? + 2).await?;
    }
    unlock(&first, &held).await?;
    all.join_all().await.into_iter().collect::<Result<()>>()?;
    let left = count(&first, &task.name).await?;
    let seen = grants.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(json!({
        "order": seen.order,
        "turns": seen.turns,
        "overlaps": seen.overlaps,
        "keys_left": left,
    }))
}

/// Who held the lock, in which order they first did, and whether two did at once.
#[derive(Default)]
struct Grants {
    order: Vec<usize>,
    turns: usize,
    inside: usize,
    overlaps: usize,
}

impl Grants {
    fn enter(&mut self, who: usize) {
        if !self.order.contains(&who) {
            self.order.push(who);
        }
        self.turns += 1;
        self.overlaps += usize::from(self.inside > 0);
        self.inside += 1;
    }
}

async fn contender(
    client: Client,
    name: String,
    turns: usize,
    number: usize,
    grants: Arc<Mutex<Grants>>,
) -> Result<()> {
    let seen = || grants.lock().unwrap_or_else(PoisonError::into_inner);
    let own = lease(&client, LONG, 0).await?;
    for _ in 0..turns {
        let key = take(&client, &name, own).await?;
        seen().enter(number);
        // A round trip inside the lock, so that a second holder would be met here.
        get(&client, "anything").await?;
        seen().inside -= 1;
        unlock(&client, &key).await?;
    }
    Ok(())
}

/// A holder goes silent, and a waiter gets its lock; another is kept alive.
pub(super) async fn expire(task: &Task) -> Result<Value> {
    let client = task.connect().await?;
    let ttl = task.options.ttl;
    let kept_lease = lease(&client, ttl, 0).await?;
    let kept = take(&client, &format!("{}-kept", task.name), kept_lease).await?;
    let keeping = keep_alive(&client, kept_lease, ttl).await?;
    let start = Instant::now();
    let silent = client.lease_client().grant(ttl, None).await?;
    take(&client, &task.name, silent.id()).await?;
    let key = take(&client, &task.name, lease(&client, LONG, 0).await?).await?;
    let after = start.elapsed();
    let late = client.lease_client().keep_alive(silent.id()).await.err();
    let still = get(&client, &kept).await?.is_some();
    keeping.abort();
    unlock(&client, &key).await?;
    unlock(&client, &kept).await?;
    let left =
        count(&client, &task.name).await? + count(&client, &format!("{}-kept", task.name)).await?;
    Ok(json!({
        "ttl": silent.ttl(),
        "after_ms": u64::try_from(after.as_millis())?,
        "late_keepalive": late.map(|error| error.to_string()),
        "kept_alive": still,
        "keys_left": left,
    }))
}

/// Keeps a lease alive until the task is aborted; the first time at once.
async fn keep_alive(client: &Client, lease: i64, ttl: i64) -> Result<JoinHandle<Result<()>>> {
    let (mut keeper, mut answers) = client.lease_client().keep_alive(lease).await?;
    let pause = Duration::from_secs(u64::try_from(ttl)?) / 3;
    Ok(tokio::spawn(async move {
        loop {
            keeper.keep_alive().await?;
            answers.message().await?.context("no answer")?;
            sleep(pause).await;
        }
    }))
}

/// All increment one key by a get and a put, with only the lock between them.
pub(super) async fn counter(task: &Task) -> Result<Value> {
    let clients = task.connect_all().await?;
    say(&json!({ "ready": "counter" }));
    let mut all = JoinSet::new();
    for client in clients {
        let (name, key, turns) = (task.name.clone(), task.counter.clone(), task.options.turns);
        all.spawn(async move {
            let own = lease(&client, LONG, 0).await?;
            for _ in 0..turns {
                let held = take(&client, &name, own).await?;
                let next = read(&client, &key).await? + 1;
                client
                    .kv_client()
                    .put(&*key, next.to_string(), None)
                    .await?;
                unlock(&client, &held).await?;
            }
            Ok(())
        });
    }
    all.join_all().await.into_iter().collect::<Result<()>>()?;
    let counted = read(&task.connect().await?, &task.counter).await?;
    Ok(json!({ "counter": counted }))
}

async fn read(client: &Client, key: &str) -> Result<i64> {
    match get(client, key).await? {
        Some(kv) => Ok(kv.value_str()?.parse()?),
        None => Ok(0),
    }
}

/// Takes a lock, however long that takes; returns its key.
async fn take(client: &Client, name: &str, lease: i64) -> Result<String> {
    let options = LockOptions::new().with_lease(lease);
    let granted = client.lock_client().lock(name, Some(options)).await?;
    Ok(String::from_utf8(granted.key().to_vec())?)
}

async fn unlock(client: &Client, key: &str) -> Result<()> {
    client.lock_client().unlock(key).await?;
    Ok(())
}
