//! `--log-level`, `--log-format` and `--log-outputs`.

use std::path::PathBuf;

/// etcd's log levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl LogLevel {
    /// In small letters or capitals, as zap reads them.
    pub fn parse(text: &str) -> Result<LogLevel, String> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "debug" => LogLevel::Debug,
            "info" | "" => LogLevel::Info,
            "warn" | "warning" => LogLevel::Warn,
            "error" => LogLevel::Error,
            "panic" | "dpanic" => LogLevel::Panic,
            "fatal" => LogLevel::Fatal,
            _ => return Err(format!("unrecognized level: {text:?}")),
        })
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// A JSON object.
    #[default]
    Json,
    /// Columns with tabs between them.
    Console,
}

impl LogFormat {
    /// By name.
    pub fn parse(text: &str) -> Result<LogFormat, String> {
        match text {
            "json" | "" => Ok(LogFormat::Json),
            "console" => Ok(LogFormat::Console),
            _ => Err(format!(
                "unknown log format: {text}, supported values json, console"
            )),
        }
    }
}

/// Where the log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOutputs(pub Vec<LogOutput>);

/// One place that the log goes to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum LogOutput {
    Stderr,
    Stdout,
    /// Appended to.
    File(PathBuf),
}

impl LogOutputs {
    /// Names with commas between them. `/dev/null` among them is all that there is, as in etcd.
    pub fn parse(text: &str) -> Result<LogOutputs, String> {
        let names: Vec<&str> = text.split(',').map(str::trim).collect();
        if names.len() > 1 && names.contains(&"default") {
            return Err(r#"multi logoutput for "default" is not supported yet"#.into());
        }
        if names.contains(&"/dev/null") {
            return Ok(LogOutputs(Vec::new()));
        }
        let mut outputs: Vec<LogOutput> = names.into_iter().map(output).collect();
        outputs.sort();
        outputs.dedup();
        Ok(LogOutputs(outputs))
    }

    /// etcd rotates one file, and nothing else.
    pub fn check_rotation(&self) -> Result<(), String> {
        let is_file = |output: &&LogOutput| matches!(output, LogOutput::File(_));
        if self.0.iter().filter(is_file).count() == 1 {
            return Ok(());
        }
        Err(
            "--log-outputs requires a single file path when --log-rotate-config-json is defined"
                .into(),
        )
    }
}

fn output(name: &str) -> LogOutput {
    match name {
        // The journal reads a unit's stderr.
        "" | "default" | "stderr" | "systemd/journal" => LogOutput::Stderr,
        "stdout" => LogOutput::Stdout,
        path => LogOutput::File(path.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_formats() {
        assert_eq!(LogLevel::parse("WARN"), Ok(LogLevel::Warn));
        let said = r#"unrecognized level: "loud""#;
        assert_eq!(LogLevel::parse("loud"), Err(said.into()));
        let said = "unknown log format: xml, supported values json, console";
        assert_eq!(LogFormat::parse("xml"), Err(said.into()));
    }

    #[test]
    fn outputs() {
        let outputs = |text: &str| LogOutputs::parse(text).map(|outputs| outputs.0);
        assert_eq!(outputs("default"), Ok(vec![LogOutput::Stderr]));
        let three = vec![
            LogOutput::Stderr,
            LogOutput::Stdout,
            LogOutput::File("/a".into()),
        ];
        assert_eq!(outputs("/a,stdout,stderr,/a"), Ok(three));
        assert_eq!(outputs("stderr,/dev/null"), Ok(Vec::new()));
        assert!(outputs("default,stderr").is_err());
        assert!(LogOutputs::parse("/a").unwrap().check_rotation().is_ok());
        assert!(
            LogOutputs::parse("/a,/b")
                .unwrap()
                .check_rotation()
                .is_err()
        );
        assert!(
            LogOutputs::parse("stderr")
                .unwrap()
                .check_rotation()
                .is_err()
        );
    }
}
