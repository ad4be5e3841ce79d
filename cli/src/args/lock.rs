//! `latchctl lock`.

use std::ffi::OsString;
use std::time::Duration;

use clap::error::ErrorKind;

use super::hold::HoldArgs;
use super::mistake;
use crate::{duration, exit};

/// Run a command while holding a lock.
///
/// Waits until the lock NAME is free, first come, first served; runs CMD; releases the lock when
/// CMD ends. Whoever else locks NAME waits meanwhile: latchctl, `etcdctl lock`, and every program
/// with an etcd mutex. With several NAMEs, CMD runs when all of them are held. Without CMD, the
/// lock is held until latchctl gets a signal (Ctrl-C).
///
/// If the lock is lost while CMD runs, because the server can't be reached or somebody takes the
/// lock away, CMD and the processes it started get SIGTERM, and SIGKILL when --kill-after has
/// passed. When the server can't be reached, that is before anybody else can get the lock. CMD also
/// dies with latchctl (on Linux).
///
/// Signals to latchctl (INT, TERM, HUP, QUIT, USR1, USR2) are passed on to CMD and the processes
/// it started; latchctl ends when CMD does.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "latchctl lock [OPTIONS] NAME... [-- CMD [ARGS]...]",
    after_help = after_help()
)]
pub struct LockArgs {
    /// The lock's name; several are taken all together or not at all.
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<OsString>,

    /// Hold it together with others who share it, and with nobody else.
    #[arg(long, conflicts_with = "semaphore")]
    shared: bool,

    /// Be one of at most N who hold it; everybody who uses it must give the same N.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    semaphore: Option<u32>,

    /// Don't wait: give up at once if the lock is not free.
    #[arg(long = "try", conflicts_with = "timeout")]
    no_wait: bool,

    /// Give up if the lock is not free within this time.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    timeout: Option<Duration>,

    #[command(flatten)]
    pub hold: HoldArgs,

    /// Something to tell the holder by in `latchctl show`; may be given several times.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,

    /// Who holds it, in `latchctl show` and when deadlocks are looked for: a latchctl that runs
    /// under another one has the other's [default: $LATCHD_OWNER, else USER@HOST:PID].
    #[arg(long, value_name = "TEXT")]
    pub owner: Option<String>,

    /// Don't show on the terminal who is being waited for.
    #[arg(long, short)]
    pub quiet: bool,

    /// What to run.
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// Beside whom it may be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Exclusive,
    Shared,
    Semaphore(u32),
}

/// For how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    Not,
    For(Duration),
    Ever,
}

impl LockArgs {
    pub fn kind(&self) -> Kind {
        match self.semaphore {
            Some(permits) => Kind::Semaphore(permits),
            None if self.shared => Kind::Shared,
            None => Kind::Exclusive,
        }
    }

    pub fn wait(&self) -> Wait {
        match self.timeout {
            _ if self.no_wait => Wait::Not,
            Some(limit) => Wait::For(limit),
            None => Wait::Ever,
        }
    }

    pub(super) fn check(&self) -> Result<(), clap::Error> {
        if self.names.iter().any(|name| name.is_empty()) {
            return Err(mistake(
                "lock",
                ErrorKind::InvalidValue,
                "the name of a lock is empty; give each NAME at least one character",
            ));
        }
        self.hold.check("lock")
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, such as team=billing".into()),
    }
}

fn after_help() -> String {
    format!(
        "TIME is a number of seconds, or has units: 300ms, 10s, 1m30s, 1h.

{}

CMD finds in its environment:
  LATCHD_LOCK_NAME   NAME; of several, one a line, as in the next
  LATCHD_LOCK_KEY    the key that holds the lock
  LATCHD_FENCING_TOKEN
                     the fencing token: higher than that of every exclusive holder before
  LATCHD_OWNER       --owner, for a latchctl that CMD runs
  ETCD_LOCK_KEY, ETCD_LOCK_REV
                     as `etcdctl lock` sets them

Examples:
  latchctl lock reports/nightly -- ./report.sh
  latchctl lock deploy --try -- make deploy || echo 'somebody else deploys'
  latchctl lock db/migrate --timeout 5m --ttl 30s -- sh -c './migrate --token $LATCHD_FENCING_TOKEN'
  latchctl lock index --shared -- ./search.sh        # with other readers, never with a writer
  latchctl lock gpu --semaphore 4 -- ./train.sh      # at most four at a time
  latchctl lock account/7 account/9 -- ./transfer.sh # both or none, in any order",
        exit::LOCK_TABLE
    )
}
