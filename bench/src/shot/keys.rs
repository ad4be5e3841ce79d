//! What many keys cost: writing and reading one of them, starting with them.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{Turn, start};
use crate::{
    figures::{Figures, Metric},
    load,
    proc::Usage,
    scenario::Client,
};

/// How many of the keys are written and read.
const SAMPLE: usize = 10_000;
/// Steps from one to the next, so that they lie all over: a prime that divides no round number.
const STRIDE: usize = 7_919;

/// Loads the keys, and asks for some of them, one call at a time.
pub async fn fire(mut turn: Turn<'_>) -> Result<Figures> {
    start::load(&turn).await?;
    let sample = |size: usize| {
        let sample = 0..size.min(SAMPLE);
        sample.map(move |n| start::key(n * STRIDE % size))
    };
    let wire = turn.wires[0].clone();
    let pid = turn.server.pid();
    let putter = Client::putting(wire.clone(), sample(turn.size))?;
    let puts = load::measure(vec![putter], pid, turn.timing).await?;
    let getter = Client::getting(wire, sample(turn.size))?;
    let gets = load::measure(vec![getter], pid, turn.timing).await?;
    let rss = Usage::of(pid)?.rss_mib();
    Ok(Figures::of([
        (Metric::PutP50, puts.get(Metric::P50)),
        (Metric::PutP99, puts.get(Metric::P99)),
        (Metric::GetP50, gets.get(Metric::P50)),
        (Metric::GetP99, gets.get(Metric::P99)),
        (Metric::Rss, rss),
        (
            Metric::Start,
            start::restarts(&mut turn, Signal::SIGTERM).await?,
        ),
    ]))
}
