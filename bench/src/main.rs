//! `latchd-bench`: latchd, a real etcd and a floor under the same load, in one run.
//!
//! ```text
//! main      flags, signals
//! ground    where programs and data are
//! sizes     how many of each
//! plan      which cases, in which order; their run
//! whole     a run with all its parts
//! system    the systems, their binaries and flags
//! servers   start, wait until it answers, stop
//! wire      a connection, and calls on it
//! scenario  what one client does over and over     shot  what happens once
//! crowd     many leases, keys, watchers, waiters
//! bound     what one RPC and one fsync leave to a lock that is handed over
//! load      the closed loop: warm-up, window, latencies
//! proc      /proc: CPU, memory, file systems
//! figures   the numbers of a round; medians and ratios
//! results   those of a case and of the run
//! sweep     a shot in ever greater sizes
//! goals     what is to be reached, and whether it was
//! report    the tables   json  the same, for programs   plots  as pictures
//! output    where all that is written
//! floor     the server that answers at once and stores nothing    floor_line  the same in lines
//! footprint what a watcher, a lease, a waiter takes in memory
//! soak      lock cycles without end: file, memory, restarts
//! ```

mod bound;
mod crowd;
mod figures;
mod floor;
mod floor_line;
mod footprint;
mod goals;
mod ground;
mod json;
mod load;
mod output;
mod plan;
mod plots;
mod proc;
mod report;
mod results;
mod scenario;
mod servers;
mod shot;
mod sizes;
mod soak;
mod sweep;
mod system;
mod whole;
mod wire;

use std::{io, net::SocketAddr, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::{Parser, Subcommand};
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
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
    options: whole::Options,
}

#[derive(Subcommand)]
enum Mode {
    /// Serves the floor: answers every RPC at once and stores nothing. The benchmark starts it
    /// itself.
    Floor {
        /// Where to listen.
        #[arg(long, value_name = "HOST:PORT")]
        listen: SocketAddr,
        /// Where to listen for Dreadlock's clients.
        #[arg(long, value_name = "HOST:PORT")]
        listen_line: Option<SocketAddr>,
    },
    /// Measures what a connection, a watcher, a lease and a waiter take in a server's memory.
    Footprint(footprint::Options),
    /// Locks and unlocks very often, then restarts the server: file, memory, time until it serves.
    Soak(soak::Options),
    /// Shows how cost grows with waiters, keys, leases and watchers.
    Sweep(sweep::Options),
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
            Some(Mode::Floor {
                listen,
                listen_line: None,
            }) => floor::serve(listen).await,
            Some(Mode::Floor {
                listen,
                listen_line: Some(line),
            }) => {
                tokio::try_join!(floor::serve(listen), floor_line::serve(line)).map(|((), ())| ())
            }
            Some(Mode::Footprint(options)) => footprint::run(options).await,
            Some(Mode::Soak(options)) => soak::run(options).await,
            Some(Mode::Sweep(options)) => sweep::run(options).await,
            None => whole::run(cli.options).await,
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

/// For flags that are a time in seconds.
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
    fn nonsense_is_refused() {
        for flag in [
            "--clients=0",
            "--rounds=0",
            "--seconds=0",
            "--seconds=-1",
            "--seconds=soon",
            "--scenario=nap",
            "--skip=lunch",
            "--waiters=0",
        ] {
            assert!(
                Cli::try_parse_from(["latchd-bench", flag]).is_err(),
                "{flag}"
            );
        }
    }
}
