//! One Put, and everybody who watches its key is told.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context, Result, bail};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, timeout},
};

use super::Turn;
use crate::{
    crowd::{self, Watch},
    figures::{Figures, Metric, median},
    load::own_cpu,
    proc::Usage,
};

const KEY: &str = "bench/watched";

/// Everybody's watchers, each on a stream of its own, and what they were told.
struct Audience {
    size: usize,
    told: Arc<Told>,
    listeners: JoinSet<Result<()>>,
    /// Puts so far.
    puts: usize,
}

/// How many events came to how many were awaited.
#[derive(Default)]
struct Told {
    events: AtomicUsize,
    awaited: AtomicUsize,
    all: Notify,
}

/// Put after Put, each when everybody knows of the last one.
pub async fn fire(turn: Turn<'_>) -> Result<Figures> {
    let mut audience = Audience::gather(&turn).await?;
    let warm = Instant::now() + turn.timing.warm_up;
    while Instant::now() < warm {
        audience.tell(&turn).await?;
    }
    let (before, load) = (Usage::of(turn.server.pid())?, own_cpu()?);
    let (start, mut took) = (Instant::now(), Vec::new());
    while start.elapsed() < turn.timing.window {
        took.push(audience.tell(&turn).await?);
    }
    let window = start.elapsed();
    let after = Usage::of(turn.server.pid())?;
    let events = (took.len() * turn.size) as f64;
    let per_event = |cpu: std::time::Duration| cpu.as_secs_f64() * 1e6 / events;
    Ok(Figures::of([
        (Metric::LastTold, median(&took)),
        (Metric::Events, events / window.as_secs_f64()),
        (Metric::Cpu, per_event(after.cpu.saturating_sub(before.cpu))),
        (Metric::Load, per_event(own_cpu()?.saturating_sub(load))),
        (Metric::Rss, after.rss_mib()),
    ]))
}

impl Audience {
    async fn gather(turn: &Turn<'_>) -> Result<Self> {
        let keys = vec![KEY.to_owned(); turn.size];
        let told = Arc::new(Told::default());
        let mut listeners = JoinSet::new();
        for watch in crowd::watches(&turn.wires, &keys, 1).await? {
            listeners.spawn(listen(watch, told.clone()));
        }
        Ok(Self {
            size: turn.size,
            told,
            listeners,
            puts: 0,
        })
    }

    /// One Put; how long it took until the last one was told, in ms.
    async fn tell(&mut self, turn: &Turn<'_>) -> Result<f64> {
        self.puts += 1;
        let awaited = self.puts * self.size;
        self.told.awaited.store(awaited, Ordering::Relaxed);
        let start = Instant::now();
        crowd::put(&turn.wires[0], KEY.to_owned(), 0).await?;
        tokio::select! {
            all = timeout(crowd::PATIENCE, self.told.all.notified()) => {
                all.context("not every watcher was told")?;
            }
            Some(ended) = self.listeners.join_next() => {
                ended.context("a watcher panicked")??;
            }
        }
        Ok(start.elapsed().as_secs_f64() * 1e3)
    }
}

async fn listen(mut watch: Watch, told: Arc<Told>) -> Result<()> {
    loop {
        let Some(response) = watch.responses.message().await.context("Watch")? else {
            bail!("Watch: the stream ended");
        };
        let new = response.events.len();
        let events = told.events.fetch_add(new, Ordering::Relaxed) + new;
        if new > 0 && events == told.awaited.load(Ordering::Relaxed) {
            told.all.notify_one();
        }
    }
}
