//! The numbers of a round, and what many rounds come to.

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Operations that ended in the window, a second.
    Throughput,
    /// The latency that half of the operations stay within, in us.
    P50,
    /// The latency that 99 of 100 operations stay within, in us.
    P99,
    /// The server's CPU time for one operation, in us.
    Cpu,
    /// The CPU time of the load itself for one operation, in us.
    Load,
    /// The server's resident memory at the end of the window, in MiB.
    Rss,
}

impl Metric {
    /// All, in the order of the table's columns.
    pub const ALL: [Metric; 6] = [
        Metric::Throughput,
        Metric::P50,
        Metric::P99,
        Metric::Cpu,
        Metric::Load,
        Metric::Rss,
    ];

    /// The head of its column, with the unit.
    pub fn title(self) -> &'static str {
        match self {
            Metric::Throughput => "ops/s",
            Metric::P50 => "p50 us",
            Metric::P99 => "p99 us",
            Metric::Cpu => "CPU us/op",
            Metric::Load => "load us/op",
            Metric::Rss => "RSS MiB",
        }
    }

    /// Its name in the JSON.
    pub fn key(self) -> &'static str {
        match self {
            Metric::Throughput => "ops_per_second",
            Metric::P50 => "p50_us",
            Metric::P99 => "p99_us",
            Metric::Cpu => "server_cpu_us_per_op",
            Metric::Load => "load_cpu_us_per_op",
            Metric::Rss => "server_rss_mib",
        }
    }
}

/// One number for each metric. NaN where there is none: no operation ended, so none had a latency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures([f64; Metric::ALL.len()]);

impl Figures {
    /// The figures that `value` gives.
    pub fn from_fn(value: impl Fn(Metric) -> f64) -> Self {
        Self(Metric::ALL.map(value))
    }

    /// The figure of a metric.
    pub fn get(&self, metric: Metric) -> f64 {
        self.0[metric as usize]
    }

    /// For each metric, the median of the rounds.
    pub fn medians(rounds: &[Figures]) -> Self {
        Self::from_fn(|metric| median(&values(rounds, metric)))
    }

    /// For each metric, these figures divided by those.
    pub fn over(&self, those: &Figures) -> Self {
        Self::from_fn(|metric| ratio(self.get(metric), those.get(metric)))
    }
}

/// How far the rounds' throughputs lie apart: (most − least) ÷ median.
pub fn spread(rounds: &[Figures]) -> f64 {
    let all = values(rounds, Metric::Throughput);
    let most = all.iter().copied().fold(f64::NAN, f64::max);
    let least = all.iter().copied().fold(f64::NAN, f64::min);
    ratio(most - least, median(&all))
}

fn values(rounds: &[Figures], metric: Metric) -> Vec<f64> {
    rounds.iter().map(|round| round.get(metric)).collect()
}

/// The middle one, or the mean of the two in the middle. Rounds without a number do not count; NaN
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
        Figures::from_fn(|metric| match metric {
            Metric::Throughput => value,
            _ => 1.0,
        })
    }

    #[test]
    fn a_figure_is_found_again_by_its_metric() {
        let figures = Figures::from_fn(|metric| f64::from(metric as u8));
        for metric in Metric::ALL {
            assert_eq!(figures.get(metric), f64::from(metric as u8));
        }
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
        assert_eq!(spread(&[90.0, 110.0, 100.0].map(with_throughput)), 0.2);
        assert_eq!(spread(&[with_throughput(50.0)]), 0.0);
    }
}
