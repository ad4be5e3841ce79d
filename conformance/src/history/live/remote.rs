//! A client in a process of its own, which can be stopped: it reads requests
//! from stdin and writes what became of them to stdout, one line of JSON each.
//!
//! Who runs it records for it, from before a request is handed over until after
//! its answer is read. That is longer than the request took, so whatever holds
//! of it held of the request.

use std::path::Path;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, stdin, stdout};

use super::{
    api::Api,
    client::outcome,
    recorder::{Piece, Recorder},
};
use crate::{
    history::{
        record::{Moment, Op, Outcome},
        request::Request,
    },
    process::{Process, command},
    wait::SOON,
};

/// Serves stdin until its end: the life of the child.
///
/// # Errors
/// When a line is no request.
pub async fn serve(url: &str) -> Result<()> {
    let mut api = Api::new(url)?;
    let (clock, _recording) = Recorder::begin();
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let request: Request = serde_json::from_str(&line)?;
        let answer = api.call(&request).await;
        let mut line = serde_json::to_vec(&outcome(&clock, answer))?;
        line.push(b'\n');
        let mut stdout = stdout();
        stdout.write_all(&line).await?;
        stdout.flush().await?;
    }
    Ok(())
}

/// The child, as who runs it sees it.
pub struct Remote {
    number: u32,
    recorder: Recorder,
    process: Process,
    /// How many answers were read.
    answers: usize,
}

/// A request that the child was given.
pub struct Asked {
    invoked: Moment,
    request: Request,
}

impl Remote {
    /// Starts `program`, which must be this crate's binary.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(program: &Path, url: &str, number: u32, recorder: Recorder) -> Result<Self> {
        let mut command = command(program);
        command.args(["remote-client", "--endpoint", url]);
        let process = Process::start_dialogue(command)?;
        Ok(Self {
            number,
            recorder,
            process,
            answers: 0,
        })
    }

    /// Stops it, until [`Self::resume`].
    ///
    /// # Errors
    /// When it has ended.
    pub async fn pause(&self) -> Result<()> {
        self.process.signal("STOP").await
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn resume(&self) -> Result<()> {
        self.process.signal("CONT").await
    }

    /// Gives it a request, which it may take when it goes on.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn give(&mut self, request: Request) -> Result<Asked> {
        let invoked = self.recorder.now();
        let line = serde_json::to_string(&request)?;
        self.process.say(&format!("{line}\n")).await?;
        Ok(Asked { invoked, request })
    }

    /// What became of the request, which it records.
    ///
    /// # Errors
    /// When it does not say so soon.
    pub async fn take(&mut self, asked: Asked) -> Result<Outcome> {
        let awaited = self.answers + 1;
        let said = self
            .process
            .stdout_until(SOON, |all| all.matches('\n').count() >= awaited)
            .await?;
        let line = said.lines().nth(self.answers).context("no line")?;
        let mut outcome: Outcome = serde_json::from_str(line)?;
        self.answers = awaited;
        if let Outcome::Answered { at, .. } | Outcome::Refused { at, .. } = &mut outcome {
            *at = self.recorder.now();
        }
        self.recorder.note(Piece::Op(Op {
            client: self.number,
            invoked: asked.invoked,
            request: asked.request,
            outcome: outcome.clone(),
        }));
        Ok(outcome)
    }

    /// Gives it a request and waits for what becomes of it.
    ///
    /// # Errors
    /// As [`Self::give`] and [`Self::take`].
    pub async fn ask(&mut self, request: Request) -> Result<Outcome> {
        let asked = self.give(request).await?;
        self.take(asked).await
    }
}
