//! `latchctl bench`: how many lock cycles a second a server does.

use std::time::Duration;

use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use latchd_client::{Error, Mutex, SessionOptions};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until, timeout_at};

use crate::args::BenchArgs;
use crate::context::Context;
use crate::exit::{Failure, SUCCESS, system};

/// How long what it holds outlives it, if it is killed.
const TTL: Duration = Duration::from_secs(10);
/// The longest time that the figures can tell apart from longer ones, in microseconds.
const LONGEST: u64 = 3_600_000_000;
/// Three digits of a figure are right.
const DIGITS: u8 = 3;

/// What was measured, in microseconds.
struct Tally {
    lock: Histogram<u64>,
    unlock: Histogram<u64>,
}

/// For programs.
#[derive(Debug, Serialize)]
struct Report {
    clients: u32,
    locks: u32,
    seconds: f64,
    cycles: u64,
    cycles_per_second: f64,
    lock_us: Percentiles,
    unlock_us: Percentiles,
}

#[derive(Debug, Serialize)]
struct Percentiles {
    p50: u64,
    p90: u64,
    p99: u64,
    p99_9: u64,
    max: u64,
}

pub async fn run(context: &Context, request: &BenchArgs) -> Result<u8, Failure> {
    let name = context.text_name(&request.name)?;
    let locks = request.locks.unwrap_or(request.clients);
    let mut sessions = Vec::new();
    for _ in 0..request.clients {
        let client = context.connect().await?;
        sessions.push(client.open_session(SessionOptions::new(TTL)).await?);
    }
    let start = Instant::now();
    let until = start + request.duration;
    let mut running: JoinSet<Result<Tally, Error>> = JoinSet::new();
    for (n, session) in (0..locks).cycle().zip(sessions) {
        let mutex = session.mutex(format!("{name}/{n}"));
        running.spawn(async move {
            let tally = cycles(mutex, until).await;
            // If nobody hears of it, its TTL ends it.
            let _ = session.close().await;
            tally
        });
    }
    progress(until, request.duration).await?;
    let mut all = Tally::new();
    while let Some(joined) = running.join_next().await {
        let tally = joined.map_err(|error| system("run a client")(error.into()))?;
        all.add(&tally?);
    }
    let report = Report::new(request.clients, locks, start.elapsed(), &all);
    tell(context, &report)?;
    Ok(SUCCESS)
}

/// Locks and unlocks until the time is over; a wait that is then cut short does not count.
async fn cycles(mutex: Mutex, until: Instant) -> Result<Tally, Error> {
    let mut tally = Tally::new();
    loop {
        let asked = Instant::now();
        let Ok(granted) = timeout_at(until, mutex.lock()).await else {
            return Ok(tally);
        };
        let guard = granted?;
        let locked = Instant::now();
        guard.unlock().await?;
        tally.lock.saturating_record(micros(locked - asked));
        tally.unlock.saturating_record(micros(locked.elapsed()));
    }
}

/// A bar on the terminal, until the time is over.
async fn progress(until: Instant, duration: Duration) -> Result<(), Failure> {
    let bar = ProgressBar::new(crate::output::json::millis(duration));
    let mut steps = interval(Duration::from_millis(100));
    let start = Instant::now();
    loop {
        tokio::select! {
            () = sleep_until(until) => break,
            _ = steps.tick() => bar.set_position(crate::output::json::millis(start.elapsed())),
        }
    }
    bar.finish_and_clear();
    Ok(())
}

fn tell(context: &Context, report: &Report) -> Result<(), Failure> {
    if context.out.is_json() {
        return context.out.pretty_json(report);
    }
    let Report {
        clients,
        locks,
        seconds,
        cycles,
        ..
    } = report;
    let line = |what: &str, of: &Percentiles| {
        format!(
            "{what:<7} p50 {:<9} p90 {:<9} p99 {:<9} p99.9 {:<9} max {}",
            shown(of.p50),
            shown(of.p90),
            shown(of.p99),
            shown(of.p99_9),
            shown(of.max)
        )
    };
    context.out.line(format!(
        "{:.0} lock cycles/s: {cycles} in {seconds:.1} s by {clients} clients on {locks} locks\n{}\n{}",
        report.cycles_per_second,
        line("lock", &report.lock_us),
        line("unlock", &report.unlock_us)
    ))
}

impl Tally {
    fn new() -> Tally {
        Tally {
            lock: histogram(),
            unlock: histogram(),
        }
    }

    fn add(&mut self, other: &Tally) {
        // Those of equal bounds always fit.
        let _ = self.lock.add(&other.lock);
        let _ = self.unlock.add(&other.unlock);
    }
}

/// Bounds are right by the constants.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("the bounds are constants")
}

impl Report {
    fn new(clients: u32, locks: u32, took: Duration, all: &Tally) -> Report {
        let cycles = all.lock.len();
        let seconds = took.as_secs_f64();
        Report {
            clients,
            locks,
            seconds,
            cycles,
            cycles_per_second: cycles as f64 / seconds,
            lock_us: Percentiles::of(&all.lock),
            unlock_us: Percentiles::of(&all.unlock),
        }
    }
}

impl Percentiles {
    fn of(histogram: &Histogram<u64>) -> Percentiles {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Percentiles {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: histogram.max(),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(LONGEST)
}

fn shown(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros}us"),
        1000..1_000_000 => format!("{:.2}ms", micros as f64 / 1e3),
        _ => format!("{:.2}s", micros as f64 / 1e6),
    }
}
