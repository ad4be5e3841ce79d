//! Flags, environment variables, and what they mean together.
//!
//! Flags have etcd's names and forms: `--a=b`, `--a b`, with one dash or two, the last one wins.
//! Each flag is also a variable: `LATCHD_A` before `ETCD_A`, and the flag before both.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, ValueEnum};
use url::Url;

use crate::backend::Limits;
use crate::compactor::AutoCompaction;
use crate::version;

/// What the server is told to do.
#[derive(Clone, Debug)]
pub struct Config {
    /// The member's name, as MemberList tells it.
    pub name: String,
    /// Where the store is.
    pub data_dir: PathBuf,
    /// Where to listen; port 0 is any free one.
    pub listen_client_urls: Vec<Url>,
    /// What clients are told; empty for where the server listens.
    pub advertise_client_urls: Vec<Url>,
    /// What MemberList says of peers, which there are none of.
    pub peer_urls: Vec<String>,
    /// What to log.
    pub log_level: LogLevel,
    /// What one request may weigh.
    pub limits: Limits,
    /// What history to keep.
    pub auto_compaction: AutoCompaction,
    /// Flags that were given and have no effect, for the log.
    pub without_effect: Vec<&'static str>,
}

/// etcd's log levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
    /// As etcd has it; the same as error here.
    Panic,
    /// As etcd has it; the same as error here.
    Fatal,
}

/// A lock server that speaks etcd's v3 API, in one process with nothing beside it.
#[derive(Debug, Parser)]
#[command(
    name = "latchd",
    version = version::LONG,
    args_override_self = true,
    after_help = "Every flag is also a variable: --data-dir is LATCHD_DATA_DIR or ETCD_DATA_DIR; \
                  a flag wins over LATCHD_…, and that over ETCD_….\n\
                  \nTry it: etcdctl lock job -- sh -c 'echo I am alone'"
)]
struct Flags {
    /// The name of this server, as `etcdctl member list` shows it.
    #[arg(long, default_value = "default", help_heading = "Server")]
    name: String,

    /// The directory of the store; it is made if it is not there.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "latchd.data",
        help_heading = "Server"
    )]
    data_dir: PathBuf,

    /// Where to listen for clients: http://HOST:PORT, several with commas between them.
    #[arg(
        long,
        value_name = "URLS",
        value_parser = |text: &str| Urls::parse(text, listen_url),
        default_value = "http://127.0.0.1:2379",
        help_heading = "Clients"
    )]
    listen_client_urls: Urls,

    /// Where clients are told to go; by default, where the server listens.
    #[arg(
        long,
        value_name = "URLS",
        value_parser = |text: &str| Urls::parse(text, http_url),
        help_heading = "Clients"
    )]
    advertise_client_urls: Option<Urls>,

    /// The least severe level that is logged.
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "info",
        ignore_case = true,
        help_heading = "Logging"
    )]
    log_level: LogLevel,

    /// Accepted, without effect: there are no peers.
    #[arg(
        long,
        value_name = "URLS",
        help_heading = "For launchers that know etcd"
    )]
    listen_peer_urls: Option<String>,

    /// Told by member list, otherwise without effect: there are no peers.
    #[arg(
        long,
        value_name = "URLS",
        help_heading = "For launchers that know etcd"
    )]
    initial_advertise_peer_urls: Option<String>,

    /// Accepted, without effect: the cluster is this server.
    #[arg(
        long,
        value_name = "NAME=URL",
        help_heading = "For launchers that know etcd"
    )]
    initial_cluster: Option<String>,

    /// Accepted, without effect: the cluster is this server.
    #[arg(
        long,
        value_name = "STATE",
        help_heading = "For launchers that know etcd"
    )]
    initial_cluster_state: Option<String>,

    /// Accepted, without effect: the cluster is this server.
    #[arg(
        long,
        value_name = "TOKEN",
        help_heading = "For launchers that know etcd"
    )]
    initial_cluster_token: Option<String>,
}

