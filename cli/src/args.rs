//! The command line.

use std::ffi::OsString;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::{duration, exit};

const ENDPOINTS: &str = "http://127.0.0.1:2379";
const DEFAULT_KILL_AFTER: Duration = Duration::from_secs(5);

/// Locks of latchd, or of any etcd, on the command line.
#[derive(Debug, Parser)]
#[command(name = "latchctl", version, arg_required_else_help = true)]
pub struct Args {
    #[command(flatten)]
    pub connection: Connection,
    #[command(subcommand)]
    pub command: Command,
}

/// Where the servers are.
#[derive(Debug, clap::Args)]
pub struct Connection {
    /// The servers of one cluster, with commas between them [default: $LATCHD_ENDPOINTS, else
    /// $ETCDCTL_ENDPOINTS, else http://127.0.0.1:2379]
    #[arg(long, global = true, value_name = "URLS", value_delimiter = ',')]
    endpoints: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Lock(LockArgs),
    /// Print the version.
    Version,
    #[command(hide = true)]
    Child(ChildArgs),
}

/// Run a command while holding a lock.
///
/// Waits until the lock NAME is free, first come, first served; runs CMD; releases the lock when
/// CMD ends. Whoever else locks NAME waits meanwhile: latchctl, `etcdctl lock`, and every program
/// with an etcd mutex.
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
    override_usage = "latchctl lock NAME [OPTIONS] -- CMD [ARGS]...",
    after_help = after_help()
)]
pub struct LockArgs {
    /// The lock's name.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub name: String,

    /// Don't wait: give up at once if the lock is not free.
    #[arg(long = "try", conflicts_with = "timeout")]
    pub no_wait: bool,

    /// Give up if the lock is not free within this time.
    #[arg(long, value_name = "SECONDS", value_parser = duration::parse)]
    pub timeout: Option<Duration>,

    /// How long the lock outlives latchctl if it dies or can't reach the server; whole seconds,
    /// at least 2 on etcd.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = ttl)]
    pub ttl: Duration,

    /// How long CMD has to end by itself when the lock is lost, before it is killed; at most half
    /// of --ttl [default: 5, or half of --ttl if that is less]
    #[arg(long, value_name = "SECONDS", value_parser = duration::parse)]
    pub kill_after: Option<Duration>,

