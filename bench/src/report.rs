//! The tables for people.

use std::time::Duration;

use crate::{
    bound::Bound,
    figures::{self, Figures, Metric},
    results::{COMPARISONS, Results, Run},
    sweep::Curve,
    system::System,
};

/// What stands for a figure that does not exist.
const NONE: &str = "–";
/// Of which part of a CPU on the load is as fast as it can.
const BUSY: f64 = 0.9;
/// What is said of figures that are then the load's rather than the server's.
const LOAD_BOUND: &str = "  (the load's limit)";

/// What stands above all tables. `load_time` is how long the closed loops take together.
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
         of warm-up; about {} min of closed loops{unoptimized}\n",
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
    let columns = results.case.scenario.columns();
    let titles = columns.iter().map(|metric| metric.title().to_owned());
    let mut lines = vec![format!("\n{}", results.case), row("", titles, "spread")];
    for (system, rounds) in &results.rounds {
        let medians = Figures::medians(rounds);
        let cells = columns
            .iter()
            .map(|metric| number(*metric, medians.get(*metric)));
        let spread = percent(figures::spread(rounds, columns[0]));
        let limited = if is_load_bound(&medians) {
            LOAD_BOUND
        } else {
            ""
        };
        lines.push(row(system.name(), cells, &spread) + limited);
    }
    for (ours, theirs) in COMPARISONS {
        if let Some(ratio) = results.ratio(ours, theirs) {
            let cells = columns.iter().map(|metric| times(ratio.get(*metric)));
            lines.push(row(&over(ours, theirs), cells, ""));
        }
    }
    lines.extend(
        results
            .bound()
            .map(|bound| below(&bound, results.of_bound())),
    );
    lines.join("\n") + "\n"
}

/// How cost grows: for each system a row for each size, and how many times as much the last one is
/// as the first.
pub fn curve(curve: &Curve) -> String {
    let columns = curve.sweep.shot().columns();
    let unit = curve.sweep.shot().unit().plural();
    let titles = columns.iter().map(|metric| metric.title().to_owned());
    let titles = std::iter::once(unit.to_owned()).chain(titles);
    let mut lines = vec![format!("\n{}", curve.sweep.title()), row("", titles, "")];
    for system in curve.systems() {
        let points = curve.points(system);
        for (size, figures) in &points {
            let cells = columns
                .iter()
                .map(|metric| number(*metric, figures.get(*metric)));
            let cells = std::iter::once(size.to_string()).chain(cells);
            lines.push(row(system.name(), cells, ""));
        }
        if let [(_, first), .., (_, last)] = &points[..] {
            let growth = last.over(first);
            let cells = columns.iter().map(|metric| times(growth.get(*metric)));
            let cells = std::iter::once(String::new()).chain(cells);
            lines.push(row("last/first", cells, ""));
        }
    }
    lines.join("\n") + "\n"
}

/// Whether the load, which is one thread, was busy nearly all of the time.
fn is_load_bound(figures: &Figures) -> bool {
    figures.get(Metric::Load) * figures.get(Metric::Throughput) > BUSY * 1e6
}

/// What one lock can reach, and how much of it latchd does.
fn below(bound: &Bound, reached: Option<f64>) -> String {
    let most = format!(
        "{:<14}{:>12.0}  = 1 ÷ (one RPC {:.0} us + one fsync {:.0} us)",
        "bound",
        bound.per_second(),
        bound.rpc,
        bound.fsync
    );
    let reached = reached.map(|ratio| format!("\n{:<14}{:>12}", "latchd/bound", times(ratio)));
    most + &reached.unwrap_or_default()
}

