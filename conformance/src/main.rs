//! `latchd-conformance`: holds a server against a real etcd.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use latchd_conformance::{clients, history, lock_client, random, suite};

/// Holds latchd, or any server that speaks etcd's v3 API, against a real etcd.
///
/// Without a subcommand it runs the differential cases.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    cases: suite::Options,
}

#[derive(Subcommand)]
enum Command {
    /// The differential cases: each on both servers, all answers compared
    Cases(suite::Options),
    /// Random programs on both servers and on a model, in lockstep
    Random(random::options::Options),
    /// Unmodified clients of other languages on both servers
    Clients(clients::options::Options),
    /// The program on Rust's etcd-client, which `clients` runs
    #[command(hide = true)]
    RustClient(clients::rust::Options),
    /// Many clients at once on one server: all that they see, recorded and checked
    Histories(history::cli::Options),
    /// The client that `histories` stops
    #[command(hide = true)]
    RemoteClient(history::cli::RemoteOptions),
    /// The client of latchd.v1 that tests kill
    #[command(hide = true)]
    LockClient(lock_client::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    run(Cli::parse()).await.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}

/// The exit code is 1 when the server is not as it should be.
async fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        None => suite::options::run(cli.cases).await,
        Some(Command::Cases(options)) => suite::options::run(options).await,
        Some(Command::Random(options)) => random::options::run(options).await,
        Some(Command::Clients(options)) => clients::options::run(options).await,
        Some(Command::RustClient(options)) => Ok(clients::rust::run(options).await),
        Some(Command::Histories(options)) => history::cli::run(options).await,
        Some(Command::RemoteClient(options)) => history::cli::serve(options).await,
        Some(Command::LockClient(options)) => {
            lock_client::serve(options).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
