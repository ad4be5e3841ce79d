//! The first step of the command's process: it sees to it that the command dies with latchctl, and
//! that it may use the terminal; then it becomes the command.
//!
//! It is latchctl itself, started with a word of its own, because only the process itself can ask
//! for that, and Rust has no safe way to do something between fork and exec.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::terminal;
use crate::args::ChildArgs;
use crate::exit::Failure;

/// Becomes the command; returns only if it cannot.
pub fn become_it(args: &ChildArgs) -> Result<u8, Failure> {
    die_with(args.parent)?;
    if args.terminal {
        terminal::take();
    }
    let (program, arguments) = args.command.split_first().ok_or_else(no_command)?;
    let error = Command::new(program).args(arguments).exec();
    let command = program.display().to_string();
    Err(Failure::CannotRun { command, error })
}

/// The command line sees to it that there is one.
fn no_command() -> Failure {
    let error = io::ErrorKind::InvalidInput.into();
    Failure::System {
        what: "run nothing",
        error,
    }
}

/// SIGKILL, because nobody would be left to follow up on anything milder.
#[cfg(target_os = "linux")]
fn die_with(parent: i32) -> Result<(), Failure> {
    use nix::sys::{prctl, signal::Signal};

    let failed = |error: nix::Error| Failure::System {
        what: "watch latchctl",
        error: error.into(),
    };
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(failed)?;
    // Asked too late, nothing would come.
    if nix::unistd::getppid().as_raw() == parent {
        Ok(())
    } else {
        Err(failed(nix::Error::ESRCH))
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with(_parent: i32) -> Result<(), Failure> {
    Ok(())
}
