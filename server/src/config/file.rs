//! `--config-file`: etcd's YAML, read as the flags that its keys stand for.

use serde_json::{Map, Number, Value};

use super::rotation::kind;
use super::values::Nanos;

/// A file's keys as flags.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Flags and their values.
    pub flags: Vec<(String, String)>,
    /// Keys that are no flag's.
    pub unknown: Vec<String>,
}

/// What a key's flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A duration, in the file a number of nanoseconds.
    Duration,
    /// `true` or `false`.
    Bool,
    /// A number of this type of Go's.
    Number(GoNumber),
    /// Text.
    Text,
    /// Texts.
    List,
}

/// Types of whole numbers, as etcd's sentences name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum GoNumber {
    Int,
    Int64,
    Uint,
    Uint32,
}

impl GoNumber {
    fn name(self) -> &'static str {
        match self {
            GoNumber::Int => "int",
            GoNumber::Int64 => "int64",
            GoNumber::Uint => "uint",
            GoNumber::Uint32 => "uint32",
        }
    }

    fn holds(self, number: &Number) -> bool {
        match self {
            GoNumber::Int | GoNumber::Int64 => number.is_i64(),
            GoNumber::Uint => number.is_u64(),
            GoNumber::Uint32 => number.as_u64().is_some_and(|n| u32::try_from(n).is_ok()),
        }
    }
}

/// Keys that hold a list in the file, and commas on the command line.
const LISTS: &[&str] = &["log-outputs", "cipher-suites", "discovery-endpoints"];
/// Keys that etcd reads as text first; its sentences tell them apart.
const READ_AS_TEXT: &[&str] = &[
    "listen-peer-urls",
    "listen-client-urls",
    "listen-client-http-urls",
    "initial-advertise-peer-urls",
    "advertise-client-urls",
    "cors",
    "host-whitelist",
    "client-transport-security",
    "peer-transport-security",
    "feature-gates",
];
/// Keys that have keys of their own, and Go's types for them.
const GROUPS: &[(&str, &str)] = &[
    ("client-transport-security", "embed.securityConfig"),
    ("peer-transport-security", "embed.securityConfig"),
    ("socket-options", "transport.SocketOpts"),
    ("discovery-config", "v3discovery.DiscoveryConfig"),
];
/// Booleans of YAML 1.1, which etcd reads.
const YES: &[&str] = &["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true"];
const NO: &[&str] = &["n", "N", "no", "No", "NO", "off", "Off", "OFF", "false"];

/// The flags under a key that has keys of its own, as (key, inner key, flag).
const NESTED: &[(&str, &str, &str)] = &[
    ("client-transport-security", "cert-file", "cert-file"),
    ("client-transport-security", "key-file", "key-file"),
    (
        "client-transport-security",
        "client-cert-file",
        "client-cert-file",
    ),
    (
        "client-transport-security",
        "client-key-file",
        "client-key-file",
    ),
    (
        "client-transport-security",
        "client-cert-auth",
        "client-cert-auth",
    ),
    (
        "client-transport-security",
        "trusted-ca-file",
        "trusted-ca-file",
    ),
    ("client-transport-security", "auto-tls", "auto-tls"),
    (
        "client-transport-security",
        "allowed-hostname",
        "client-cert-allowed-hostname",
    ),
    // etcd has no flag for it, and here it is the same promise.
    (
        "client-transport-security",
        "allowed-cn",
        "client-cert-allowed-hostname",
    ),
    (
        "client-transport-security",
        "client-crl-file",
        "client-crl-file",
    ),
    ("peer-transport-security", "cert-file", "peer-cert-file"),
    ("peer-transport-security", "key-file", "peer-key-file"),
    (
        "peer-transport-security",
        "client-cert-file",
        "peer-client-cert-file",
    ),
    (
        "peer-transport-security",
        "client-key-file",
        "peer-client-key-file",
    ),
    (
        "peer-transport-security",
        "client-cert-auth",
        "peer-client-cert-auth",
    ),
    (
        "peer-transport-security",
        "trusted-ca-file",
        "peer-trusted-ca-file",
    ),
    ("peer-transport-security", "auto-tls", "peer-auto-tls"),
    (
        "peer-transport-security",
        "allowed-cn",
        "peer-cert-allowed-cn",
    ),
    (
        "peer-transport-security",
        "allowed-hostname",
        "peer-cert-allowed-hostname",
    ),
    (
        "peer-transport-security",
        "skip-client-san-verification",
        "peer-skip-client-san-verification",
    ),
    ("socket-options", "reuse-port", "socket-reuse-port"),
    ("socket-options", "reuse-address", "socket-reuse-address"),
    ("discovery-config", "token", "discovery-token"),
];

