//! A client that opens a watch and never reads it: it costs the server a bounded
//! piece of memory, the writers nothing, and itself its history.
#![allow(missing_docs)]

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use etcd_client::{Client, WatchOptions, WatchStream};
use futures::future::try_join_all;
use latchd_conformance::{
    locks,
    server::{Server, Spec},
    wait::{SOON, within},
};
use tokio::time::Instant;

const VALUE: usize = 16 << 10;
const WRITERS: usize = 16;
/// Writes before each compaction.
const ROUND: usize = 2_000;
/// Rounds before anybody watches, and with the watch that nobody reads: 94 MiB,
/// and 468 MiB for which the server has no use.
const ROUNDS_BEFORE: usize = 3;
const ROUNDS: usize = 15;
/// How much the server may grow meanwhile.
const GROWTH: u64 = 96 << 20;
/// How much longer the writers may take, on a machine that does other things.
const SLOWER: u32 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_reads_nothing_costs_nobody_anything() -> Result<()> {
    let spec = Spec::new()?
        .flag("--unsafe-no-fsync")
        .flag("--auto-compaction-retention=0");
    let mut server = spec.start().await?;
    let client = server.client().await?;
    let mut before = Vec::new();
    for _ in 0..ROUNDS_BEFORE {
        before.push(round(&client).await?);
    }
    let rss_before = server.process().resident_bytes()?;

    let (watcher, mut stream) = watch(&server).await?;
    let (mut during, mut most) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        during.push(round(&client).await?);
        most = most.max(server.process().resident_bytes()?);
    }
    let (before, during) = (median(before), median(during));
    println!(
        "{ROUND} writes took {before:?} alone, {during:?} with a watcher that reads nothing; \
         {} MiB before it, at most {} MiB with it",
        rss_before >> 20,
        most >> 20,
    );
    ensure!(
        during < before * SLOWER + Duration::from_secs(1),
        "the writers were slowed"
    );
    // etcd's file is mapped, and so counts as its memory.
    if server.is_latchd() {
        ensure!(most < rss_before + GROWTH, "the server has grown");
    }
    let told = until_cancelled(&mut stream).await?;
    println!("{told} events came before the end");
    ensure!(told < ROUNDS * ROUND / 2, "it was not slow");
    drop(watcher);
    server.must_be_well()
}

/// A watch on a connection of its own.
async fn watch(server: &Server) -> Result<(Client, WatchStream)> {
    let client = server.client().await?;
    let options = WatchOptions::new().with_prefix();
    let stream = locks::watch(&client, "k/", options).await?;
    Ok((client, stream))
}

/// Writes, and compacts what was written; how long the writes took.
async fn round(client: &Client) -> Result<Duration> {
    let began = Instant::now();
    let writers = (0..WRITERS).map(|writer| {
        let mut client = client.clone();
        async move {
            let mut revision = 0;
            for _ in 0..ROUND / WRITERS {
                let written = client
                    .put(format!("k/{writer}"), vec![b'v'; VALUE], None)
                    .await?;
                revision = locks::revision(written.header())?;
            }
            anyhow::Ok(revision)
        }
    });
    let limit = 10 * SOON;
    let written = within(limit, "the writes", try_join_all(writers)).await?;
    let took = began.elapsed();
    let last = written.into_iter().max().context("no writers")?;
    within(limit, "a compaction", async {
        Ok(client.clone().compact(last, None).await?)
    })
    .await?;
    Ok(took)
}

/// Reads the watch at last; how many events came before the server gave it up.
/// None of them is missing: the next would have been at the compacted revision.
async fn until_cancelled(stream: &mut WatchStream) -> Result<usize> {
    let (mut told, mut last) = (0, None);
    loop {
        let response = within(SOON, "the watch's end", async {
            Ok(stream.message().await?)
        });
        let response = response.await?.context("the stream ended")?;
        if response.canceled() {
            ensure!(
                response.compact_revision() > last.unwrap_or(0),
                "{response:?}"
            );
            return Ok(told);
        }
        for event in response.events() {
            let revision = event.kv().context("an event without a key")?.mod_revision();
            ensure!(
                last.is_none_or(|last| revision == last + 1),
                "after {last:?} came {revision}"
            );
            last = Some(revision);
            told += 1;
        }
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