    /// What to run.
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// What [`crate::child`] is told.
#[derive(Debug, clap::Args)]
pub struct ChildArgs {
    /// The process to die with.
    #[arg(long)]
    pub parent: i32,
    /// Whether to take the terminal's foreground.
    #[arg(long)]
    pub terminal: bool,
    /// What to become.
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}

impl Args {
    /// Reads the command line. What is wrong with it is told here, and the process ends with 2.
    pub fn from_command_line() -> Args {
        Args::checked(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    fn checked(line: impl IntoIterator<Item = OsString>) -> Result<Args, clap::Error> {
        let args = Args::try_parse_from(line)?;
        if let Command::Lock(lock) = &args.command {
            lock.check()?;
        }
        Ok(args)
    }
}

impl Connection {
    /// As given, else as the environment has it. A variable that is empty counts as unset.
    pub fn endpoints(&self, variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
        if !self.endpoints.is_empty() {
            return self.endpoints.clone();
        }
        let names = ["LATCHD_ENDPOINTS", "ETCDCTL_ENDPOINTS"];
        let set = names
            .iter()
            .filter_map(|name| variable(name))
            .find(|value| !value.is_empty());
        let urls = set.unwrap_or_else(|| ENDPOINTS.to_owned());
        urls.split(',').map(|url| url.trim().to_owned()).collect()
    }
}

impl LockArgs {
    /// The command has to be gone when the TTL is over, and a healthy session may be down to two
    /// thirds of its TTL; so this is at most half.
    pub fn kill_after(&self) -> Duration {
        let most = self.ttl / 2;
        self.kill_after.unwrap_or(DEFAULT_KILL_AFTER).min(most)
    }

    /// Refuses a `--kill-after` that is longer than [`LockArgs::kill_after`] can be.
    fn check(&self) -> Result<(), clap::Error> {
        if self
            .kill_after
            .is_none_or(|given| given == self.kill_after())
        {
            return Ok(());
        }
        let text =
            "--kill-after must be at most half of --ttl: CMD has to be gone when the TTL is over";
        Err(Args::command().error(ErrorKind::ValueValidation, text))
    }
}

/// etcd counts in whole seconds.
fn ttl(text: &str) -> Result<Duration, String> {
    let ttl = duration::parse(text)?;
    if ttl < Duration::from_secs(1) || ttl.subsec_nanos() > 0 {
        return Err("it must be whole seconds, at least 1".into());
    }
    Ok(ttl)
}

fn after_help() -> String {
    format!(
        "SECONDS may have a unit: 300ms, 10s, 5m, 1h.

{}

CMD finds in its environment:
  LATCHD_LOCK_NAME   NAME
  LATCHD_LOCK_KEY    the key that holds the lock
  LATCHD_FENCING_TOKEN  the fencing token: higher than that of every holder before
  ETCD_LOCK_KEY, ETCD_LOCK_REV
                     as `etcdctl lock` sets them

Examples:
  latchctl lock reports/nightly -- ./report.sh
  latchctl lock deploy --try -- make deploy || echo 'somebody else deploys'
  latchctl lock db/migrate --timeout 5m --ttl 30 -- sh -c './migrate --token $LATCHD_FENCING_TOKEN'",
        exit::TABLE
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::checked(line.split_whitespace().map(OsString::from))
    }

    fn lock(line: &str) -> LockArgs {
        match parse(line).map(|args| args.command) {
            Ok(Command::Lock(lock)) => lock,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_command_may_have_options_of_its_own() {
        let lock = lock("latchctl lock job --ttl 30 -- make --ttl 5 -- all");
        assert_eq!(lock.ttl, Duration::from_secs(30));
        assert_eq!(lock.command, ["make", "--ttl", "5", "--", "all"]);
    }

    #[test]
    fn time_to_end_is_at_most_half_of_the_ttl() {
        assert_eq!(
            lock("latchctl lock job -- x").kill_after(),
            Duration::from_secs(5)
        );
        assert_eq!(
            lock("latchctl lock job --ttl 3 -- x").kill_after(),
            Duration::from_millis(1500)
        );
        assert_eq!(
            lock("latchctl lock job --kill-after 1 -- x").kill_after(),
            Duration::from_secs(1)
        );
        assert!(parse("latchctl lock job --kill-after 6 -- x").is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "latchctl lock job",
            "latchctl lock -- x",
            "latchctl lock job --try --timeout 1 -- x",
            "latchctl lock job --ttl 0.5 -- x",
            "latchctl lock job --ttl 1.5 -- x",
            "latchctl lock job --timeout soon -- x",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn endpoints_are_given_or_in_the_environment() {
        let endpoints = |line, set: &[(&str, &str)]| {
            let variable = |name: &str| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            parse(line).expect("valid").connection.endpoints(variable)
        };
        let plain = "latchctl lock job -- x";
        let both = [
            ("LATCHD_ENDPOINTS", "a:1, b:2"),
            ("ETCDCTL_ENDPOINTS", "c:3"),
        ];
        assert_eq!(endpoints(plain, &[]), ["http://127.0.0.1:2379"]);
        assert_eq!(endpoints(plain, &both[1..]), ["c:3"]);
        assert_eq!(
            endpoints(plain, &[("LATCHD_ENDPOINTS", ""), both[1]]),
            ["c:3"]
        );
        assert_eq!(endpoints(plain, &both), ["a:1", "b:2"]);
        assert_eq!(
            endpoints("latchctl lock job --endpoints d:4,e:5 -- x", &both),
            ["d:4", "e:5"]
        );
    }
}
