//! What is to be reached, and whether this run did.

use serde_json::{Value, json};

use crate::{
    figures::{Figures, Metric, ratio},
    footprint::{Piece, report::idle_bytes},
    report::times,
    results::{Results, Run},
    scenario::{Scenario, Work},
    shot::Shot,
    sweep::Sweep,
    system::System,
};

/// One line of the table.
pub struct Goal {
    what: String,
    limit: Limit,
    unit: Unit,
    /// NaN when it was not measured.
    measured: f64,
}

#[derive(Clone, Copy)]
enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

use Limit::{AtLeast, AtMost};

/// How a figure is written.
#[derive(Clone, Copy)]
enum Unit {
    Times,
    Percent,
    Ms,
    KiB,
    MiB,
    Count,
}

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            _ if value.is_nan() => "not measured".to_owned(),
            Unit::Times => times(value),
            Unit::Percent => format!("{:.0}%", value * 100.0),
            Unit::Ms => format!("{value:.1} ms"),
            Unit::KiB => format!("{:.2} KiB", value / 1024.0),
            Unit::MiB => format!("{:.1} MiB", value / (1024.0 * 1024.0)),
            Unit::Count => format!("{value:.0}"),
        }
    }
}

impl Goal {
    /// Whether it was reached; none when it was not measured.
    pub fn met(&self) -> Option<bool> {
        let met = match self.limit {
            AtLeast(least) => self.measured >= least,
            AtMost(most) => self.measured <= most,
        };
        (!self.measured.is_nan()).then_some(met)
    }

    fn cells(&self) -> [String; 4] {
        let target = match self.limit {
            AtLeast(least) => format!("≥ {}", self.unit.text(least)),
            AtMost(most) => format!("≤ {}", self.unit.text(most)),
        };
        let met = match self.met() {
            Some(true) => "yes",
            Some(false) => "no",
            None => "",
        };
        let measured = self.unit.text(self.measured);
        [self.what.clone(), target, measured, met.to_owned()]
    }

    /// The same for programs.
    pub fn value(&self) -> Value {
        let [what, target, ..] = self.cells();
        json!({ "what": what, "target": target, "measured": self.measured, "met": self.met() })
    }
}

/// The table as Markdown.
pub fn markdown(goals: &[Goal]) -> String {
    let mut text = "| goal | target | measured | met |\n|---|---|---|---|\n".to_owned();
    for goal in goals {
        text += &format!("| {} |\n", goal.cells().join(" | "));
    }
    text
}

/// What was measured of it, for a terminal, and how many were reached. Empty when nothing was.
pub fn table(goals: &[Goal]) -> String {
    let measured: Vec<&Goal> = goals.iter().filter(|goal| goal.met().is_some()).collect();
    if measured.is_empty() {
        return String::new();
    }
    let mut lines = vec!["\ngoals".to_owned()];
    for goal in &measured {
        let [what, target, measured, met] = goal.cells();
        lines.push(format!("{what:<52}{target:>12}{measured:>14}  {met}"));
    }
    let reached = measured.iter().filter(|goal| goal.met() == Some(true));
    let (reached, measured) = (reached.count(), measured.len());
    lines.push(format!("{reached} of {measured} measured goals reached"));
    lines.join("\n") + "\n"
}

/// All goals.
pub fn of(run: &Run) -> Vec<Goal> {
    let goals = [
        loops(run),
        lines(run),
        contended(run),
        herd(run),
        expiry(run),
        cpu(run),
        memory(run),
        start(run),
    ];
    goals.into_iter().flatten().collect()
}

fn goal(what: impl Into<String>, limit: Limit, unit: Unit, measured: Option<f64>) -> Goal {
    Goal {
        what: what.into(),
        limit,
        unit,
        measured: measured.unwrap_or(f64::NAN),
    }
}

/// Work, clients, how many times etcd's throughput, which part of the floor's (0 is no goal).
const LOOPS: [(Work, usize, f64, f64); 11] = [
    (Work::Lock, 1, 1.6, 0.0),
    (Work::Lock, 32, 3.5, 0.8),
    (Work::Lock, 256, 2.5, 0.8),
    (Work::Put, 1, 1.4, 0.0),
    (Work::Put, 32, 2.5, 0.8),
    (Work::Put, 256, 2.0, 0.8),
    (Work::Get, 32, 1.6, 0.8),
    (Work::Get, 256, 1.5, 0.8),
    (Work::Keepalive, 32, 1.2, 0.8),
    (Work::Keepalive, 256, 1.0, 0.8),
    (Work::GrantRevoke, 32, 4.0, 0.0),
];