impl Config {
    /// Reads the command line (without the program's name) and the environment. The error is
    /// clap's, which also carries what `--help` and `--version` print.
    pub fn from_args(
        args: impl IntoIterator<Item = OsString>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Config, clap::Error> {
        let from_variables = variables(&variable)?;
        let given = args.into_iter().map(two_dashes);
        let program = std::iter::once(OsString::from("latchd"));
        let all = program.chain(from_variables).chain(given);
        let matches = Flags::command().try_get_matches_from(all)?;
        Ok(Config::from_flags(Flags::from_arg_matches(&matches)?))
    }

    fn from_flags(flags: Flags) -> Config {
        let without_effect = without_effect(&flags);
        let peers = flags.initial_advertise_peer_urls;
        let peers = peers.unwrap_or_else(|| "http://localhost:2380".into());
        Config {
            name: flags.name,
            data_dir: flags.data_dir,
            listen_client_urls: flags.listen_client_urls.0,
            advertise_client_urls: flags
                .advertise_client_urls
                .map_or_else(Vec::new, |urls| urls.0),
            peer_urls: peers.split(',').map(str::to_owned).collect(),
            log_level: flags.log_level,
            limits: Limits::default(),
            auto_compaction: AutoCompaction::default(),
            without_effect,
        }
    }

    /// A configuration for a server in this process: any free port of loopback.
    #[must_use]
    pub fn local(data_dir: PathBuf) -> Config {
        let any_port = ["--listen-client-urls=http://127.0.0.1:0".into()];
        let config = Config::from_args(any_port, |_| None);
        Config {
            data_dir,
            ..config.expect("these flags are valid")
        }
    }
}

fn without_effect(flags: &Flags) -> Vec<&'static str> {
    let given = [
        ("--listen-peer-urls", &flags.listen_peer_urls),
        ("--initial-cluster", &flags.initial_cluster),
        ("--initial-cluster-state", &flags.initial_cluster_state),
        ("--initial-cluster-token", &flags.initial_cluster_token),
    ];
    let given = given.into_iter().filter(|(_, value)| value.is_some());
    given.map(|(flag, _)| flag).collect()
}

/// Flags from the environment, to stand before those that were given. Each is tried by itself, so
/// that an error names the variable.
fn variables(variable: &impl Fn(&str) -> Option<String>) -> Result<Vec<OsString>, clap::Error> {
    let mut flags = Vec::new();
    for argument in Flags::command().get_arguments() {
        let Some(flag) = argument.get_long() else {
            continue;
        };
        let name = flag.to_uppercase().replace('-', "_");
        let named = ["LATCHD_", "ETCD_"].map(|prefix| format!("{prefix}{name}"));
        // An empty variable is as good as none (as in etcd).
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let found = named.iter().find_map(|name| Some((name, set(name)?)));
        if let Some((name, value)) = found {
            let flag = OsString::from(format!("--{flag}={value}"));
            check_variable(name, &flag)?;
            flags.push(flag);
        }
    }
    Ok(flags)
}

fn check_variable(name: &str, flag: &OsString) -> Result<(), clap::Error> {
    let mut command = Flags::command();
    let outcome = command.try_get_matches_from_mut(["latchd".into(), flag.clone()]);
    outcome.map(drop).map_err(|error| {
        let reason = error.to_string();
        let reason = reason.lines().next().unwrap_or_default();
        let reason = reason.trim_start_matches("error: ");
        command.error(error.kind(), format!("in the variable {name}: {reason}"))
    })
}

/// Go's flag package takes one dash or two.
fn two_dashes(argument: OsString) -> OsString {
    let text = argument.to_str().unwrap_or_default();
    let one_dash = text
        .strip_prefix('-')
        .filter(|rest| rest.len() > 1 && !rest.starts_with('-'));
    match one_dash {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            format!("--{rest}").into()
        }
        _ => argument,
    }
}

/// URLs with commas between them, as one value: given again, they replace the ones before.
#[derive(Clone, Debug)]
struct Urls(Vec<Url>);

impl Urls {
    fn parse(text: &str, each: fn(&str) -> Result<Url, String>) -> Result<Urls, String> {
        text.split(',')
            .map(each)
            .collect::<Result<_, _>>()
            .map(Urls)
    }
}

