//! The command line: the programs of all languages on both servers, and a table of
//! what came of it.

use std::{env, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Args, builder::PossibleValuesParser};
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    Launcher, Play, Program, Scale, Scenario,
    play::Verdict,
    report::Report,
    together::{Group, count_together},
};
use crate::{
    server::{Server, Spec},
    suite::servers,
    target::Kind,
};

/// Runs small programs on unmodified clients of other languages, each of which locks,
/// contends, expires, elects, watches and counts; then lets those that name keys alike
/// contend for one lock together.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Run them on the server at this URL instead of a latchd and an etcd that are started
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,

    /// Only these programs
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = names())]
    only: Vec<String>,

    /// How many clients each program has
    #[arg(long, default_value_t = Scale::default().clients, value_name = "N")]
    clients: usize,

    /// How often each client takes the lock
    #[arg(long, default_value_t = Scale::default().turns, value_name = "N")]
    turns: usize,

    /// The TTL in seconds of leases that expire
    #[arg(long, default_value_t = Scale::default().ttl, value_name = "SECONDS")]
    ttl: u64,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(Program::ALL.map(Program::name))
}

impl Options {
    fn programs(&self) -> Vec<Program> {
        let wanted = |program: &Program| {
            self.only.is_empty() || self.only.iter().any(|name| name == program.name())
        };
        Program::ALL.into_iter().filter(wanted).collect()
    }

    fn scale(&self) -> Scale {
        Scale {
            clients: self.clients,
            turns: self.turns,
            ttl: self.ttl,
        }
    }
}

/// A server that the programs run on.
#[derive(Clone)]
enum Host {
    /// It runs already.
    Given(String),
    /// A fresh one for each program, so that one's compaction is not another's.
    Fresh(Kind),
}

impl Host {
    fn name(&self) -> String {
        match self {
            Self::Given(url) => url.clone(),
            Self::Fresh(Kind::Latchd) => "latchd".to_owned(),
            Self::Fresh(Kind::Etcd) => "etcd".to_owned(),
        }
    }

    /// Its URL, and what keeps it running.
    async fn start(&self) -> Result<(String, Option<Server>)> {
        match self {
            Self::Given(url) => Ok((url.clone(), None)),
            Self::Fresh(kind) => {
                let spec = Spec::of(*kind)?.flag("--auto-compaction-retention=0");
                let server = spec.start().await?;
                Ok((server.spec().url(), Some(server)))
            }
        }
    }
}

/// Runs what was asked for and prints the table; fails if a program saw what it must not.
///
/// # Errors
/// When a server cannot be started, or a program does not end.
pub async fn run(options: Options) -> Result<ExitCode> {
    let launcher = Launcher::new(env::current_exe().context("where am I?")?);
    let hosts = options.endpoint.as_ref().map_or_else(
        || vec![Host::Fresh(Kind::Latchd), Host::Fresh(Kind::Etcd)],
        |url| vec![Host::Given(url.clone())],
    );
    if options.endpoint.is_none() {
        servers::build_etcd().await?;
        servers::build_latchd().await?;
    }
    let mut report = Report::default();
    for host in &hosts {
        for (program, verdicts) in each_alone(&options, &launcher, host).await? {
            report.add(program.name(), &host.name(), verdicts);
            report.explain(program);
        }
        for group in [Group::Queue, Group::Bare] {
            let verdict = all_together(&options, &launcher, host, group).await?;
            let counted = [(Scenario::Counter, verdict)];
            report.add(group_name(group), &host.name(), counted);
        }
    }
    println!("{report}");
    Ok(match report.is_good() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

type Verdicts = Vec<(Scenario, Verdict)>;

/// Two programs at a time on servers of their own, else one after the other.
async fn each_alone(
    options: &Options,
    launcher: &Launcher,
    host: &Host,
) -> Result<Vec<(Program, Verdicts)>> {
    let jobs = if matches!(host, Host::Given(_)) { 1 } else { 2 };
    let scale = options.scale();
    stream::iter(options.programs())
        .map(async |program| {
            let (url, _server) = host.start().await?;
            eprintln!("{program} on {}", host.name());
            let verdicts = Play::new(launcher, program, url).at(scale).all().await;
            Ok((program, verdicts))
        })
        .buffered(jobs)
        .try_collect()
        .await
}

async fn all_together(
    options: &Options,
    launcher: &Launcher,
    host: &Host,
    group: Group,
) -> Result<Verdict> {
    let installed = |program: &Program| launcher.command(*program).is_ok();
    let wanted = options.programs();
    let programs: Vec<Program> = group
        .programs()
        .filter(|program| wanted.contains(program))
        .filter(installed)
        .collect();
    if programs.len() < 2 {
        return Ok(Verdict::Skipped(
            "fewer than two of its programs are installed".to_owned(),
        ));
    }
    let (url, _server) = host.start().await?;
    eprintln!("{} on {}", group_name(group), host.name());
    Ok(
        match count_together(launcher, &programs, &url, options.scale()).await {
            Ok(counted) if counted.counter == counted.turns => Verdict::Passed,
            Ok(lost) => Verdict::Failed(format!("{lost:?}")),
            Err(error) => Verdict::Failed(format!("{error:#}")),
        },
    )
}

fn group_name(group: Group) -> &'static str {
    match group {
        Group::Queue => "all on NAME/LEASE",
        Group::Bare => "all on one key",
    }
}
