//! A herd that waits for one lock, and is let in one by one.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tonic::codegen::Bytes;

use super::Turn;
use crate::{
    crowd,
    figures::{Figures, Metric, median},
    load::own_cpu,
    proc::Usage,
    wire::Wire,
};

const NAME: &str = "herd";
const PREFIX: &str = "herd/";
/// In seconds: longer than it takes.
const TTL: i64 = 3600;
/// How long the last one who came has waited before the first one is let in: etcd sees to new
/// watchers ten times a second.
const SETTLE: Duration = Duration::from_millis(300);
/// A small herd comes again, so that so many have had their turn, but not more often than this.
const TURNS: usize = 300;
const MOST_OFTEN: usize = 15;

/// One herd, or several small ones.
pub async fn fire(turn: Turn<'_>) -> Result<Figures> {
    let leases = crowd::grant(&turn.wires, turn.size + 1, TTL).await?;
    let (mut drains, mut cpu, mut load) = (Vec::new(), Duration::ZERO, Duration::ZERO);
    let mut rss = f64::NAN;
    for _ in 0..often(turn.size) {
        let (held, herd) = gather(&turn.wires, &leases).await?;
        let (before, own) = (Usage::of(turn.server.pid())?, own_cpu()?);
        rss = rss.max(before.rss_mib());
        drains.push(drain(&turn.wires[0], held, herd).await?.as_secs_f64());
        let after = Usage::of(turn.server.pid())?;
        cpu += after.cpu.saturating_sub(before.cpu);
        load += own_cpu()?.saturating_sub(own);
    }
    let turns = (drains.len() * turn.size) as f64;
    let drained = median(&drains);
    Ok(Figures::of([
        (Metric::HandOff, drained * 1e6 / turn.size as f64),
        (Metric::Drained, drained * 1e3),
        (Metric::Cpu, cpu.as_secs_f64() * 1e6 / turns),
        (Metric::Load, load.as_secs_f64() * 1e6 / turns),
        (Metric::Rss, rss),
    ]))
}

fn often(size: usize) -> usize {
    TURNS.div_ceil(size).min(MOST_OFTEN)
}

/// The first lease holds the lock, and all others wait for it.
async fn gather(wires: &[Wire], leases: &[i64]) -> Result<(Bytes, JoinSet<Result<()>>)> {
    let (first, others) = leases.split_first().context("no leases")?;
    let held = crowd::lock(&wires[0], NAME, *first).await?;
    let mut herd = JoinSet::new();
    for (lease, wire) in others.iter().zip(wires.iter().cycle()) {
        let (wire, lease) = (wire.clone(), *lease);
        herd.spawn(async move {
            let key = crowd::lock(&wire, NAME, lease).await?;
            crowd::unlock(&wire, key).await
        });
    }
    crowd::until_under(&wires[0], PREFIX, leases.len()).await?;
    sleep(SETTLE).await;
    Ok((held, herd))
}

/// Until the last one has unlocked.
async fn drain(wire: &Wire, held: Bytes, mut herd: JoinSet<Result<()>>) -> Result<Duration> {
    let start = Instant::now();
    crowd::unlock(wire, held).await?;
    let all = async {
        while let Some(ended) = herd.join_next().await {
            ended.context("a waiter panicked")??;
        }
        anyhow::Ok(())
    };
    let drained = timeout(crowd::PATIENCE, all).await;
    drained.context("not everybody had a turn")??;
    Ok(start.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_herds_come_more_often() {
        assert_eq!([1, 10, 100, 1000].map(often), [15, 15, 3, 1]);
    }
}