/// One line for each case: how many times better latchd is in what counts most, and its part of the
/// others' CPU time. Empty when there was nobody to compare with.
pub fn summary(run: &Run) -> String {
    let met = |(ours, theirs): &(System, System)| {
        let mut all = run.results.iter();
        all.any(|results| results.ratio(*ours, *theirs).is_some())
    };
    let compared: Vec<_> = COMPARISONS.into_iter().filter(met).collect();
    if compared.is_empty() {
        return String::new();
    }
    let heads = compared
        .iter()
        .map(|(ours, theirs)| pair(&over(*ours, *theirs), "CPU"));
    let heads: String = heads.collect();
    let mut lines = vec![format!("\n{:<24}{heads}", "times better; CPU per op")];
    for results in &run.results {
        let case = format!("{} {}", results.case.scenario.name(), results.case.size);
        let ratios = compared.iter().map(|(ours, theirs)| {
            let ratio = results.ratio(*ours, *theirs);
            let better = results.times_better(*ours, *theirs);
            let cpu = ratio.map_or(f64::NAN, |ratio| ratio.get(Metric::Cpu));
            pair(&times(better.unwrap_or(f64::NAN)), &times(cpu))
        });
        lines.push(format!("{case:<24}{}", ratios.collect::<String>()));
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

fn row(name: &str, cells: impl Iterator<Item = String>, last: &str) -> String {
    let cells: String = cells.map(|cell| format!("{cell:>12}")).collect();
    format!("{name:<14}{cells}{last:>9}").trim_end().to_owned()
}

fn number(metric: Metric, value: f64) -> String {
    if value.is_nan() {
        return NONE.to_owned();
    }
    format!("{value:.*}", metric.digits())
}

/// A ratio as people read it.
pub fn times(ratio: f64) -> String {
    if ratio.is_nan() {
        return NONE.to_owned();
    }
    format!("{ratio:.2}×")
}

fn percent(part: f64) -> String {
    if part.is_nan() {
        return String::new();
    }
    format!("{:.0}%", part * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{results::samples, sweep::Sweep};

    #[test]
    fn a_table_has_medians_spread_and_ratios() {
        let table = table(&samples::results());
        let expected = "
txn-lock, 32 clients, 1 connection
                     ops/s      p50 us      p99 us   CPU us/op  load us/op     RSS MiB   spread
latchd                2000        1234           –        55.5        44.4         9.9      20%
etcd                  1000        1234           –        55.5        44.4         9.9      20%
latchd/etcd          2.00×       1.00×           –       1.00×       1.00×       1.00×
";
        assert_eq!(table, expected);
    }

    #[test]
    fn who_does_not_know_a_scenario_has_no_figures() {
        let table = table(&samples::herd(10));
        assert!(
            table.contains("floor                    –           –"),
            "{table}"
        );
        assert!(!table.contains("latchd/floor"), "{table}");
    }

    #[test]
    fn growth_is_the_last_by_the_first() {
        let curve = curve(&Curve {
            sweep: Sweep::Waiters,
            points: vec![samples::herd(10), samples::herd(100)],
        });
        let row = "latchd                 100         500";
        assert!(curve.contains(row), "{curve}");
        assert!(
            curve.contains("last/first                       1.00×"),
            "{curve}"
        );
    }

    #[test]
    fn a_bound_stands_below_the_table() {
        let mut results = samples::results();
        results.bounds = samples::bounds();
        let expected = "
bound                 4000  = 1 ÷ (one RPC 50 us + one fsync 200 us)
latchd/bound         0.50×
";
        assert!(table(&results).ends_with(expected), "{}", table(&results));
    }

    #[test]
    fn a_load_that_is_busy_all_the_time_is_named() {
        let mut results = samples::results();
        assert!(!table(&results).contains(LOAD_BOUND));
        for (_, rounds) in &mut results.rounds {
            let fast = Figures::of([(Metric::Throughput, 40_000.0), (Metric::Load, 24.0)]);
            *rounds = vec![fast];
        }
        assert!(table(&results).contains(LOAD_BOUND));
    }

    #[test]
    fn the_summary_has_a_line_for_each_case() {
        let mut run = samples::run();
        run.results.push(samples::herd(1000));
        let summary = summary(&run);
        let expected = "
times better; CPU per op     latchd/etcd     CPU
txn-lock 32                        2.00×   1.00×
herd 1000                          4.00×       –
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
