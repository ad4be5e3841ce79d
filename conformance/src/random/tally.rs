//! What programs were made of: how often each operation succeeded, was refused, was left out.

use std::{collections::BTreeMap, fmt};

use comfy_table::{Cell, CellAlignment, Table, presets::NOTHING};

use crate::model::{Answer, Response};

/// How an operation went, on all sides alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Went {
    /// It was carried out.
    Fine,
    /// It was refused, with this text.
    Refused(String),
    /// It waits.
    Waiting,
    /// It had no meaning where it stood.
    Skipped,
}

impl Went {
    /// How a call went that was answered.
    #[must_use]
    pub fn of(answer: &Answer) -> Self {
        match answer {
            Ok(Response::Waiting(_)) => Self::Waiting,
            Ok(_) => Self::Fine,
            Err(failure) => Self::Refused(failure.to_string()),
        }
    }
}

/// Counts of one kind of operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    fine: usize,
    waiting: usize,
    refused: usize,
    skipped: usize,
}

/// Counts by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    kinds: BTreeMap<&'static str, Counts>,
    refusals: BTreeMap<String, usize>,
    /// How many events were compared on each server.
    pub events: usize,
    /// How many programs were played to their end.
    pub programs: usize,
}

impl Tally {
    /// Counts one operation.
    pub fn count(&mut self, kind: &'static str, went: &Went) {
        let counts = self.kinds.entry(kind).or_default();
        match went {
            Went::Fine => counts.fine += 1,
            Went::Waiting => counts.waiting += 1,
            Went::Skipped => counts.skipped += 1,
            Went::Refused(why) => {
                counts.refused += 1;
                *self.refusals.entry(why.clone()).or_default() += 1;
            }
        }
    }

    /// Takes the counts of another one over.
    pub fn add(&mut self, other: Self) {
        for (kind, more) in other.kinds {
            let counts = self.kinds.entry(kind).or_default();
            counts.fine += more.fine;
            counts.waiting += more.waiting;
            counts.refused += more.refused;
            counts.skipped += more.skipped;
        }
        for (why, more) in other.refusals {
            *self.refusals.entry(why).or_default() += more;
        }
        self.events += other.events;
        self.programs += other.programs;
    }

    /// Operations that were compared: those that were left out and the later answers of calls that
    /// waited are not among them.
    #[must_use]
    pub fn compared(&self) -> usize {
        let kinds = self.kinds.iter().filter(|(kind, _)| !kind.starts_with('('));
        kinds.map(|(_, counts)| counts.compared()).sum()
    }

    /// How often an operation of this kind was carried out or had to wait.
    #[must_use]
    pub fn fine(&self, kind: &str) -> usize {
        let counts = self.kinds.get(kind);
        counts.map_or(0, |counts| counts.fine + counts.waiting)
    }

    /// How often an operation of this kind was refused.
    #[must_use]
    pub fn refused(&self, kind: &str) -> usize {
        self.kinds.get(kind).map_or(0, |counts| counts.refused)
    }
}

impl Counts {
    fn compared(&self) -> usize {
        self.fine + self.waiting + self.refused
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let compared = self.compared();
        let mut table = table(&["operation", "fine", "waits", "refused", "left out", "share"]);
        for (kind, counts) in &self.kinds {
            let share = 100.0 * counts.compared() as f64 / compared.max(1) as f64;
            let mut row = vec![Cell::new(kind)];
            row.extend([counts.fine, counts.waiting, counts.refused, counts.skipped].map(number));
            row.push(number(format!("{share:.1} %")));
            table.add_row(row);
        }
        writeln!(f, "{table}\n")?;
        let mut table = self::table(&["refused with", "times"]);
        for (why, times) in &self.refusals {
            table.add_row([Cell::new(why), number(times)]);
        }
        writeln!(f, "{table}\n")?;
        write!(
            f,
            "{compared} operations in {} programs, {} watch events on each server",
            self.programs, self.events
        )
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.to_vec());
    table
}

fn number(number: impl fmt::Display) -> Cell {
    Cell::new(number).set_alignment(CellAlignment::Right)
}
