//! The log: lines with etcd's fields, to where `--log-outputs` says.

mod rotation;

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use serde_json::Value;
use thiserror::Error as ThisError;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, LogLevel, LogOutput, LogSettings, Rotation};
use rotation::RotatedFile;

/// Why lines cannot go where they should; the sentences are etcd's.
#[derive(Debug, ThisError)]
pub enum SinkError {
    /// A file can't be opened.
    #[error("open sink {path:?}: open {path}: {reason}")]
    File {
        /// As it was given.
        path: String,
        /// What the operating system said.
        reason: String,
    },
    /// There is no journal.
    #[error("can't find journal (dial unixgram {JOURNAL}: connect: {reason})")]
    NoJournal {
        /// What the operating system said.
        reason: String,
    },
}

/// Where systemd's journal listens.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// Sets up the process's log.
pub fn start(settings: &LogSettings) -> Result<(), SinkError> {
    let level = filter(settings.level);
    // What libraries say at debug is about frames and sockets.
    let others = level.min(LevelFilter::WARN);
    let targets = Targets::new()
        .with_default(others)
        .with_target("latchd", level);
    let (mut lines, mut entries) = (None, None);
    if settings.outputs.is_journal() {
        entries = Some(journal()?);
    } else {
        let sinks = Sinks::open(settings)?;
        let format = Lines(settings.format);
        let layer = tracing_subscriber::fmt::layer().event_format(format);
        lines = Some(layer.with_writer(sinks));
    }
    let log = tracing_subscriber::registry().with(targets);
    let log = log.with(lines).with(entries);
    // It fails where there is a log already, which then stays.
    let _ = log.try_init();
    Ok(())
}

/// The journal keeps the fields apart, so it gets events and no lines.
fn journal() -> Result<tracing_journald::Layer, SinkError> {
    let layer = tracing_journald::layer().map_err(|error| SinkError::NoJournal {
        reason: crate::config::os_text(&error),
    })?;
    let levels = PriorityMappings {
        error: Priority::Error,
        warn: Priority::Warning,
        info: Priority::Informational,
        debug: Priority::Debug,
        trace: Priority::Debug,
    };
    let layer = layer.with_syslog_identifier("latchd".to_owned());
    Ok(layer.with_priority_mappings(levels))
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error | LogLevel::Panic | LogLevel::Fatal => LevelFilter::ERROR,
    }
}

/// Formats an event as zap does in etcd.
struct Lines(LogFormat);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (level, caller) = (name(*metadata.level()), caller(metadata));
        match self.0 {
            LogFormat::Json => writeln!(
                writer,
                r#"{{"level":"{level}","ts":"{time}","caller":{},"msg":{}{}}}"#,
                Value::from(caller),
                Value::from(fields.message),
                fields.rest
            ),
            LogFormat::Console => {
                write!(writer, "{time}\t{level}\t{caller}\t{}", fields.message)?;
                match fields.rest.strip_prefix(',') {
                    Some(rest) => writeln!(writer, "\t{{{rest}}}"),
                    None => writeln!(writer),
                }
            }
        }
    }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::TRACE | Level::DEBUG => "debug",
        Level::INFO => "info",
        Level::WARN => "warn",
        Level::ERROR => "error",
    }
}

/// The last folder, the file and the line, as zap's short caller.
fn caller(metadata: &Metadata<'_>) -> String {
    let file = metadata.file().unwrap_or_else(|| metadata.target());
    let start = file.rmatch_indices('/').nth(1).map_or(0, |(at, _)| at + 1);
    format!("{}:{}", &file[start..], metadata.line().unwrap_or(0))
}

/// An event's message, and its fields as `,"name":value`.
#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
}

impl Fields {
    fn add(&mut self, field: &Field, value: &Value) {
        if field.name() == "message" {
            self.message = value.as_str().map_or_else(|| value.to_string(), Into::into);
            return;
        }
        let name = Value::from(field.name());
        self.rest.push_str(&format!(",{name}:{value}"));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, &format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, &value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, &value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, &value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, &value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, &value.into());
    }
}

/// Every place that lines go to; cheap to clone.
#[derive(Clone)]
struct Sinks(Arc<Vec<Sink>>);

enum Sink {
    Stderr,
    Stdout,
    File(File),
    Rotated(RotatedFile),
}

