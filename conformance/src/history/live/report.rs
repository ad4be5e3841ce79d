//! What a history came to.

use std::{
    fmt::{self, Display, Formatter},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::time::Instant;

use crate::history::{
    check::check,
    record::{History, Outcome},
};

/// What a run, or a history from a file, came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Requests.
    pub ops: usize,
    /// Those of them whose outcome nobody knows.
    pub unknown: usize,
    /// Revisions.
    pub revisions: i64,
    /// Watch streams.
    pub streams: usize,
    /// Events that watches were told.
    pub events: usize,
    /// Locks that were held.
    pub holds: usize,
    /// Kills of the server.
    pub kills: usize,
    /// How long the recording took, if it was just made.
    pub recorded: Option<Duration>,
    /// How long the check took.
    pub checked: Duration,
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requests ({} of unknown outcome), {} revisions, {} kills",
            self.ops, self.unknown, self.revisions, self.kills
        )?;
        if let Some(recorded) = self.recorded {
            write!(f, ", in {recorded:.1?}")?;
        }
        writeln!(f)?;
        write!(
            f,
            "{} events on {} watch streams, {} locks held; checked in {:.1?}: all as it must be",
            self.events, self.streams, self.holds, self.checked
        )
    }
}

/// Checks a history from a file.
///
/// # Errors
/// When it cannot be read, or with the violation.
pub fn check_file(path: &Path) -> Result<Report> {
    judge(&History::load(path)?)
}

/// Checks a history and saves it in `directory`; where none is named, only if
/// there is a violation, in the one for temporary files.
///
/// # Errors
/// With the violation and the file, or when that cannot be written.
pub fn judge_and_save(history: &History, directory: Option<&Path>, name: &str) -> Result<Report> {
    let verdict = judge(history);
    if verdict.is_ok() && directory.is_none() {
        return verdict;
    }
    let temporary = std::env::temp_dir().join("latchd-histories");
    let file = format!("{name}-{}.jsonl", std::process::id());
    let path = directory.unwrap_or(&temporary).join(file);
    history.save(&path)?;
    verdict.with_context(|| format!("the history is in {}", path.display()))
}

/// Checks a history.
///
/// # Errors
/// With the violation.
pub fn judge(history: &History) -> Result<Report> {
    let begun = Instant::now();
    let timeline = check(history)?;
    let unknown = |outcome: &Outcome| matches!(outcome, Outcome::Unknown { .. });
    let streams = || history.watchers.iter().flat_map(|watcher| &watcher.streams);
    let told = streams().flat_map(|stream| &stream.told);
    Ok(Report {
        ops: history.ops.len(),
        unknown: history.ops.iter().filter(|op| unknown(&op.outcome)).count(),
        revisions: timeline.last() - history.start.revision,
        streams: streams().count(),
        events: told.map(|told| told.events.len()).sum(),
        holds: history.holds.len(),
        kills: history.restarts.len(),
        checked: begun.elapsed(),
        recorded: None,
    })
}
