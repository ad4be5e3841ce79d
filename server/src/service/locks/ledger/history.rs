//! Holds that have ended: a bounded ring in memory.

use std::collections::VecDeque;

use latchd_proto::latchd::v1::PastHold;

/// How many are kept.
const KEPT: usize = 10_000;

/// The ring.
#[derive(Debug, Default)]
pub struct History(VecDeque<PastHold>);

impl History {
    /// A hold has ended.
    pub fn add(&mut self, hold: PastHold) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(hold);
    }

    /// At most `limit` holds of names that begin with `prefix`, the last one first.
    #[must_use]
    pub fn last(&self, prefix: &[u8], limit: usize) -> Vec<PastHold> {
        let newest = self.0.iter().rev();
        let named = newest.filter(|hold| hold.name.starts_with(prefix));
        named.take(limit).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let mut history = History::default();
        for n in 0..KEPT + 5 {
            history.add(PastHold {
                name: format!("n{}", n % 2).into(),
                ended_ms: i64::try_from(n).unwrap(),
                ..Default::default()
            });
        }
        let all = history.last(b"", usize::MAX);
        assert_eq!((all.len(), all[0].ended_ms), (KEPT, 10_004));
        assert_eq!(all[KEPT - 1].ended_ms, 5);
        let some = history.last(b"n1", 2);
        let ends: Vec<i64> = some.iter().map(|hold| hold.ended_ms).collect();
        assert_eq!(ends, [10_003, 10_001]);
    }
}
