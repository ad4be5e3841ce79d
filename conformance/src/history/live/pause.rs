//! A holder that is stopped (SIGSTOP) for longer than its lease lives: the next
//! one gets the lock when the lease has ended and not before, and what the first
//! one was about to write under its token is refused when it goes on.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::{
    client::Client,
    lockers::fenced,
    recorder::{Piece, Recorder},
    remote::Remote,
    report::{Report, judge_and_save},
    stage::Stage,
};
use crate::{
    history::{
        record::{History, Hold, Outcome},
        request::{LeaseId, Look, Request, Response, Revision, Span},
    },
    target::Kind,
    wait::{SOON, until, within},
};

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// This crate's binary, which is the client that is stopped.
    pub program: PathBuf,
    /// The server.
    pub server: Kind,
    /// Whether the server is killed and started while the client is stopped.
    pub kill: bool,
    /// In which directory to save the history; as for [`run::Options`].
    ///
    /// [`run::Options`]: super::run::Options
    pub save: Option<PathBuf>,
}

const NAME: &str = "locks/a";
/// Seconds; long enough for a machine that stands still for a moment before the last sign of life.
const TTL: i64 = 6;
const PAUSED: u32 = 1;
const PAUSED_LEASE: LeaseId = 0xdead;
const RIVAL_LEASE: LeaseId = 0xa11f;

/// Runs and checks.
///
/// # Errors
/// When the stopped client is not replaced, or its write is not refused, or with
/// a violation in the history.
pub async fn run(options: &Options) -> Result<Report> {
    let name = if options.kill {
        "paused-kill"
    } else {
        "paused"
    };
    judge_and_save(&record(options).await?, options.save.as_deref(), name)
}

/// Runs without the checkers' verdict.
///
/// # Errors
/// As [`run`], but for violations.
pub async fn record(options: &Options) -> Result<History> {
    let mut stage = Stage::own(options.server).await?;
    stage.start_watchers();
    let recorder = stage.recorder();
    let mut holder = Remote::start(&options.program, stage.url(), PAUSED, recorder.clone())?;
    let key = take(&mut holder, &recorder).await?;
    holder.must_write("first", true, &key).await?;

    let mut rival = stage.client()?;
    rival.grant(RIVAL_LEASE, 60).await?;
    let waiting = tokio::spawn(wait(rival));
    let mut observer = stage.client()?;
    observer.await_queue(2).await?;

    // The last sign of life.
    let kept = holder.ask(Request::KeepAlive { id: PAUSED_LEASE }).await?;
    ensure!(
        response(&kept) == Some(&Response::KeptAlive { ttl: TTL }),
        "{kept:?}"
    );
    holder.pause().await?;
    let late = holder.give(fenced(&key.0, key.1, NAME, "late")).await?;
    if options.kill {
        stage.kill().await?;
        // Both are still there, the first with a new TTL.
        observer.await_queue(2).await?;
    }
    let (mut rival, own) = within(SOON, "the rival's turn", async { waiting.await? }).await?;
    rival.ask(fenced(&own.0, own.1, NAME, "rival")).await;

    holder.resume().await?;
    let late = holder.take(late).await?;
    ensure!(!has_written(&late), "a dead holder wrote: {late:?}");
    holder.must_write("later still", false, &key).await?;
    let kept = holder.ask(Request::KeepAlive { id: PAUSED_LEASE }).await?;
    ensure!(
        response(&kept) == Some(&Response::KeptAlive { ttl: 0 }),
        "{kept:?}"
    );
    rival.unlock(&own).await;
    stage.finish().await
}

/// A key and its create revision.
type Own = (String, Revision);

/// Takes the lock with a lease that nobody else keeps alive.
async fn take(holder: &mut Remote, recorder: &Recorder) -> Result<Own> {
    let grant = Request::Grant {
        id: PAUSED_LEASE,
        ttl: TTL,
    };
    holder.ask(grant).await?;
    let lock = Request::Lock {
        name: NAME.to_owned(),
        lease: PAUSED_LEASE,
    };
    let locked = holder.ask(lock).await?;
    let granted = recorder.now();
    let Outcome::Answered {
        revision,
        response: Response::Locked { key },
        ..
    } = locked
    else {
        anyhow::bail!("not locked: {locked:?}");
    };
    let look = holder.ask(Request::get(&key)).await?;
    let token = created(response(&look)).context("no key")?;
    recorder.note(Piece::Hold(Hold {
        client: PAUSED,
        name: NAME.to_owned(),
        key: key.clone(),
        lease: PAUSED_LEASE,
        token,
        granted,
        revision,
        released: None,
    }));
    Ok((key, token))
}

/// Waits for the lock, also across a kill of the server.
async fn wait(mut rival: Client) -> Result<(Client, Own)> {
    let lock = Request::Lock {
        name: NAME.to_owned(),
        lease: RIVAL_LEASE,
    };
    let (revision, key) = loop {
        match rival.ask(lock.clone()).await {
            Outcome::Answered {
                revision,
                response: Response::Locked { key },
                ..
            } => break (revision, key),
            Outcome::Unknown { .. } => {}
            other => anyhow::bail!("not locked: {other:?}"),
        }
    };
    let granted = rival.around.recorder.now();
    let (_, look) = rival
        .answer(Request::get(&key))
        .await
        .context("no answer")?;
    let token = created(Some(&look)).context("no key")?;
    // It gives it back at the very end, when no other holder is left.
    rival.around.recorder.note(Piece::Hold(Hold {
        client: rival.number,
        name: NAME.to_owned(),
        key: key.clone(),
        lease: RIVAL_LEASE,
        token,
        granted,
        revision,
        released: None,
    }));
    Ok((rival, (key, token)))
}

impl Remote {
    /// Writes under its token; whether that succeeds must be as expected.
    async fn must_write(&mut self, value: &str, expected: bool, own: &Own) -> Result<()> {
        let outcome = self.ask(fenced(&own.0, own.1, NAME, value)).await?;
        ensure!(
            has_written(&outcome) == expected,
            "write `{value}`: {outcome:?}"
        );
        Ok(())
    }
}

impl Client {
    async fn grant(&mut self, id: LeaseId, ttl: i64) -> Result<()> {
        let granted = self.answer(Request::Grant { id, ttl }).await;
        granted.map(|_| ()).context("no lease")
    }

    async fn unlock(&mut self, own: &Own) {
        let key = own.0.clone();
        self.ask(Request::Unlock { key }).await;
    }

    /// Waits until the lock has so many keys.
    async fn await_queue(&mut self, keys: i64) -> Result<()> {
        let queue = Look::at(Span::prefix(&format!("{NAME}/")));
        let what = format!("{keys} keys in the queue");
        until(&what, async || {
            let answer = self.answer(Request::Range(queue.clone())).await;
            Ok(matches!(answer, Some((_, Response::Range { count, .. })) if count == keys))
        })
        .await
    }
}

fn response(outcome: &Outcome) -> Option<&Response> {
    match outcome {
        Outcome::Answered { response, .. } => Some(response),
        _ => None,
    }
}

fn has_written(outcome: &Outcome) -> bool {
    response(outcome).is_some_and(Response::wrote)
}

fn created(answer: Option<&Response>) -> Option<Revision> {
    match answer {
        Some(Response::Range { kvs, .. }) => kvs.first().map(|kv| kv.create),
        _ => None,
    }
}
