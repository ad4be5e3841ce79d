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
    /// systemd's.
    Journal,
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
        let mut outputs: Vec<LogOutput> = names.iter().map(|name| output(name)).collect();
        outputs.sort();
        outputs.dedup();
        if outputs.len() > 1 && outputs.contains(&LogOutput::Journal) {
            return Err(journal_and_others(names));
        }
        Ok(LogOutputs(outputs))
    }

    /// Whether the journal gets it all.
    #[must_use]
    pub fn is_journal(&self) -> bool {
        self.0 == [LogOutput::Journal]
    }

    /// etcd rotates one file, and nothing else.
    pub fn check_rotation(&self) -> Result<(), String> {
        let is_file =
            |output: &&LogOutput| matches!(output, LogOutput::File(_) | LogOutput::Journal);
        match self.0.iter().filter(is_file).count() {
            1 => Ok(()),
            0 if self.0.len() != 1 => Ok(()),
            _ => Err(
                "--log-outputs requires a single file path when --log-rotate-config-json is defined"
                    .into(),
            ),
        }
    }
}

fn journal_and_others(mut names: Vec<&str>) -> String {
    names.sort_unstable();
    names.dedup();
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    format!(
        "running with systemd/journal but other '--log-outputs' values ([{}]) are configured with \
         'default'; override 'default' value with something else",
        names.join(" ")
    )
}

fn output(name: &str) -> LogOutput {
    match name {
        "default" | "stderr" => LogOutput::Stderr,
        "stdout" => LogOutput::Stdout,
        "systemd/journal" => LogOutput::Journal,
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
        assert_eq!(outputs("systemd/journal"), Ok(vec![LogOutput::Journal]));
        let said = "running with systemd/journal but other '--log-outputs' values \
                    ([\"/a\" \"systemd/journal\"]) are configured with 'default'; \
                    override 'default' value with something else";
        assert_eq!(outputs("systemd/journal,/a"), Err(said.into()));
    }

    #[test]
    fn one_file_can_be_rotated() {
        let rotated = |text: &str| LogOutputs::parse(text).unwrap().check_rotation().is_ok();
        for fine in ["/a", "/a,stderr", "stdout,stderr"] {
            assert!(rotated(fine), "{fine}");
        }
        for wrong in ["/a,/b", "stderr", "stdout", "default"] {
            assert!(!rotated(wrong), "{wrong}");
        }
    }
}
