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
    results::{Results, Run},
    scenario::{Client, Scenario},
    system::System,
};

/// With `--connections` not given, how many clients share one.
const CLIENTS_PER_CONNECTION: usize = 32;
/// The shortest warm-up.
const LEAST_WARM_UP: Duration = Duration::from_millis(300);

/// One thing to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// What the clients do.
    pub scenario: Scenario,
    /// How many they are.
    pub clients: usize,
    /// How many HTTP/2 connections they share.
    pub connections: usize,
}

impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let clients = count(self.clients, "client");
        let connections = count(self.connections, "connection");
        write!(f, "{}, {clients}, {connections}", self.scenario.name())
    }
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
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
pub struct Plan {
    /// The cases, in their order.
    pub cases: Vec<Case>,
    /// The systems that take turns.
    pub systems: Vec<System>,
    /// How many turns each has in each case.
    pub rounds: usize,
    /// How long a turn lasts.
    pub timing: Timing,
    /// Where the programs and the servers' directories are.
    pub ground: Ground,
}

/// Every scenario with every number of clients that makes sense for it.
///
/// # Errors
/// When nothing is left.
pub fn cases(
    scenarios: &[Scenario],
    clients: &[usize],
    connections: Option<usize>,
) -> Result<Vec<Case>> {
    let case = |scenario, clients: usize| Case {
        scenario,
        clients,
        connections: connections.unwrap_or_else(|| clients.div_ceil(CLIENTS_PER_CONNECTION)),
    };
    let all = scenarios.iter().flat_map(|scenario| {
        let enough = clients.iter().filter(|n| **n >= scenario.least_clients());
        enough.map(|n| case(*scenario, *n))
    });
    let cases: Vec<Case> = all.collect();
    ensure!(
        !cases.is_empty(),
        "one client alone cannot contend: give --clients 2 or more"
    );
    Ok(cases)
}

impl Plan {
    /// Runs all cases, and prints each one's table as soon as it is there.
    ///
    /// # Errors
    /// When a server does not start, or answers wrongly.
    pub async fn run(&self) -> Result<Run> {
        let mut run = Run {
            machine: self.ground.machine(&self.systems).await?,
            timing: self.timing,
            rounds: self.rounds,
            results: Vec::new(),
        };
        print!("{}", report::head(&run, self.load_time()));
        for case in &self.cases {
            let results = self.run_case(*case).await?;
            print!("{}", report::table(&results));
            run.results.push(results);
        }
        Ok(run)
    }

    /// How long all the loads last together; starting servers comes on top.
    fn load_time(&self) -> Duration {
        let turns = self.cases.len() * self.systems.len() * self.rounds;
        (self.timing.warm_up + self.timing.window).mul_f64(turns as f64)
    }

    async fn run_case(&self, case: Case) -> Result<Results> {
        let mut results = Results::new(case, &self.systems);
        for round in 0..self.rounds {
            if case.scenario.hands_over() {
                let bound = Bound::measure(&self.ground, self.timing).await;
                results.bounds.push(bound.context("measuring the bound")?);
            }
            for system in order(&self.systems, round) {
                let figures = self.turn(case, system).await;
                let figures = figures.with_context(|| format!("{case}, {}", system.name()))?;
                results.add(system, figures);
            }
        }
        Ok(results)
    }

    async fn turn(&self, case: Case, system: System) -> Result<Figures> {
        let server = self.ground.start(system).await?;
        let channels = server.connections(case.connections).await?;
        let channels = channels.iter().cycle().take(case.clients).enumerate();
        let prepare =
            channels.map(|(index, channel)| Client::prepare(case.scenario, channel.clone(), index));
        let clients = try_join_all(prepare).await?;
        let figures = load::measure(clients, server.pid(), self.timing).await?;
        server.stop().await?;
        Ok(figures)
    }
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

    #[test]
    fn one_client_does_not_contend() {
        let all = cases(&[Scenario::Lock, Scenario::Contended], &[1, 32], None).unwrap();
        let names: Vec<_> = all.iter().map(|c| (c.scenario.name(), c.clients)).collect();
        assert_eq!(names, [("lock", 1), ("lock", 32), ("contended", 32)]);
        assert!(cases(&[Scenario::Contended], &[1], None).is_err());
    }

    #[test]
    fn every_32_clients_have_a_connection_unless_told_otherwise() {
        let connections =
            |clients, given| cases(&[Scenario::Put], &[clients], given).unwrap()[0].connections;
        assert_eq!([1, 32, 33, 256].map(|n| connections(n, None)), [1, 1, 2, 8]);
        assert_eq!(connections(32, Some(4)), 4);
    }

    #[test]
    fn each_system_is_first_in_turn() {
        let first = |round| order(&System::ALL, round)[0];
        assert_eq!(
            [first(0), first(1), first(2), first(3)],
            [System::Latchd, System::Etcd, System::Floor, System::Latchd]
        );
    }

    #[test]
    fn the_warm_up_is_a_quarter_of_the_window_but_not_too_short() {
        let warm_up = |ms| Timing::of(Duration::from_millis(ms)).warm_up.as_millis();
        assert_eq!([warm_up(4000), warm_up(100)], [1000, 300]);
    }
}
