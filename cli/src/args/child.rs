//! How latchctl starts itself, as the first step of the command under a lock. It is no command for
//! people, and so in no help, no manual and no completion.

use std::ffi::OsString;

use clap::Parser;

/// The word that stands where a command's name would.
pub const CHILD: &str = "__child";

/// What [`crate::hold::child`] is told.
#[derive(Debug, Parser)]
#[command(name = "latchctl __child")]
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

impl ChildArgs {
    /// Reads the command line, if it is for the child.
    pub fn from_command_line() -> Option<ChildArgs> {
        let mut line = std::env::args_os().skip(1);
        let is_child = line.next().is_some_and(|word| word == CHILD);
        is_child.then(|| ChildArgs::parse_from(std::env::args_os().skip(1)))
    }
}
