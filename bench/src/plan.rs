//! What is run, in which order, and the run.
//!
//! Each case (a scenario with a number of clients) is run to its end before the next one. Within
//! it the systems take turns, round by round, each time in another order, so that what changes on
//! the machine meanwhile meets all of them. Every turn has a server of its own, fresh.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;

use crate::{
    bound::Bound,
    figures::Figures,
    ground::Ground,
    load, report,
    results::Results,
    scenario::{Client, Scenario, Unit, Work},
    servers::Server,
    shot::{Shot, Turn},
    sizes::Sizes,
    system::System,
};

/// With `--connections` not given, how many clients share one.
const CLIENTS_PER_CONNECTION: usize = 32;
/// And how many connections there are at most where not clients are counted.
const MOST_CONNECTIONS: usize = 64;
/// The largest herd that etcd gets.
const MOST_ON_ETCD: usize = 2_000;
/// The shortest warm-up.
const LEAST_WARM_UP: Duration = Duration::from_millis(300);

/// One thing to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// What happens.
    pub scenario: Scenario,
    /// How many there are of the scenario's unit.
    pub size: usize,
    /// How many connections they share.
    pub connections: usize,
}

impl Case {
    /// One with so many connections, or as many as are usual.
    pub fn new(scenario: Scenario, size: usize, connections: Option<usize>) -> Self {
        let usual = size.div_ceil(CLIENTS_PER_CONNECTION).max(1);
        let usual = match scenario.unit() {
            Unit::Client => usual,
            _ => usual.min(MOST_CONNECTIONS),
        };
        Self {
            scenario,
            size,
            connections: connections.unwrap_or(usual),
        }
    }

    /// Whether a system takes part. etcd sorts all who wait for each one that comes or has its turn,
    /// so a herd of 10,000 is not together after five minutes.
    pub fn is_for(self, system: System) -> bool {
        let is_herd = self.scenario == Scenario::Shot(Shot::Herd);
        let too_many = system == System::Etcd && is_herd && self.size > MOST_ON_ETCD;
        self.scenario.is_known_to(system) && !too_many
    }
}

impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let size = count(self.size, self.scenario.unit().plural());
        let connections = count(self.connections, "connections");
        write!(f, "{}, {size}, {connections}", self.scenario.name())
    }
}

fn count(n: usize, plural: &str) -> String {
    let what = plural.strip_suffix('s').filter(|_| n == 1);
    format!("{n} {}", what.unwrap_or(plural))
}

/// How long the load lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Before anything is measured.
    pub warm_up: Duration,
    /// While it is measured.
    pub window: Duration,
}

impl Timing {
    /// A window, and a quarter of it before as warm-up.
    pub fn of(window: Duration) -> Self {
        Self {
            warm_up: (window / 4).max(LEAST_WARM_UP),
            window,
        }
    }
}

/// Everything that a run needs to know.
pub struct Plan<'a> {
    /// The cases, in their order.
    pub cases: Vec<Case>,
    /// The systems that take turns.
    pub systems: Vec<System>,
    /// How many turns each has in each case.
    pub rounds: usize,
    /// How long a turn lasts.
    pub timing: Timing,
    /// Where the programs and the servers' directories are.
    pub ground: &'a Ground,
}

/// Every scenario that somebody knows, in every size that makes sense for it.
///
/// # Errors
/// When nothing is left.
pub fn cases(
    scenarios: &[Scenario],
    systems: &[System],
    sizes: &Sizes,
    connections: Option<usize>,
) -> Result<Vec<Case>> {
    let known = |scenario: &Scenario| systems.iter().any(|system| scenario.is_known_to(*system));
    let all = scenarios
        .iter()
        .copied()
        .filter(known)
        .flat_map(|scenario| {
            let enough = sizes.of(scenario.unit()).iter();
            let enough = enough.filter(move |n| **n >= scenario.least());
            enough.map(move |n| Case::new(scenario, *n, connections))
        });
    let cases: Vec<Case> = all.collect();
    ensure!(
        !cases.is_empty(),
        "nothing to do: one client alone cannot contend (--clients 2 or more, 16 for groups), \
         and the floor and Redis do not know all scenarios"
    );
    Ok(cases)
}

impl Plan<'_> {
    /// Runs all cases, and prints each one's table as soon as it is there.
    ///
    /// # Errors
    /// When a server does not start, or answers wrongly.
    pub async fn run(&self) -> Result<Vec<Results>> {
        let mut all = Vec::new();
        for case in &self.cases {
            let results = self.run_case(*case).await?;
            print!("{}", report::table(&results));
            all.push(results);
        }
        Ok(all)
    }

    /// How long all the closed loops last together; what is no loop, and starting servers, comes on
    /// top.
    pub fn load_time(&self) -> Duration {
        let turns = |case: &Case| {
            let knows = |system: &&System| case.is_for(**system);
            self.systems.iter().filter(knows).count() * self.rounds
        };
        let turns: usize = self.cases.iter().map(turns).sum();
        (self.timing.warm_up + self.timing.window).mul_f64(turns as f64)
    }

    /// Runs one case to its end.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub async fn run_case(&self, case: Case) -> Result<Results> {
        let mut results = Results::new(case, &self.systems);
        for round in 0..self.rounds {
            if case.scenario.hands_over() {
                let bound = Bound::measure(self.ground, self.timing).await;
                results.bounds.push(bound.context("measuring the bound")?);
            }
            let mut turns = order(&self.systems, round);
            turns.retain(|system| case.is_for(*system));
            for system in turns {
                let figures = self.turn(case, system).await;
                let figures = figures.with_context(|| format!("{case}, {}", system.name()))?;
                results.add(system, figures);
            }
        }
        Ok(results)
    }

    async fn turn(&self, case: Case, system: System) -> Result<Figures> {
        let mut server = self.ground.start(system).await?;
        let figures = match case.scenario {
            Scenario::Loop(work) => {
                let clients = clients(work, case, &server).await?;
                load::measure(clients, server.pid(), self.timing).await?
            }
            Scenario::Shot(shot) => {
                let wires = server.connections(case.connections).await?;
                let turn = Turn {
                    ground: self.ground,
                    system,
                    server: &mut server,
                    wires,
                    size: case.size,
                    timing: self.timing,
                };
                shot.fire(turn).await?
            }
        };
        server.stop().await?;
        Ok(figures)
    }
}

