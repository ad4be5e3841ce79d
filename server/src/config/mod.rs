//! Flags, environment variables and the configuration file, and what they mean together.
//!
//! Flags have etcd's names and forms: `--a=b`, `--a b`, with one dash or two, the last one wins.
//! Each flag is also a variable: `LATCHD_A` before `ETCD_A`, and the flag before both. With
//! `--config-file`, the file alone counts, as in etcd.

mod args;
mod compaction;
mod doors;
mod env;
mod file;
mod flags;
mod ignored;
mod log;
mod notes;
mod rotation;
mod urls;
mod values;
mod verify;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error as ThisError;
use url::Url;

use crate::backend::Limits;
use crate::http::Cors;
use args::{Fault, Form};
use file::{GoNumber, Takes};
use flags::Flags;
use ignored::{IGNORED, REFUSED, find_ignored, find_refused};
use urls::Urls;
use verify::verify;

pub use compaction::AutoCompaction;
pub use doors::{DoorSettings, DoorTls};
pub use env::Environment;
pub use log::{LogFormat, LogLevel, LogOutput, LogOutputs};
pub use notes::Note;
pub use rotation::Rotation;
pub use urls::{plain, socket_path};

const DEFAULT_QUOTA: u64 = 2 << 30;
/// The flags of the server's certificate.
const CERTIFICATE: [&str; 2] = ["cert-file", "key-file"];
/// etcd's, for a duration that is not longer than nothing.
const DEFAULT_WARNING: Duration = Duration::from_millis(300);
const DEFAULT_PROGRESS: Duration = Duration::from_secs(600);
const DEFAULT_PING_TIMEOUT: Duration = Duration::from_secs(20);

/// What the server is told to do.
#[derive(Clone, Debug)]
pub struct Config {
    /// The member's name, as MemberList tells it.
    pub name: String,
    /// Where the store is.
    pub data_dir: PathBuf,
    /// Where to listen for gRPC and, without `listen_client_http_urls`, HTTP; port 0 is any free
    /// one.
    pub listen_client_urls: Vec<Url>,
    /// Where to listen for HTTP alone.
    pub listen_client_http_urls: Vec<Url>,
    /// Where to listen for what monitors ask.
    pub listen_metrics_urls: Vec<Url>,
    /// What clients are told; empty for where the server listens.
    pub advertise_client_urls: Vec<Url>,
    /// What MemberList says of peers, which there are none of.
    pub peer_urls: Vec<String>,
    /// Whether the JSON gateway answers.
    pub grpc_gateway: bool,
    /// Which pages in browsers may read what HTTP answers.
    pub cors: Cors,
    /// What is logged.
    pub log: LogSettings,
    /// What one request may weigh.
    pub limits: Limits,
    /// How connections are made and kept.
    pub connections: ConnectionSettings,
    /// How often watches that asked for it are told that nothing happened.
    pub watch_progress_interval: Duration,
    /// Calls that take longer are warned of.
    pub slow_call: Duration,
    /// What history is compacted away without being asked.
    pub auto_compaction: AutoCompaction,
    /// The doors of older lock servers.
    pub doors: DoorSettings,
    /// Whether commits don't wait for the disk.
    pub unsafe_no_fsync: bool,
    /// What the log should say about all this.
    pub notes: Vec<Note>,
}

/// What is logged, how, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The least severe level.
    pub level: LogLevel,
    /// The look of a line.
    pub format: LogFormat,
    /// Where lines go.
    pub outputs: LogOutputs,
    /// What becomes of a full file; `None` for never full.
    pub rotation: Option<Rotation>,
}

/// How connections are made and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// Calls that a connection may have open at a time; `None` for any number.
    pub max_streams: Option<u32>,
    /// How often an HTTP/2 connection is pinged; `None` for never.
    pub ping_interval: Option<Duration>,
    /// How long the answer to a ping may take.
    pub ping_timeout: Duration,
    /// Whether other processes may listen on the same ports (`SO_REUSEPORT`).
    pub reuse_port: bool,
}

/// Why there is no configuration; the sentences and exit statuses are etcd's.
#[derive(Debug, ThisError)]
pub enum ConfigError {
    /// None was wanted: what `--help` or `--version` print.
    #[error("{0}")]
    Asked(clap::Error),
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// What it says can't be done.
    #[error("{0}")]
    Invalid(String),
}

/// A flag that was given.
struct Given {
    flag: String,
    value: String,
}

