//! `--log-rotation-config-json`, read as etcd reads it.

use std::time::Duration;

use serde_json::Value;

const MIB: u64 = 1 << 20;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// For a `maxsize` of nothing, in MiB.
const DEFAULT_SIZE: u64 = 100;

/// When a log file is full, and what becomes of it then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// How large a file may become, in bytes.
    pub max_bytes: u64,
    /// How long old files are kept; `None` for ever.
    pub max_age: Option<Duration>,
    /// How many of them are kept; `None` for all.
    pub max_backups: Option<usize>,
    /// Whether their names have the local time rather than UTC.
    pub local_time: bool,
    /// Whether they are gzipped.
    pub compress: bool,
}

impl Default for Rotation {
    fn default() -> Rotation {
        Rotation {
            max_bytes: DEFAULT_SIZE * MIB,
            max_age: None,
            max_backups: None,
            local_time: false,
            compress: false,
        }
    }
}

impl Rotation {
    /// Reads a JSON object; names in any case, unknown ones and nulls passed over, as Go does it.
    pub fn parse(text: &str) -> Result<Rotation, String> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| format!("improperly formatted log rotation config: {error}"))?;
        let Value::Object(keys) = value else {
            return Err(format!(
                "invalid log rotation config: json: cannot unmarshal {} into Go value of type \
                 embed.logRotationConfig",
                kind(&value)
            ));
        };
        let mut rotation = Rotation::default();
        for (key, value) in keys.iter().filter(|(_, value)| !value.is_null()) {
            rotation.set(&key.to_ascii_lowercase(), value)?;
        }
        Ok(rotation)
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<(), String> {
        match key {
            "maxsize" => {
                let mib = number(key, value)?.unwrap_or(DEFAULT_SIZE);
                self.max_bytes = mib.saturating_mul(MIB);
            }
            "maxage" => {
                let days = number(key, value)?.map(|days| u32::try_from(days).unwrap_or(u32::MAX));
                self.max_age = days.map(|days| DAY * days);
            }
            "maxbackups" => {
                let count = number(key, value)?;
                self.max_backups = count.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
            }
            "localtime" => self.local_time = boolean(key, value)?,
            "compress" => self.compress = boolean(key, value)?,
            _ => {}
        }
        Ok(())
    }
}

/// A number above 0; `None` for others.
fn number(key: &str, value: &Value) -> Result<Option<u64>, String> {
    match value.as_i64() {
        Some(number) => Ok(u64::try_from(number).ok().filter(|number| *number > 0)),
        None if value.is_number() => Err(mismatch(key, &format!("number {value}"), "int")),
        None => Err(mismatch(key, kind(value), "int")),
    }
}

fn boolean(key: &str, value: &Value) -> Result<bool, String> {
    let value = value.as_bool().ok_or_else(|| kind(value));
    value.map_err(|kind| mismatch(key, kind, "bool"))
}

fn mismatch(key: &str, found: &str, wanted: &str) -> String {
    format!(
        "invalid log rotation config: json: cannot unmarshal {found} into Go struct field \
         logRotationConfig.Logger.{key} of type {wanted}"
    )
}

/// What Go calls a JSON value.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_and_each_key() {
        assert_eq!(Rotation::parse("{}"), Ok(Rotation::default()));
        let text = r#"{"MaxSize": 1, "maxage": 2, "maxbackups": 3, "localtime": true,
                       "compress": true, "filename": "x", "more": null}"#;
        let all = Rotation {
            max_bytes: 1 << 20,
            max_age: Some(Duration::from_secs(172_800)),
            max_backups: Some(3),
            local_time: true,
            compress: true,
        };
        assert_eq!(Rotation::parse(text), Ok(all));
        let nothing = r#"{"maxsize": 0, "maxage": 0, "maxbackups": -1, "compress": null}"#;
        assert_eq!(Rotation::parse(nothing), Ok(Rotation::default()));
    }

    #[test]
    fn etcds_sentences() {
        let said = |text| Rotation::parse(text).unwrap_err();
        let field = "invalid log rotation config: json: cannot unmarshal string into Go struct \
                     field logRotationConfig.Logger.maxsize of type int";
        assert_eq!(said(r#"{"maxsize": "a"}"#), field);
        let field = "invalid log rotation config: json: cannot unmarshal number 1.5 into Go \
                     struct field logRotationConfig.Logger.maxsize of type int";
        assert_eq!(said(r#"{"maxsize": 1.5}"#), field);
        let field = "invalid log rotation config: json: cannot unmarshal number into Go struct \
                     field logRotationConfig.Logger.compress of type bool";
        assert_eq!(said(r#"{"compress": 1}"#), field);
        let whole = "invalid log rotation config: json: cannot unmarshal array into Go value of \
                     type embed.logRotationConfig";
        assert_eq!(said("[1]"), whole);
        assert!(said("{").starts_with("improperly formatted log rotation config: "));
    }
}