impl Sinks {
    fn open(settings: &LogSettings) -> Result<Sinks, SinkError> {
        let outputs = settings.outputs.0.iter();
        let sinks: Result<Vec<Sink>, SinkError> = outputs
            .filter_map(|output| Sink::open(output, settings.rotation.as_ref()).transpose())
            .collect();
        Ok(Sinks(Arc::new(sinks?)))
    }
}

impl Sink {
    /// `None` for what gets no lines.
    fn open(output: &LogOutput, rotation: Option<&Rotation>) -> Result<Option<Sink>, SinkError> {
        let path = match output {
            LogOutput::Stderr => return Ok(Some(Sink::Stderr)),
            LogOutput::Stdout => return Ok(Some(Sink::Stdout)),
            LogOutput::Journal => return Ok(None),
            LogOutput::File(path) => path,
        };
        let sink = match rotation {
            Some(rotation) => RotatedFile::open(path, rotation.clone()).map(Sink::Rotated),
            None => {
                let file = File::options().append(true).create(true).open(path);
                file.map(Sink::File)
            }
        };
        sink.map(Some).map_err(|error| SinkError::File {
            path: path.display().to_string(),
            reason: crate::config::os_text(&error),
        })
    }

    fn write_all(&self, line: &[u8]) -> io::Result<()> {
        match self {
            Sink::Stderr => io::stderr().write_all(line),
            Sink::Stdout => io::stdout().write_all(line),
            Sink::File(file) => (&*file).write_all(line),
            Sink::Rotated(file) => file.write_all(line),
        }
    }
}

impl Write for Sinks {
    /// One sink that fails keeps no line from the others.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        for sink in self.0.iter() {
            let _ = sink.write_all(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sinks {
    type Writer = Sinks;

    fn make_writer(&'a self) -> Sinks {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogOutputs;

    fn to_file(path: std::path::PathBuf) -> LogSettings {
        LogSettings {
            level: LogLevel::Info,
            format: LogFormat::Json,
            outputs: LogOutputs(vec![LogOutput::File(path)]),
            rotation: None,
        }
    }

    /// What is logged by `say`.
    fn logged(format: LogFormat, say: impl FnOnce()) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let lines = tracing_subscriber::fmt::layer()
            .event_format(Lines(format))
            .with_writer(Sinks::open(&to_file(path.clone())).unwrap());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), say);
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn json_lines_have_etcds_fields() {
        let error = "a \"bad\"\nthing";
        let line = logged(LogFormat::Json, || {
            tracing::warn!(%error, count = 3, "data-dir" = "/d", on = true, "what {}", "happened");
        });
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["level"], "warn");
        assert_eq!(value["msg"], "what happened");
        assert_eq!(value["error"], error);
        assert_eq!(value["count"], 3);
        assert_eq!(value["data-dir"], "/d");
        assert_eq!(value["on"], true);
        let caller = value["caller"].as_str().unwrap();
        assert!(caller.starts_with("src/logging.rs:"), "{caller}");
        // 2006-01-02T15:04:05.999999Z
        let ts = value["ts"].as_str().unwrap();
        assert!(
            ts.len() == 27 && ts.ends_with('Z') && ts[19..].starts_with('.'),
            "{ts}"
        );
        assert!(line.starts_with(r#"{"level":"warn","ts":""#) && line.ends_with("}\n"));
    }

    #[test]
    fn console_lines_have_columns() {
        let line = logged(LogFormat::Console, || tracing::info!(port = 1, "ready"));
        let columns: Vec<&str> = line.trim_end().split('\t').collect();
        assert_eq!(columns[1], "info");
        assert_eq!(columns[3..], ["ready", r#"{"port":1}"#]);
        let line = logged(LogFormat::Console, || tracing::info!("ready"));
        assert!(line.ends_with("\tready\n"), "{line}");
    }

    #[test]
    fn a_file_that_cannot_be_opened() {
        let error = Sinks::open(&to_file("/nope/x".into())).map(drop);
        let error = error.unwrap_err().to_string();
        let said = r#"open sink "/nope/x": open /nope/x: no such file or directory"#;
        assert_eq!(error, said);
    }

    #[test]
    fn without_a_journal_etcds_sentence() {
        match journal() {
            Ok(_) => assert!(std::path::Path::new(JOURNAL).exists()),
            Err(error) => {
                let said =
                    "can't find journal (dial unixgram /run/systemd/journal/socket: connect: ";
                assert!(error.to_string().starts_with(said), "{error}");
            }
        }
    }
}
