//! `--auto-compaction-mode` and `--auto-compaction-retention` together.

use std::time::Duration;

use super::values::Nanos;

/// How much history latchd keeps for itself when nobody cares; see [`AutoCompaction::default`].
const DEFAULT_REVISIONS: i64 = 10_000;

/// What history is compacted away without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoCompaction {
    /// None.
    Off,
    /// What is older than this.
    Periodic(Duration),
    /// All but this many revisions.
    Revision(i64),
}

impl Default for AutoCompaction {
    /// On, unlike etcd: a lock's every turn makes history that nobody reads again.
    fn default() -> AutoCompaction {
        AutoCompaction::Revision(DEFAULT_REVISIONS)
    }
}

impl AutoCompaction {
    /// As etcd reads the two flags (`embed.parseCompactionRetention`), with its sentences. Without
    /// a retention the default stays, whatever the mode.
    pub fn from_flags(mode: Option<&str>, retention: Option<&str>) -> Result<Self, String> {
        let by_revision = match mode {
            None | Some("periodic") => false,
            Some("revision") => true,
            Some("") => return Err("undefined auto-compaction-mode".into()),
            Some(other) => return Err(format!("unknown auto-compaction-mode {other:?}")),
        };
        let Some(retention) = retention else {
            return Ok(AutoCompaction::default());
        };
        if retention.is_empty() {
            return Ok(AutoCompaction::Off);
        }
        let number: Option<i64> = retention.parse().ok().filter(|number| *number >= 0);
        match number {
            Some(0) => Ok(AutoCompaction::Off),
            Some(revisions) if by_revision => Ok(AutoCompaction::Revision(revisions)),
            Some(hours) => duration(&format!("{hours}h")).map(AutoCompaction::periodic),
            // etcd takes "5m" for a number of revisions, which no store reaches.
            None if by_revision => duration(retention).and_then(|_| {
                Err(format!(
                    "error parsing CompactionRetention: {retention:?} is not a number of revisions"
                ))
            }),
            None => duration(retention).map(AutoCompaction::periodic),
        }
    }

    fn periodic(every: Option<Duration>) -> AutoCompaction {
        every.map_or(AutoCompaction::Off, AutoCompaction::Periodic)
    }
}

fn duration(text: &str) -> Result<Option<Duration>, String> {
    let nanos = Nanos::parse(text)
        .map_err(|reason| format!("error parsing CompactionRetention: {reason}"))?;
    if nanos.0 < 0 {
        return Err(format!(
            "error parsing CompactionRetention: {text:?} is negative"
        ));
    }
    Ok(nanos.positive())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn read(mode: &str, retention: &str) -> Result<AutoCompaction, String> {
        let given = |text| (text != "-").then_some(text);
        AutoCompaction::from_flags(given(mode), given(retention))
    }

    #[test]
    fn on_unless_turned_off() {
        let default = AutoCompaction::Revision(10_000);
        assert_eq!(read("-", "-"), Ok(default));
        assert_eq!(read("periodic", "-"), Ok(default));
        for mode in ["-", "periodic", "revision"] {
            assert_eq!(read(mode, "0"), Ok(AutoCompaction::Off));
        }
        assert_eq!(read("-", "0h"), Ok(AutoCompaction::Off));
    }

    #[test]
    fn both_modes() {
        assert_eq!(read("-", "2"), Ok(AutoCompaction::Periodic(2 * HOUR)));
        assert_eq!(
            read("periodic", "30m"),
            Ok(AutoCompaction::Periodic(HOUR / 2))
        );
        assert_eq!(read("revision", "7"), Ok(AutoCompaction::Revision(7)));
    }

    #[test]
    fn etcds_sentences() {
        let unknown = r#"unknown auto-compaction-mode "foo""#;
        assert_eq!(read("foo", "-"), Err(unknown.into()));
        let bad = r#"error parsing CompactionRetention: time: invalid duration "abc""#;
        assert_eq!(read("-", "abc"), Err(bad.into()));
        let unit = r#"error parsing CompactionRetention: time: missing unit in duration "-1""#;
        assert_eq!(read("-", "-1"), Err(unit.into()));
        assert!(read("-", "-5m").is_err());
        assert_eq!(read("revision", "abc"), Err(bad.into()));
        assert!(read("revision", "5m").is_err());
        assert_eq!(read("-", ""), Ok(AutoCompaction::Off));
    }
}
