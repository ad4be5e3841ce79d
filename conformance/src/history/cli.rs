//! The command line of the histories.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;

use super::live::{
    pause, remote,
    report::check_file,
    run::{self, Where},
    stage::Length,
};
use crate::target::Kind;

/// Runs many clients at once, records all that they see, and checks it; then a
/// holder that is stopped for longer than its lease lives.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Clients that write and read
    #[arg(long, value_name = "N", default_value_t = 8)]
    clients: u32,

    /// Clients that contend for locks
    #[arg(long, value_name = "N", default_value_t = 6)]
    lockers: u32,

    /// Keys that the writing clients share
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..))]
    keys: u32,

    /// Until so many requests are answered
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    ops: u64,

    /// So many seconds, instead of a number of requests
    #[arg(long, value_name = "N", conflicts_with = "ops")]
    seconds: Option<u64>,

    /// How often to kill the server with -9 and to start it again
    #[arg(long, value_name = "N", default_value_t = 5)]
    kills: u32,

    /// What the clients ask; by default another with each run
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Run a real etcd instead of latchd
    #[arg(long)]
    etcd: bool,

    /// Use the server at this URL, to which nobody else writes; it is not killed
    #[arg(long, value_name = "URL", conflicts_with = "etcd")]
    endpoint: Option<String>,

    /// Save the history in this directory, also when nothing is wrong with it
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,

    /// Check the history in this file again, and run nothing
    #[arg(long, value_name = "FILE", exclusive = true)]
    check: Option<PathBuf>,
}

/// A client of [`pause`] in a process of its own.
#[derive(Args, Clone, Debug)]
pub struct RemoteOptions {
    /// The server's URL
    #[arg(long, value_name = "URL")]
    endpoint: String,
}

/// Runs what the options say.
///
/// # Errors
/// With the violation if there is one.
pub async fn run(options: Options) -> Result<ExitCode> {
    if let Some(file) = &options.check {
        println!("{}", check_file(file)?);
        return Ok(ExitCode::SUCCESS);
    }
    let kind = if options.etcd {
        Kind::Etcd
    } else {
        Kind::Latchd
    };
    let plan = options.plan(kind);
    println!("seed {}, {} kills", plan.seed, plan.kills);
    println!("{}", run::run(&plan).await?);
    if let Where::Own(server) = plan.server {
        for kill in [false, true] {
            let program = std::env::current_exe()?;
            let pause = pause::Options {
                program,
                server,
                kill,
                save: plan.save.clone(),
            };
            let also = if kill { ", and the server killed" } else { "" };
            println!("a holder stopped for longer than its lease lives{also}:");
            println!("{}", pause::run(&pause).await?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Serves stdin until its end.
///
/// # Errors
/// When that is not what [`remote`] writes.
pub async fn serve(options: RemoteOptions) -> Result<ExitCode> {
    remote::serve(&options.endpoint).await?;
    Ok(ExitCode::SUCCESS)
}

impl Options {
    fn plan(self, kind: Kind) -> run::Options {
        let own = self.endpoint.is_none();
        run::Options {
            seed: self.seed.unwrap_or_else(rand::random),
            clients: self.clients,
            lockers: self.lockers,
            keys: self.keys,
            length: self.seconds.map_or(Length::Ops(self.ops), Length::Seconds),
            kills: if own { self.kills } else { 0 },
            server: self.endpoint.map_or(Where::Own(kind), Where::Url),
            save: self.save,
        }
    }
}
