//! Watches.

use anyhow::{Context, Result, ensure};
use etcd_client::{
    Client, CompactionOptions, DeleteOptions, Event, EventType, Txn, TxnOp, WatchOptions,
    WatchStream,
};
use serde_json::{Value, json};

use super::{Task, revision};

/// A key's past and present, a prefix, and a past that is forgotten.
pub(super) async fn watch(task: &Task) -> Result<Value> {
    let client = task.connect().await?;
    let (mut kv, key) = (client.kv_client(), &*task.name);
    let since = revision(kv.put(key, "1", None).await?.header())?;
    let past = WatchOptions::new().with_start_revision(since);
    let mut stream = watched(&client, key, past.clone().with_prev_key()).await?;
    kv.put(key, "2", None).await?;
    kv.delete(key, None).await?;
    let events = collect(&mut stream, 3).await?;
    let prefix = two_keys(&client, &format!("{key}/")).await?;
    kv.compact(since + 1, None::<CompactionOptions>).await?;
    let mut late = watched(&client, key, past).await?;
    let end = late.message().await?.context("no more answers")?;
    Ok(json!({
        "events": events.iter().map(|e| shown(e, "")).collect::<Result<Vec<_>>>()?,
        "prefix": prefix,
        "compacted": format!("canceled {} +{}", end.canceled(), end.compact_revision() - since),
    }))
}

/// They are written in one transaction, and deleted in another.
async fn two_keys(client: &Client, prefix: &str) -> Result<Vec<String>> {
    let mut kv = client.kv_client();
    let mut stream = watched(client, prefix, WatchOptions::new().with_prefix()).await?;
    let puts = [("a", "x"), ("b", "y")]
        .map(|(key, value)| TxnOp::put(format!("{prefix}{key}"), value, None));
    let put = kv.txn(Txn::new().and_then(puts)).await?;
    let first = revision(put.header())?;
    kv.delete(prefix, Some(DeleteOptions::new().with_prefix()))
        .await?;
    let events = collect(&mut stream, 4).await?;
    let show = |event: &Event| {
        let at = event.kv().context("no key")?.mod_revision() - first;
        Ok(format!("+{at} {}", shown(event, prefix)?))
    };
    events.iter().map(show).collect()
}

/// A watch that the server has confirmed.
async fn watched(client: &Client, key: &str, options: WatchOptions) -> Result<WatchStream> {
    let mut stream = client.watch_client().watch(key, Some(options)).await?;
    let created = stream.message().await?.context("no answer")?;
    ensure!(created.created(), "{created:?}");
    Ok(stream)
}

async fn collect(stream: &mut WatchStream, n: usize) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    while events.len() < n {
        let answer = stream.message().await?.context("no more events")?;
        ensure!(!answer.canceled(), "{answer:?}");
        events.extend_from_slice(answer.events());
    }
    Ok(events)
}

/// An event as a text; its key is only named below a prefix.
fn shown(event: &Event, prefix: &str) -> Result<String> {
    let kv = event.kv().context("no key")?;
    let mut words = vec![match event.event_type() {
        EventType::Put => "PUT".to_owned(),
        EventType::Delete => "DELETE".to_owned(),
    }];
    if !prefix.is_empty() {
        words.push(kv.key_str()?.trim_start_matches(prefix).to_owned());
    }
    if !kv.value().is_empty() {
        words.push(kv.value_str()?.to_owned());
    }
    if let Some(before) = event.prev_kv() {
        words.push(format!("after {}", before.value_str()?));
    }
    Ok(words.join(" "))
}