impl Config {
    /// Reads the command line (without the program's name), the environment and the file.
    pub fn from_args(
        args: impl IntoIterator<Item = OsString>,
        environment: &Environment,
    ) -> Result<Config, ConfigError> {
        let given = command_line(args)?;
        let mut notes = Vec::new();
        let given = match config_file(&given, environment) {
            Some(path) => from_file(&path, &mut notes)?,
            None => with_variables(given, environment, &mut notes)?,
        };
        Config::from_given(&given, notes)
    }

    fn from_given(given: &[Given], mut notes: Vec<Note>) -> Result<Config, ConfigError> {
        let tls = door_tls(given).map_err(ConfigError::Invalid)?;
        for each in given {
            // Known to the line doors, and to nobody else yet.
            if tls.is_some() && CERTIFICATE.contains(&each.flag.as_str()) {
                continue;
            }
            if let Some(refused) = find_refused(&each.flag) {
                refused.check(&each.value).map_err(ConfigError::Invalid)?;
            }
        }
        verify(|flag| last(given, flag)).map_err(ConfigError::Invalid)?;
        notes.extend(without_effect(given));
        let command = Flags::described();
        let ours = given
            .iter()
            .filter(|each| {
                let flag = flags::find(&command, &each.flag);
                // No URLs leave those before, or the default ones, as in etcd.
                flag.is_some_and(|flag| !each.value.is_empty() || !flags::takes::<Urls>(flag))
            })
            .map(|each| (each.flag.as_str(), each.value.as_str()));
        // Each has been checked by itself.
        let flags = Flags::read(ours).map_err(|error| ConfigError::Invalid(error.to_string()))?;
        Config::from_flags(flags, tls, notes).map_err(ConfigError::Invalid)
    }

    fn from_flags(flags: Flags, tls: Option<DoorTls>, notes: Vec<Note>) -> Result<Config, String> {
        let outputs = flags.log_outputs()?;
        let log = LogSettings {
            level: flags.log_level,
            format: flags.log_format()?,
            rotation: flags.log_rotation(&outputs)?,
            outputs,
        };
        let auto_compaction = AutoCompaction::from_flags(
            flags.auto_compaction_mode.as_deref(),
            flags.auto_compaction_retention.as_deref(),
        )?;
        let config = Config {
            log,
            auto_compaction,
            notes,
            limits: limits(&flags),
            connections: connections(&flags),
            doors: flags.doors.settings(tls),
            name: flags.name,
            data_dir: flags.data_dir,
            listen_client_urls: flags.listen_client_urls.0,
            listen_client_http_urls: flags.listen_client_http_urls.0,
            listen_metrics_urls: flags.listen_metrics_urls.0,
            advertise_client_urls: flags.advertise_client_urls.0,
            peer_urls: flags
                .initial_advertise_peer_urls
                .0
                .iter()
                .map(plain)
                .collect(),
            grpc_gateway: flags.enable_grpc_gateway,
            cors: flags.cors,
            watch_progress_interval: flags
                .watch_progress_notify_interval
                .positive()
                .unwrap_or(DEFAULT_PROGRESS),
            slow_call: flags
                .warning_unary_request_duration
                .positive()
                .unwrap_or(DEFAULT_WARNING),
            unsafe_no_fsync: flags.unsafe_no_fsync,
        };
        config.check_urls()?;
        Ok(config)
    }

    fn check_urls(&self) -> Result<(), String> {
        urls::check_bind(&self.listen_client_urls)?;
        urls::check_bind(&self.listen_client_http_urls)?;
        urls::check_bind(&self.listen_metrics_urls)?;
        let shared = |url: &&Url| url.port() != Some(0) && self.listen_client_urls.contains(url);
        match self.listen_client_http_urls.iter().find(shared) {
            None => Ok(()),
            Some(url) => Err(format!(
                "cannot bind both --listen-client-urls and --listen-client-http-urls \
                 on the same url {}",
                plain(url)
            )),
        }
    }

    /// A configuration for a server in this process: any free port of loopback.
    #[must_use]
    pub fn local(data_dir: PathBuf) -> Config {
        let any_port = ["--listen-client-urls=http://127.0.0.1:0".into()];
        let config = Config::from_args(any_port, &Environment::new());
        Config {
            data_dir,
            ..config.expect("these flags are valid")
        }
    }
}

/// Where the line doors have their certificate, if they speak TLS.
fn door_tls(given: &[Given]) -> Result<Option<DoorTls>, String> {
    let [cert, key] = CERTIFICATE.map(|flag| last(given, flag));
    let wanted = last(given, "door-tls").map(values::boolean).transpose()?;
    match wanted {
        Some(true) => DoorTls::from_files(cert, key).map(Some),
        _ => Ok(None),
    }
}

