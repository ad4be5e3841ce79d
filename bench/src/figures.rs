//! The numbers of a round, and what many rounds come to.

use std::array;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Operations that ended in the window, a second.
    Throughput,
    /// The latency that half of the operations stay within.
    P50,
    /// The latency that nine of ten operations stay within.
    P90,
    /// The latency that 99 of 100 operations stay within.
    P99,
    /// The latency that 999 of 1,000 operations stay within.
    P999,
    /// The longest latency.
    Slowest,
    /// The server's CPU time for one operation.
    Cpu,
    /// The CPU time of the load itself for one operation.
    Load,
    /// The server's resident memory at the end.
    Rss,
    /// From a Put until the last watcher was told, the median.
    LastTold,
    /// Events that watchers were told of, a second.
    Events,
    /// From one waiter's turn to the next one's.
    HandOff,
    /// Until all waiters had their turn.
    Drained,
    /// By how much a lease outlived its time, the median.
    Late,
    /// The lateness that 99 of 100 leases stay within.
    LateP99,
    /// The latest of all leases.
    Latest,
    /// Leases that ended before their time.
    Early,
    /// Between the first lease's time and the last one's.
    Span,
    /// Puts a second while the leases ended.
    PutsMeanwhile,
    /// Puts a second before.
    PutsBefore,
    /// From exec to the first linearizable read, after SIGTERM or on an empty directory.
    Start,
    /// The same after SIGKILL.
    StartKilled,
    /// Latency of a Put among many keys, the median.
    PutP50,
    /// Latency of a Put among many keys that 99 of 100 stay within.
    PutP99,
    /// Latency of a Get among many keys, the median.
    GetP50,
    /// Latency of a Get among many keys that 99 of 100 stay within.
    GetP99,
    /// Latency of a keepalive among many leases, the median.
    KeepaliveP50,
    /// Latency of LeaseGrant and LeaseRevoke among many leases, the median.
    GrantRevokeP50,
}

const METRICS: usize = Metric::GrantRevokeP50 as usize + 1;

impl Metric {
    /// The head of its column, with the unit; its name in the JSON; the digits after the point.
    fn names(self) -> (&'static str, &'static str, usize) {
        match self {
            Metric::Throughput => ("ops/s", "ops_per_second", 0),
            Metric::P50 => ("p50 us", "p50_us", 0),
            Metric::P90 => ("p90 us", "p90_us", 0),
            Metric::P99 => ("p99 us", "p99_us", 0),
            Metric::P999 => ("p99.9 us", "p999_us", 0),
            Metric::Slowest => ("max us", "max_us", 0),
            Metric::Cpu => ("CPU us/op", "server_cpu_us_per_op", 1),
            Metric::Load => ("load us/op", "load_cpu_us_per_op", 1),
            Metric::Rss => ("RSS MiB", "server_rss_mib", 1),
            Metric::LastTold => ("last ms", "last_told_ms", 2),
            Metric::Events => ("events/s", "events_per_second", 0),
            Metric::HandOff => ("us/turn", "hand_off_us", 0),
            Metric::Drained => ("total ms", "drained_ms", 0),
            Metric::Late => ("late p50 ms", "late_p50_ms", 1),
            Metric::LateP99 => ("late p99 ms", "late_p99_ms", 1),
            Metric::Latest => ("latest ms", "late_max_ms", 1),
            Metric::Early => ("early", "early", 0),
            Metric::Span => ("span ms", "deadlines_span_ms", 0),
            Metric::PutsMeanwhile => ("puts/s then", "puts_per_second_meanwhile", 0),
            Metric::PutsBefore => ("and before", "puts_per_second_before", 0),
            Metric::Start => ("start ms", "start_ms", 1),
            Metric::StartKilled => ("killed ms", "start_after_kill_ms", 1),
            Metric::PutP50 => ("put p50 us", "put_p50_us", 0),
            Metric::PutP99 => ("put p99 us", "put_p99_us", 0),
            Metric::GetP50 => ("get p50 us", "get_p50_us", 0),
            Metric::GetP99 => ("get p99 us", "get_p99_us", 0),
            Metric::KeepaliveP50 => ("renew us", "keepalive_p50_us", 0),
            Metric::GrantRevokeP50 => ("grant us", "grant_revoke_p50_us", 0),
        }
    }