/// Reads the YAML `text`; `takes` knows the flags. Keys with nothing after them are left out.
pub fn read(text: &str, takes: impl Fn(&str) -> Option<Takes>) -> Result<Settings, String> {
    let value = if text.trim().is_empty() {
        Value::Null
    } else {
        serde_saphyr::from_str(text).map_err(|error| {
            let error = error.to_string();
            let first = error.lines().next().unwrap_or_default();
            format!("error converting YAML to JSON: yaml: {first}")
        })?
    };
    let keys = match value {
        Value::Null => Map::new(),
        Value::Object(keys) => keys,
        other => {
            return Err(cannot_unmarshal(
                kind(&other),
                "value of type embed.configYAML",
            ));
        }
    };
    let mut settings = Settings::default();
    for (key, value) in keys.into_iter().filter(|(_, value)| !value.is_null()) {
        if let Some((_, go_type)) = GROUPS.iter().find(|(group, _)| *group == key) {
            group(&mut settings, &key, &value, go_type, &takes)?;
            continue;
        }
        match takes(&key) {
            None => settings.unknown.push(key),
            Some(takes) => {
                let takes = if LISTS.contains(&key.as_str()) {
                    Takes::List
                } else {
                    takes
                };
                let text = text_of(&key, &value, takes)?;
                settings.flags.push((key, text));
            }
        }
    }
    Ok(settings)
}

fn group(
    settings: &mut Settings,
    key: &str,
    value: &Value,
    go_type: &str,
    takes: impl Fn(&str) -> Option<Takes>,
) -> Result<(), String> {
    let Value::Object(inner) = value else {
        return Err(mismatch(key, kind(value), go_type));
    };
    for (name, value) in inner.iter().filter(|(_, value)| !value.is_null()) {
        let path = format!("{key}.{name}");
        let found = NESTED
            .iter()
            .find(|(outer, inner, _)| *outer == key && inner == name);
        match found {
            Some((_, _, flag)) => {
                let takes = match (name.as_str(), takes(flag)) {
                    ("allowed-cn" | "allowed-hostname", _) => Takes::List,
                    (_, takes) => takes.unwrap_or(Takes::Text),
                };
                let text = text_of(&path, value, takes)?;
                settings.flags.push(((*flag).to_owned(), text));
            }
            None => settings.unknown.push(path),
        }
    }
    Ok(())
}

/// The value as one would give it to the flag.
fn text_of(key: &str, value: &Value, takes: Takes) -> Result<String, String> {
    match (takes, value) {
        (Takes::Duration, Value::Number(nanos)) if nanos.is_i64() => Ok(format!("{nanos}ns")),
        // etcd knows nothing but the number.
        (Takes::Duration, Value::String(text)) if Nanos::parse(text).is_ok() => Ok(text.clone()),
        (Takes::Bool, Value::Bool(on)) => Ok(on.to_string()),
        (Takes::Bool, Value::String(text)) if YES.contains(&text.as_str()) => Ok("true".into()),
        (Takes::Bool, Value::String(text)) if NO.contains(&text.as_str()) => Ok("false".into()),
        (Takes::Number(number), Value::Number(value)) if number.holds(value) => {
            Ok(value.to_string())
        }
        (Takes::Number(number), Value::Number(value)) => {
            let found = format!("number {value}");
            Err(mismatch(key, &found, number.name()))
        }
        (Takes::Text, Value::String(text)) => Ok(text.clone()),
        (Takes::List, Value::Array(all)) => {
            let texts = all.iter().map(|each| text_of(key, each, Takes::Text));
            Ok(texts.collect::<Result<Vec<_>, _>>()?.join(","))
        }
        (takes, value) => Err(mismatch(key, kind(value), go_type(takes))),
    }
}

