//! How soon a server serves.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::Turn;
use crate::{
    crowd,
    figures::{Figures, Metric, median},
    proc::Usage,
};

/// How often it is started in each way.
const STARTS: usize = 3;
/// Where the keys are.
pub const PREFIX: &str = "bench/many/";

/// Starts on an empty directory; with keys, starts on them after either end.
pub async fn fire(mut turn: Turn<'_>) -> Result<Figures> {
    if turn.size == 0 {
        return empty(&turn).await;
    }
    load(&turn).await?;
    let ended = restarts(&mut turn, Signal::SIGTERM).await?;
    let rss = Usage::of(turn.server.pid())?.rss_mib();
    let killed = restarts(&mut turn, Signal::SIGKILL).await?;
    Ok(Figures::of([
        (Metric::Start, ended),
        (Metric::StartKilled, killed),
        (Metric::Rss, rss),
    ]))
}

/// Puts as many keys as the turn has.
pub async fn load(turn: &Turn<'_>) -> Result<()> {
    let keys = (0..turn.size).map(|n| (key(n), 0));
    crowd::put_all(&turn.wires, keys).await
}

/// The key number `n`.
pub fn key(n: usize) -> String {
    format!("{PREFIX}{n:08}")
}

/// How long a start takes, in ms, each after a write.
pub async fn restarts(turn: &mut Turn<'_>, signal: Signal) -> Result<f64> {
    let mut took = Vec::new();
    for _ in 0..STARTS {
        let wire = turn.server.connections(1).await?.remove(0);
        crowd::put(&wire, key(0), 0).await?;
        turn.server.end(signal).await?;
        turn.ground.restart(turn.server).await?;
        took.push(turn.server.started_within().as_secs_f64() * 1e3);
    }
    Ok(median(&took))
}

async fn empty(turn: &Turn<'_>) -> Result<Figures> {
    let mut took = vec![turn.server.started_within().as_secs_f64() * 1e3];
    while took.len() < STARTS {
        let server = turn.ground.start(turn.system).await?;
        took.push(server.started_within().as_secs_f64() * 1e3);
        server.stop().await?;
    }
    Ok(Figures::of([
        (Metric::Start, median(&took)),
        (Metric::Rss, Usage::of(turn.server.pid())?.rss_mib()),
    ]))
}
