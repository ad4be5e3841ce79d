//! `latchctl lock`: from asking for the lock to releasing it.

use std::io;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use latchd_client::{Client, Error, Guard, Loss, Mutex, Options, Session};
use nix::sys::signal::Signal;
use tokio::time::timeout;

use crate::args::{Connection, LockArgs};
use crate::exit::{self, Failure};
use crate::job::Job;
use crate::signals::Signals;

/// How long the revoke of the session's lease may take. Its end frees what is left of it anyway.
const CLOSING: Duration = Duration::from_secs(1);

/// How the command ended.
enum Ending {
    Exited(ExitStatus),
    Lost(Loss),
}

/// Runs the command under the lock; the exit code to end with.
pub async fn run(connection: &Connection, request: &LockArgs) -> Result<u8, Failure> {
    // Before there is anything to clean up.
    let mut signals = Signals::catch().map_err(system("catch signals"))?;
    let endpoints = connection.endpoints(|name| std::env::var(name).ok());
    let session = match unless_signalled(&mut signals, open(endpoints, request.ttl)).await {
        Ok(session) => session.map_err(Failure::NotGranted)?,
        Err(signal) => return Ok(exit::code_of_signal(signal)),
    };
    let outcome = lock_and_run(&session, request, &mut signals).await;
    if !is_out_of_reach(&outcome) {
        // Deletes also the key of a wait that a signal cut short.
        let _ = timeout(CLOSING, session.close()).await;
    }
    outcome
}

async fn lock_and_run(
    session: &Session,
    request: &LockArgs,
    signals: &mut Signals,
) -> Result<u8, Failure> {
    let mutex = session.mutex(&request.name);
    let guard = match unless_signalled(signals, acquire(&mutex, request)).await {
        Ok(guard) => guard.map_err(Failure::NotGranted)?,
        Err(signal) => return Ok(exit::code_of_signal(signal)),
    };
    let mut job = Job::start(&request.command, &variables(&guard)).map_err(system("start"))?;
    let kill_after = request.kill_after();
    // So that a command that has to be killed is gone before the deadline, not just after it.
    let notice = kill_after + request.ttl / 20;
    match watch_over(&mut job, &guard, notice, signals)
        .await
        .map_err(system("wait"))?
    {
        Ending::Exited(status) => release(guard, exit::code_of(status)).await,
        Ending::Lost(loss) => {
            eprintln!("latchctl: losing the lock: {loss}; ending the command");
            job.end(kill_after).await.map_err(system("wait"))?;
            Err(Failure::Lost {
                name: request.name.clone(),
                loss,
            })
        }
    }
}

/// Whether there is nobody to tell that the session is over.
fn is_out_of_reach(outcome: &Result<u8, Failure>) -> bool {
    match outcome {
        Err(Failure::Lost { loss, .. }) => *loss == Loss::NotRenewed,
        Err(Failure::NotGranted(error)) => error.is_unreachable(),
        _ => false,
    }
}

async fn open(endpoints: Vec<String>, ttl: Duration) -> Result<Session, Error> {
    Client::connect(endpoints, Options::default())
        .await?
        .session(ttl)
        .await
}

async fn acquire(mutex: &Mutex, request: &LockArgs) -> Result<Guard, Error> {
    match request.timeout {
        _ if request.no_wait => mutex.try_lock().await,
        Some(limit) => mutex.lock_timeout(limit).await,
        None => mutex.lock().await,
    }
}

/// What the command is told of the lock. etcdctl's two are for scripts that were written for it.
fn variables(guard: &Guard) -> [(&'static str, String); 5] {
    [
        ("LATCHD_LOCK_NAME", guard.name().to_owned()),
        ("LATCHD_LOCK_KEY", guard.key().to_owned()),
        ("LATCHD_FENCING_TOKEN", guard.fencing_token().to_string()),
        ("ETCD_LOCK_KEY", guard.key().to_owned()),
        ("ETCD_LOCK_REV", guard.granted_at().to_string()),
    ]
}

/// Passes signals on until the command ends, or has to: `notice` before the lock may be somebody
/// else's, if that can be known.
async fn watch_over(
    job: &mut Job,
    guard: &Guard,
    notice: Duration,
    signals: &mut Signals,
) -> io::Result<Ending> {
    let mut lost = pin!(guard.lost_with_notice(notice));
    loop {
        tokio::select! {
            biased;
            status = job.wait() => return status.map(Ending::Exited),
            loss = &mut lost => return Ok(Ending::Lost(loss)),
            signal = signals.next() => job.signal(signal),
        }
    }
}

/// Releases the lock of a command that ended with `code`.
async fn release(guard: Guard, code: u8) -> Result<u8, Failure> {
    match guard.unlock().await {
        Ok(()) => Ok(code),
        Err(error @ (Error::NotHeld { .. } | Error::SessionLost { .. })) => {
            Err(Failure::DidNotLast { code, error })
        }
        Err(error) => {
            eprintln!("latchctl: the lock is free only when its TTL is over: {error}");
            Ok(code)
        }
    }
}

/// Does `work`, or is told of the signal that came first.
async fn unless_signalled<T>(
    signals: &mut Signals,
    work: impl Future<Output = T>,
) -> Result<T, Signal> {
    tokio::select! {
        done = work => Ok(done),
        signal = signals.next() => Err(signal),
    }
}

fn system(what: &'static str) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::System { what, error }
}
