//! What a run has found.

use crate::{
    bound::Bound,
    figures::{self, Figures, Metric},
    footprint::Weighed,
    plan::{Case, Timing},
    scenario::Scenario,
    soak::Soaked,
    sweep::Curve,
    system::System,
};

/// The comparisons that are made, where both took part.
pub const COMPARISONS: [(System, System); 3] = [
    (System::Latchd, System::Etcd),
    (System::Latchd, System::Floor),
    (System::Latchd, System::Redis),
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
    /// How cost grows.
    pub curves: Vec<Curve>,
    /// What things weigh.
    pub weighed: Vec<Weighed>,
    /// What very many lock cycles left.
    pub soaked: Option<Soaked>,
}

impl Run {
    /// Nothing measured yet.
    pub fn new(machine: Machine, timing: Timing, rounds: usize) -> Self {
        Self {
            machine,
            timing,
            rounds,
            results: Vec::new(),
            curves: Vec::new(),
            weighed: Vec::new(),
            soaked: None,
        }
    }

    /// The results of a case; none if it was not run.
    pub fn of(&self, scenario: Scenario, size: usize) -> Option<&Results> {
        let is_it =
            |results: &&Results| results.case.scenario == scenario && results.case.size == size;
        self.results.iter().find(is_it)
    }
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
    /// For each system its rounds; no rounds where a system does not know the scenario.
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

    /// How many times better the one is than the other, in what counts most.
    pub fn times_better(&self, ours: System, theirs: System) -> Option<f64> {
        let first = *self.case.scenario.columns().first()?;
        let ratio = self.ratio(ours, theirs)?.get(first);
        Some(if first.more_is_better() {
            ratio
        } else {
            figures::ratio(1.0, ratio)
        })
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

    /// The medians of a system's rounds; none if it took no part.
    pub fn medians(&self, system: System) -> Option<Figures> {
        let (_, rounds) = self.rounds.iter().find(|(of, _)| *of == system)?;
        (!rounds.is_empty()).then(|| Figures::medians(rounds))
    }
}

#[cfg(test)]
pub mod samples {
    //! A small run, for the tests of what is printed.

    use std::time::Duration;

    use super::*;
    use crate::{scenario::Work, shot::Shot};

    /// latchd twice as fast as etcd in the median of three rounds; no floor.
    pub fn run() -> Run {
        let machine = Machine {
            cpus: 2,
            filesystem: "ext4".to_owned(),
            versions: vec![(System::Latchd, "latchd 0.1.0".to_owned())],
        };
        let mut run = Run::new(machine, Timing::of(Duration::from_secs(3)), 3);
        run.results = vec![results()];
        run
    }

    /// Its only case.
    pub fn results() -> Results {
        let case = Case::new(Scenario::Loop(Work::TxnLock), 32, None);
        let mut results = Results::new(case, &[System::Latchd, System::Etcd]);
        for (ours, theirs) in [(2200.0, 900.0), (2000.0, 1000.0), (1800.0, 1100.0)] {
            results.add(System::Latchd, figures(ours));
            results.add(System::Etcd, figures(theirs));
        }
        results
    }

    /// A herd that latchd lets in four times as fast as etcd; the floor knows no herd.
    pub fn herd(size: usize) -> Results {
        let case = Case::new(Scenario::Shot(Shot::Herd), size, None);
        let mut results = Results::new(case, &[System::Latchd, System::Etcd, System::Floor]);
        for (system, hand_off) in [(System::Latchd, 500.0), (System::Etcd, 2000.0)] {
            results.add(system, Figures::of([(Metric::HandOff, hand_off)]));
        }
        results
    }

    /// One hand-over in 250 us.
    pub fn bounds() -> Vec<Bound> {
        let (rpc, fsync) = (50.0, 200.0);
        vec![Bound { rpc, fsync }]
    }

    fn figures(throughput: f64) -> Figures {
        Figures::of([
            (Metric::Throughput, throughput),
            (Metric::P50, 1234.0),
            (Metric::Cpu, 55.5),
            (Metric::Load, 44.4),
            (Metric::Rss, 9.87),
        ])
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

    #[test]
    fn less_time_is_so_many_times_better() {
        let herd = samples::herd(10);
        assert_eq!(herd.times_better(System::Latchd, System::Etcd), Some(4.0));
        assert_eq!(herd.times_better(System::Latchd, System::Floor), None);
        let loops = samples::results();
        assert_eq!(loops.times_better(System::Latchd, System::Etcd), Some(2.0));
    }

    #[test]
    fn a_case_is_found_by_what_it_is() {
        let run = samples::run();
        let scenario = run.results[0].case.scenario;
        assert!(run.of(scenario, 32).is_some() && run.of(scenario, 1).is_none());
    }
}
