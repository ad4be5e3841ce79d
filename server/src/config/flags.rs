//! The flags that have a meaning here, as clap declares them for `--help`.

use std::any::TypeId;
use std::path::PathBuf;

use clap::{ArgAction, CommandFactory, FromArgMatches, Parser};

use super::doors::DoorFlags;
use super::file::{GoNumber, Takes};
use super::ignored::{IGNORED, REFUSED};
use super::log::{LogFormat, LogLevel, LogOutputs};
use super::rotation::Rotation;
use super::urls::{self, Urls};
use super::values::{self, Nanos};
use crate::http::Cors;
use crate::version;

/// Where clients are expected by default.
const CLIENT_URL: &str = "http://127.0.0.1:2379";
/// Where etcd expects peers by default.
const PEER_URL: &str = "http://localhost:2380";
/// etcd's default for `--log-rotation-config-json`.
const ROTATION: &str =
    r#"{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}"#;

/// A lock server that speaks etcd's v3 API, in one process with nothing beside it.
#[derive(Debug, Parser)]
#[command(name = "latchd", version = version::LONG, args_override_self = true)]
pub struct Flags {
    /// The name of this server, as `etcdctl member list` shows it.
    #[arg(long, default_value = "default", help_heading = "Server")]
    pub name: String,

    /// The directory of the store; it is made if it is not there.
    #[arg(
        long,
        value_name = "DIR",
        default_value = values::DEFAULT_DIRECTORY,
        value_parser = values::directory,
        help_heading = "Server"
    )]
    pub data_dir: PathBuf,

    /// etcd's YAML file; with it, other flags and all variables are ignored.
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    pub config_file: Option<String>,

    /// How large the data file may become before writes are refused; 0 for 2 GiB, less for no limit.
    #[arg(long, value_name = "BYTES", default_value = "0", value_parser = values::signed, allow_hyphen_values = true, help_heading = "Server")]
    pub quota_backend_bytes: i64,

    /// What --auto-compaction-retention counts: periodic (time) or revision.
    #[arg(long, value_name = "MODE", help_heading = "Server")]
    pub auto_compaction_mode: Option<String>,

    /// How much history is kept: 5m, 2 (hours), or a number of revisions; 0 for all of it. By
    /// default 10000 revisions, and at least five minutes.
    #[arg(
        long,
        value_name = "LENGTH",
        allow_hyphen_values = true,
        help_heading = "Server"
    )]
    pub auto_compaction_retention: Option<String>,

    /// Answers before data is on disk: a machine that loses power loses locks.
    #[arg(long, value_name = "BOOL", default_value = "false", default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set, value_parser = values::boolean, help_heading = "Server")]
    pub unsafe_no_fsync: bool,

    /// Where to listen for clients: http://HOST:PORT or unix://PATH, several with commas between
    /// them.
    #[arg(long, value_name = "URLS", value_parser = Urls::parse, default_value = CLIENT_URL, help_heading = "Clients")]
    pub listen_client_urls: Urls,

    /// Where to listen for HTTP alone; then --listen-client-urls serve gRPC alone.
    #[arg(long, value_name = "URLS", value_parser = Urls::parse, default_value = "", hide_default_value = true, help_heading = "Clients")]
    pub listen_client_http_urls: Urls,

    /// Where clients are told to go; by default, where the server listens.
    #[arg(long, value_name = "URLS", value_parser = Urls::told, default_value = "", hide_default_value = true, help_heading = "Clients")]
    pub advertise_client_urls: Urls,

    /// How large a request may be.
    #[arg(long, value_name = "BYTES", default_value = "1572864", value_parser = values::unsigned, help_heading = "Clients")]
    pub max_request_bytes: u64,

    /// How many operations a Txn may have.
    #[arg(long, value_name = "N", default_value = "128", value_parser = values::unsigned, help_heading = "Clients")]
    pub max_txn_ops: u64,

    /// How many calls a connection may have open at a time; waiting for a lock is one.
    #[arg(long, value_name = "N", default_value = "4294967295", hide_default_value = true, value_parser = values::unsigned_32, help_heading = "Clients")]
    pub max_concurrent_streams: u32,

    /// How often watches that asked for it are told that nothing happened.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = Nanos::flag, allow_hyphen_values = true, help_heading = "Clients")]
    pub watch_progress_notify_interval: Nanos,

    /// How often a silent connection is asked whether it is still there; 0 for never.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = Nanos::flag, allow_hyphen_values = true, help_heading = "Clients")]
    pub grpc_keepalive_interval: Nanos,

    /// How long it may take to answer.
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = Nanos::flag, allow_hyphen_values = true, help_heading = "Clients")]
    pub grpc_keepalive_timeout: Nanos,

    /// Lets other processes listen on the same ports.
    #[arg(long, value_name = "BOOL", default_value = "false", default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set, value_parser = values::boolean, help_heading = "Clients")]
    pub socket_reuse_port: bool,

    /// Answers etcd's JSON gateway under /v3.
    #[arg(long, value_name = "BOOL", default_value = "true", default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set, value_parser = values::boolean, help_heading = "Clients")]
    pub enable_grpc_gateway: bool,

    /// Origins whose pages may read what HTTP answers, with commas between them; * for any.
    #[arg(long, value_name = "ORIGINS", default_value = "*", value_parser = urls::origins, help_heading = "Clients")]
    pub cors: Cors,

    /// Where to listen for /metrics, /health, /livez and /readyz as well.
    #[arg(long, value_name = "URLS", value_parser = Urls::parse, default_value = "", hide_default_value = true, help_heading = "Monitoring")]
    pub listen_metrics_urls: Urls,

    /// Calls that take longer are logged as warnings.
    #[arg(long, value_name = "DURATION", default_value = "300ms", value_parser = Nanos::flag, allow_hyphen_values = true, help_heading = "Monitoring")]
    pub warning_unary_request_duration: Nanos,

    /// The least severe level that is logged: debug, info, warn, error, panic or fatal.
    #[arg(long, value_name = "LEVEL", value_parser = LogLevel::parse, default_value = "info", help_heading = "Logging")]
    pub log_level: LogLevel,

    /// How a line of the log looks: json or console.
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "json",
        help_heading = "Logging"
    )]
    pub log_format: String,

    /// Where the log goes: default (stderr), stderr, stdout or files, with commas between them; or
    /// systemd/journal alone.
    #[arg(
        long,
        value_name = "OUTPUTS",
        default_value = "default",
        help_heading = "Logging"
    )]
    pub log_outputs: String,

    /// Begins a new log file when the one of --log-outputs is full.
    #[arg(long, value_name = "BOOL", default_value = "false", default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set, value_parser = values::boolean, help_heading = "Logging")]
    pub enable_log_rotation: bool,

    /// When it is full (maxsize, in MiB), how many old ones are kept (maxbackups) and for how many
    /// days (maxage), 0 for all and for ever; the times in their names (localtime); whether they
    /// are gzipped (compress).
    #[arg(
        long,
        value_name = "JSON",
        default_value = ROTATION,
        help_heading = "Logging"
    )]
    pub log_rotation_config_json: String,

    /// The doors of older lock servers.
    #[command(flatten)]
    pub doors: DoorFlags,

    /// Told by `etcdctl member list`, otherwise without effect: there are no peers.
    #[arg(long, value_name = "URLS", value_parser = Urls::told, default_value = PEER_URL, hide_default_value = true, help_heading = "For launchers that know etcd")]
    pub initial_advertise_peer_urls: Urls,
}

