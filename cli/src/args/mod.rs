//! The command line: what may be said, and what is said about it.
//!
//! `connection` and `output` hold for every command; the other modules have one command, or a few
//! that are alike. `help` groups the commands, and has the texts that are no single option's.

mod bench;
mod child;
mod connection;
mod elect;
mod help;
mod hold;
mod lock;
mod looks;
mod output;
mod release;

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use bench::BenchArgs;
pub use child::{CHILD, ChildArgs};
pub use connection::{Connection, Settings, TlsFiles, User};
pub use elect::ElectArgs;
pub use hold::HoldArgs;
pub use lock::{Kind, LockArgs, Wait};
pub use looks::{DeadlocksArgs, HistoryArgs, LsArgs, SessionCommand, ShowArgs, TopArgs, WatchArgs};
pub use output::{Format, OutputArgs, OutputSettings};
pub use release::{ReleaseArgs, VerifyArgs, token};

/// Locks of latchd, or of any etcd, on the command line.
#[derive(Debug, Parser)]
#[command(name = "latchctl", version, arg_required_else_help = true)]
pub struct Args {
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Lock(LockArgs),
    Elect(ElectArgs),
    Ls(LsArgs),
    Show(ShowArgs),
    Watch(WatchArgs),
    Top(TopArgs),
    History(HistoryArgs),
    Deadlocks(DeadlocksArgs),
    #[command(subcommand)]
    Session(SessionCommand),
    Verify(VerifyArgs),
    Release(ReleaseArgs),
    Bench(BenchArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
    /// Print the version.
    Version,
}

/// Print a script that completes latchctl's commands and options in a shell.
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "completion",
    after_help = "\
Where the shells want it:
  latchctl completions bash > ~/.local/share/bash-completion/completions/latchctl
  latchctl completions zsh > ~/.zfunc/_latchctl      # a folder of your $fpath
  latchctl completions fish > ~/.config/fish/completions/latchctl.fish"
)]
pub struct CompletionsArgs {
    /// Whose.
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// Print the manual page, or write one page for each command into a directory.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  latchctl man | man -l -
  latchctl man --dir /usr/local/share/man/man1")]
pub struct ManArgs {
    /// Where to write latchctl.1, latchctl-lock.1 and so on; it has to exist.
    #[arg(long, value_name = "DIRECTORY")]
    pub dir: Option<std::path::PathBuf>,
}

impl Args {
    /// Reads the command line. What is wrong with it is told here, and the process ends with 2.
    pub fn from_command_line() -> Args {
        Args::checked(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// The whole definition, with its commands grouped in the help.
    pub fn described() -> clap::Command {
        help::dress(Args::command())
    }

    fn checked(line: impl IntoIterator<Item = OsString>) -> Result<Args, clap::Error> {
        let args = Args::from_arg_matches(&Args::described().try_get_matches_from(line)?)?;
        match &args.command {
            Command::Lock(lock) => lock.check()?,
            Command::Elect(elect) => elect.check()?,
            _ => (),
        }
        Ok(args)
    }
}

/// A mistake in the line of `command` that its definition cannot tell, in the words of the others.
pub fn mistake(
    command: &str,
    kind: clap::error::ErrorKind,
    text: impl std::fmt::Display,
) -> clap::Error {
    let mut whole = Args::described();
    match whole.find_subcommand_mut(command) {
        Some(own) => own.error(kind, text),
        None => whole.error(kind, text),
    }
}

#[cfg(test)]
mod tests;
