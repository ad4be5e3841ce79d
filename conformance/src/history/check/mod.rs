//! The checkers: pure functions from a history to the first violation in it.
//!
//! | module | what it checks |
//! |---|---|
//! | [`replay`] | that one sequence of writes gives every answer, and finds it |
//! | [`order`] | that the sequence agrees with real time |
//! | [`watches`] | each revision once, whole, in order, none missing |
//! | [`leases`] | none ends early; a revoke takes the keys along |
//! | [`locks`] | one holder, in order, with a rising token |
//! | [`plan`], [`bounds`], [`timeline`] | what those share |
//! | [`mismatch`] | how a wrong answer is told |

pub mod bounds;
pub mod leases;
pub mod locks;
pub mod mismatch;
pub mod order;
pub mod plan;
pub mod replay;
pub mod timeline;
pub mod watches;

use super::{record::History, violation::Violation};
use bounds::Bounds;
use timeline::Timeline;

/// Checks all there is to check; returns what happened at every revision.
///
/// # Errors
/// With the first violation.
pub fn check(history: &History) -> Result<Timeline, Violation> {
    let timeline = linearize(history)?;
    let bounds = Bounds::of(history);
    watches::check(history, &timeline)?;
    leases::check(history, &timeline, &bounds)?;
    locks::check(history, &timeline, &bounds)?;
    Ok(timeline)
}

/// Checks that the requests on keys are linearizable, in the order of their
/// revisions.
///
/// # Errors
/// With the first violation.
pub fn linearize(history: &History) -> Result<Timeline, Violation> {
    let timeline = replay::replay(history)?;
    order::check(history, &timeline)?;
    Ok(timeline)
}
