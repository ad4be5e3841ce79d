//! How latchctl ends: its own exit codes lie just below those of shells, where timeout(1) and
//! env(1) have theirs.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use latchd_client::{Error, Loss};
use nix::sys::signal::Signal;

/// All went well.
pub const SUCCESS: u8 = 0;
/// The lock was lost while the command ran.
pub const LOST: u8 = 120;
/// `--try` found the lock taken.
pub const BUSY: u8 = 121;
/// `--timeout` passed; as timeout(1) has it.
pub const TIMED_OUT: u8 = 124;
/// The lock could not be asked for, or latchctl itself failed; as timeout(1) has it.
pub const FAILED: u8 = 125;
/// The command is there and cannot be run; as shells have it.
pub const CANNOT_RUN: u8 = 126;
/// The command is not there; as shells have it.
pub const NOT_FOUND: u8 = 127;

/// The table for `--help`; the constants above in words.
pub const TABLE: &str = "\
Exit codes:
  N      CMD ran under the lock from start to end, and exited with N
  128+N  CMD was ended by signal N; or latchctl was, while it waited
  120    the lock was lost while CMD ran, and CMD was ended
  121    --try: the lock is not free; CMD was not run
  124    --timeout: the lock did not become free in time; CMD was not run
  125    no server could be reached, or it refused; CMD was not run
  126    CMD cannot be run
  127    CMD was not found";

/// Why there is no exit code of the command's to pass on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The lock was not granted.
    #[error("{0}")]
    NotGranted(Error),
    /// The lock was lost, and the command ended.
    #[error("the lock {name:?} was lost: {loss}; the command was ended")]
    Lost { name: String, loss: Loss },
    /// The command ended by itself, but the lock did not last as long.
    #[error("the lock was lost before the command ended, which it did with {code}: {error}")]
    DidNotLast { code: u8, error: Error },
    /// The command cannot be run.
    #[error("cannot run {command}: {error}")]
    CannotRun { command: String, error: io::Error },
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
            Failure::NotGranted(Error::Busy { .. }) => BUSY,
            Failure::NotGranted(Error::Timeout { .. }) => TIMED_OUT,
            Failure::NotGranted(_) | Failure::System { .. } => FAILED,
            Failure::Lost { .. } | Failure::DidNotLast { .. } => LOST,
            Failure::CannotRun { error, .. } if error.kind() == io::ErrorKind::NotFound => {
                NOT_FOUND
            }
            Failure::CannotRun { .. } => CANNOT_RUN,
        }
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
    fn the_table_has_every_code() {
        for code in [LOST, BUSY, TIMED_OUT, FAILED, CANNOT_RUN, NOT_FOUND] {
            assert!(TABLE.contains(&format!("\n  {code} ")), "{code}");
        }
    }
}
