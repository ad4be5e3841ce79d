//! No false alarms.

use proptest::prelude::*;

use super::sim::{self, Shape};
use crate::history::{check::check, record::History, request::Request};

fn shapes() -> impl Strategy<Value = Shape> {
    let sizes = (50..900usize, 1..6u32, 1..5u32, 2..6u32);
    let parts = any::<(u64, bool, bool)>();
    (sizes, parts).prop_map(
        |((steps, writers, lockers, keys), (seed, leases, crashes))| Shape {
            seed,
            steps,
            writers,
            lockers,
            keys,
            leases,
            watchers: true,
            crashes,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_correct_servers_history_passes(shape in shapes()) {
        let history = sim::history(shape);
        let found = check(&history).map(|timeline| timeline.last());
        prop_assert_eq!(found.map_err(|v| v.to_string()), Ok(history.end));
    }
}

/// The made-up histories have in them what the checkers are about.
#[test]
fn the_histories_are_worth_checking() {
    let all: Vec<History> = (0..20)
        .map(|seed| sim::history(Shape::full(seed)))
        .collect();
    let count = |of: &dyn Fn(&History) -> usize| all.iter().map(of).sum::<usize>();
    assert!(count(&|h| h.restarts.len()) > 20);
    assert!(count(&|h| h.holds.len()) > 100);
    assert!(count(&|h| h.watchers.iter().map(|w| w.streams.len()).sum()) > 200);
    let unknown = |h: &History| h.ops.iter().filter(|op| op.returned().is_none()).count();
    assert!(count(&unknown) > 50);
    let revoked = |h: &History| {
        let revokes = h
            .ops
            .iter()
            .filter(|op| matches!(op.request, Request::Revoke { .. }));
        revokes.count()
    };
    assert!(count(&revoked) > 20);
}

#[test]
fn a_history_comes_back_from_its_file() {
    let history = sim::history(Shape::full(7));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("runs/seven.jsonl");
    history.save(&path).unwrap();
    assert_eq!(History::load(&path).unwrap(), history);
}
