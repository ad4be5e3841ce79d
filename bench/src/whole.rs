//! A run with all its parts: the cases, then how cost grows, what things weigh, and what a million
//! lock cycles leave; at the end the summary and the goals. What has been found is written down
//! after each part.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use clap::ValueEnum;

use crate::{
    footprint::{self, Counts, Piece},
    goals,
    ground::{Ground, GroundOptions},
    output::Output,
    plan::{self, Plan, Timing},
    report,
    results::Run,
    scenario::Scenario,
    sizes::{Sizes, SweepSizes, at_least_one},
    soak::Soak,
    sweep::{self, Sweep},
    system::{NO_REDIS, System},
};

/// The window of what is repeated in a sweep.
const SWEEP_WINDOW: Duration = Duration::from_secs(1);

/// What comes after the cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// How cost grows, as `latchd-bench sweep` shows it
    Sweep,
    /// What things weigh, as `latchd-bench footprint` shows it
    Footprint,
    /// A million lock cycles, as `latchd-bench soak` does them
    Soak,
}

/// The flags of a run.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    ground: GroundOptions,
    #[command(flatten)]
    sizes: Sizes,

    /// HTTP/2 connections that the clients share; by default one for every 32 of them.
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    connections: Option<usize>,

    /// How long each round is measured, in seconds; a quarter of it, at least 0.3 s, goes before
    /// as warm-up.
    #[arg(long, value_name = "S", default_value = "3", value_parser = crate::seconds)]
    seconds: Duration,

    /// How often each system has its turn in each case; the medians of the rounds are compared.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_one())]
    rounds: usize,

    /// What to do; by default all that compares. With this flag, the other parts are left out.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_enum)]
    scenario: Vec<Scenario>,

    /// Who does it; by default all of them, Redis where redis-server is installed.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_enum)]
    system: Vec<System>,

    /// What to leave out.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_enum)]
    skip: Vec<Part>,

    /// Where plots and goals go; by default target/bench.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Where to write the figures of every round as JSON; by default figures.json beside the plots.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Options {
    fn systems(&self) -> Vec<System> {
        match &self.system[..] {
            [] => self.ground.present(),
            chosen => chosen.to_vec(),
        }
    }

    fn scenarios(&self) -> Vec<Scenario> {
        match &self.scenario[..] {
            [] => Scenario::compared(),
            chosen => chosen.to_vec(),
        }
    }

    fn has(&self, part: Part) -> bool {
        self.scenario.is_empty() && !self.skip.contains(&part)
    }
}

/// Runs it all, and prints, writes and draws what is found.
///
/// # Errors
/// When a server does not start, or does not do what is asked of it.
pub async fn run(options: Options) -> Result<()> {
    let parts = [Part::Sweep, Part::Footprint, Part::Soak].map(|part| options.has(part));
    let [sweeps, footprint, soak] = parts;
    let (systems, scenarios) = (options.systems(), options.scenarios());
    let output = Output::new(options.out, options.json, "figures.json")?;
    let cases = plan::cases(&scenarios, &systems, &options.sizes, options.connections)?;
    let ground = Ground::find(options.ground, &systems)?;
    let timing = Timing::of(options.seconds);
    let plan = Plan {
        cases,
        systems: systems.clone(),
        rounds: options.rounds,
        timing,
        ground: &ground,
    };
    let mut run = Run::new(ground.machine(&systems).await?, timing, options.rounds);
    print!("{}", report::head(&run, plan.load_time()));
    if options.system.is_empty() && !systems.contains(&System::Redis) {
        println!("Redis takes no part: {NO_REDIS}");
    }
    run.results = plan.run().await?;
    output.run(&run)?;

    let growing = both(&systems);
    if sweeps {
        grow(&ground, &growing, &mut run, &output).await?;
    }
    if footprint && !growing.is_empty() {
        let machine = ground.machine(&growing).await?;
        println!();
        run.weighed = footprint::weigh_all(&ground, &machine, &Piece::ALL, Counts::USUAL).await?;
        output.run(&run)?;
    }
    if soak && growing.contains(&System::Latchd) {
        run.soaked = Some(Soak::USUAL.whole(&ground, System::Latchd).await?);
    }
    output.run(&run)?;
    print!("{}", report::summary(&run));
    print!("{}", goals::table(&goals::of(&run)));
    println!(
        "figures, goals and plots are in {}",
        output.directory().display()
    );
    Ok(())
}

/// The servers that keep everything.
fn both(systems: &[System]) -> Vec<System> {
    let keeps = |system: &System| matches!(system, System::Latchd | System::Etcd);
    systems.iter().copied().filter(keeps).collect()
}

async fn grow(ground: &Ground, systems: &[System], run: &mut Run, output: &Output) -> Result<()> {
    let sizes = SweepSizes::usual();
    for sweep in Sweep::ALL.into_iter().filter(|_| !systems.is_empty()) {
        let plan = Plan {
            cases: sweep::points(sweep, &sizes),
            systems: systems.to_vec(),
            rounds: 1,
            timing: Timing::of(SWEEP_WINDOW),
            ground,
        };
        run.curves.push(sweep::draw(sweep, &plan).await?);
        output.run(run)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::scenario::Work;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn parsed(arguments: &[&str]) -> Options {
        Cli::parse_from([&["latchd-bench"], arguments].concat()).options
    }

    #[test]
    fn defaults_are_what_the_readme_says() {
        let options = parsed(&[]);
        assert_eq!(options.sizes.clients, [1, 32, 256]);
        assert_eq!(options.sizes.waiters, [1_000, 10_000]);
        assert_eq!(options.seconds, Duration::from_secs(3));
        assert_eq!(options.rounds, 3);
        assert!(options.has(Part::Sweep) && options.has(Part::Soak));
    }

    #[test]
    fn lists_have_commas_between_their_items() {
        let options = parsed(&["--clients=1,8", "--scenario=lock,txn-lock"]);
        assert_eq!(options.sizes.clients, [1, 8]);
        let both = [Work::Lock, Work::TxnLock].map(Scenario::Loop);
        assert_eq!(options.scenarios(), both);
    }

    #[test]
    fn who_names_a_scenario_wants_nothing_else() {
        assert!(!parsed(&["--scenario=lock"]).has(Part::Footprint));
        assert!(!parsed(&["--skip=soak"]).has(Part::Soak));
    }
}
