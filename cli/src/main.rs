//! latchctl: locks of latchd, or of any etcd, on the command line.
//!
//! | module | what it owns |
//! |---|---|
//! | `args`, `variables`, `duration`, `bytes` | what is said on the command line and around it |
//! | `context` | what every command needs of that |
//! | `hold` | a command that runs while something is held |
//! | `lock`, `elect`, `waiting` | taking and keeping it |
//! | `source`, `model` | what there is to see, from either kind of server |
//! | `looks`, `release`, `bench`, `top`, `docs` | the other commands |
//! | `output` | how answers are written |
//! | `exit`, `explain` | how it all ends, and what to do about it |

mod args;
mod bench;
mod bytes;
mod context;
mod docs;
mod duration;
mod elect;
mod exit;
mod explain;
mod hold;
mod lock;
mod looks;
mod model;
mod output;
mod release;
mod source;
mod top;
mod variables;
mod waiting;

use std::process::ExitCode;

use args::{Args, ChildArgs, Command};
use context::Context;
use exit::Failure;
use hold::{child, terminal};

fn main() -> ExitCode {
    if let Some(request) = ChildArgs::from_command_line() {
        return end(child::become_it(&request), &[]);
    }
    let args = Args::from_command_line();
    let outcome = match &args.command {
        Command::Completions(request) => docs::completions(request),
        Command::Man(request) => docs::man(request),
        Command::Version => docs::version(),
        _ => return online(&args),
    };
    end(outcome, &[])
}

/// The commands that ask a server.
fn online(args: &Args) -> ExitCode {
    match Context::new(args) {
        Ok(context) => end(run(serve(&context, &args.command)), context.endpoints()),
        Err(failure) => end(Err(failure), &[]),
    }
}

async fn serve(context: &Context, command: &Command) -> Result<u8, Failure> {
    match command {
        Command::Lock(request) => lock::run(context, request).await,
        Command::Elect(request) => elect::run(context, request).await,
        Command::Ls(request) => looks::ls(context, request).await,
        Command::Show(request) => looks::show(context, request).await,
        Command::Watch(request) => looks::watch(context, request).await,
        Command::Top(request) => top::run(context, request).await,
        Command::History(request) => looks::history(context, request).await,
        Command::Deadlocks(request) => looks::deadlocks(context, request).await,
        Command::Session(request) => looks::session(context, request).await,
        Command::Verify(request) => release::verify(context, request).await,
        Command::Release(request) => release::release(context, request).await,
        Command::Bench(request) => bench::run(context, request).await,
        // Those that need no server are done already.
        Command::Completions(_) | Command::Man(_) | Command::Version => Ok(exit::SUCCESS),
    }
}

/// Tells what went wrong, and what to do about it.
fn end(outcome: Result<u8, Failure>, endpoints: &[String]) -> ExitCode {
    let failure = match outcome {
        Ok(code) => return ExitCode::from(code),
        Err(failure) => failure,
    };
    if !failure.is_silent() {
        eprintln!("latchctl: {failure}");
        if let Some(advice) = explain::advice(&failure, endpoints) {
            eprintln!("  {advice}");
        }
    }
    ExitCode::from(failure.exit_code())
}

/// One thread does all. It is also the one that starts the command, which dies with that thread.
fn run(work: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    let failed = exit::system("start");
    terminal::ignore_stops().map_err(|error| failed(error.into()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.map_err(failed)?.block_on(work)
}
