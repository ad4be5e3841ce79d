//! The table of what came of all programs, and what is to be said about it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use comfy_table::{Table, presets};

use super::{Program, Scenario, expected, play::Verdict};

/// A row for each program and host, a column for each scenario.
#[derive(Default)]
pub(super) struct Report {
    rows: Vec<(String, String, BTreeMap<Scenario, &'static str>)>,
    notes: Vec<String>,
    failures: Vec<String>,
    passed: usize,
    skipped: usize,
}

impl Report {
    /// Adds what came of a program on a host.
    pub(super) fn add(
        &mut self,
        name: &str,
        host: &str,
        verdicts: impl IntoIterator<Item = (Scenario, Verdict)>,
    ) {
        let mut marks = BTreeMap::new();
        for (scenario, verdict) in verdicts {
            marks.insert(scenario, self.mark(name, host, scenario, verdict));
        }
        self.rows.push((name.to_owned(), host.to_owned(), marks));
    }

    fn mark(
        &mut self,
        name: &str,
        host: &str,
        scenario: Scenario,
        verdict: Verdict,
    ) -> &'static str {
        match verdict {
            Verdict::Passed => {
                self.passed += 1;
                "passed"
            }
            Verdict::Failed(why) => {
                let failure = format!("FAILED {name} {scenario} on {host}: {why}");
                self.failures.push(failure);
                "FAILED"
            }
            Verdict::Cannot(why) => {
                self.note(format!("{name}: {why}"));
                "-"
            }
            Verdict::Skipped(why) => {
                self.skipped += 1;
                self.note(format!("SKIPPED {name}: {why}"));
                "skipped"
            }
        }
    }

    /// Says what a library keeps from its program.
    pub(super) fn explain(&mut self, program: Program) {
        for scenario in Scenario::COMMON {
            if let Some(why) = expected::hidden(program, scenario) {
                self.note(format!("{program}: {why}"));
            }
        }
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Whether nothing failed.
    pub(super) fn is_good(&self) -> bool {
        self.failures.is_empty()
    }

    fn table(&self) -> Table {
        let marks = self.rows.iter().flat_map(|(_, _, marks)| marks.keys());
        let columns: BTreeSet<Scenario> = marks.copied().collect();
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let titles = columns.iter().map(ToString::to_string);
        let header = ["program".to_owned(), "server".to_owned()];
        table.set_header(header.into_iter().chain(titles));
        for (name, host, marks) in &self.rows {
            let cells = columns.iter().map(|column| marks.get(column).copied());
            let start = [name.as_str(), host.as_str()].into_iter();
            table.add_row(start.chain(cells.map(Option::unwrap_or_default)));
        }
        table
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.table().trim_fmt())?;
        for line in self.notes.iter().chain(&self.failures) {
            writeln!(f, "{line}")?;
        }
        let (passed, failed) = (self.passed, self.failures.len());
        write!(
            f,
            "\n{passed} passed, {failed} failed, {} skipped",
            self.skipped
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        let verdicts = [
            (Scenario::Lock, Verdict::Passed),
            (Scenario::Elect, Verdict::Cannot("it has no elections")),
        ];
        report.add("one", "latchd", verdicts);
        let skipped = Verdict::Skipped("`apt-get install it`".to_owned());
        report.add("two", "latchd", [(Scenario::Lock, skipped)]);
        report
    }

    #[test]
    fn what_cannot_be_played_is_said_with_its_reason() {
        let report = report();
        assert!(report.is_good());
        let shown = report.to_string();
        for part in [
            "one: it has no elections\n",
            "SKIPPED two: `apt-get install it`\n",
            "1 passed, 0 failed, 1 skipped",
        ] {
            assert!(shown.contains(part), "{shown}");
        }
    }

    #[test]
    fn one_failure_is_shown_and_makes_it_bad() {
        let mut report = report();
        let failed = Verdict::Failed("it saw two holders".to_owned());
        report.add("one", "etcd", [(Scenario::Lock, failed)]);
        assert!(!report.is_good());
        let shown = report.to_string();
        let line = "FAILED one lock on etcd: it saw two holders\n";
        assert!(shown.contains(line), "{shown}");
        assert!(shown.ends_with("1 passed, 1 failed, 1 skipped"), "{shown}");
    }
}
