//! The Election service.

use anyhow::{Context, Result};
use etcd_client::{Client, LeaderKey, ObserveStream, ProclaimOptions, ResignOptions};
use serde_json::{Value, json};

use super::{LONG, Task};
use crate::locks::{await_count, count, lease};

/// A leader who proclaims and resigns, a candidate who follows, an observer.
pub(super) async fn elect(task: &Task) -> Result<Value> {
    let (first, second) = (task.connect().await?, task.connect().await?);
    let mut asking = first.election_client();
    let leaderless = asking.leader(&*task.name).await.err();
    let one = campaign(&first, &task.name, "one").await?;
    let mut changes = second.election_client().observe(&*task.name).await?;
    let mut observed = vec![next(&mut changes).await?];

    let (client, name) = (second.clone(), task.name.clone());
    let candidate = tokio::spawn(async move { campaign(&client, &name, "two").await });
    await_count(&first, &task.name, 2).await?;
    proclaim(&first, &one, "one again").await?;
    observed.push(next(&mut changes).await?);
    let leader = asking.leader(&*task.name).await?;
    let leader = leader.kv().context("no leader")?.value_str()?.to_owned();
    let waited = !candidate.is_finished();

    resign(&first, &one).await?;
    let two = candidate.await??;
    observed.push(next(&mut changes).await?);
    let late = proclaim(&first, &one, "late").await.err();
    resign(&second, &two).await?;
    Ok(json!({
        "leaderless": leaderless.map(|error| error.to_string()),
        "observed": observed,
        "leader": leader,
        "waited": waited,
        "late_proclaim": late.map(|error| error.to_string()),
        "keys_left": count(&first, &task.name).await?,
    }))
}

async fn campaign(client: &Client, name: &str, value: &str) -> Result<LeaderKey> {
    let own = lease(client, LONG, 0).await?;
    let mut won = client.election_client().campaign(name, value, own).await?;
    won.take_leader().context("no leader key")
}

async fn proclaim(client: &Client, leader: &LeaderKey, value: &str) -> Result<()> {
    let options = ProclaimOptions::new().with_leader(leader.clone());
    client
        .election_client()
        .proclaim(value, Some(options))
        .await?;
    Ok(())
}

async fn resign(client: &Client, leader: &LeaderKey) -> Result<()> {
    let options = ResignOptions::new().with_leader(leader.clone());
    client.election_client().resign(Some(options)).await?;
    Ok(())
}

async fn next(changes: &mut ObserveStream) -> Result<String> {
    let change = changes.message().await?.context("no more leaders")?;
    Ok(change.kv().context("no key")?.value_str()?.to_owned())
}