    /// The head of its column, with the unit.
    pub fn title(self) -> &'static str {
        self.names().0
    }

    /// Its name in the JSON.
    pub fn key(self) -> &'static str {
        self.names().1
    }

    /// How many digits after the point are worth printing.
    pub fn digits(self) -> usize {
        self.names().2
    }

    /// Whether more of it is better; of the others, less is.
    pub fn more_is_better(self) -> bool {
        matches!(
            self,
            Metric::Throughput | Metric::Events | Metric::PutsMeanwhile | Metric::PutsBefore
        )
    }
}

/// One number for each metric; NaN where there is none.
#[derive(Clone, Copy, Debug)]
pub struct Figures([f64; METRICS]);

impl Figures {
    /// These numbers, and no others.
    pub fn of<const N: usize>(numbers: [(Metric, f64); N]) -> Self {
        let mut figures = Self([f64::NAN; METRICS]);
        for (metric, number) in numbers {
            figures.0[metric as usize] = number;
        }
        figures
    }

    /// The figure of a metric.
    pub fn get(&self, metric: Metric) -> f64 {
        self.0[metric as usize]
    }

    /// For each metric, the median of the rounds.
    pub fn medians(rounds: &[Figures]) -> Self {
        Self(array::from_fn(|index| {
            let values: Vec<f64> = rounds.iter().map(|round| round.0[index]).collect();
            median(&values)
        }))
    }

    /// For each metric, these figures divided by those.
    pub fn over(&self, those: &Figures) -> Self {
        Self(array::from_fn(|index| ratio(self.0[index], those.0[index])))
    }
}

/// How far the rounds lie apart in a metric: (most − least) ÷ median.
pub fn spread(rounds: &[Figures], metric: Metric) -> f64 {
    let all: Vec<f64> = rounds.iter().map(|round| round.get(metric)).collect();
    let most = all.iter().copied().fold(f64::NAN, f64::max);
    let least = all.iter().copied().fold(f64::NAN, f64::min);
    ratio(most - least, median(&all))
}

/// The middle one, or the mean of the two in the middle. Values without a number do not count; NaN
/// when none has one.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// NaN when there is nothing to divide by.
pub fn ratio(dividend: f64, divisor: f64) -> f64 {
    if divisor == 0.0 {
        f64::NAN
    } else {
        dividend / divisor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_throughput(value: f64) -> Figures {
        Figures::of([(Metric::Throughput, value), (Metric::Rss, 1.0)])
    }

    #[test]
    fn a_figure_is_found_again_by_its_metric() {
        let figures = Figures::of([(Metric::Cpu, 4.0), (Metric::GrantRevokeP50, 5.0)]);
        assert_eq!(figures.get(Metric::Cpu), 4.0);
        assert_eq!(figures.get(Metric::GrantRevokeP50), 5.0);
        assert!(figures.get(Metric::P50).is_nan());
    }

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_the_middle_two() {
        assert_eq!(median(&[9.0, 1.0, 5.0]), 5.0);
        assert_eq!(median(&[8.0, 1.0, 5.0, 2.0]), 3.5);
        assert_eq!(median(&[7.0]), 7.0);
    }

    #[test]
    fn rounds_without_a_number_do_not_count() {
        assert_eq!(median(&[f64::NAN, 3.0, f64::NAN]), 3.0);
        assert!(median(&[f64::NAN]).is_nan());
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn ratios_are_of_medians_and_metric_by_metric() {
        let ours = [10.0, 30.0, 20.0].map(with_throughput);
        let theirs = [5.0, 4.0, 6.0].map(with_throughput);
        let ratios = Figures::medians(&ours).over(&Figures::medians(&theirs));
        assert_eq!(ratios.get(Metric::Throughput), 4.0);
        assert_eq!(ratios.get(Metric::Rss), 1.0);
    }

    #[test]
    fn nothing_is_divided_by_zero() {
        let ratios = with_throughput(3.0).over(&with_throughput(0.0));
        assert!(ratios.get(Metric::Throughput).is_nan());
    }

    #[test]
    fn spread_is_relative_to_the_median() {
        let of = |rounds: &[Figures]| spread(rounds, Metric::Throughput);
        assert_eq!(of(&[90.0, 110.0, 100.0].map(with_throughput)), 0.2);
        assert_eq!(of(&[with_throughput(50.0)]), 0.0);
        assert!(of(&[]).is_nan());
    }
}
