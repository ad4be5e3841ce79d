//! Where two masked transcripts differ.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::transcript::{Step, Transcript};

/// One place at which the servers answered differently.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The step's number, from 1.
    pub step: usize,
    /// What the step was.
    pub what: String,
    /// The request.
    pub request: Value,
    /// Where in the answer, as `kvs[0].value`; empty: all of it.
    pub path: String,
    /// What the tested server has there; none if it is absent.
    pub tested: Option<Value>,
    /// What the reference has there.
    pub reference: Option<Value>,
}

/// All places at which they differ, in the order of the steps. Once one of them
/// has done another step than the other, there is nothing more to compare.
#[must_use]
pub fn compare(tested: &Transcript, reference: &Transcript) -> Vec<Difference> {
    let mut found = Vec::new();
    let longest = tested.len().max(reference.len());
    for at in 0..longest {
        let (ours, theirs) = (tested.get(at), reference.get(at));
        match (ours, theirs) {
            (Some(ours), Some(theirs)) if ours.what == theirs.what => {
                let mut leaves = Vec::new();
                leaves_of("", Some(&ours.outcome), Some(&theirs.outcome), &mut leaves);
                found.extend(leaves.into_iter().map(|leaf| leaf.at(at, theirs)));
            }
            _ => {
                found.extend(other_step(at, ours, theirs));
                break;
            }
        }
    }
    found
}

/// They went different ways.
fn other_step(at: usize, ours: Option<&Step>, theirs: Option<&Step>) -> Option<Difference> {
    let shown = |step: &Step| serde_json::json!({ "step": step.what, "outcome": step.outcome });
    let leaf = Leaf {
        path: String::new(),
        tested: ours.map(shown),
        reference: theirs.map(shown),
    };
    Some(leaf.at(at, theirs.or(ours)?))
}

struct Leaf {
    path: String,
    tested: Option<Value>,
    reference: Option<Value>,
}

impl Leaf {
    fn at(self, step: usize, of: &Step) -> Difference {
        Difference {
            step: step + 1,
            what: of.what.clone(),
            request: of.request.clone(),
            path: self.path,
            tested: self.tested,
            reference: self.reference,
        }
    }
}

/// The smallest parts that differ.
fn leaves_of(path: &str, ours: Option<&Value>, theirs: Option<&Value>, found: &mut Vec<Leaf>) {
    match (ours, theirs) {
        (Some(Value::Object(ours)), Some(Value::Object(theirs))) => {
            let mut names: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let dot = if path.is_empty() { "" } else { "." };
                let path = format!("{path}{dot}{name}");
                leaves_of(&path, ours.get(name), theirs.get(name), found);
            }
        }
        (Some(Value::Array(ours)), Some(Value::Array(theirs))) => {
            for at in 0..ours.len().max(theirs.len()) {
                let path = format!("{path}[{at}]");
                leaves_of(&path, ours.get(at), theirs.get(at), found);
            }
        }
        _ if ours == theirs => {}
        _ => found.push(Leaf {
            path: path.to_owned(),
            tested: ours.cloned(),
            reference: theirs.cloned(),
        }),
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            step, what, path, ..
        } = self;
        write!(f, "step {step}, {what}")?;
        if !self.request.is_null() {
            write!(f, " {}", short(&self.request.to_string()))?;
        }
        let path = if path.is_empty() { "the answer" } else { path };
        write!(f, "\n  {path}")?;
        let or_absent = |value: &Option<Value>| match value {
            Some(value) => short(&value.to_string()),
            None => "(absent)".to_owned(),
        };
        write!(f, "\n    tested:    {}", or_absent(&self.tested))?;
        write!(f, "\n    reference: {}", or_absent(&self.reference))
    }
}

/// A text of a size that a reader may want.
fn short(text: &str) -> String {
    const MOST: usize = 400;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn steps(outcomes: &[Value]) -> Transcript {
        let step = |outcome: &Value| Step {
            what: "KV/Range".to_owned(),
            request: json!({"key": "a"}),
            outcome: outcome.clone(),
        };
        outcomes.iter().map(step).collect()
    }

    #[test]
    fn equal_transcripts_have_no_difference() {
        let all = steps(&[json!({"a": [1, {"b": null}]}), json!("OK")]);
        assert!(compare(&all, &all).is_empty());
    }

    #[test]
    fn a_difference_names_its_step_and_place() {
        let ours = steps(&[json!(1), json!({"kvs": [{"key": "a", "value": "1"}]})]);
        let theirs = steps(&[json!(1), json!({"kvs": [{"key": "a", "value": "2"}]})]);
        let found = compare(&ours, &theirs);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].step, found[0].path.as_str()), (2, "kvs[0].value"));
        assert_eq!(
            found[0].to_string(),
            "step 2, KV/Range {\"key\":\"a\"}\n  kvs[0].value\n    tested:    \"1\"\n    reference: \"2\""
        );
    }

    #[test]
    fn what_only_one_has_is_absent_at_the_other() {
        let ours = steps(&[json!({"kvs": [1]})]);
        let theirs = steps(&[json!({"kvs": [1, 2], "more": true})]);
        let found = compare(&ours, &theirs);
        let paths: Vec<&str> = found.iter().map(|found| found.path.as_str()).collect();
        assert_eq!(paths, ["kvs[1]", "more"]);
        assert!(found.iter().all(|found| found.tested.is_none()));
    }

    #[test]
    fn a_step_too_few_is_a_difference() {
        let all = steps(&[json!(1), json!(2)]);
        let found = compare(&all[..1].to_vec(), &all);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].step, 2);
    }

    #[test]
    fn after_another_step_nothing_is_compared() {
        let all = steps(&[json!(1), json!(2), json!(3)]);
        let mut other = all.clone();
        other[1].what = "KV/Put".to_owned();
        other[2].outcome = json!(4);
        assert_eq!(compare(&other, &all).len(), 1);
    }
}
