//! Planted faults: a history of a correct server, spoilt in one way. Each kind
//! must be found wherever it is planted, and called by its name.

mod answers;
mod leases;
mod locks;
mod watches;

use std::sync::LazyLock;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::sim::{self, Shape};
use crate::history::{
    check::{check, timeline::Timeline},
    record::{History, Moment, Op, Outcome, Told},
    request::{LeaseId, Request, Response, Revision},
    state::State,
    violation::Rule,
};

/// A history to spoil, and what is known of it.
struct Ground {
    history: History,
    timeline: Timeline,
    rng: StdRng,
}

/// Plants a fault of one kind somewhere; none when there is no place for it.
type Plant = fn(&mut Ground) -> Option<()>;

/// Histories in which nothing is wrong.
static SOUND: LazyLock<Vec<(History, Timeline)>> = LazyLock::new(|| {
    let histories = (0..40).map(|seed| sim::history(Shape::full(seed)));
    let checked = histories.map(|history| {
        let timeline = check(&history).unwrap();
        (history, timeline)
    });
    checked.collect()
});

/// Plants it in many histories: it is caught in each, by one of `rules`, and
/// there is a place for it in most.
fn is_caught(plant: Plant, rules: &[Rule]) {
    let mut planted = 0;
    for (seed, (history, timeline)) in SOUND.iter().enumerate() {
        let mut ground = Ground {
            history: history.clone(),
            timeline: timeline.clone(),
            rng: StdRng::seed_from_u64(u64::try_from(seed).unwrap()),
        };
        if plant(&mut ground).is_none() {
            continue;
        }
        planted += 1;
        let Err(violation) = check(&ground.history) else {
            panic!("seed {seed}: not found");
        };
        assert!(rules.contains(&violation.rule), "seed {seed}: {violation}");
        assert!(violation.to_string().contains(violation.rule.broken()));
    }
    assert!(planted >= 10, "planted only {planted} times");
}

impl Ground {
    /// One of the things found, at random.
    fn pick<T>(&mut self, mut all: Vec<T>) -> Option<T> {
        if all.is_empty() {
            return None;
        }
        let index = self.rng.random_range(0..all.len());
        Some(all.swap_remove(index))
    }

    fn ops(&self, keep: impl Fn(&Op) -> bool) -> Vec<usize> {
        let ops = self.history.ops.iter().enumerate();
        ops.filter(|(_, op)| keep(op))
            .map(|(index, _)| index)
            .collect()
    }

    /// The keyspace at a revision.
    fn state(&self, revision: Revision) -> State {
        let mut state = State::from(&self.history.start);
        for (_, step) in self.timeline.iter().take_while(|(r, _)| *r <= revision) {
            state.replay(&step.events);
        }
        state
    }

    /// The moment behind everything recorded.
    fn after_all(&self) -> Moment {
        let ops = self.history.ops.iter().filter_map(Op::returned);
        let watchers = self.history.watchers.iter();
        let told = watchers.flat_map(|w| &w.streams).flat_map(|s| &s.told);
        let last = ops
            .chain(told.map(|told| told.at))
            .max()
            .unwrap_or_default();
        Moment(last.0 + 1000)
    }

    /// One request more, after all others.
    fn add(&mut self, request: Request, revision: Revision, response: Response) {
        let invoked = self.after_all();
        self.history.ops.push(Op {
            client: 99,
            invoked,
            request,
            outcome: Outcome::Answered {
                at: Moment(invoked.0 + 100),
                revision,
                response,
            },
        });
    }

    /// One put more, after all others.
    fn add_put(&mut self, key: &str, lease: LeaseId) -> Revision {
        let revision = self.last() + 1;
        let put = Request::Put {
            key: key.to_owned(),
            value: "x".to_owned(),
            lease,
            prev: false,
        };
        self.add(put, revision, Response::Put { prev: None });
        revision
    }

    /// The last revision of any answer.
    fn last(&self) -> Revision {
        let answers = self.history.ops.iter().filter_map(Op::answer);
        let last = answers.map(|(_, revision, _)| revision).max();
        last.unwrap_or(1).max(self.history.end)
    }

    /// The responses of a watcher with at least so many events, each as watcher,
    /// stream and response.
    fn told(&self, keep: impl Fn(&Told) -> bool) -> Vec<[usize; 3]> {
        let mut found = Vec::new();
        for (w, watcher) in self.history.watchers.iter().enumerate() {
            for (s, stream) in watcher.streams.iter().enumerate() {
                let told = stream
                    .told
                    .iter()
                    .enumerate()
                    .filter(|(_, told)| keep(told));
                found.extend(told.map(|(t, _)| [w, s, t]));
            }
        }
        found
    }

    fn response(&mut self, [w, s, t]: [usize; 3]) -> &mut Told {
        &mut self.history.watchers[w].streams[s].told[t]
    }

    fn all_told(&mut self, [w, s, _]: [usize; 3]) -> &mut Vec<Told> {
        &mut self.history.watchers[w].streams[s].told
    }

    /// Whether an answered write made this revision, so that no watch is needed
    /// to know what it was.
    fn is_answered(&self, revision: Revision) -> bool {
        self.history.ops.iter().any(|op| {
            let answer = op.answer().filter(|_| op.is_exact());
            answer.is_some_and(|(_, r, response)| r == revision && response.wrote())
        })
    }
}
