//! The command line of random programs.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Result, ensure};
use clap::Args;
use futures::future::try_join_all;
use indicatif::ProgressBar;

use super::{
    Outcome, PATIENCE, Plan,
    op::listing,
    regression::Regression,
    replay,
    servers::{Lane, Source},
    side::Fault,
};
use crate::{
    suite::{options::with_scheme, servers},
    target::Kind,
};

/// Plays random programs on latchd, on a real etcd and on a model of it, in lockstep. A program
/// that does not do the same everywhere is made short, printed and saved.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// How many operations, in all
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    ops: usize,

    /// Where the programs come from; another one each time if it is not given
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,

    /// How many operations a program has
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = at_least_one)]
    program: usize,

    /// Play this saved program alone; may be given several times
    #[arg(long, value_name = "FILE", conflicts_with_all = ["ops", "seed", "program"])]
    replay: Vec<PathBuf>,

    /// Judge the server at this URL instead of a latchd that is started
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,

    /// Compare with the server at this URL instead of an etcd that is started
    #[arg(long, value_name = "URL")]
    reference: Option<String>,

    /// Delete what the servers at --endpoint and --reference hold
    #[arg(long)]
    wipe: bool,

    /// Where to save a program that failed
    #[arg(long, value_name = "DIR", default_value = REGRESSIONS)]
    save: PathBuf,

    /// How many pairs of servers play programs side by side
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    jobs: u8,
}

/// The programs that the tests of this crate play again.
const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regressions");

fn at_least_one(text: &str) -> Result<usize> {
    let number = text.parse()?;
    ensure!(number > 0, "it must be at least 1");
    Ok(number)
}

/// Runs what the options say; the exit code is 1 when a program fails.
///
/// # Errors
/// When a server cannot be started or does not answer.
pub async fn run(options: Options) -> Result<ExitCode> {
    let mut lanes = options.lanes().await?;
    let good = match lanes.first_mut() {
        Some(lane) if !options.replay.is_empty() => replay_all(&options.replay, lane).await?,
        _ => options.play(&mut lanes).await?,
    };
    Ok(match good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

impl Options {
    async fn play(&self, lanes: &mut [Lane]) -> Result<bool> {
        let plan = Plan {
            seed: self.seed.unwrap_or_else(rand::random),
            ops: self.ops,
            program: self.program,
            save_in: Some(self.save.clone()),
        };
        println!("seed {}", plan.seed);
        let bar = progress(plan.ops);
        let outcome: Outcome = super::run(&plan, lanes, |played| bar.inc(played as u64)).await?;
        bar.finish_and_clear();
        println!("{outcome}");
        Ok(outcome.failure.is_none())
    }

    /// Servers that are given are one lane, however many are asked for.
    async fn lanes(&self) -> Result<Vec<Lane>> {
        let source = |given: &Option<String>, kind| match given {
            Some(url) => Source::Given(with_scheme(url)),
            None => Source::Start(kind),
        };
        let tested = source(&self.endpoint, Kind::Latchd);
        let reference = source(&self.reference, Kind::Etcd);
        if matches!(reference, Source::Start(_)) {
            servers::build_etcd().await?;
        }
        if matches!(tested, Source::Start(_)) {
            servers::build_latchd().await?;
        }
        let any_given = self.endpoint.is_some() || self.reference.is_some();
        let jobs = match any_given || !self.replay.is_empty() {
            true => 1,
            false => self.jobs,
        };
        let lanes = (0..jobs).map(|_| Lane::open(&tested, &reference, Fault::default(), PATIENCE));
        let lanes = try_join_all(lanes).await?;
        if any_given && !self.wipe {
            for side in lanes.iter().flat_map(|lane| &lane.sides) {
                side.must_be_empty().await?;
            }
        }
        Ok(lanes)
    }
}

async fn replay_all(paths: &[PathBuf], lane: &mut Lane) -> Result<bool> {
    let mut good = true;
    for path in paths {
        good &= replay_one(path, lane).await?;
    }
    Ok(good)
}

async fn replay_one(path: &Path, lane: &mut Lane) -> Result<bool> {
    let program = Regression::load(path)?.program;
    let mismatch = replay(&program, lane).await?;
    match &mismatch {
        None => println!("{}: the same everywhere", path.display()),
        Some(mismatch) => println!(
            "{}:\n\n{}\n\nat operation {}: {}\n",
            path.display(),
            listing(&program),
            mismatch.at,
            mismatch.what
        ),
    }
    Ok(mismatch.is_none())
}

/// A bar on a terminal, nothing elsewhere.
fn progress(operations: usize) -> ProgressBar {
    match std::io::stderr().is_terminal() {
        true => ProgressBar::new(operations as u64),
        false => ProgressBar::hidden(),
    }
}
