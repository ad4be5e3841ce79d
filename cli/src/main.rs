//! latchctl: locks of latchd, or of any etcd, on the command line.
//!
//! `args` is what is said on the command line, `lock` the flow from asking to releasing, `job` the
//! command that runs meanwhile with `child` as its first step, `signals` what others want of it,
//! `terminal` what it reads from, and `exit` how it all ends.

mod args;
mod child;
mod duration;
mod exit;
mod job;
mod lock;
mod signals;
mod terminal;

use std::process::ExitCode;

use args::{Args, Command};
use exit::Failure;

fn main() -> ExitCode {
    let Args {
        connection,
        command,
    } = Args::from_command_line();
    let outcome = match command {
        Command::Lock(request) => run(lock::run(&connection, &request)),
        Command::Child(child) => child::become_it(&child),
        Command::Version => {
            println!("latchctl version: {}", env!("CARGO_PKG_VERSION"));
            Ok(exit::SUCCESS)
        }
    };
    ExitCode::from(outcome.unwrap_or_else(|failure| {
        eprintln!("latchctl: {failure}");
        failure.exit_code()
    }))
}

/// One thread does all. It is also the one that starts the command, which dies with that thread.
fn run(work: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    let failed = |error| Failure::System {
        what: "start",
        error,
    };
    terminal::ignore_stops().map_err(|error| failed(error.into()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.map_err(failed)?.block_on(work)
}