fn go_type(takes: Takes) -> &'static str {
    match takes {
        Takes::Duration => "time.Duration",
        Takes::Bool => "bool",
        Takes::Number(number) => number.name(),
        Takes::Text => "string",
        Takes::List => "[]string",
    }
}

fn mismatch(key: &str, found: &str, go_type: &str) -> String {
    let first = key.split('.').next().unwrap_or_default();
    let structure = if READ_AS_TEXT.contains(&first) {
        "configJSON"
    } else {
        "Config"
    };
    let field = format!("struct field configYAML.{structure}.{key} of type {go_type}");
    cannot_unmarshal(found, &field)
}

fn cannot_unmarshal(found: &str, target: &str) -> String {
    format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go \
         {target}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, String> {
        read(text, |key| match key {
            "interval" => Some(Takes::Duration),
            "name" | "log-outputs" | "cert-file" => Some(Takes::Text),
            "max-txn-ops" => Some(Takes::Number(GoNumber::Uint)),
            "pre-vote" => Some(Takes::Bool),
            _ => None,
        })
    }

    #[test]
    fn keys_are_flags() {
        let text = "# etcd\nname: 'a'\nmax-txn-ops: 7\npre-vote: true\ninterval: 1000\n\
                    log-outputs: [stderr, /a]\ndata-dir:\nnonsense: 3\n\
                    client-transport-security:\n  cert-file: /c\n  key-file:\n  odd: 1\n";
        let settings = parse(text).unwrap();
        let find = |flag: &str| {
            let found = settings.flags.iter().find(|(name, _)| name == flag);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(find("name"), Some("a"));
        assert_eq!(find("max-txn-ops"), Some("7"));
        assert_eq!(find("pre-vote"), Some("true"));
        assert_eq!(find("interval"), Some("1000ns"));
        assert_eq!(find("log-outputs"), Some("stderr,/a"));
        assert_eq!(find("cert-file"), Some("/c"));
        assert_eq!(settings.flags.len(), 6);
        assert_eq!(
            settings.unknown,
            ["client-transport-security.odd", "nonsense"]
        );
    }

    #[test]
    fn what_is_no_configuration() {
        assert!(parse("a: [").unwrap_err().contains("yaml"));
        assert!(parse("- a").is_err());
        assert!(parse("interval: abc").is_err());
        assert_eq!(parse(""), Ok(Settings::default()));
        assert_eq!(parse("interval: 5s").unwrap().flags[0].1, "5s");
    }

    #[test]
    fn wrong_types_in_etcds_sentences() {
        let field = |found: &str, field: &str| {
            let start = "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal";
            format!("{start} {found} into Go struct field configYAML.{field}")
        };
        for (text, found, target) in [
            ("name: 5", "number", "Config.name of type string"),
            ("pre-vote: 1", "number", "Config.pre-vote of type bool"),
            (
                "max-txn-ops: x",
                "string",
                "Config.max-txn-ops of type uint",
            ),
            (
                "max-txn-ops: -1",
                "number -1",
                "Config.max-txn-ops of type uint",
            ),
            (
                "interval: abc",
                "string",
                "Config.interval of type time.Duration",
            ),
            (
                "log-outputs: a",
                "string",
                "Config.log-outputs of type []string",
            ),
            (
                "log-outputs: [5]",
                "number",
                "Config.log-outputs of type string",
            ),
            (
                "client-transport-security: 5",
                "number",
                "configJSON.client-transport-security of type embed.securityConfig",
            ),
        ] {
            assert_eq!(parse(text), Err(field(found, target)), "{text}");
        }
        assert_eq!(parse("pre-vote: yes").unwrap().flags[0].1, "true");
    }
}
