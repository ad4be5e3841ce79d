//! `--config-file`: etcd's YAML, read as the flags that its keys stand for.

use serde_json::{Map, Value};

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
    /// Anything else.
    Other,
}

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
        serde_saphyr::from_str(text)
            .map_err(|error| format!("error converting YAML to JSON: yaml: {error}"))?
    };
    let keys = match value {
        Value::Null => Map::new(),
        Value::Object(keys) => keys,
        _ => return Err("error unmarshaling JSON: it is not a map of keys".into()),
    };
    let mut settings = Settings::default();
    for (key, value) in keys {
        match value {
            Value::Null => {}
            Value::Object(inner) => nested(&mut settings, &key, &inner)?,
            value => match takes(&key) {
                None => settings.unknown.push(key),
                Some(takes) => {
                    let text = text_of(&key, &value, takes)?;
                    settings.flags.push((key, text));
                }
            },
        }
    }
    Ok(settings)
}

fn nested(settings: &mut Settings, key: &str, inner: &Map<String, Value>) -> Result<(), String> {
    for (name, value) in inner.iter().filter(|(_, value)| !value.is_null()) {
        let path = format!("{key}.{name}");
        let found = NESTED
            .iter()
            .find(|(outer, inner, _)| *outer == key && inner == name);
        match found {
            Some((_, _, flag)) => {
                let text = text_of(&path, value, Takes::Other)?;
                settings.flags.push(((*flag).to_owned(), text));
            }
            None => settings.unknown.push(path),
        }
    }
    Ok(())
}

/// The value as one would give it to the flag.
fn text_of(key: &str, value: &Value, takes: Takes) -> Result<String, String> {
    match (value, takes) {
        (Value::Number(nanos), Takes::Duration) => Ok(format!("{nanos}ns")),
        (Value::String(text), Takes::Duration) if Nanos::parse(text).is_err() => Err(format!(
            "{key}: {text:?} is neither a number of nanoseconds nor a duration"
        )),
        (Value::String(text), _) => Ok(text.clone()),
        (Value::Number(number), _) => Ok(number.to_string()),
        (Value::Bool(on), _) => Ok(on.to_string()),
        (Value::Array(all), _) => {
            let texts = all.iter().map(|each| text_of(key, each, Takes::Other));
            Ok(texts.collect::<Result<Vec<_>, _>>()?.join(","))
        }
        (Value::Null, _) => Ok(String::new()),
        (Value::Object(_), _) => Err(format!("{key}: it has keys of its own")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, String> {
        read(text, |key| match key {
            "interval" => Some(Takes::Duration),
            "name" | "log-outputs" | "max-txn-ops" | "pre-vote" => Some(Takes::Other),
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
}
