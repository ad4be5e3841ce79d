//! How often something happens, over the last few seconds.

use std::collections::VecDeque;
use std::time::Duration;

/// Over how long a rate is taken.
const WINDOW: Duration = Duration::from_secs(10);
/// How many counts are kept to be drawn.
const KEPT: usize = 120;

/// Counts, each of what happened since the one before.
#[derive(Clone, Debug, Default)]
pub struct Rate(VecDeque<Count>);

#[derive(Clone, Copy, Debug)]
struct Count {
    at: Duration,
    /// How long it took to happen.
    over: Duration,
    times: u64,
}

impl Rate {
    /// What happened in the time `over` that ends at `at`; in no time, nothing can be counted.
    pub fn add(&mut self, at: Duration, over: Duration, times: u64) {
        if over.is_zero() {
            return;
        }
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(Count { at, over, times });
    }

    /// How often a second it happened lately.
    pub fn per_second(&self, now: Duration) -> f64 {
        let lately = self
            .0
            .iter()
            .filter(|count| now.saturating_sub(count.at) < WINDOW);
        let (times, over) = lately.fold((0, Duration::ZERO), |(times, over), count| {
            (times + count.times, over + count.over)
        });
        match over.as_secs_f64() {
            0.0 => 0.0,
            seconds => times as f64 / seconds,
        }
    }

    /// The counts, each as so many a second, the oldest first.
    pub fn history(&self) -> Vec<u64> {
        let rate = |count: &Count| match count.over.as_secs_f64() {
            0.0 => 0,
            seconds => (count.times as f64 / seconds).round() as u64,
        };
        self.0.iter().map(rate).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn only_the_last_seconds_count() {
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(SECOND), 0.0);
        rate.add(SECOND, SECOND, 100);
        assert_eq!(rate.per_second(SECOND), 100.0);
        rate.add(2 * SECOND, SECOND, 0);
        assert_eq!(rate.per_second(2 * SECOND), 50.0);
        assert_eq!(rate.per_second(11 * SECOND), 0.0);
        assert_eq!(rate.history(), [100, 0]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut rate = Rate::default();
        for n in 0..1000 {
            rate.add(n * SECOND, SECOND, 1);
        }
        assert_eq!(rate.history().len(), KEPT);
    }
}
