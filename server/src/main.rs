//! `latchd`: parse, set up logging, run until a signal says stop.

use std::process::ExitCode;

use latchd::config::{Config, LogLevel};
use tracing::level_filters::LevelFilter;
use tracing::{error, info};

/// The exit status of a server that could not start.
const CANNOT_START: u8 = 1;

fn main() -> ExitCode {
    let variable = |name: &str| std::env::var(name).ok();
    let config = match Config::from_args(std::env::args_os().skip(1), variable) {
        Ok(config) => config,
        Err(error) => error.exit(),
    };
    log_to_stderr(config.log_level);
    for flag in &config.without_effect {
        info!(
            flag,
            "accepted without effect: this server is its own cluster and has no peers"
        );
    }
    // Each client is a descriptor, and the usual soft limit of 1024 is soon reached.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "the runtime's threads cannot be started");
            return ExitCode::from(CANNOT_START);
        }
    };
    match runtime.block_on(async {
        latchd::run(config, stop_signal()?)
            .await
            .map_err(Into::into)
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err::<(), Box<dyn std::error::Error>>(error) => {
            error!("{error}");
            ExitCode::from(CANNOT_START)
        }
    }
}

fn log_to_stderr(level: LogLevel) {
    let filter = match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error | LogLevel::Panic | LogLevel::Fatal => LevelFilter::ERROR,
    };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(filter)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
}

/// Resolves at the first SIGTERM or SIGINT. The handlers are in place when this returns.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM"),
            _ = interrupt.recv() => info!("SIGINT"),
        }
    })
}