fn loops(run: &Run) -> Vec<Goal> {
    let mut goals = Vec::new();
    for (work, clients, etcd, floor) in LOOPS {
        let against = |system| {
            let results = run.of(Scenario::Loop(work), clients)?;
            results.times_better(System::Latchd, system)
        };
        let name = of_clients(Scenario::Loop(work), clients);
        let what = format!("{name}, by etcd");
        goals.push(goal(
            what,
            AtLeast(etcd),
            Unit::Times,
            against(System::Etcd),
        ));
        if floor > 0.0 {
            let what = format!("{name}, by the floor");
            let reached = against(System::Floor);
            goals.push(goal(what, AtLeast(floor), Unit::Percent, reached));
        }
    }
    goals
}

/// Lines, by the floor that answers them at once: group commit must hide the disk.
fn lines(run: &Run) -> Vec<Goal> {
    let scenario = Scenario::Loop(Work::Dreadlock);
    let of = |clients| {
        let results = run.of(scenario, clients);
        let reached = results.and_then(|r| r.times_better(System::Latchd, System::Floor));
        let what = format!("{}, by the floor", of_clients(scenario, clients));
        goal(what, AtLeast(0.7), Unit::Percent, reached)
    };
    [32, 256].map(of).into()
}

fn contended(run: &Run) -> Vec<Goal> {
    let scenario = Scenario::Loop(Work::Contended);
    let pair = |(clients, least)| {
        let results = run.of(scenario, clients);
        let name = of_clients(scenario, clients);
        let by_etcd = results.and_then(|r| r.times_better(System::Latchd, System::Etcd));
        let by_bound = results.and_then(Results::of_bound);
        [
            goal(
                format!("{name}, by etcd"),
                AtLeast(least),
                Unit::Times,
                by_etcd,
            ),
            goal(
                format!("{name}, by 1 ÷ (one RPC + one fsync)"),
                AtLeast(0.8),
                Unit::Percent,
                by_bound,
            ),
        ]
    };
    [(32, 5.0), (256, 4.0)].into_iter().flat_map(pair).collect()
}

fn of_clients(scenario: Scenario, clients: usize) -> String {
    let s = if clients == 1 { "" } else { "s" };
    format!("{}, {clients} client{s}", scenario.name())
}

fn herd(run: &Run) -> Vec<Goal> {
    let drained = run.of(Scenario::Shot(Shot::Herd), 1_000);
    let drained = drained.and_then(|r| r.times_better(System::Latchd, System::Etcd));
    let curve = run
        .curves
        .iter()
        .find(|curve| curve.sweep == Sweep::Waiters);
    let points = curve.map(|curve| curve.points(System::Latchd));
    let at = |size| {
        let points = points.iter().flatten();
        let mut found = points.filter(|(of, _)| *of == size);
        found
            .next()
            .map(|(_, figures)| figures.get(Metric::HandOff))
    };
    let growth = at(10_000).zip(at(10)).map(|(many, few)| ratio(many, few));
    vec![
        goal(
            "1,000 waiters drained, by etcd",
            AtLeast(4.0),
            Unit::Times,
            drained,
        ),
        goal(
            "hand-off at 10,000 waiters by that at 10",
            AtMost(1.5),
            Unit::Times,
            growth,
        ),
    ]
}

fn expiry(run: &Run) -> Vec<Goal> {
    let figures = latchd(run, Scenario::Shot(Shot::Expiry), 10_000);
    let of = |metric| figures.map(|figures| figures.get(metric));
    let puts = of(Metric::PutsMeanwhile).zip(of(Metric::PutsBefore));
    let puts = puts.map(|(meanwhile, before)| ratio(meanwhile, before));
    vec![
        goal(
            "10,000 leases expire, late (p99)",
            AtMost(10.0),
            Unit::Ms,
            of(Metric::LateP99),
        ),
        goal(
            "10,000 leases expire, how many early",
            AtMost(0.0),
            Unit::Count,
            of(Metric::Early),
        ),
        goal(
            "10,000 leases expire, puts meanwhile",
            AtLeast(0.5),
            Unit::Percent,
            puts,
        ),
    ]
}