async fn clients(work: Work, case: Case, server: &Server) -> Result<Vec<Client>> {
    if work == Work::Dreadlock {
        let prepare = (0..case.size).map(|index| Client::prepare_line(server.line_port(), index));
        return try_join_all(prepare).await;
    }
    if server.system() == System::Redis {
        let connections = server.redis_connections(case.connections).await?;
        let shared = connections.iter().cycle().take(case.size).enumerate();
        let prepare = shared.map(|(index, one)| Client::prepare_redis(work, one.clone(), index));
        return try_join_all(prepare).await;
    }
    let wires = server.connections(case.connections).await?;
    let shared = wires.iter().cycle().take(case.size).enumerate();
    let prepare = shared.map(|(index, wire)| Client::prepare(work, wire.clone(), index));
    try_join_all(prepare).await
}

/// The systems, beginning with another one each round.
fn order(systems: &[System], round: usize) -> Vec<System> {
    let mut order = systems.to_vec();
    order.rotate_left(round % systems.len());
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: Scenario = Scenario::Loop(Work::Lock);
    const CONTENDED: Scenario = Scenario::Loop(Work::Contended);

    fn sizes(clients: &[usize]) -> Sizes {
        Sizes {
            clients: clients.to_vec(),
            watchers: vec![5],
            waiters: vec![6],
            leases: vec![7],
            keys: vec![0, 8],
        }
    }

    fn names(scenarios: &[Scenario], systems: &[System]) -> Vec<(&'static str, usize)> {
        let cases = cases(scenarios, systems, &sizes(&[1, 32]), None).unwrap();
        let names = cases.iter().map(|case| (case.scenario.name(), case.size));
        names.collect()
    }

    #[test]
    fn one_client_does_not_contend() {
        let all = names(&[LOCK, CONTENDED], &System::ALL);
        assert_eq!(all, [("lock", 1), ("lock", 32), ("contended", 32)]);
        assert!(cases(&[CONTENDED], &System::ALL, &sizes(&[1]), None).is_err());
    }

    #[test]
    fn a_shot_has_sizes_of_its_own() {
        let shots = [Scenario::Shot(Shot::Start), Scenario::Shot(Shot::Herd)];
        let all = names(&shots, &System::ALL);
        assert_eq!(all, [("start", 0), ("start", 8), ("herd", 6)]);
    }

    #[test]
    fn what_nobody_knows_is_left_out() {
        let all = names(&[LOCK, CONTENDED], &[System::Floor]);
        assert_eq!(all, [("lock", 1), ("lock", 32)]);
    }

    #[test]
    fn etcd_is_spared_a_great_herd() {
        let takes_part = |system, size| {
            let case = Case::new(Scenario::Shot(Shot::Herd), size, None);
            case.is_for(system)
        };
        assert!(takes_part(System::Etcd, 1_000) && takes_part(System::Latchd, 10_000));
        assert!(!takes_part(System::Etcd, 10_000) && !takes_part(System::Floor, 10));
    }

    #[test]
    fn every_32_clients_have_a_connection_unless_told_otherwise() {
        let connections = |size, given| Case::new(LOCK, size, given).connections;
        assert_eq!([1, 32, 33, 256].map(|n| connections(n, None)), [1, 1, 2, 8]);
        assert_eq!(connections(32, Some(4)), 4);
        let start = |size| Case::new(Scenario::Shot(Shot::Start), size, None).connections;
        assert_eq!([0, 1_000_000].map(start), [1, 64]);
    }

    #[test]
    fn a_case_tells_its_numbers() {
        let text = |size| Case::new(LOCK, size, None).to_string();
        assert_eq!(text(1), "lock, 1 client, 1 connection");
        assert_eq!(text(64), "lock, 64 clients, 2 connections");
    }

    #[test]
    fn each_system_is_first_in_turn() {
        let first = |round| order(&System::ALL, round)[0];
        assert_eq!(
            [first(0), first(1), first(2), first(4)],
            [System::Latchd, System::Etcd, System::Floor, System::Latchd]
        );
    }

    #[test]
    fn the_warm_up_is_a_quarter_of_the_window_but_not_too_short() {
        let warm_up = |ms| Timing::of(Duration::from_millis(ms)).warm_up.as_millis();
        assert_eq!([warm_up(4000), warm_up(100)], [1000, 300]);
    }
}
