//! Another checker's opinion: stateright's `LinearizabilityTester` tries every
//! order that real time allows, which only small histories bear. On thousands of
//! those, right and wrong, both must come to the same verdict.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

use super::sim::{self, Shape};
use crate::history::{
    check::linearize,
    record::{History, Op, Outcome},
    request::{Request, Response, Revision},
    state::State,
};

/// The keyspace with its past, as stateright wants it.
#[derive(Clone)]
struct Store(Vec<State>);

impl SequentialSpec for Store {
    type Op = Request;
    type Ret = (Revision, Option<Response>);

    fn invoke(&mut self, request: &Request) -> Self::Ret {
        let mut state = self.0.last().unwrap().clone();
        if let Request::Range(look) = request
            && look.revision > 0
        {
            let past = self.0.iter().find(|past| past.revision() == look.revision);
            return (
                state.revision(),
                past.and_then(|past| past.effect(request).response),
            );
        }
        let effect = state.apply(request);
        let revision = state.revision();
        if !effect.events.is_empty() {
            self.0.push(state);
        }
        (revision, effect.response)
    }
}

/// Each request is a thread of its own: real time alone orders them.
fn stateright_agrees(history: &History) -> bool {
    let mut moments = Vec::new();
    for (thread, op) in history.ops.iter().enumerate() {
        moments.push((op.invoked, thread, false));
        moments.extend(op.answer().map(|(at, ..)| (at, thread, true)));
    }
    moments.sort();
    let mut tester = LinearizabilityTester::new(Store(vec![State::from(&history.start)]));
    for (_, thread, returns) in moments {
        let op = &history.ops[thread];
        if returns {
            let (_, revision, response) = op.answer().unwrap();
            tester
                .on_return(thread, (revision, Some(response.clone())))
                .unwrap();
        } else {
            tester.on_invoke(thread, op.request.clone()).unwrap();
        }
    }
    tester.is_consistent()
}

/// A handful of requests of three clients, some of unknown outcome.
fn small(seed: u64, rng: &mut StdRng) -> History {
    let shape = Shape {
        seed,
        steps: rng.random_range(8..26),
        writers: 3,
        lockers: 0,
        keys: 2,
        leases: false,
        watchers: false,
        crashes: false,
    };
    let mut history = sim::history(shape);
    history
        .ops
        .retain(|op| !matches!(op.outcome, Outcome::Refused { .. }));
    for op in &mut history.ops {
        if let Request::Range(look) = &mut op.request {
            // To stateright every read is linearizable.
            look.serializable = false;
        }
        if rng.random_bool(0.15) {
            op.outcome = Outcome::Unknown {
                error: "cut".to_owned(),
            };
        }
    }
    history
}

/// Spoils something at random; the result may still be right.
fn spoil(history: &mut History, rng: &mut StdRng) {
    let count = history.ops.len();
    if count < 2 {
        return;
    }
    let one = rng.random_range(0..count);
    let other = (one + rng.random_range(1..count)) % count;
    match rng.random_range(0..6) {
        0 => drop(history.ops.remove(one)),
        1 => swap_times(&mut history.ops, one, other),
        2 => {
            let outcome = history.ops[one].outcome.clone();
            let theirs = std::mem::replace(&mut history.ops[other].outcome, outcome);
            history.ops[one].outcome = theirs;
            // Each keeps its own time of returning, if it still has one.
            swap_returns(&mut history.ops, one, other);
        }
        3 => spoil_revision(&mut history.ops[one], rng),
        4 => spoil_response(&mut history.ops[one], rng),
        _ => shift(&mut history.ops[one], rng),
    }
}

fn swap_times(ops: &mut [Op], one: usize, other: usize) {
    let invoked = ops[one].invoked;
    ops[one].invoked = ops[other].invoked;
    ops[other].invoked = invoked;
    swap_returns(ops, one, other);
}

fn swap_returns(ops: &mut [Op], one: usize, other: usize) {
    let (a, b) = (ops[one].returned(), ops[other].returned());
    for (op, time) in [(one, b), (other, a)] {
        if let (Outcome::Answered { at, .. }, Some(time)) = (&mut ops[op].outcome, time) {
            *at = time;
        }
    }
    for op in [one, other] {
        let invoked = ops[op].invoked;
        if let Outcome::Answered { at, .. } = &mut ops[op].outcome {
            // A request is sent before it is answered, whatever else is wrong.
            at.0 = at.0.max(invoked.0 + 1);
        }
    }
}

fn spoil_revision(op: &mut Op, rng: &mut StdRng) {
    if let Outcome::Answered { revision, .. } = &mut op.outcome {
        *revision = (*revision + if rng.random_bool(0.5) { 1 } else { -1 }).max(1);
    }
}

fn spoil_response(op: &mut Op, rng: &mut StdRng) {
    let Outcome::Answered { response, .. } = &mut op.outcome else {
        return;
    };
    match response {
        Response::Range { kvs, .. } if !kvs.is_empty() => {
            let index = rng.random_range(0..kvs.len());
            kvs[index].value.push('x');
        }
        Response::Put { prev } => *prev = None,
        Response::Delete { deleted, .. } => *deleted += 1,
        Response::Txn { succeeded, .. } => *succeeded = !*succeeded,
        _ => {}
    }
}

/// Sent and answered earlier or later than it was.
fn shift(op: &mut Op, rng: &mut StdRng) {
    let by = rng.random_range(0..200_000_000);
    let later = rng.random_bool(0.5);
    let moved = |time: u64| {
        if later {
            time + by
        } else {
            time.saturating_sub(by)
        }
    };
    op.invoked.0 = moved(op.invoked.0);
    let invoked = op.invoked.0;
    if let Outcome::Answered { at, .. } = &mut op.outcome {
        at.0 = moved(at.0).max(invoked + 1);
    }
}

#[test]
fn stateright_comes_to_the_same_verdict() {
    let (mut right, mut wrong) = (0, 0);
    for seed in 0..4000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut history = small(seed, &mut rng);
        for _ in 0..rng.random_range(0..3) {
            spoil(&mut history, &mut rng);
        }
        let ours = linearize(&history);
        let theirs = stateright_agrees(&history);
        if ours.is_ok() != theirs {
            let ops: Vec<String> = history.ops.iter().map(ToString::to_string).collect();
            let ours = ours.map_or_else(|violation| violation.to_string(), |_| "right".to_owned());
            panic!(
                "seed {seed}: stateright says {theirs}, we: {ours}\n{}",
                ops.join("\n")
            );
        }
        right += usize::from(theirs);
        wrong += usize::from(!theirs);
    }
    assert!(right > 1000 && wrong > 1000, "{right} right, {wrong} wrong");
}
