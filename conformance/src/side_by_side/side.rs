//! A script on one server.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{
    mask::{Names, mask},
    script::{Action, Call, Step},
};
use crate::{
    etcdctl::Etcdctl,
    process::{Exit, Process},
    server::{Server, Spec},
    target::Kind,
    wait::{SOON, until, within},
};

/// What etcd 3.7 writes its data as.
const STORAGE_VERSION: &str = "3.7.0";

/// What a step showed, with the server's own values masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The exit code, for a command that ended.
    pub code: Option<i32>,
    /// Its stdout.
    pub stdout: String,
    /// Its stderr.
    pub stderr: String,
    /// Whether the lines that the script waits for came, and no more.
    pub came: bool,
}

/// A server, and what a script has started and remembered there.
pub struct Side {
    server: Server,
    etcdctl: Etcdctl,
    names: Names,
    variables: BTreeMap<String, String>,
    running: BTreeMap<String, (Process, Call)>,
}

impl Side {
    /// A fresh server of this kind, with these flags.
    ///
    /// # Errors
    /// When it does not start or does not answer.
    pub async fn start(kind: Kind, flags: &[&str]) -> Result<Self> {
        let spec = spec(kind, flags)?;
        let server = spec.start().await?;
        let etcdctl = Etcdctl::new(spec.address())?;
        let member = member_id(&etcdctl, kind).await?;
        let file = spec.data_dir().with_extension("snapshot");
        let file = file.display().to_string();
        let variables = [
            ("FILE", file.clone()),
            ("MEMBER", format!("{member:x}")),
            ("ADDRESS", spec.address()),
        ];
        Ok(Self {
            names: vec![
                (spec.address(), "<client>"),
                (spec.peer_address(), "<peer>"),
                (file, "<file>"),
            ],
            variables: variables.map(|(n, v)| (n.to_owned(), v)).into(),
            running: BTreeMap::new(),
            server,
            etcdctl,
        })
    }

    /// Goes through the steps; one outcome for each.
    ///
    /// # Errors
    /// When a command cannot be run, or does not end.
    pub async fn play(&mut self, steps: &[Step]) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        for step in steps {
            let outcome = self.step(&step.action).await;
            outcomes.push(outcome.with_context(|| format!("in `{}`", step.line))?);
        }
        self.server.must_be_well()?;
        Ok(outcomes)
    }

    async fn step(&mut self, action: &Action) -> Result<Outcome> {
        match action {
            Action::Run(call) => self.run(call).await,
            Action::Grant(name, call) => self.grant(name, call).await,
            Action::Lines(count, call) => self.lines(*count, call).await,
            Action::Start(name, call) => {
                let call = self.with_variables(call);
                let process = self.process(&call).await?;
                self.running.insert(name.clone(), (process, call));
                Ok(Outcome::nothing())
            }
            Action::Await(name, count) => {
                let (process, _) = self.running.get_mut(name).context("not started")?;
                let came = lines_came(process, *count).await;
                Ok(Outcome {
                    came,
                    ..Outcome::nothing()
                })
            }
            Action::End(name) => {
                let (process, call) = self.running.remove(name).context("not started")?;
                let exit = interrupt(process).await?;
                Ok(self.outcome(&exit, &call))
            }
        }
    }

    async fn run(&self, call: &Call) -> Result<Outcome> {
        let call = self.with_variables(call);
        let exit = self.process(&call).await?.exit(SOON).await?;
        Ok(self.outcome(&exit, &call))
    }

    async fn grant(&mut self, name: &str, call: &Call) -> Result<Outcome> {
        let call = self.with_variables(call);
        let exit = self.process(&call).await?.exit(SOON).await?;
        let lease = exit.stdout.split(' ').nth(1).unwrap_or("none");
        self.variables.insert(name.to_owned(), lease.to_owned());
        Ok(self.outcome(&exit, &call))
    }

    async fn lines(&self, count: usize, call: &Call) -> Result<Outcome> {
        let call = self.with_variables(call);
        let mut process = self.process(&call).await?;
        let came = lines_came(&mut process, count).await;
        let exit = interrupt(process).await?;
        // More than the script says would be there or not by chance.
        let came = came && exit.stdout.lines().count() == count;
        let outcome = self.outcome(&exit, &call);
        Ok(Outcome { came, ..outcome })
    }

    async fn process(&self, call: &Call) -> Result<Process> {
        let arguments: Vec<&str> = call.arguments.iter().map(String::as_str).collect();
        Process::start_with_input(self.etcdctl.command(&arguments), &call.input).await
    }

    fn with_variables(&self, call: &Call) -> Call {
        let value = |word: &String| {
            let name = word.strip_prefix('$');
            let value = name.and_then(|name| self.variables.get(name));
            value.unwrap_or(word).clone()
        };
        Call {
            arguments: call.arguments.iter().map(value).collect(),
            input: call.input.clone(),
        }
    }

    fn outcome(&self, exit: &Exit, call: &Call) -> Outcome {
        let masked = |text: &str| mask(text, &call.arguments, &self.names);
        Outcome {
            code: Some(exit.code()),
            stdout: masked(&exit.stdout),
            stderr: masked(&exit.stderr),
            came: true,
        }
    }
}

impl Outcome {
    fn nothing() -> Self {
        Self {
            code: None,
            stdout: String::new(),
            stderr: String::new(),
            came: true,
        }
    }
}

/// How a side is started.
fn spec(kind: Kind, flags: &[&str]) -> Result<Spec> {
    let add = |spec: Spec, flag: &&str| spec.flag(*flag);
    Ok(flags.iter().fold(Spec::of(kind)?, add))
}

/// The ID that a server has, once it is what it stays: a fresh etcd raises its
/// storage version a moment after it is ready.
async fn member_id(etcdctl: &Etcdctl, kind: Kind) -> Result<u64> {
    let mut id = None;
    until("the storage version", async || {
        let status = status(etcdctl).await?;
        id = status["header"]["member_id"].as_u64();
        Ok(kind != Kind::Etcd || status["storageVersion"] == STORAGE_VERSION)
    })
    .await?;
    id.context("no member ID")
}

async fn status(etcdctl: &Etcdctl) -> Result<Value> {
    let printed = etcdctl
        .output(&["endpoint", "status", "-w", "json"])
        .await?;
    let all: Value = serde_json::from_str(&printed)?;
    Ok(all[0]["Status"].clone())
}

/// False when it has ended, or its time is up, before that.
async fn lines_came(process: &mut Process, count: usize) -> bool {
    let printed = process.stdout_until(SOON, |out| out.lines().count() >= count);
    printed.await.is_ok()
}

async fn interrupt(mut process: Process) -> Result<Exit> {
    if !process.has_ended()? {
        within(SOON, "the signal", process.signal("INT")).await?;
    }
    process.exit(SOON).await
}
