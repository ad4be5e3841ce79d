//! Something is held, and a command runs meanwhile: what `latchctl lock` and `latchctl elect` have
//! in common.
//!
//! `job` is the command, with `child` as its first step; `signals` is what others want of it, and
//! `terminal` what it reads from.

pub mod child;
mod job;
mod signals;
pub mod terminal;

use std::ffi::OsString;
use std::io;
use std::pin::{Pin, pin};
use std::process::ExitStatus;
use std::time::Duration;

use latchd_client::{Error, Loss, Session};
use nix::sys::signal::Signal;
use tokio::time::timeout;

use crate::args::HoldArgs;
use crate::exit::{self, Failure, system};
use job::Job;
pub use signals::Signals;

/// How long the revoke of the session's lease may take. Its end frees what is left of it anyway.
const CLOSING: Duration = Duration::from_secs(1);

/// What is held, as far as the command under it is concerned.
pub trait Held {
    /// For people: `the lock "job"`.
    fn what(&self) -> String;
    /// What the command is told of it.
    fn variables(&self) -> Vec<(&'static str, String)>;
    /// Resolves when it is lost, or `notice` before it may be somebody else's.
    fn lost_with_notice(&self, notice: Duration) -> impl Future<Output = Loss>;
    /// Whether this loss is somebody's wish in the holder's own name: then the command goes on.
    fn was_let_go(&self, loss: Loss) -> impl Future<Output = bool>;
    /// Lets go of it.
    fn release(self) -> impl Future<Output = Result<(), Error>>;
}

/// How the command ended.
enum Ending {
    Exited(ExitStatus),
    Lost(Loss),
}

/// Whether there is still something to let go of.
enum After {
    Held(u8),
    LetGo(u8),
}

/// Runs `command` while `held` is; the exit code to end with. Without a command, until a signal
/// comes.
pub async fn run_under(
    held: impl Held,
    command: &[OsString],
    how: &HoldArgs,
    signals: &mut Signals,
) -> Result<u8, Failure> {
    let after = if command.is_empty() {
        until_signalled(&held, signals).await?
    } else {
        run_command(&held, command, how, signals).await?
    };
    match after {
        After::Held(code) => release(held, code).await,
        After::LetGo(code) => Ok(code),
    }
}

async fn until_signalled(held: &impl Held, signals: &mut Signals) -> Result<After, Failure> {
    let loss = tokio::select! {
        biased;
        loss = held.lost_with_notice(Duration::ZERO) => loss,
        _ = signals.next() => return Ok(After::Held(exit::SUCCESS)),
    };
    if held.was_let_go(loss).await {
        return Ok(After::LetGo(exit::SUCCESS));
    }
    Err(Failure::Lost {
        what: held.what(),
        loss,
        ended: "",
    })
}

async fn run_command(
    held: &impl Held,
    command: &[OsString],
    how: &HoldArgs,
    signals: &mut Signals,
) -> Result<After, Failure> {
    let mut job = Job::start(command, &held.variables()).map_err(system("start"))?;
    let lost = pin!(held.lost_with_notice(how.notice()));
    let ending = watch_over(&mut job, lost, signals).await;
    let loss = match ending.map_err(system("wait"))? {
        Ending::Exited(status) => return Ok(After::Held(exit::code_of(status))),
        Ending::Lost(loss) => loss,
    };
    if held.was_let_go(loss).await {
        let never = pin!(std::future::pending());
        return match watch_over(&mut job, never, signals).await {
            Ok(Ending::Exited(status)) => Ok(After::LetGo(exit::code_of(status))),
            Ok(Ending::Lost(loss)) => Err(end(held, &mut job, how, loss).await),
            Err(error) => Err(system("wait")(error)),
        };
    }
    Err(end(held, &mut job, how, loss).await)
}

/// Ends the command, since what it ran under is being lost.
async fn end(held: &impl Held, job: &mut Job, how: &HoldArgs, loss: Loss) -> Failure {
    let what = held.what();
    eprintln!("latchctl: losing {what}: {loss}; ending the command");
    match job.end(how.kill_after()).await {
        Ok(()) => Failure::Lost {
            what,
            loss,
            ended: "; the command was ended",
        },
        Err(error) => system("wait")(error),
    }
}

/// Passes signals on until the command ends, or has to.
async fn watch_over(
    job: &mut Job,
    mut lost: Pin<&mut impl Future<Output = Loss>>,
    signals: &mut Signals,
) -> io::Result<Ending> {
    loop {
        tokio::select! {
            biased;
            status = job.wait() => return status.map(Ending::Exited),
            loss = &mut lost => return Ok(Ending::Lost(loss)),
            signal = signals.next() => job.signal(signal),
        }
    }
}

/// Releases what was held by a command that ended with `code`.
async fn release(held: impl Held, code: u8) -> Result<u8, Failure> {
    let what = held.what();
    match held.release().await {
        Ok(()) => Ok(code),
        Err(error @ (Error::NotHeld { .. } | Error::SessionLost { .. })) => {
            Err(Failure::DidNotLast { what, code, error })
        }
        Err(error) => {
            eprintln!("latchctl: {what} is free only when its TTL is over: {error}");
            Ok(code)
        }
    }
}

/// Ends the session, also that of a wait that a signal cut short; unless there is nobody to tell.
pub async fn close(session: Session, outcome: &Result<u8, Failure>) {
    let is_out_of_reach = match outcome {
        Err(Failure::Lost { loss, .. }) => *loss == Loss::NotRenewed,
        Err(Failure::Client(error)) => error.is_unreachable(),
        _ => false,
    };
    if !is_out_of_reach {
        // What is left of it ends with its TTL.
        let _ = timeout(CLOSING, session.close()).await;
    }
}

/// Does `work`, or is told of the signal that came first.
pub async fn unless_signalled<T>(
    signals: &mut Signals,
    work: impl Future<Output = T>,
) -> Result<T, Signal> {
    tokio::select! {
        done = work => Ok(done),
        signal = signals.next() => Err(signal),
    }
}
