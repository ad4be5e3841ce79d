//! A program on a server.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;
use tokio::process::Command;

use super::{
    Launcher, Program, Scenario,
    expected::{self, Expected},
    judge::judge,
};
use crate::process::Process;

/// How long all scenarios of a program may take, on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// How much a program does.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Clients that contend.
    pub clients: usize,
    /// How often each takes the lock.
    pub turns: usize,
    /// The TTL in seconds of leases that expire.
    pub ttl: u64,
}

impl Default for Scale {
    fn default() -> Self {
        Self {
            clients: 4,
            turns: 5,
            ttl: 5,
        }
    }
}

/// What became of one scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It saw what it must.
    Passed,
    /// What it saw instead.
    Failed(String),
    /// The library cannot: why.
    Cannot(&'static str),
    /// The program is not installed: the command that installs it.
    Skipped(String),
}

/// One line of a program's output.
#[derive(Deserialize)]
struct Line {
    scenario: Option<Scenario>,
    saw: Option<Value>,
    error: Option<String>,
}

/// What a program saw in each scenario, or what it met instead.
pub type Seen = BTreeMap<Scenario, Result<Value, String>>;

/// The last lines of what it wrote to stderr.
fn tail(stderr: &str) -> String {
    let lines: Vec<&str> = stderr.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

fn failed(error: anyhow::Error) -> Verdict {
    Verdict::Failed(format!("{error:#}"))
}

/// A program about to run on a server.
pub struct Play<'a> {
    program: Program,
    launcher: &'a Launcher,
    endpoint: String,
    name: String,
    scale: Scale,
    counter: Option<String>,
}

impl<'a> Play<'a> {
    /// On the server at this URL.
    #[must_use]
    pub fn new(launcher: &'a Launcher, program: Program, endpoint: impl Into<String>) -> Self {
        Self {
            program,
            launcher,
            endpoint: endpoint.into(),
            // Another one each time: a server may know the last one's counter.
            name: format!("{program}-{:08x}", rand::random::<u32>()),
            scale: Scale::default(),
            counter: None,
        }
    }

    /// Doing as much as this.
    #[must_use]
    pub fn at(mut self, scale: Scale) -> Self {
        self.scale = scale;
        self
    }

    /// With what the names of its locks begin with, and the key to count in.
    #[must_use]
    pub fn named(mut self, name: &str, counter: &str) -> Self {
        name.clone_into(&mut self.name);
        self.counter = Some(counter.to_owned());
        self
    }

    /// Plays all that the table has for the program; returns a verdict for each.
    pub async fn all(&self) -> Vec<(Scenario, Verdict)> {
        let table = expected::of(self.program, self.scale);
        let asked: Vec<Scenario> = table
            .iter()
            .filter(|(_, expected)| matches!(expected, Expected::Sees(_)))
            .map(|(scenario, _)| *scenario)
            .collect();
        let seen = match self.launcher.command(self.program) {
            Ok(_) => self.seen(&asked).await.map_err(failed),
            Err(missing) => Err(Verdict::Skipped(missing.to_string())),
        };
        let verdict = |(scenario, expected): &(Scenario, Expected)| match (expected, &seen) {
            (Expected::Cannot(why), _) => Verdict::Cannot(why),
            (Expected::Sees(_), Err(verdict)) => verdict.clone(),
            (Expected::Sees(facts), Ok(seen)) => self.verdict(*scenario, seen, facts),
        };
        let verdicts = table.iter().map(|entry| (entry.0, verdict(entry)));
        verdicts.collect()
    }

    fn verdict(&self, scenario: Scenario, seen: &Seen, facts: &Value) -> Verdict {
        let name = format!("{}-{scenario}", self.name);
        let judged = match seen.get(&scenario) {
            Some(Ok(saw)) => judge(self.program, &name, saw.clone(), facts),
            Some(Err(error)) => Err(error.clone()),
            None => Err("it was not asked".to_owned()),
        };
        judged.map_or_else(Verdict::Failed, |()| Verdict::Passed)
    }

    /// Runs it; returns what it saw in each scenario, or what it met instead.
    ///
    /// # Errors
    /// When it cannot be started, does not end, or prints what nobody can read.
    pub async fn seen(&self, scenarios: &[Scenario]) -> Result<Seen> {
        let exit = self.start(scenarios)?.exit(LIMIT).await?;
        let silent = || Err(format!("it said nothing, but: {}", tail(&exit.stderr)));
        let mut seen: Seen = scenarios.iter().map(|s| (*s, silent())).collect();
        for line in exit.stdout.lines() {
            let line: Line = serde_json::from_str(line).with_context(|| format!("{exit:#?}"))?;
            let Some(scenario) = line.scenario else {
                continue; // It is ready.
            };
            let met = || format!("{}\n{}", line.error.unwrap_or_default(), tail(&exit.stderr));
            seen.insert(scenario, line.saw.ok_or_else(met));
        }
        Ok(seen)
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn start(&self, scenarios: &[Scenario]) -> Result<Process> {
        Process::start(self.command(scenarios)?)
    }

    fn command(&self, scenarios: &[Scenario]) -> Result<Command> {
        let mut command = self.launcher.command(self.program)?;
        command.args(["--endpoint", &self.endpoint, "--name", &self.name]);
        command.args(["--clients", &self.scale.clients.to_string()]);
        command.args(["--turns", &self.scale.turns.to_string()]);
        command.args(["--ttl", &self.scale.ttl.to_string()]);
        if let Some(counter) = &self.counter {
            command.args(["--counter", counter]);
        }
        command.args(scenarios.iter().map(ToString::to_string));
        Ok(command)
    }
}
