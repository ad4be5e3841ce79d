//! The doors of older lock servers: where they listen, and how much one client may take.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};
use url::Url;

use super::values::{self, Nanos};

/// The longest prefix, in bytes: a name has 1,024 together with it.
const LONGEST_PREFIX: usize = 256;

/// Where a door listens, if it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DoorAddress(pub Option<Url>);

impl DoorAddress {
    /// `HOST:PORT`; nothing for a door that stays shut.
    pub fn elock(text: &str) -> Result<DoorAddress, String> {
        DoorAddress::parse("elock", text)
    }

    /// The same for the other protocol.
    pub fn dreadlock(text: &str) -> Result<DoorAddress, String> {
        DoorAddress::parse("dreadlock", text)
    }

    fn parse(scheme: &str, text: &str) -> Result<DoorAddress, String> {
        if text.is_empty() {
            return Ok(DoorAddress::default());
        }
        let url = Url::parse(&format!("{scheme}://{text}")).ok();
        let is_address = |url: &Url| {
            let bare = url.path().is_empty() && url.query().is_none() && url.fragment().is_none();
            let named = url.host_str().is_some_and(|host| !host.is_empty());
            let anonymous = url.username().is_empty() && url.password().is_none();
            bare && named && anonymous && url.port().is_some()
        };
        match url.filter(is_address) {
            Some(url) => Ok(DoorAddress(Some(url))),
            None => Err(format!(
                "an address of the form HOST:PORT is needed, not {text:?}"
            )),
        }
    }
}

/// Their flags.
#[derive(Debug, Args)]
pub struct DoorFlags {
    /// Where to listen for clients of elock (its own port was 11400).
    #[arg(long, value_name = "HOST:PORT", value_parser = DoorAddress::elock, default_value = "", hide_default_value = true, help_heading = "Doors of older lock servers")]
    pub listen_elock: DoorAddress,

    /// Where to listen for clients of Dreadlock (its own port was 6001).
    #[arg(long, value_name = "HOST:PORT", value_parser = DoorAddress::dreadlock, default_value = "", hide_default_value = true, help_heading = "Doors of older lock servers")]
    pub listen_dreadlock: DoorAddress,

    /// Speaks TLS at the line doors, with the certificate of --cert-file and --key-file.
    #[arg(long, value_name = "BOOL", default_value = "false", default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set, value_parser = values::boolean, help_heading = "Doors of older lock servers")]
    pub door_tls: bool,

    /// Put before every name that is locked through a door, distlock's among them.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = prefix, help_heading = "Doors of older lock servers")]
    pub door_prefix: String,

    /// How many connections each door has at a time.
    #[arg(long, value_name = "N", default_value = "16384", value_parser = values::unsigned, help_heading = "Doors of older lock servers")]
    pub door_max_connections: u64,

    /// How long a line may be that a client sends, in bytes.
    #[arg(long, value_name = "BYTES", default_value = "4096", value_parser = values::unsigned, help_heading = "Doors of older lock servers")]
    pub door_max_line_bytes: u64,

    /// How long a message over distlock's WebSocket may be, in bytes.
    #[arg(long, value_name = "BYTES", default_value = "65536", value_parser = values::unsigned, help_heading = "Doors of older lock servers")]
    pub door_max_frame_bytes: u64,

    /// How long a connection may say nothing before its first command; 0 for as long as it likes.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = Nanos::flag, allow_hyphen_values = true, help_heading = "Doors of older lock servers")]
    pub door_first_command_timeout: Nanos,

    /// How many names a session may hold or wait for at a time.
    #[arg(long, value_name = "N", default_value = "1024", value_parser = values::unsigned, help_heading = "Doors of older lock servers")]
    pub door_max_names: u64,
}

fn prefix(text: &str) -> Result<String, String> {
    if text.len() > LONGEST_PREFIX {
        return Err(format!("it may have at most {LONGEST_PREFIX} bytes"));
    }
    Ok(text.to_owned())
}

/// The doors of older lock servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorSettings {
    /// Where elock's clients come.
    pub elock: Option<Url>,
    /// Where Dreadlock's clients come.
    pub dreadlock: Option<Url>,
    /// The certificate of the line doors, if they speak TLS.
    pub tls: Option<DoorTls>,
    /// Put before every name.
    pub prefix: String,
    /// Connections at each door.
    pub most_connections: usize,
    /// Bytes of a line, its end aside.
    pub most_line: usize,
    /// Bytes of a message over a WebSocket.
    pub most_frame: usize,
    /// How long a connection may say nothing before its first command; `None` for ever.
    pub first_command: Option<Duration>,
    /// Names that a session holds or waits for.
    pub most_names: usize,
}

/// Files in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorTls {
    /// The certificate, and those that vouch for it.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl DoorTls {
    /// The files of `--cert-file` and `--key-file`.
    pub fn from_files(cert: Option<&str>, key: Option<&str>) -> Result<DoorTls, String> {
        match (cert, key) {
            (Some(cert), Some(key)) if !cert.is_empty() && !key.is_empty() => Ok(DoorTls {
                cert: cert.into(),
                key: key.into(),
            }),
            _ => Err("--door-tls needs --cert-file and --key-file".into()),
        }
    }
}

impl DoorFlags {
    /// What they mean, with the certificate if one is wanted.
    pub fn settings(self, tls: Option<DoorTls>) -> DoorSettings {
        let flags = self;
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        DoorSettings {
            elock: flags.listen_elock.0,
            dreadlock: flags.listen_dreadlock.0,
            tls,
            prefix: flags.door_prefix,
            most_connections: count(flags.door_max_connections),
            most_line: count(flags.door_max_line_bytes),
            most_frame: count(flags.door_max_frame_bytes),
            first_command: flags.door_first_command_timeout.positive(),
            most_names: count(flags.door_max_names),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, url) in [
            ("127.0.0.1:11400", "elock://127.0.0.1:11400"),
            ("[::1]:80", "elock://[::1]:80"),
            ("localhost:0", "elock://localhost:0"),
        ] {
            let address = DoorAddress::elock(text).unwrap();
            assert_eq!(address.0.unwrap().as_str(), url);
        }
        assert_eq!(DoorAddress::elock(""), Ok(DoorAddress(None)));
        for bad in [
            "11400",
            ":11400",
            "a",
            "a:b",
            "a:1/x",
            "u@a:1",
            "a:99999",
            "tcp://a:1",
        ] {
            let reason = DoorAddress::dreadlock(bad).unwrap_err();
            assert!(reason.contains("HOST:PORT"), "{bad}: {reason}");
        }
    }
}
