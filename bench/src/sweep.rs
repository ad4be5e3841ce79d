//! How cost grows: one shot in ever greater sizes.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::{
    figures::Figures,
    ground::{Ground, GroundOptions},
    json,
    output::Output,
    plan::{Case, Plan, Timing},
    report,
    results::Results,
    scenario::Scenario,
    shot::Shot,
    sizes::{SweepSizes, at_least_one},
    system::System,
};

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sweep {
    /// Callers that wait for one lock
    Waiters,
    /// Keys
    Keys,
    /// Leases
    Leases,
    /// Watchers of other keys than the one that is written
    Watchers,
    /// Watchers of the key that is written
    FanOut,
}

impl Sweep {
    /// All, in the order in which they run.
    pub const ALL: [Sweep; 5] = [
        Sweep::Waiters,
        Sweep::Keys,
        Sweep::Leases,
        Sweep::Watchers,
        Sweep::FanOut,
    ];

    /// Its name, as the flag has it.
    pub fn name(self) -> &'static str {
        match self {
            Sweep::Waiters => "waiters",
            Sweep::Keys => "keys",
            Sweep::Leases => "leases",
            Sweep::Watchers => "watchers",
            Sweep::FanOut => "fan-out",
        }
    }

    /// What is measured, for people.
    pub fn title(self) -> &'static str {
        match self {
            Sweep::Waiters => "a lock goes from waiter to waiter",
            Sweep::Keys => "put, get and start with many keys",
            Sweep::Leases => "keepalive, grant and revoke with many leases",
            Sweep::Watchers => "put with many watchers of other keys",
            Sweep::FanOut => "put with many watchers of the key",
        }
    }

    /// What is shot.
    pub fn shot(self) -> Shot {
        match self {
            Sweep::Waiters => Shot::Herd,
            Sweep::Keys => Shot::Keys,
            Sweep::Leases => Shot::Leases,
            Sweep::Watchers => Shot::Watchers,
            Sweep::FanOut => Shot::FanOut,
        }
    }
}

/// What a sweep has found.
pub struct Curve {
    /// The sweep.
    pub sweep: Sweep,
    /// Its points, in the order of their sizes.
    pub points: Vec<Results>,
}

impl Curve {
    /// Who took part.
    pub fn systems(&self) -> Vec<System> {
        let first = self.points.first();
        let rounds = first.map_or(&[][..], |results| &results.rounds[..]);
        rounds.iter().map(|(system, _)| *system).collect()
    }

    /// A system's figures, by size.
    pub fn points(&self, system: System) -> Vec<(usize, Figures)> {
        let points = self.points.iter();
        points
            .filter_map(|results| Some((results.case.size, results.medians(system)?)))
            .collect()
    }
}

/// The flags of `latchd-bench sweep`.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    ground: GroundOptions,
    #[command(flatten)]
    sizes: SweepSizes,

    /// What grows; by default all of it.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_enum)]
    sweep: Vec<Sweep>,

    /// Who is measured; by default latchd and etcd.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_enum)]
    system: Vec<System>,

    /// How long what is repeated is repeated, in seconds.
    #[arg(long, value_name = "S", default_value = "1", value_parser = crate::seconds)]
    seconds: Duration,

    /// How often each system has its turn at each size.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one())]
    rounds: usize,

    /// Where the plots go; by default target/bench.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Where to write the figures as JSON; by default sweep.json beside the plots.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Sweeps, and prints, writes and draws what was found.
///
/// # Errors
/// When a server does not start, or does not do what is asked of it.
pub async fn run(options: Options) -> Result<()> {
    let output = Output::new(options.out, options.json, "sweep.json")?;
    let systems = match &options.system[..] {
        [] => vec![System::Latchd, System::Etcd],
        chosen => chosen.to_vec(),
    };
    let sweeps = match &options.sweep[..] {
        [] => &Sweep::ALL,
        chosen => chosen,
    };
    let ground = Ground::find(options.ground, &systems)?;
    let machine = ground.machine(&systems).await?;
    let timing = Timing::of(options.seconds);
    let mut curves = Vec::new();
    for sweep in sweeps {
        let points = points(*sweep, &options.sizes);
        let plan = Plan {
            cases: points,
            systems: systems.clone(),
            rounds: options.rounds,
            timing,
            ground: &ground,
        };
        curves.push(draw(*sweep, &plan).await?);
        output.curves(&curves)?;
    }
    output.document(&document(&json::versions(&machine).into(), &curves))
}

fn document(versions: &Value, curves: &[Curve]) -> Value {
    json!({ "versions": versions, "sweeps": json::curves(curves) })
}

/// The cases of a sweep.
pub fn points(sweep: Sweep, sizes: &SweepSizes) -> Vec<Case> {
    let scenario = Scenario::Shot(sweep.shot());
    let sizes = sizes.of(scenario.unit()).iter();
    sizes.map(|size| Case::new(scenario, *size, None)).collect()
}

/// Runs a sweep, and prints its table.
///
/// # Errors
/// As [`run`].
pub async fn draw(sweep: Sweep, plan: &Plan<'_>) -> Result<Curve> {
    let mut curve = Curve {
        sweep,
        points: Vec::new(),
    };
    for case in &plan.cases {
        curve.points.push(plan.run_case(*case).await?);
    }
    print!("{}", report::curve(&curve));
    Ok(curve)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_flag() {
        for sweep in Sweep::ALL {
            assert_eq!(Sweep::from_str(sweep.name(), false), Ok(sweep));
        }
    }
}
