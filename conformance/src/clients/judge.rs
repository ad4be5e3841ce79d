//! Comparing what a program saw with what it must see.

use serde_json::{Value, json};

use super::{Program, program::Keys};

/// How long after a lease's end a waiter may get the lock, in milliseconds: only so
/// much that the waiter's own ends are out of the question.
const LATE_MS: u64 = 20_000;

/// Compares, once what must differ from run to run is masked.
///
/// # Errors
/// With both, when they differ.
pub fn judge(program: Program, name: &str, saw: Value, expected: &Value) -> Result<(), String> {
    let masked = masked(program, name, saw);
    if masked == *expected {
        return Ok(());
    }
    Err(format!("it saw     {masked}\nexpected   {expected}"))
}

fn masked(program: Program, name: &str, mut saw: Value) -> Value {
    let Some(facts) = saw.as_object_mut() else {
        return saw;
    };
    let ttl = facts.get("ttl").and_then(Value::as_u64);
    let lease = facts.remove("lease");
    // How long it took says nothing.
    facts.remove("seconds");
    for (fact, value) in facts.iter_mut() {
        match fact.as_str() {
            "key" => *value = key(value, name, lease.as_ref()),
            "after_ms" => *value = after(value, ttl),
            "done_seconds" => *value = json!(value.as_f64().is_some_and(|s| s < 6.0)),
            "order" if program.keys() != Keys::Queue => sort(value),
            _ => {}
        }
    }
    saw
}

/// A lock's key with the words NAME and LEASE for those.
fn key(key: &Value, name: &str, lease: Option<&Value>) -> Value {
    let Some(key) = key.as_str() else {
        return key.clone();
    };
    let named = key.replace(name, "NAME");
    match lease.and_then(Value::as_str) {
        Some(lease) if !lease.is_empty() && lease != "0" => json!(named.replace(lease, "LEASE")),
        _ => json!(format!("{named} without a lease")),
    }
}

/// Never before the lease ends, and not much later.
fn after(value: &Value, ttl: Option<u64>) -> Value {
    let bounds = ttl.map(|ttl| ttl * 1000..ttl * 1000 + LATE_MS);
    match (value.as_u64(), bounds) {
        (Some(ms), Some(bounds)) if bounds.contains(&ms) => json!("the TTL"),
        _ => value.clone(),
    }
}

/// Whoever does not queue may overtake, but all have their turn.
fn sort(order: &mut Value) {
    if let Some(order) = order.as_array_mut() {
        order.sort_by_key(Value::as_u64);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn of_go(saw: Value, expected: Value) -> Result<(), String> {
        judge(Program::Go, "go-1-lock", saw, &expected)
    }

    #[test]
    fn names_and_leases_are_masked_in_keys() {
        let expected = json!({ "key": "NAME/LEASE" });
        let saw = json!({ "key": "go-1-lock/7f", "lease": "7f" });
        of_go(saw, expected.clone()).unwrap();
        for (key, lease) in [
            ("go-1-lock/7e", "7f"),
            ("go-1-lock/0", "0"),
            ("other/7f", "7f"),
        ] {
            let saw = json!({ "key": key, "lease": lease });
            assert!(of_go(saw, expected.clone()).is_err(), "{key} {lease}");
        }
    }

    #[test]
    fn a_lock_is_not_free_before_its_lease_ends() {
        let expected = json!({ "ttl": 2, "after_ms": "the TTL" });
        of_go(json!({ "ttl": 2, "after_ms": 2000 }), expected.clone()).unwrap();
        for wrong in [1999, 22_000] {
            let saw = json!({ "ttl": 2, "after_ms": wrong });
            assert!(of_go(saw, expected.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_those_who_do_not_queue_may_overtake() {
        let (saw, expected) = (json!({ "order": [1, 0] }), json!({ "order": [0, 1] }));
        assert!(of_go(saw.clone(), expected.clone()).is_err());
        judge(Program::Node, "node", saw, &expected).unwrap();
        assert!(judge(Program::Node, "node", json!({ "order": [1] }), &expected).is_err());
    }

    #[test]
    fn a_fact_too_much_or_too_few_is_a_difference() {
        assert!(of_go(json!({ "a": 1 }), json!({})).is_err());
        assert!(of_go(json!({}), json!({ "a": 1 })).is_err());
    }
}
