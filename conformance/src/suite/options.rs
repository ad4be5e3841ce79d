//! The command line of the differential cases.

use std::{fs, io::IsTerminal, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    case::{Family, Selection},
    cases,
    pair::{Pair, Source},
    report,
    runner::{Judged, Outcome, Plan, Verdict},
    servers,
};
use crate::target::Kind;

/// Runs the differential cases: each on latchd and on a real etcd, all answers
/// compared.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Families, or patterns of family/case with `*`
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,

    /// List the families and their cases, and run none
    #[arg(long)]
    list: bool,

    /// Judge the server at this URL instead of a latchd that is started
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,

    /// Compare with the server at this URL instead of an etcd that is started
    #[arg(long, value_name = "URL")]
    reference: Option<String>,

    /// Delete what the servers at --endpoint and --reference hold
    #[arg(long)]
    wipe: bool,

    /// How to say what came of it
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,

    /// Where to write it, instead of stdout
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,

    /// How many pairs of servers run cases side by side
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=16))]
    jobs: u8,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// All verdicts and differences
    Json,
    /// For CI servers
    Junit,
}

/// Runs what the options say; the exit code is 1 when the servers differ.
///
/// # Errors
/// When the cases cannot be run.
pub async fn run(options: Options) -> Result<ExitCode> {
    let families = cases::families();
    let plan = options.plan();
    if options.list {
        list(&families, &plan.selection);
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = plan.chosen(&families).len();
    let pending = families
        .iter()
        .any(|f| f.is_pending() && plan.selection.wants_family(f.name));
    ensure!(chosen > 0 || pending, "no case is named so: see --list");
    options.prepare(&plan).await?;
    let bar = progress(chosen);
    let outcome = plan.run(&families, |judged| tell(&bar, judged)).await?;
    bar.finish_and_clear();
    options.report(&outcome)?;
    Ok(match outcome.is_good() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

impl Options {
    fn plan(&self) -> Plan {
        let source = |given: &Option<String>, kind| match given {
            Some(url) => Source::Given(with_scheme(url)),
            None => Source::Start(kind),
        };
        let any_given = self.endpoint.is_some() || self.reference.is_some();
        Plan {
            tested: source(&self.endpoint, Kind::Latchd),
            reference: source(&self.reference, Kind::Etcd),
            jobs: if any_given { 1 } else { self.jobs.into() },
            selection: Selection::new(&self.only),
            ..Plan::default()
        }
    }

    /// Builds what is started, and looks into what is given.
    async fn prepare(&self, plan: &Plan) -> Result<()> {
        if self.reference.is_none() {
            servers::build_etcd().await?;
        }
        if self.endpoint.is_none() {
            servers::build_latchd().await?;
        }
        if !self.wipe && (self.endpoint.is_some() || self.reference.is_some()) {
            let pair = Pair::open(&plan.tested, &plan.reference, &[]).await?;
            pair.tested.must_be_empty().await?;
            pair.reference.must_be_empty().await?;
        }
        Ok(())
    }

    fn report(&self, outcome: &Outcome) -> Result<()> {
        let text = match self.output {
            Format::Table => report::table(outcome),
            Format::Json => report::json(outcome)?,
            Format::Junit => report::junit(outcome)?,
        };
        match &self.output_file {
            Some(path) => fs::write(path, text).with_context(|| path.display().to_string()),
            None => {
                print!("{text}");
                Ok(())
            }
        }
    }
}

pub(crate) fn with_scheme(url: &str) -> String {
    match url.contains("://") {
        true => url.to_owned(),
        false => format!("http://{url}"),
    }
}

fn list(families: &[Family], selection: &Selection) {
    for family in families {
        if family.is_pending() && selection.wants_family(family.name) {
            println!("{} (pending): {}", family.name, family.about);
        }
        for case in &family.cases {
            if selection.wants(family.name, &case.name) {
                println!("{}/{}", family.name, case.name);
            }
        }
    }
}

/// A bar on a terminal, nothing elsewhere.
fn progress(cases: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(cases as u64);
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let template = match plain {
        true => "{bar:40} {pos}/{len} {msg}",
        false => "{bar:40.cyan/blue} {pos}/{len} {msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn tell(bar: &ProgressBar, judged: &Judged) {
    let name = format!("{}/{}", judged.family, judged.case);
    if matches!(judged.verdict, Verdict::Different | Verdict::Broken(_)) {
        bar.println(format!("{name}: the servers differ"));
    }
    bar.set_message(name);
    bar.inc(1);
}
