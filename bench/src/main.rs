//! `latchd-bench`: latchd, a real etcd and a floor under the same load, in one run.
//!
//! ```text
//! main      flags, signals
//! ground    where programs and data are
//! plan      which cases, in which order; the run
//! system    the systems, their binaries and flags
//! servers   start, wait until it answers, stop
//! wire      a connection, and calls on it
//! scenario  what one client does over and over
//! bound     what one RPC and one fsync leave to a lock that is handed over
//! load      the closed loop: warm-up, window, latencies
//! proc      /proc: CPU, memory, file systems
//! figures   the numbers of a round; medians and ratios
//! results   those of a case and of the run
//! report    the table           json   the same, for programs
//! floor     the server that answers at once and stores nothing
//! footprint what a watcher, a lease, a waiter takes in memory
//! soak      lock cycles without end: file, memory, restarts
//! ```

mod bound;
mod figures;
mod floor;
mod footprint;
mod ground;
mod json;
mod load;
mod plan;
mod proc;
mod report;
mod results;
mod scenario;
mod servers;
mod soak;
mod system;
mod wire;

use std::{io, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::{Parser, Subcommand, builder::RangedU64ValueParser};
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};

use crate::{
    ground::{Ground, GroundOptions},
    plan::{Plan, Timing},
    scenario::Scenario,
    system::System,
};

/// The exit code after SIGINT, as shells have it.
const INTERRUPTED: u8 = 130;

/// Runs latchd, a real etcd and a floor under the same load, in turns, and compares them.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    mode: Option<Mode>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Mode {
    /// Serves the floor: answers every RPC at once and stores nothing. The benchmark starts it
    /// itself.
    Floor {
        /// Where to listen.
        #[arg(long, value_name = "HOST:PORT")]
        listen: SocketAddr,
    },
    /// Measures what a connection, a watcher, a lease and a waiter take in a server's memory.
    Footprint(footprint::Options),
    /// Locks and unlocks very often, then restarts the server: file, memory, time until it serves.
    Soak(soak::Options),
}

#[derive(clap::Args)]
struct Options {
    #[command(flatten)]
    ground: GroundOptions,

    /// How many closed-loop clients; each number is a case of its own.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [1, 32, 256],
          value_parser = at_least_one())]
    clients: Vec<usize>,

    /// HTTP/2 connections that the clients share; by default one for every 32 of them.
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    connections: Option<usize>,

    /// How long each round is measured, in seconds; a quarter of it, at least 0.3 s, goes before
    /// as warm-up.
    #[arg(long, value_name = "S", default_value = "3", value_parser = seconds)]
    seconds: Duration,

    /// How often each system has its turn in each case; the medians of the rounds are compared.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_one())]
    rounds: usize,

    /// What to do; by default all of it.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_enum)]
    scenario: Vec<Scenario>,

    /// Who does it; by default all of them.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_enum)]
    system: Vec<System>,

    /// Where to write the figures of every round as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.mode {
        Some(Mode::Floor { .. }) => runtime::Builder::new_multi_thread(),
        // The load has one thread: several take twice the CPU time for waking one another, which
        // the server, on the same CPUs, then lacks.
        _ => runtime::Builder::new_current_thread(),
    }
    .enable_all()
    .build()
    .map_err(anyhow::Error::from)
    .and_then(|runtime| runtime.block_on(serve_or_measure(cli)));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("latchd-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve_or_measure(cli: Cli) -> Result<ExitCode> {
    let work = async {
        match cli.mode {
            Some(Mode::Floor { listen }) => floor::serve(listen).await,
            Some(Mode::Footprint(options)) => footprint::run(options).await,
            Some(Mode::Soak(options)) => soak::run(options).await,
            None => compare(cli.options).await,
        }
    };
    // The work owns the servers and their directories; when it is dropped, they go too.
    tokio::select! {
        outcome = work => outcome.map(|()| ExitCode::SUCCESS),
        interrupted = interruption() => Ok(interrupted.map(|()| ExitCode::from(INTERRUPTED))?),
    }
}

/// Resolves at SIGINT or SIGTERM.
async fn interruption() -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

async fn compare(options: Options) -> Result<()> {
    let json = options.json.clone();
    json::check(json.as_deref())?;
    let run = plan(options)?.run().await?;
    print!("{}", report::summary(&run));
    json::write(json.as_deref(), &json::document(&run))
}

fn plan(options: Options) -> Result<Plan> {
    let systems = or_all(options.system, &System::ALL);
    let scenarios = or_all(options.scenario, &Scenario::ALL);
    Ok(Plan {
        ground: Ground::find(options.ground, &systems)?,
        cases: plan::cases(&scenarios, &options.clients, options.connections)?,
        timing: Timing::of(options.seconds),
        rounds: options.rounds,
        systems,
    })
}

fn or_all<T: Copy>(chosen: Vec<T>, all: &[T]) -> Vec<T> {
    if chosen.is_empty() {
        all.to_vec()
    } else {
        chosen
    }
}

fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("must be more than 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn defaults_are_what_the_readme_says() {
        let options = Cli::parse_from(["latchd-bench"]).options;
        assert_eq!(options.clients, [1, 32, 256]);
        assert_eq!(options.seconds, Duration::from_secs(3));
        assert_eq!(options.rounds, 3);
    }

    #[test]
    fn lists_have_commas_between_their_items() {
        let args = ["latchd-bench", "--clients=1,8", "--scenario=lock,txn-lock"];
        let options = Cli::parse_from(args).options;
        assert_eq!(options.clients, [1, 8]);
        assert_eq!(options.scenario, [Scenario::Lock, Scenario::TxnLock]);
    }

    #[test]
    fn nonsense_is_refused() {
        for flag in [
            "--clients=0",
            "--rounds=0",
            "--seconds=0",
            "--seconds=-1",
            "--seconds=soon",
            "--scenario=nap",
        ] {
            assert!(
                Cli::try_parse_from(["latchd-bench", flag]).is_err(),
                "{flag}"
            );
        }
    }
}