fn cpu(run: &Run) -> Vec<Goal> {
    let against = |system| {
        let results = run.of(Scenario::Loop(Work::Lock), 32)?;
        Some(results.ratio(System::Latchd, system)?.get(Metric::Cpu))
    };
    vec![
        goal(
            "server CPU per lock cycle, 32 clients, by etcd",
            AtMost(1.0 / 3.0),
            Unit::Times,
            against(System::Etcd),
        ),
        goal(
            "server CPU per lock cycle, 32 clients, by the floor",
            AtMost(1.6),
            Unit::Times,
            against(System::Floor),
        ),
    ]
}

fn memory(run: &Run) -> Vec<Goal> {
    let of = |piece| {
        let mut found = run.weighed.iter();
        let weighed = found.find(|one| one.piece == piece && one.system == System::Latchd)?;
        Some(weighed.per_piece())
    };
    let idle = idle_bytes(&run.weighed, System::Latchd) as f64;
    let idle = (idle > 0.0).then_some(idle);
    const KIB: f64 = 1024.0;
    vec![
        goal("memory, idle", AtMost(16.0 * KIB * KIB), Unit::MiB, idle),
        goal(
            "memory of a waiter",
            AtMost(10.0 * KIB),
            Unit::KiB,
            of(Piece::Waiter),
        ),
        goal(
            "memory of a lease",
            AtMost(KIB),
            Unit::KiB,
            of(Piece::Lease),
        ),
        goal(
            "memory of a watcher",
            AtMost(4.0 * KIB),
            Unit::KiB,
            of(Piece::Watcher),
        ),
    ]
}

fn start(run: &Run) -> Vec<Goal> {
    let within = |keys| Some(latchd(run, Scenario::Shot(Shot::Start), keys)?.get(Metric::Start));
    vec![
        goal("start, empty", AtMost(20.0), Unit::Ms, within(0)),
        goal(
            "start with a million keys",
            AtMost(1_000.0),
            Unit::Ms,
            within(1_000_000),
        ),
    ]
}

fn latchd(run: &Run, scenario: Scenario, size: usize) -> Option<Figures> {
    run.of(scenario, size)?.medians(System::Latchd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::samples;

    fn found<'a>(goals: &'a [Goal], what: &str) -> &'a Goal {
        goals.iter().find(|goal| goal.what == what).unwrap()
    }

    #[test]
    fn a_goal_is_met_or_not_or_not_measured() {
        let with = |limit, measured| goal("it", limit, Unit::Times, measured).met();
        assert_eq!(with(AtLeast(2.0), Some(2.0)), Some(true));
        assert_eq!(with(AtLeast(2.0), Some(1.9)), Some(false));
        assert_eq!(with(AtMost(2.0), Some(2.1)), Some(false));
        assert_eq!(with(AtMost(2.0), None), None);
    }

    #[test]
    fn what_the_run_measured_is_held_to_its_goal() {
        let mut run = samples::run();
        run.results = vec![samples::herd(1_000)];
        let goals = of(&run);
        let herd = found(&goals, "1,000 waiters drained, by etcd");
        assert_eq!(herd.met(), Some(true));
        assert_eq!(found(&goals, "start, empty").met(), None);
        let text = markdown(&goals);
        assert!(
            text.contains("| 1,000 waiters drained, by etcd | ≥ 4.00× | 4.00× | yes |"),
            "{text}"
        );
        assert!(
            text.contains("| start, empty | ≤ 20.0 ms | not measured |  |"),
            "{text}"
        );
        let printed = table(&goals);
        assert!(printed.ends_with("1 of 1 measured goals reached\n"));
        assert!(!printed.contains("start"), "{printed}");
        assert_eq!(table(&of(&samples::run())), "");
    }

    #[test]
    fn the_cost_of_a_hand_off_is_held_to_that_of_a_small_herd() {
        let mut run = samples::run();
        run.curves = vec![crate::sweep::Curve {
            sweep: Sweep::Waiters,
            points: vec![samples::herd(10), samples::herd(10_000)],
        }];
        let goals = of(&run);
        let growth = found(&goals, "hand-off at 10,000 waiters by that at 10");
        assert_eq!(growth.measured, 1.0);
    }
}