/// A URL that can be listened on; the sentences are etcd's.
fn listen_url(text: &str) -> Result<Url, String> {
    let url = http_url(text)?;
    let host = url.host_str().unwrap_or_default();
    let is_address = !matches!(url.host(), Some(url::Host::Domain(name)) if name != "localhost");
    if !is_address {
        return Err(format!("expected IP in URL for binding ({host})"));
    }
    Ok(url)
}

fn http_url(text: &str) -> Result<Url, String> {
    let text = text.trim();
    let url = Url::parse(text).map_err(|error| format!("{error}: {text}"))?;
    match url.scheme() {
        "http" => {}
        "https" | "unix" | "unixs" => {
            return Err(format!(
                "{}:// is not implemented yet; use http://HOST:PORT",
                url.scheme()
            ));
        }
        _ => {
            return Err(format!(
                "URL scheme must be http, https, unix, or unixs: {text}"
            ));
        }
    }
    let authority = text.split_once("://").map_or("", |(_, rest)| rest);
    let has_port = authority
        .trim_end_matches('/')
        .rsplit_once(':')
        .is_some_and(|(_, port)| {
            !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
        });
    if !has_port {
        return Err(format!(
            "URL address does not have the form \"host:port\": {text}"
        ));
    }
    if url.path() != "/" || url.query().is_some() {
        return Err(format!("URL must not contain a path: {text}"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str], variables: &[(&str, &str)]) -> Result<Config, String> {
        let find = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Config::from_args(args.iter().map(OsString::from), find).map_err(|error| error.to_string())
    }

    #[test]
    fn every_form_of_a_flag_and_the_last_one_wins() {
        for form in [
            vec!["--name=a"],
            vec!["--name", "a"],
            vec!["-name=a"],
            vec!["-name", "a"],
        ] {
            assert_eq!(parse(&form, &[]).unwrap().name, "a");
        }
        assert_eq!(parse(&["--name=a", "-name=b"], &[]).unwrap().name, "b");
        assert_eq!(
            parse(&["--log-level", "WARN"], &[]).unwrap().log_level,
            LogLevel::Warn
        );
    }

    #[test]
    fn a_flag_before_latchd_before_etcd() {
        let both = [("ETCD_NAME", "etcd"), ("LATCHD_NAME", "latchd")];
        assert_eq!(parse(&[], &both[..1]).unwrap().name, "etcd");
        assert_eq!(parse(&[], &both).unwrap().name, "latchd");
        assert_eq!(parse(&["--name=flag"], &both).unwrap().name, "flag");
        assert_eq!(parse(&[], &[("ETCD_NAME", "")]).unwrap().name, "default");
    }

    #[test]
    fn errors_name_the_flag_or_the_variable() {
        let error = |args: &[&str], variables: &[(&str, &str)]| parse(args, variables).unwrap_err();
        assert!(error(&["--nam=x"], &[]).contains("--nam"));
        let url = "--listen-client-urls=ftp://127.0.0.1:1";
        assert!(error(&[url], &[]).contains("--listen-client-urls"));
        assert!(error(&[url], &[]).contains("URL scheme must be http, https, unix, or unixs"));
        let variable = [("ETCD_LISTEN_CLIENT_URLS", "127.0.0.1:2379")];
        assert!(error(&[], &variable).contains("ETCD_LISTEN_CLIENT_URLS"));
    }

    #[test]
    fn urls_that_cannot_be_listened_on() {
        for bad in [
            "http://127.0.0.1",
            "http://127.0.0.1:2379/path",
            "http://example.com:2379",
            "https://127.0.0.1:2379",
            "nonsense",
            "http://127.0.0.1:99999",
        ] {
            assert!(listen_url(bad).is_err(), "{bad}");
        }
        for good in [
            "http://0.0.0.0:0",
            "http://[::1]:2379",
            "http://localhost:80",
        ] {
            assert!(listen_url(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn peers_are_told_and_the_rest_is_noted() {
        let args = [
            "--initial-cluster=a=http://b:1",
            "--initial-advertise-peer-urls=http://b:1",
        ];
        let config = parse(&args, &[]).unwrap();
        assert_eq!(config.peer_urls, ["http://b:1"]);
        assert_eq!(config.without_effect, ["--initial-cluster"]);
    }
}
