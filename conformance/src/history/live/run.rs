//! A run: many clients at once on one server, which is killed in between, and
//! then the check of all that they saw.

use std::path::PathBuf;

use anyhow::{Result, bail};
use tokio::time::Instant;

use super::{
    lockers::{Locker, Style},
    report::{Report, judge_and_save},
    stage::{Length, Stage},
    writers,
};
use crate::{
    history::{record::History, workload::Workload},
    target::Kind,
};

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the clients ask depends on this, and on what they are answered.
    pub seed: u64,
    /// Clients that write and read.
    pub clients: u32,
    /// Clients that lock.
    pub lockers: u32,
    /// Keys that the writers share.
    pub keys: u32,
    /// How long it goes.
    pub length: Length,
    /// How often the server is killed with -9 and started again.
    pub kills: u32,
    /// The server: started for the run, or one that runs already.
    pub server: Where,
    /// In which directory to save the history; if none is named, one with a
    /// violation is saved in that for temporary files.
    pub save: Option<PathBuf>,
}

/// The server of a run.
#[derive(Clone, Debug)]
pub enum Where {
    /// A new one.
    Own(Kind),
    /// The one at this URL; nobody else writes to it meanwhile, and it is not
    /// killed.
    Url(String),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 5,
            clients: 8,
            lockers: 6,
            keys: 5,
            length: Length::Ops(6000),
            kills: 0,
            server: Where::Own(Kind::Latchd),
            save: None,
        }
    }
}

/// Runs and checks.
///
/// # Errors
/// When the run cannot be finished, or with the violation and the file in which
/// the history is.
pub async fn run(options: &Options) -> Result<Report> {
    let begun = Instant::now();
    let history = record(options).await?;
    let recorded = Some(begun.elapsed());
    let name = format!("seed-{}-kills-{}", options.seed, options.kills);
    let report = judge_and_save(&history, options.save.as_deref(), &name)?;
    Ok(Report { recorded, ..report })
}

/// The locks, each with contenders of all styles.
const LOCKS: [&str; 2] = ["locks/a", "locks/b"];

/// Runs without checking.
///
/// # Errors
/// When the server cannot be started, or does not answer.
pub async fn record(options: &Options) -> Result<History> {
    let mut stage = match &options.server {
        Where::Own(kind) => Stage::own(*kind).await?,
        Where::Url(url) if options.kills == 0 => Stage::at(url).await?,
        Where::Url(_) => bail!("only a server of its own is killed"),
    };
    start_clients(&mut stage, options)?;
    let parts = u64::from(options.kills) + 1;
    for part in 1..parts {
        stage.reach(options.length, part, parts).await?;
        stage.kill().await?;
        if part == parts / 2 {
            stage.start_late_watcher();
        }
    }
    stage.reach(options.length, 1, 1).await?;
    stage.finish().await
}

/// Starts the clients that the options name, and all watches.
///
/// # Errors
/// When the server's URL is none.
pub fn start_clients(stage: &mut Stage, options: &Options) -> Result<()> {
    stage.start_watchers();
    start_writers(stage, options)?;
    start_lockers(stage, options)
}

fn start_writers(stage: &mut Stage, options: &Options) -> Result<()> {
    for _ in 0..options.clients {
        let client = stage.client()?;
        let workload = Workload::new(options.seed, client.number, options.keys);
        stage.start(writers::write(client, workload));
    }
    Ok(())
}

fn start_lockers(stage: &mut Stage, options: &Options) -> Result<()> {
    for number in 0..options.lockers {
        let style = if number % 2 == 0 {
            Style::Service
        } else {
            Style::Go
        };
        let name = LOCKS[usize::from(number % 3 == 2)];
        let locker = Locker::new(stage.client()?, options.seed, style, name);
        let locker = if number == 2 { locker.mortal() } else { locker };
        stage.start(locker.contend());
    }
    Ok(())
}