impl Flags {
    /// The command, with all that `--help` says.
    pub fn described() -> clap::Command {
        Flags::command().after_help(after_help())
    }

    /// Reads flags that have been checked one by one.
    pub fn read<'a>(given: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Flags, clap::Error> {
        let flags = given.map(|(name, value)| format!("--{name}={value}"));
        let program = std::iter::once("latchd".to_owned());
        let matches = Flags::command().try_get_matches_from(program.chain(flags))?;
        Flags::from_arg_matches(&matches)
    }

    /// The log's settings, or etcd's sentence.
    pub fn log_outputs(&self) -> Result<LogOutputs, String> {
        LogOutputs::parse(&self.log_outputs)
    }

    /// How the log's file is rotated, if it is, or etcd's sentence.
    pub fn log_rotation(&self, outputs: &LogOutputs) -> Result<Option<Rotation>, String> {
        if !self.enable_log_rotation {
            return Ok(None);
        }
        outputs.check_rotation()?;
        Rotation::parse(&self.log_rotation_config_json).map(Some)
    }

    /// The log's format, or etcd's sentence.
    pub fn log_format(&self) -> Result<LogFormat, String> {
        LogFormat::parse(&self.log_format)
    }
}

/// A flag of `command` by its name.
pub fn find<'a>(command: &'a clap::Command, name: &str) -> Option<&'a clap::Arg> {
    let mut all = command.get_arguments();
    all.find(|argument| argument.get_long() == Some(name))
}

/// Whether a flag's values have type `T`.
pub fn takes<T: 'static>(argument: &clap::Arg) -> bool {
    argument.get_value_parser().type_id() == TypeId::of::<T>()
}

/// What etcd's file has for a flag.
pub fn in_a_file(argument: &clap::Arg) -> Takes {
    if takes::<bool>(argument) {
        Takes::Bool
    } else if takes::<Nanos>(argument) {
        Takes::Duration
    } else if takes::<i64>(argument) {
        Takes::Number(GoNumber::Int64)
    } else if takes::<u64>(argument) {
        Takes::Number(GoNumber::Uint)
    } else if takes::<u32>(argument) {
        Takes::Number(GoNumber::Uint32)
    } else {
        Takes::Text
    }
}

/// Why `value` is none for the flag `name`.
pub fn check(name: &str, value: &str) -> Result<(), String> {
    Flags::read(std::iter::once((name, value)))
        .map(drop)
        .map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            source.unwrap_or_else(|| "invalid value".into())
        })
}

fn after_help() -> String {
    let ignored = IGNORED.iter().map(|flag| flag.flag);
    let refused = REFUSED.iter().map(|flag| flag.flag);
    format!(
        "Every flag is also a variable: --data-dir is LATCHD_DATA_DIR or ETCD_DATA_DIR; \
         a flag wins over LATCHD_…, and that over ETCD_….\n\n\
         Flags of etcd that change nothing here (given, the log says why):\n{}\n\n\
         Flags of etcd that are refused until they can be honoured:\n{}\n\n\
         Try it: etcdctl lock job -- sh -c 'echo I am alone'",
        listed(ignored),
        listed(refused)
    )
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("--{name}")).collect();
    format!("  {}", names.join(" "))
}
