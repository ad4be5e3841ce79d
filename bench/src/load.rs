//! The load: closed-loop clients, each with one operation in flight at all times.

use std::{convert::Infallible, time::Duration};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    figures::{Figures, Metric},
    plan::Timing,
    proc::Usage,
    scenario::Client,
};

/// Latencies in us, exact to three digits.
type Latencies = Histogram<u64>;
const DIGITS: u8 = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measured,
    Over,
}

/// What happened between the end of the warm-up and the end of the load.
struct Window {
    took: Duration,
    /// Of the server.
    before: Usage,
    after: Usage,
    /// CPU time of this process.
    load: Duration,
    latencies: Latencies,
}

/// Keeps the clients busy and measures them and the server process `pid` after the warm-up. An
/// operation counts if it ends within the window. Those in flight at its end are dropped.
///
/// # Errors
/// When an operation fails.
pub async fn measure(clients: Vec<Client>, pid: u32, timing: Timing) -> Result<Figures> {
    let (phase, seen) = watch::channel(Phase::WarmUp);
    let mut loops = JoinSet::new();
    for client in clients {
        loops.spawn(closed_loop(client, seen.clone()));
    }
    sleep(timing.warm_up).await;
    let (before, load) = (Usage::of(pid)?, own_cpu()?);
    let start = Instant::now();
    phase.send_replace(Phase::Measured);
    sleep(timing.window).await;
    phase.send_replace(Phase::Over);
    let took = start.elapsed();
    let (after, load) = (Usage::of(pid)?, own_cpu()?.saturating_sub(load));
    let window = Window {
        took,
        before,
        after,
        load,
        latencies: merged(loops).await?,
    };
    Ok(window.figures())
}

/// The CPU time of this process.
///
/// # Errors
/// When /proc cannot be read.
pub fn own_cpu() -> Result<Duration> {
    Ok(Usage::of(std::process::id())?.cpu)
}

async fn closed_loop(mut client: Client, mut phase: watch::Receiver<Phase>) -> Result<Latencies> {
    let mut latencies = Latencies::new(DIGITS)?;
    let now = phase.clone();
    let failed = tokio::select! {
        failed = repeat(&mut client, &now, &mut latencies) => Some(failed),
        _ = phase.wait_for(|phase| *phase == Phase::Over) => None,
    };
    match failed {
        // Calls that are dropped at the end are reset; a server that closes a connection for that
        // has done nothing wrong within the window.
        Some(Err(error)) if *now.borrow() != Phase::Over => Err(error),
        _ => Ok(latencies),
    }
}

/// Operation after operation, until one fails.
async fn repeat(
    client: &mut Client,
    phase: &watch::Receiver<Phase>,
    latencies: &mut Latencies,
) -> Result<Infallible> {
    loop {
        let start = Instant::now();
        client.operate().await?;
        let took = start.elapsed();
        if *phase.borrow() == Phase::Measured {
            latencies.record(u64::try_from(took.as_micros())?)?;
        }
    }
}

async fn merged(mut loops: JoinSet<Result<Latencies>>) -> Result<Latencies> {
    let mut all = Latencies::new(DIGITS)?;
    while let Some(ended) = loops.join_next().await {
        all.add(ended.context("a client panicked")??)?;
    }
    Ok(all)
}

impl Window {
    fn figures(&self) -> Figures {
        let cpu = self.after.cpu.saturating_sub(self.before.cpu);
        Figures::of([
            (
                Metric::Throughput,
                self.operations() / self.took.as_secs_f64(),
            ),
            (Metric::P50, self.quantile(0.5)),
            (Metric::P90, self.quantile(0.9)),
            (Metric::P99, self.quantile(0.99)),
            (Metric::P999, self.quantile(0.999)),
            (Metric::Slowest, self.quantile(1.0)),
            (Metric::Cpu, self.per_operation(cpu)),
            (Metric::Load, self.per_operation(self.load)),
            (Metric::Rss, self.after.rss_mib()),
        ])
    }

    fn operations(&self) -> f64 {
        self.latencies.len() as f64
    }

    /// In us; NaN without an operation.
    fn quantile(&self, quantile: f64) -> f64 {
        if self.latencies.is_empty() {
            return f64::NAN;
        }
        self.latencies.value_at_quantile(quantile) as f64
    }

    /// In us; NaN without an operation.
    fn per_operation(&self, cpu: Duration) -> f64 {
        if self.latencies.is_empty() {
            return f64::NAN;
        }
        cpu.as_secs_f64() * 1e6 / self.operations()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(latencies: &[u64]) -> Window {
        let usage = |ms, rss_kib| Usage {
            cpu: Duration::from_millis(ms),
            rss_kib,
        };
        let mut all = Latencies::new(DIGITS).unwrap();
        for latency in latencies {
            all.record(*latency).unwrap();
        }
        Window {
            took: Duration::from_secs(2),
            before: usage(1000, 1),
            after: usage(1040, 3072),
            load: Duration::from_millis(80),
            latencies: all,
        }
    }

    #[test]
    fn figures_are_per_second_and_per_operation() {
        let figures = window(&[100, 200, 300, 400]).figures();
        assert_eq!(figures.get(Metric::Throughput), 2.0);
        assert_eq!(figures.get(Metric::P50), 200.0);
        assert_eq!(figures.get(Metric::P99), 400.0);
        assert_eq!(figures.get(Metric::Slowest), 400.0);
        assert_eq!(figures.get(Metric::Cpu), 10_000.0);
        assert_eq!(figures.get(Metric::Load), 20_000.0);
        assert_eq!(figures.get(Metric::Rss), 3.0);
    }

    #[test]
    fn a_window_without_operations_has_a_throughput_and_no_latency() {
        let figures = window(&[]).figures();
        assert_eq!(figures.get(Metric::Throughput), 0.0);
        assert!(figures.get(Metric::P50).is_nan());
        assert!(figures.get(Metric::Cpu).is_nan());
    }
}
