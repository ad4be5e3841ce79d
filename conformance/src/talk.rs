//! A client in a process of its own that does what lines of its stdin say and answers with lines of
//! JSON: Go's `locker talk`, or [`crate::lock_client`].

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    process::{self, Process},
    server::Server,
    target,
    wait::SOON,
};

/// Such a client. Dropping it kills it.
pub struct Talk {
    process: Process,
    /// What it said when it was ready.
    pub introduction: Value,
    /// Lines that were read already.
    read: BTreeSet<usize>,
}

impl Talk {
    /// Go's `clientv3/concurrency`, with one session.
    ///
    /// # Errors
    /// When it is not built, or has no session soon.
    pub async fn go(server: &Server) -> Result<Self> {
        let mut command = process::command(&target::locker()?);
        command.args(["--endpoint", &server.spec().url(), "talk"]);
        Self::begin(Process::start_dialogue(command)?).await
    }

    /// One session of `latchd.v1`; `program` must be this crate's binary.
    ///
    /// # Errors
    /// When it has no session soon.
    pub async fn latchd(program: &str, server: &Server, flags: &[&str]) -> Result<Self> {
        let mut command = process::command(Path::new(program));
        command.args(["lock-client", "--endpoint", &server.spec().url()]);
        command.args(flags);
        Self::begin(Process::start_dialogue(command)?).await
    }

    async fn begin(process: Process) -> Result<Self> {
        let mut talk = Self {
            process,
            introduction: Value::Null,
            read: BTreeSet::new(),
        };
        talk.introduction = talk.line("an introduction", |_| true).await?;
        Ok(talk)
    }

    /// Says a line, and waits for the answer.
    ///
    /// # Errors
    /// When it does not come soon.
    pub async fn ask(&mut self, line: &str) -> Result<Value> {
        self.say(line).await?;
        self.answer_to(line).await
    }

    /// Says a line.
    ///
    /// # Errors
    /// When the process has ended.
    pub async fn say(&mut self, line: &str) -> Result<()> {
        self.process.say(&format!("{line}\n")).await
    }

    /// Waits for the answer to a line that was said.
    ///
    /// # Errors
    /// When it does not come soon.
    pub async fn answer_to(&mut self, line: &str) -> Result<Value> {
        self.line(line, |said| said["told"] == line).await
    }

    /// Whether a line that was said has been answered, and nobody has read it yet.
    ///
    /// # Errors
    /// When what it wrote is no JSON.
    pub fn has_answered(&self, line: &str) -> Result<bool> {
        let all = self.process.stdout();
        let found = unread(&all, &self.read, &|said: &Value| said["told"] == line)?;
        Ok(found.is_some())
    }

    /// Waits for what the session is told unasked.
    ///
    /// # Errors
    /// When it does not come soon.
    pub async fn notice(&mut self) -> Result<Value> {
        let mut line = self
            .line("a notice", |said| said.get("notice").is_some())
            .await?;
        Ok(line["notice"].take())
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The first unread line like this, once it is there.
    async fn line(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let (read, wanted) = (&self.read, &wanted);
        let found = |all: &String| matches!(unread(all, read, wanted), Ok(Some(_)) | Err(_));
        let all = self.process.stdout_until(SOON, found).await?;
        let (at, line) = unread(&all, &self.read, wanted)?
            .with_context(|| format!("no answer to {what}: {all}"))?;
        self.read.insert(at);
        Ok(line)
    }
}

/// The first whole line that was not read yet and is wanted.
fn unread(
    all: &str,
    read: &BTreeSet<usize>,
    wanted: &impl Fn(&Value) -> bool,
) -> Result<Option<(usize, Value)>> {
    let whole = all.rfind('\n').map_or("", |end| &all[..end]);
    for (at, line) in whole.lines().enumerate() {
        let said: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        if !read.contains(&at) && wanted(&said) {
            return Ok(Some((at, said)));
        }
    }
    Ok(None)
}
