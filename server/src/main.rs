//! `latchd`: parse, set up logging, run until a signal says stop.

use std::num::NonZero;
use std::process::ExitCode;

use latchd::config::{
    Config, ConfigError, LogFormat, LogLevel, LogOutput, LogOutputs, LogSettings,
};
use latchd::logging;
use mimalloc::MiMalloc;
use tokio::runtime::{Builder, Runtime};
use tracing::{error, info, warn};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The exit status of a server that could not start, as etcd's.
const CANNOT_START: u8 = 1;
/// The exit status for a command line that makes no sense, as Go's.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let environment = std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value)));
    let config = match Config::from_args(std::env::args_os().skip(1), &environment.collect()) {
        Ok(config) => config,
        Err(error) => return refuse(error),
    };
    if let Err(error) = logging::start(&config.log) {
        return refuse(ConfigError::Invalid(error.to_string()));
    }
    for note in &config.notes {
        note.log();
    }
    // Each client is a descriptor, and the usual soft limit of 1024 is soon reached.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = match runtime() {
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

/// A runtime of a thread for each CPU, and two at least: a connection that commits what its streams
/// wrote keeps one of them from everything else meanwhile.
fn runtime() -> std::io::Result<Runtime> {
    let cpus = std::thread::available_parallelism().map_or(1, NonZero::get);
    Builder::new_multi_thread()
        .worker_threads(cpus.max(2))
        .enable_all()
        .build()
}

/// Says why there is nothing to run, where and how etcd says it.
fn refuse(error: ConfigError) -> ExitCode {
    match error {
        ConfigError::Asked(text) => text.exit(),
        ConfigError::Usage(text) => {
            eprintln!("{text}\nUsage: latchd [flags]; latchd --help lists them");
            ExitCode::from(WRONG_USAGE)
        }
        ConfigError::Invalid(text) => {
            let plain = LogSettings {
                level: LogLevel::Info,
                format: LogFormat::Json,
                outputs: LogOutputs(vec![LogOutput::Stderr]),
                rotation: None,
            };
            let _ = logging::start(&plain);
            warn!(error = text, "failed to verify flags");
            ExitCode::from(CANNOT_START)
        }
    }
}

/// Resolves at the first SIGTERM or SIGINT. The handlers are in place when this returns.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let signal = tokio::select! {
            _ = terminate.recv() => "terminated",
            _ = interrupt.recv() => "interrupt",
        };
        info!(signal, "received signal; shutting down");
    })
}
