//! Locks for the tests of this folder.

use std::collections::HashMap;
use std::time::Duration;

use super::state::Top;
use crate::args::OutputSettings;
use crate::model::{Contender, Lock};
use crate::output::Output;

pub fn top() -> Top {
    let out = Output::new(OutputSettings::default());
    Top::new("http://test".into(), String::new(), out)
}

/// Held for so many seconds by ann, and waited for by others for so many each.
pub fn lock(name: &str, held: u64, waits: &[u64]) -> Lock {
    let contender = |owner: &str, seconds| Contender {
        owner: Some(owner.to_owned()),
        lasting: Some(Duration::from_secs(seconds)),
        ..Contender::default()
    };
    Lock {
        name: name.into(),
        holders: vec![contender("ann", held)],
        waiting: waits
            .iter()
            .map(|&seconds| contender("bob", seconds))
            .collect(),
    }
}

pub fn acquired(counts: &[(&str, u64)]) -> HashMap<Vec<u8>, u64> {
    let each = counts.iter().map(|&(name, count)| (name.into(), count));
    each.collect()
}