fn limits(flags: &Flags) -> Limits {
    Limits {
        // The length of a gRPC message is a number of 32 bits.
        request_bytes: usize::try_from(flags.max_request_bytes.min(u32::MAX.into()))
            .unwrap_or(usize::MAX),
        txn_ops: usize::try_from(flags.max_txn_ops).unwrap_or(usize::MAX),
        quota: match flags.quota_backend_bytes {
            0 => Some(DEFAULT_QUOTA),
            bytes => u64::try_from(bytes).ok(),
        },
    }
}

fn connections(flags: &Flags) -> ConnectionSettings {
    let max = flags.max_concurrent_streams;
    ConnectionSettings {
        max_streams: (max != u32::MAX).then_some(max),
        ping_interval: flags.grpc_keepalive_interval.positive(),
        ping_timeout: flags
            .grpc_keepalive_timeout
            .positive()
            .unwrap_or(DEFAULT_PING_TIMEOUT),
        reuse_port: flags.socket_reuse_port,
    }
}

fn command_line(args: impl IntoIterator<Item = OsString>) -> Result<Vec<Given>, ConfigError> {
    let command = Flags::described();
    let given = args::split(args, |name| form(&command, name)).map_err(|fault| told(&fault))?;
    for (flag, value) in &given {
        if let Some(asked) = asked(flag, value)? {
            let outcome = command.clone().try_get_matches_from(["latchd", asked]);
            return Err(outcome.map_or_else(ConfigError::Asked, |_| {
                ConfigError::Usage(format!("flag -{flag} says nothing"))
            }));
        }
        if flag == "version" {
            continue;
        }
        check(flag, value).map_err(|reason| {
            let wrong = if form(&command, flag) == Some(Form::Bool) {
                format!("invalid boolean value {value:?} for -{flag}: {reason}")
            } else {
                format!("invalid value {value:?} for flag -{flag}: {reason}")
            };
            ConfigError::Usage(wrong)
        })?;
    }
    let given = given.into_iter().filter(|(flag, _)| flag != "version");
    Ok(given.map(|(flag, value)| Given { flag, value }).collect())
}

/// What a flag asks to be told, rather than to be done.
fn asked(flag: &str, value: &str) -> Result<Option<&'static str>, ConfigError> {
    match flag {
        "h" | "help" => Ok(Some("--help")),
        "V" => Ok(Some("--version")),
        "version" => match values::boolean(value) {
            Ok(true) => Ok(Some("--version")),
            Ok(false) => Ok(None),
            Err(reason) => Err(ConfigError::Usage(format!(
                "invalid boolean value {value:?} for -version: {reason}"
            ))),
        },
        _ => Ok(None),
    }
}

fn form(command: &clap::Command, name: &str) -> Option<Form> {
    if ["h", "help", "V"].contains(&name) {
        return Some(Form::Ask);
    }
    if name == "version" {
        return Some(Form::Bool);
    }
    let is_bool = match (
        flags::find(command, name),
        find_ignored(name),
        find_refused(name),
    ) {
        (Some(argument), _, _) => flags::takes::<bool>(argument),
        (_, Some(flag), _) => matches!(flag.kind, ignored::Kind::Bool),
        (_, _, Some(flag)) => matches!(flag.kind, ignored::Kind::Bool),
        _ => return None,
    };
    Some(if is_bool { Form::Bool } else { Form::Valued })
}

fn told(fault: &Fault) -> ConfigError {
    match fault {
        Fault::Syntax(text) => ConfigError::Usage(format!("bad flag syntax: {text}")),
        Fault::NoValue(name) => ConfigError::Usage(format!("flag needs an argument: -{name}")),
        Fault::Extra(word) => ConfigError::Invalid(format!("{word:?} is not a valid flag")),
        Fault::Unknown(name) => {
            let hint = nearest(name).map(|near| format!("\n(did you mean --{near}?)"));
            let hint = hint.unwrap_or_default();
            ConfigError::Usage(format!("flag provided but not defined: -{name}{hint}"))
        }
    }
}

/// The known flag that is most like `name`, if any is.
fn nearest(name: &str) -> Option<String> {
    let like = |known: &String| strsim::jaro_winkler(known, name);
    names()
        .into_iter()
        .filter(|known| like(known) > 0.85)
        .max_by(|one, other| like(one).total_cmp(&like(other)))
}

/// Every flag's name.
fn names() -> Vec<String> {
    let command = Flags::described();
    let ours = command.get_arguments().filter_map(clap::Arg::get_long);
    let all = ours
        .chain(IGNORED.iter().map(|flag| flag.flag))
        .chain(REFUSED.iter().map(|flag| flag.flag));
    all.map(str::to_owned).collect()
}

