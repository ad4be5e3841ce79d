//! What a run has found.

use crate::{
    bound::Bound,
    figures::{self, Figures, Metric},
    plan::{Case, Timing},
    system::System,
};

/// The comparisons that are made, where both took part.
pub const COMPARISONS: [(System, System); 2] = [
    (System::Latchd, System::Etcd),
    (System::Latchd, System::Floor),
];

/// A whole run.
pub struct Run {
    /// Where it ran.
    pub machine: Machine,
    /// How long each turn lasted.
    pub timing: Timing,
    /// How many turns each system had in each case.
    pub rounds: usize,
    /// One for each case, in the order of the run.
    pub results: Vec<Results>,
}

/// What the figures depend on.
pub struct Machine {
    /// How many CPUs the load and the server share.
    pub cpus: usize,
    /// The kind of file system under the data.
    pub filesystem: String,
    /// What the binaries say of themselves.
    pub versions: Vec<(System, String)>,
}

/// The figures of one case.
pub struct Results {
    /// The case.
    pub case: Case,
    /// For each system its rounds.
    pub rounds: Vec<(System, Vec<Figures>)>,
    /// For each round what it could reach at most; empty where nobody can tell.
    pub bounds: Vec<Bound>,
}

impl Results {
    /// None yet.
    pub fn new(case: Case, systems: &[System]) -> Self {
        let rounds = systems.iter().map(|system| (*system, Vec::new()));
        Self {
            case,
            rounds: rounds.collect(),
            bounds: Vec::new(),
        }
    }

    /// Adds a round of a system that takes part.
    pub fn add(&mut self, system: System, figures: Figures) {
        let rounds = self.rounds.iter_mut().find(|(of, _)| *of == system);
        if let Some((_, rounds)) = rounds {
            rounds.push(figures);
        }
    }

    /// The ratio of two systems' medians; none if one of them took no part.
    pub fn ratio(&self, ours: System, theirs: System) -> Option<Figures> {
        Some(self.medians(ours)?.over(&self.medians(theirs)?))
    }

    /// What can be reached at most, the median of the rounds.
    pub fn bound(&self) -> Option<Bound> {
        Bound::median(&self.bounds)
    }

    /// How much of that latchd reaches.
    pub fn of_bound(&self) -> Option<f64> {
        let reached = self.medians(System::Latchd)?.get(Metric::Throughput);
        Some(figures::ratio(reached, self.bound()?.per_second()))
    }

    fn medians(&self, system: System) -> Option<Figures> {
        let (_, rounds) = self.rounds.iter().find(|(of, _)| *of == system)?;
        Some(Figures::medians(rounds))
    }
}

#[cfg(test)]
pub mod samples {
    //! A small run, for the tests of what is printed.

    use std::time::Duration;

    use super::*;
    use crate::scenario::Scenario;

    /// latchd twice as fast as etcd in the median of three rounds; no floor.
    pub fn run() -> Run {
        Run {
            machine: Machine {
                cpus: 2,
                filesystem: "ext4".to_owned(),
                versions: vec![(System::Latchd, "latchd 0.1.0".to_owned())],
            },
            timing: Timing::of(Duration::from_secs(3)),
            rounds: 3,
            results: vec![results()],
        }
    }

    /// Its only case.
    pub fn results() -> Results {
        let case = Case {
            scenario: Scenario::TxnLock,
            clients: 32,
            connections: 1,
        };
        let mut results = Results::new(case, &[System::Latchd, System::Etcd]);
        for (ours, theirs) in [(2200.0, 900.0), (2000.0, 1000.0), (1800.0, 1100.0)] {
            results.add(System::Latchd, figures(ours));
            results.add(System::Etcd, figures(theirs));
        }
        results
    }

    /// One hand-over in 250 us.
    pub fn bounds() -> Vec<Bound> {
        let (rpc, fsync) = (50.0, 200.0);
        vec![Bound { rpc, fsync }]
    }

    fn figures(throughput: f64) -> Figures {
        Figures::from_fn(|metric| match metric {
            Metric::Throughput => throughput,
            Metric::P50 => 1234.0,
            Metric::P99 => f64::NAN,
            Metric::Cpu => 55.5,
            Metric::Load => 44.4,
            Metric::Rss => 9.87,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_those_of_the_medians() {
        let ratio = samples::results()
            .ratio(System::Latchd, System::Etcd)
            .unwrap();
        assert_eq!(ratio.get(Metric::Throughput), 2.0);
    }

    #[test]
    fn the_bound_is_reached_by_so_much() {
        let mut results = samples::results();
        assert_eq!(results.of_bound(), None);
        results.bounds = samples::bounds();
        assert_eq!(results.of_bound(), Some(0.5));
    }

    #[test]
    fn there_is_no_ratio_to_who_took_no_part() {
        let results = samples::results();
        assert!(results.ratio(System::Latchd, System::Floor).is_none());
    }
}
