//! What came of a run, in three forms.

use std::{collections::BTreeMap, fmt::Write};

use anyhow::Result;
use comfy_table::Table;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::runner::{Judged, Outcome, Verdict};

/// How many cases came out how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    cases: usize,
    equal: usize,
    explained: usize,
    different: usize,
    skipped: usize,
}

impl Counts {
    fn add(&mut self, verdict: &Verdict) {
        self.cases += 1;
        let count = match verdict {
            Verdict::Equal => &mut self.equal,
            Verdict::Explained => &mut self.explained,
            Verdict::Different | Verdict::Broken(_) => &mut self.different,
            Verdict::Skipped(_) => &mut self.skipped,
        };
        *count += 1;
    }

    fn cells(self) -> [String; 5] {
        let Self {
            cases,
            equal,
            explained,
            different,
            skipped,
        } = self;
        [cases, equal, explained, different, skipped].map(|count| count.to_string())
    }
}

/// For people: what differs, a table by family, one last line.
#[must_use]
pub fn table(outcome: &Outcome) -> String {
    let mut text = String::new();
    for judged in &outcome.cases {
        text.push_str(&told(judged));
    }
    for reason in &outcome.stale {
        let _ = writeln!(
            text,
            "stale: nothing differs any more for this reason: {reason}"
        );
    }
    let _ = writeln!(text, "{}", by_family(outcome));
    let mut total = Counts::default();
    outcome
        .cases
        .iter()
        .for_each(|judged| total.add(&judged.verdict));
    let pending: Vec<&str> = outcome.pending.iter().map(|(family, _)| *family).collect();
    let pending = match pending.as_slice() {
        [] => String::new(),
        families => format!("; pending: {}", families.join(", ")),
    };
    let Counts {
        cases,
        equal,
        explained,
        different,
        skipped,
    } = total;
    let _ = writeln!(
        text,
        "{cases} cases: {equal} equal, {explained} explained, {different} different, {skipped} skipped{pending}"
    );
    text
}

fn by_family(outcome: &Outcome) -> Table {
    let mut families: Vec<&str> = Vec::new();
    let mut counts: BTreeMap<&str, Counts> = BTreeMap::new();
    for judged in &outcome.cases {
        if !families.contains(&judged.family.as_str()) {
            families.push(&judged.family);
        }
        counts
            .entry(&judged.family)
            .or_default()
            .add(&judged.verdict);
    }
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "family",
        "cases",
        "equal",
        "explained",
        "different",
        "skipped",
    ]);
    for family in families {
        let cells = counts[family].cells();
        table.add_row([family.to_owned()].into_iter().chain(cells));
    }
    for (family, _) in &outcome.pending {
        table.add_row([*family, "pending"]);
    }
    table
}

/// What people want to know of a case: nothing, when it is equal.
fn told(judged: &Judged) -> String {
    const MOST: usize = 12;
    let name = format!("{}/{}", judged.family, judged.case);
    match &judged.verdict {
        Verdict::Equal => String::new(),
        Verdict::Explained => {
            let reasons: Vec<&str> = judged.reasons.iter().copied().collect();
            format!("{name}: explained: {}\n", reasons.join("; "))
        }
        Verdict::Broken(why) => format!("{name}: BROKEN: {why}\n"),
        Verdict::Skipped(why) => format!("{name}: skipped: {why}\n"),
        Verdict::Different => {
            let shown = judged.differences.iter().take(MOST);
            let mut text = format!("{name}: DIFFERENT\n");
            for difference in shown {
                let _ = writeln!(text, "  {}", difference.to_string().replace('\n', "\n  "));
            }
            if let Some(more @ 1..) = judged.differences.len().checked_sub(MOST) {
                let _ = writeln!(text, "  … and {more} more");
            }
            text
        }
    }
}

/// All verdicts and differences.
///
/// # Errors
/// When it has no JSON.
pub fn json(outcome: &Outcome) -> Result<String> {
    Ok(serde_json::to_string_pretty(outcome)? + "\n")
}

/// A test suite for each family; a pending one has a single skipped case.
///
/// # Errors
/// When it has no XML.
pub fn junit(outcome: &Outcome) -> Result<String> {
    let mut suites: Vec<TestSuite> = Vec::new();
    for judged in &outcome.cases {
        let known = suites.iter().position(|s| s.name.as_str() == judged.family);
        let at = known.unwrap_or(suites.len());
        if known.is_none() {
            suites.push(TestSuite::new(&judged.family));
        }
        let mut case = TestCase::new(&judged.case, status(judged));
        case.set_classname(&judged.family);
        case.set_time(std::time::Duration::from_secs_f64(judged.seconds));
        suites[at].add_test_case(case);
    }
    for (family, about) in &outcome.pending {
        let mut suite = TestSuite::new(*family);
        let mut status = TestCaseStatus::skipped();
        status.set_message(format!("pending: {about}"));
        suite.add_test_case(TestCase::new("pending", status));
        suites.push(suite);
    }
    suites.extend(stale(outcome));
    let mut report = Report::new("latchd-conformance");
    report.add_test_suites(suites);
    Ok(report.to_string()?)
}

fn stale(outcome: &Outcome) -> Option<TestSuite> {
    let mut suite = TestSuite::new("explanations");
    for reason in &outcome.stale {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message("nothing differs any more for this reason");
        suite.add_test_case(TestCase::new(*reason, status));
    }
    (!outcome.stale.is_empty()).then_some(suite)
}

fn status(judged: &Judged) -> TestCaseStatus {
    let (mut status, message) = match &judged.verdict {
        Verdict::Equal | Verdict::Explained => return TestCaseStatus::success(),
        Verdict::Skipped(why) => (TestCaseStatus::skipped(), why.clone()),
        Verdict::Broken(why) => (
            TestCaseStatus::non_success(NonSuccessKind::Error),
            why.clone(),
        ),
        Verdict::Different => (
            TestCaseStatus::non_success(NonSuccessKind::Failure),
            "the servers differ".to_owned(),
        ),
    };
    status.set_message(message);
    if !judged.differences.is_empty() {
        status.set_description(told(judged));
    }
    status
}

#[cfg(test)]
mod tests;
