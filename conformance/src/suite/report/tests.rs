#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;
use crate::suite::compare::Difference;

fn judged(family: &str, case: &str, verdict: Verdict) -> Judged {
    let mut judged = Judged::new(family, case, verdict);
    if judged.verdict == Verdict::Different {
        judged.differences.push(Difference {
            step: 2,
            what: "KV/Range".to_owned(),
            request: json!({"key": "a"}),
            path: "count".to_owned(),
            tested: Some(json!("1")),
            reference: None,
        });
    }
    judged
}

fn outcome() -> Outcome {
    Outcome {
        cases: vec![
            judged("kv", "a", Verdict::Equal),
            judged("kv", "b", Verdict::Different),
            judged("kv", "c", Verdict::Broken("no answer".to_owned())),
            judged("lease", "d", Verdict::Explained),
            judged("lease", "e", Verdict::Skipped("own servers".to_owned())),
        ],
        pending: vec![("auth", "users")],
        stale: vec!["an old reason"],
    }
}

#[test]
fn the_table_ends_with_the_totals() {
    let text = table(&outcome());
    let last = text.lines().last().unwrap();
    assert_eq!(
        last,
        "5 cases: 1 equal, 1 explained, 2 different, 1 skipped; pending: auth"
    );
}

#[test]
fn the_table_shows_what_differs_and_what_is_stale() {
    let text = table(&outcome());
    for part in [
        "kv/b: DIFFERENT",
        "count",
        "(absent)",
        "an old reason",
        "pending",
    ] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    assert!(!text.contains("kv/a"), "{text}");
}

#[test]
fn json_has_every_verdict() {
    let value: Value = serde_json::from_str(&json(&outcome()).unwrap()).unwrap();
    let verdicts: Vec<&Value> = (0..5).map(|at| &value["cases"][at]["verdict"]).collect();
    assert_eq!(
        verdicts,
        ["equal", "different", "broken", "explained", "skipped"]
    );
    assert_eq!(value["cases"][1]["differences"][0]["path"], "count");
    assert_eq!(value["stale"][0], "an old reason");
}

#[test]
fn junit_counts_failures_errors_and_what_is_pending() {
    let text = junit(&outcome()).unwrap();
    let report = Report::deserialize_from_str(&text).unwrap();
    assert_eq!(report.tests, 7, "{text}");
    assert_eq!((report.failures, report.errors), (2, 1), "{text}");
    assert_eq!(text.matches("<skipped").count(), 2, "{text}");
}

#[test]
fn only_differences_faults_and_stale_reasons_are_bad() {
    let mut good = outcome();
    assert!(!good.is_good());
    good.cases
        .retain(|judged| !matches!(judged.verdict, Verdict::Different | Verdict::Broken(_)));
    assert!(!good.is_good(), "the stale reason");
    good.stale.clear();
    assert!(good.is_good());
}
