//! The table of what came of all programs, and what is to be said about it.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

use comfy_table::{Cell, Table, presets};

use super::{Program, Scenario, expected, play::Verdict};

/// The table, and what is to be said about it.
pub(super) struct Report {
    hosts: Vec<String>,
    /// By program and scenario, in the order they came: a mark for each host.
    rows: Vec<((String, String), BTreeMap<String, &'static str>)>,
    details: Vec<String>,
    notes: Vec<String>,
    pub(super) failed: usize,
}

impl Report {
    pub(super) fn new(hosts: Vec<String>) -> Self {
        Self {
            hosts,
            rows: Vec::new(),
            details: Vec::new(),
            notes: Vec::new(),
            failed: 0,
        }
    }

    /// Adds what came of a program's scenario on a host.
    pub(super) fn add(&mut self, program: &str, scenario: &str, host: &str, verdict: Verdict) {
        let mark = match verdict {
            Verdict::Passed => "passed",
            Verdict::Cannot(why) => {
                self.note_once(format!("{program} {scenario}: {why}"));
                "-"
            }
            Verdict::Skipped(why) => {
                self.note_once(format!("SKIPPED {program}: {why}"));
                "skipped"
            }
            Verdict::Failed(why) => {
                self.failed += 1;
                self.details
                    .push(format!("FAILED {program} {scenario} on {host}:\n{why}"));
                "FAILED"
            }
        };
        let key = (program.to_owned(), scenario.to_owned());
        if !self.rows.iter().any(|(row, _)| *row == key) {
            self.rows.push((key.clone(), BTreeMap::new()));
        }
        for (row, marks) in &mut self.rows {
            if *row == key {
                marks.insert(host.to_owned(), mark);
            }
        }
    }

    /// Says what the library keeps from its program there.
    pub(super) fn note(&mut self, program: Program, scenario: Scenario) {
        if let Some(hidden) = expected::hidden(program, scenario) {
            self.note_once(format!("{program} {scenario}: {hidden}"));
        }
    }

    fn note_once(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        let mut header = vec!["program".to_owned(), "scenario".to_owned()];
        header.extend(self.hosts.iter().cloned());
        table.set_header(header);
        for ((program, scenario), marks) in &self.rows {
            let mut row = vec![Cell::new(program), Cell::new(scenario)];
            let mark = |host| marks.get(host).copied().unwrap_or_default();
            row.extend(self.hosts.iter().map(|host| Cell::new(mark(host))));
            table.add_row(row);
        }
        writeln!(f, "{table}\n")?;
        for line in self.notes.iter().chain(&self.details) {
            writeln!(f, "{line}")?;
        }
        self.totals(f)
    }
}

impl Report {
    fn totals(&self, f: &mut impl Write) -> fmt::Result {
        let count = |mark| {
            let marks = self.rows.iter().flat_map(|(_, marks)| marks.values());
            marks.filter(|found| **found == mark).count()
        };
        let (passed, failed) = (count("passed"), count("FAILED"));
        write!(
            f,
            "\n{passed} passed, {failed} failed, {} skipped",
            count("skipped")
        )
    }
}