/// Why `value` is none for `flag`.
fn check(flag: &str, value: &str) -> Result<(), String> {
    match (find_ignored(flag), find_refused(flag)) {
        (Some(flag), _) => flag.kind.check(value),
        (_, Some(flag)) => flag.kind.check(value),
        _ => flags::check(flag, value),
    }
}

fn last<'a>(given: &'a [Given], flag: &str) -> Option<&'a str> {
    let found = given.iter().rev().find(|each| each.flag == flag);
    found.map(|each| each.value.as_str())
}

fn config_file(given: &[Given], environment: &Environment) -> Option<String> {
    let variable = |name| environment.get(name).map(String::as_str);
    [
        last(given, "config-file"),
        variable("LATCHD_CONFIG_FILE"),
        variable("ETCD_CONFIG_FILE"),
    ]
    .into_iter()
    .flatten()
    .find(|path| !path.is_empty())
    .map(str::to_owned)
}

/// Variables first, so that flags override them.
fn with_variables(
    given: Vec<Given>,
    environment: &Environment,
    notes: &mut Vec<Note>,
) -> Result<Vec<Given>, ConfigError> {
    let on_command_line: BTreeSet<String> = given.iter().map(|each| each.flag.clone()).collect();
    let names = names();
    let names = names.iter().map(String::as_str);
    let mut all = Vec::new();
    for found in env::read(environment, names, &on_command_line, notes) {
        let (flag, value, variable) = (found.flag, found.value, found.variable);
        check(&flag, &value).map_err(|reason| {
            ConfigError::Invalid(format!("invalid value {value:?} for {variable}: {reason}"))
        })?;
        all.push(Given { flag, value });
    }
    all.extend(given);
    Ok(all)
}

fn from_file(path: &str, notes: &mut Vec<Note>) -> Result<Vec<Given>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        // Go opens a directory like a file.
        let failed = match error.kind() {
            ErrorKind::IsADirectory => "read",
            _ => "open",
        };
        ConfigError::Invalid(format!("{failed} {path}: {}", os_text(&error)))
    })?;
    let command = Flags::described();
    let settings =
        file::read(&text, |flag| file_takes(&command, flag)).map_err(ConfigError::Invalid)?;
    for key in settings.unknown {
        let path = path.to_owned();
        notes.push(Note::FileKey { path, key });
    }
    let path = path.to_owned();
    for (flag, value) in &settings.flags {
        check(flag, value).map_err(|reason| {
            ConfigError::Invalid(format!(
                "invalid value {value:?} for {flag} in {path}: {reason}"
            ))
        })?;
    }
    notes.push(Note::FileLoaded { path });
    let given = settings.flags.into_iter();
    Ok(given.map(|(flag, value)| Given { flag, value }).collect())
}

fn file_takes(command: &clap::Command, flag: &str) -> Option<Takes> {
    if let Some(argument) = flags::find(command, flag) {
        return Some(flags::in_a_file(argument));
    }
    let ignored = find_ignored(flag).map(|flag| flag.kind);
    let kind = ignored.or_else(|| find_refused(flag).map(|flag| flag.kind))?;
    Some(match kind {
        ignored::Kind::Bool => Takes::Bool,
        ignored::Kind::Number => Takes::Number(GoNumber::Uint),
        ignored::Kind::Signed => Takes::Number(GoNumber::Int),
        ignored::Kind::Duration => Takes::Duration,
        _ => Takes::Text,
    })
}

/// What the operating system said, without Rust's number behind it.
pub(crate) fn os_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}

/// One note for each flag that changes nothing, however often it was given.
fn without_effect(given: &[Given]) -> Vec<Note> {
    let flags: BTreeSet<&str> = given.iter().map(|each| each.flag.as_str()).collect();
    let mut notes = Vec::new();
    for ignored in flags.into_iter().filter_map(find_ignored) {
        let flag = format!("--{}", ignored.flag);
        let why = ignored.why;
        notes.push(Note::WithoutEffect { flag, why });
    }
    let cluster = last(given, "initial-cluster").unwrap_or_default();
    if members(cluster) > 1 {
        let initial_cluster = cluster.to_owned();
        notes.push(Note::Alone { initial_cluster });
    }
    notes
}

/// How many members a value of `--initial-cluster` names.
fn members(initial_cluster: &str) -> usize {
    let names = initial_cluster
        .split(',')
        .filter_map(|member| Some(member.split_once('=')?.0.trim()));
    names.collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests;
