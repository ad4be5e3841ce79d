//! How latchctl ends: its own exit codes lie just below those of shells, where timeout(1) and
//! env(1) have theirs.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use latchd_client::{Error, Loss};
use nix::sys::signal::Signal;

use crate::explain::cause;

/// All went well.
pub const SUCCESS: u8 = 0;
/// The answer is no, or there is no such thing.
pub const NO: u8 = 1;
/// The command line is wrong; as shells and clap have it.
pub const USAGE: u8 = 2;
/// The lock was lost while the command ran.
pub const LOST: u8 = 120;
/// The lock was not acquired: `--try` found it taken, or the wait was ended.
pub const NOT_ACQUIRED: u8 = 121;
/// No server could be reached.
pub const UNREACHABLE: u8 = 123;
/// `--timeout` passed; as timeout(1) has it.
pub const TIMED_OUT: u8 = 124;
/// The server refused, or latchctl itself failed; as timeout(1) has it.
pub const FAILED: u8 = 125;
/// The command is there and cannot be run; as shells have it.
pub const CANNOT_RUN: u8 = 126;
/// The command is not there; as shells have it.
pub const NOT_FOUND: u8 = 127;

/// The table for `latchctl lock --help`: the constants above in words.
pub const LOCK_TABLE: &str = "\
Exit codes:
  N      CMD ran under the lock from start to end, and exited with N
  128+N  CMD was ended by signal N; or latchctl was, while it waited
  2      the command line is wrong
  120    the lock was lost while CMD ran, and CMD was ended
  121    not acquired; CMD was not run: with --try the lock was not free; or waiting would never
         have ended (a deadlock), or somebody deleted the place in the queue
  123    no server could be reached; CMD was not run
  124    not acquired within --timeout; CMD was not run
  125    the server refused, or latchctl failed; CMD was not run
  126    CMD cannot be run
  127    CMD was not found";

/// The same for `latchctl elect --help`.
pub const ELECT_TABLE: &str = "\
Exit codes:
  N      CMD ran from start to end while this led, and exited with N; without CMD: 0
  128+N  CMD was ended by signal N; or latchctl was, before it was elected
  2      the command line is wrong
  120    the leadership was lost, and CMD was ended
  121    not elected: somebody deleted the place in the queue
  123    no server could be reached
  125    the server refused, or latchctl failed
  126    CMD cannot be run
  127    CMD was not found";

/// The codes of all other commands, for the README and the manual.
pub const OTHER_TABLE: &str = "  0    done, or yes
  1    no: not held, nobody there, nothing released, or there is a deadlock
  2    the command line is wrong
  123  no server could be reached
  125  the server refused, or latchctl failed";

/// Why there is no exit code of the command's to pass on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The client library says so.
    #[error("{}", told(.0))]
    Client(#[from] Error),
    /// What was held was lost, and the command ended.
    #[error("{what} was lost: {loss}{ended}")]
    Lost {
        what: String,
        loss: Loss,
        /// What became of the command, if there was one.
        ended: &'static str,
    },
    /// The command ended by itself, but what was held did not last as long.
    #[error("{what} was lost before the command ended, which it did with {code}: {error}")]
    DidNotLast {
        what: String,
        code: u8,
        error: Error,
    },
    /// The answer is no.
    #[error("{0}")]
    No(String),
    /// What was said makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The command cannot be run.
    #[error("cannot run {command}: {error}")]
    CannotRun { command: String, error: io::Error },
    /// A file that was named cannot be used.
    #[error("cannot {what} {path}: {error}")]
    File {
        what: &'static str,
        path: String,
        error: io::Error,
    },
    /// Nobody reads the answer.
    #[error("cannot write the answer: {0}")]
    Output(io::Error),
    /// The operating system refused something that it never should.
    #[error("cannot {what}: {error}")]
    System {
        what: &'static str,
        error: io::Error,
    },
}

impl Failure {
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Client(error) => code_of_error(error),
            Failure::Lost { .. } | Failure::DidNotLast { .. } => LOST,
            Failure::No(_) => NO,
            Failure::Usage(_) => USAGE,
            Failure::CannotRun { error, .. } if error.kind() == io::ErrorKind::NotFound => {
                NOT_FOUND
            }
            Failure::CannotRun { .. } => CANNOT_RUN,
            Failure::File { .. } | Failure::System { .. } => FAILED,
            Failure::Output(_) => code_of_signal(Signal::SIGPIPE),
        }
    }

    /// Whether there is anybody to tell it to: `latchctl ls | head` has read what it wanted.
    pub fn is_silent(&self) -> bool {
        matches!(self, Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// For `map_err`: the operating system would not `what`.
pub fn system(what: &'static str) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::System { what, error }
}

fn code_of_error(error: &Error) -> u8 {
    match error {
        Error::Timeout { .. } => TIMED_OUT,
        Error::Busy { .. } | Error::Deadlock { .. } | Error::KeyDeleted { .. } => NOT_ACQUIRED,
        Error::SessionLost {
            loss: Loss::NotRenewed | Loss::Disconnected,
            ..
        } => UNREACHABLE,
        Error::SessionLost { .. } | Error::LockLost { .. } => NOT_ACQUIRED,
        Error::NotHeld { .. } => NO,
        Error::Invalid { .. } => USAGE,
        error if error.is_unreachable() => UNREACHABLE,
        _ => FAILED,
    }
}

/// An error of the network or of the server says best what its innermost cause says.
fn told(error: &Error) -> String {
    match error {
        Error::Unreachable(source) => {
            format!("no server could be reached: {}", cause(source))
        }
        Error::Refused(source) => format!("the server refused: {}", cause(source)),
        other => other.to_string(),
    }
}

/// The exit code that tells what became of a command, as shells do it.
pub fn code_of(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(FAILED)
}

/// The exit code of one that was ended by `signal`.
pub fn code_of_signal(signal: Signal) -> u8 {
    u8::try_from(128 + signal as i32).unwrap_or(FAILED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commands_code_comes_through() {
        assert_eq!(code_of(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(code_of(ExitStatus::from_raw(9)), 137);
        assert_eq!(code_of_signal(Signal::SIGTERM), 143);
    }

    #[test]
    fn the_tables_have_every_code() {
        let own = [
            USAGE,
            LOST,
            NOT_ACQUIRED,
            UNREACHABLE,
            FAILED,
            CANNOT_RUN,
            NOT_FOUND,
        ];
        for code in own {
            let row = format!("\n  {code} ");
            assert!(LOCK_TABLE.contains(&row), "{code}");
            assert!(ELECT_TABLE.contains(&row), "{code}");
        }
        assert!(LOCK_TABLE.contains(&format!("\n  {TIMED_OUT} ")));
        for code in [NO, USAGE, UNREACHABLE, FAILED] {
            assert!(
                format!("\n{OTHER_TABLE}").contains(&format!("\n  {code} ")),
                "{code}"
            );
        }
    }

    #[test]
    fn an_error_has_the_code_of_its_kind() {
        let name = || "job".to_owned();
        let cases = [
            (Error::Busy { name: name() }, NOT_ACQUIRED),
            (Error::KeyDeleted { key: name() }, NOT_ACQUIRED),
            (
                Error::Timeout {
                    name: name(),
                    limit: std::time::Duration::ZERO,
                },
                TIMED_OUT,
            ),
            (
                Error::NoAnswer {
                    after: std::time::Duration::ZERO,
                },
                UNREACHABLE,
            ),
            (Error::ShuttingDown, FAILED),
        ];
        for (error, code) in cases {
            assert_eq!(Failure::Client(error).exit_code(), code);
        }
    }
}
