//! The tables for people.

use std::time::Duration;

use crate::{
    bound::Bound,
    figures::{self, Figures, Metric},
    results::{COMPARISONS, Results, Run},
    system::System,
};

/// Of which part of a CPU on the load is as fast as it can.
const BUSY: f64 = 0.9;
/// What is said of figures that are then the load's rather than the server's.
const LOAD_BOUND: &str = "  (the load's limit)";

/// What stands above all tables. `load_time` is how long the loads take together.
pub fn head(run: &Run, load_time: Duration) -> String {
    let machine = &run.machine;
    let names: Vec<&str> = machine
        .versions
        .iter()
        .map(|(_, text)| text.as_str())
        .collect();
    let unoptimized = if cfg!(debug_assertions) {
        "\nThis is a debug build: its figures say nothing. Use cargo run --release."
    } else {
        ""
    };
    format!(
        "{}\n{} CPUs for the server and the load together; data on {}; {} × {} s after {} s \
         of warm-up; about {} min in all{unoptimized}\n",
        names.join(" | "),
        machine.cpus,
        machine.filesystem,
        run.rounds,
        run.timing.window.as_secs_f64(),
        run.timing.warm_up.as_secs_f64(),
        (load_time.as_secs_f64() * 1.2 / 60.0).ceil(),
    )
}

/// The table of one case: a row of medians for each system, then the ratios.
pub fn table(results: &Results) -> String {
    let mut lines = vec![format!("\n{}", results.case)];
    let titles = Metric::ALL.map(|metric| metric.title().to_owned());
    lines.push(row("", &titles, "spread"));
    for (system, rounds) in &results.rounds {
        let medians = Figures::medians(rounds);
        let cells = cells(&medians, number);
        let spread = format!("{:.0}%", figures::spread(rounds) * 100.0);
        let limited = if is_load_bound(&medians) {
            LOAD_BOUND
        } else {
            ""
        };
        lines.push(row(system.name(), &cells, &spread) + limited);
    }
    for (ours, theirs) in COMPARISONS {
        if let Some(ratio) = results.ratio(ours, theirs) {
            let cells = cells(&ratio, |_, value| times(value));
            lines.push(row(&over(ours, theirs), &cells, ""));
        }
    }
    lines.extend(
        results
            .bound()
            .map(|bound| below(&bound, results.of_bound())),
    );
    lines.join("\n") + "\n"
}

/// Whether the load, which is one thread, was busy nearly all of the time.
fn is_load_bound(figures: &Figures) -> bool {
    figures.get(Metric::Load) * figures.get(Metric::Throughput) > BUSY * 1e6
}

/// What one lock can reach, and how much of it latchd does.
fn below(bound: &Bound, reached: Option<f64>) -> String {
    let most = format!(
        "{:<14}{:>11.0}  = 1 ÷ (one RPC {:.0} us + one fsync {:.0} us)",
        "bound",
        bound.per_second(),
        bound.rpc,
        bound.fsync
    );
    let reached = reached.map(|ratio| format!("\n{:<14}{:>11}", "latchd/bound", times(ratio)));
    most + &reached.unwrap_or_default()
}

/// One line for each case: the ratios that matter most. Empty when there was nobody to compare with.
pub fn summary(run: &Run) -> String {
    let compared = |results: &Results| COMPARISONS.map(|(a, b)| results.ratio(a, b));
    if run
        .results
        .iter()
        .all(|results| compared(results) == [None; 2])
    {
        return String::new();
    }
    let heads = COMPARISONS.map(|(ours, theirs)| pair(&over(ours, theirs), "CPU"));
    let mut lines = vec![format!(
        "\n{:<22}{}",
        "ops/s and CPU per op",
        heads.concat()
    )];
    for results in &run.results {
        let case = format!("{} {}", results.case.scenario.name(), results.case.clients);
        let ratios = compared(results).map(|ratio| {
            let of = |metric| times(ratio.map_or(f64::NAN, |ratio| ratio.get(metric)));
            pair(&of(Metric::Throughput), &of(Metric::Cpu))
        });
        lines.push(format!("{case:<22}{}", ratios.concat()));
    }
    lines.join("\n") + "\n"
}

/// Two cells that belong together.
fn pair(first: &str, second: &str) -> String {
    format!("{first:>16}{second:>8}")
}

fn over(ours: System, theirs: System) -> String {
    format!("{}/{}", ours.name(), theirs.name())
}

fn cells(figures: &Figures, text: impl Fn(Metric, f64) -> String) -> [String; Metric::ALL.len()] {
    Metric::ALL.map(|metric| text(metric, figures.get(metric)))
}

fn row(name: &str, cells: &[String], last: &str) -> String {
    let cells: String = cells.iter().map(|cell| format!("{cell:>11}")).collect();
    format!("{name:<14}{cells}{last:>9}").trim_end().to_owned()
}

fn number(metric: Metric, value: f64) -> String {
    match metric {
        _ if value.is_nan() => "–".to_owned(),
        Metric::Cpu | Metric::Load | Metric::Rss => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn times(ratio: f64) -> String {
    if ratio.is_nan() {
        return "–".to_owned();
    }
    format!("{ratio:.2}×")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::samples;

    #[test]
    fn a_table_has_medians_spread_and_ratios() {
        let table = table(&samples::results());
        let expected = "
txn-lock, 32 clients, 1 connection
                    ops/s     p50 us     p99 us  CPU us/op load us/op    RSS MiB   spread
latchd               2000       1234          –       55.5       44.4        9.9      20%
etcd                 1000       1234          –       55.5       44.4        9.9      20%
latchd/etcd         2.00×      1.00×          –      1.00×      1.00×      1.00×
";
        assert_eq!(table, expected);
    }

    #[test]
    fn a_bound_stands_below_the_table() {
        let mut results = samples::results();
        results.bounds = samples::bounds();
        let expected = "
bound                4000  = 1 ÷ (one RPC 50 us + one fsync 200 us)
latchd/bound        0.50×
";
        assert!(table(&results).ends_with(expected), "{}", table(&results));
    }

    #[test]
    fn a_load_that_is_busy_all_the_time_is_named() {
        let mut results = samples::results();
        assert!(!table(&results).contains(LOAD_BOUND));
        for (_, rounds) in &mut results.rounds {
            let fast = Figures::from_fn(|metric| match metric {
                Metric::Throughput => 40_000.0,
                _ => 24.0,
            });
            *rounds = vec![fast];
        }
        assert!(table(&results).contains(LOAD_BOUND));
    }

    #[test]
    fn the_summary_has_a_line_for_each_case() {
        let summary = summary(&samples::run());
        let expected = "
ops/s and CPU per op       latchd/etcd     CPU    latchd/floor     CPU
txn-lock 32                      2.00×   1.00×               –       –
";
        assert_eq!(summary, expected);
    }

    #[test]
    fn without_a_comparison_there_is_no_summary() {
        let mut run = samples::run();
        run.results[0].rounds.truncate(1);
        assert_eq!(summary(&run), "");
    }

    #[test]
    fn the_head_tells_what_the_figures_depend_on() {
        let head = head(&samples::run(), Duration::from_secs(90));
        assert!(head.starts_with("latchd 0.1.0\n2 CPUs"), "{head}");
        assert!(
            head.contains("data on ext4; 3 × 3 s after 0.75 s"),
            "{head}"
        );
        assert!(head.contains("about 2 min"), "{head}");
    }
}
