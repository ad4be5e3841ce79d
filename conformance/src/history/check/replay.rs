//! Goes through the revisions in order: each write is done to a model of the
//! keyspace and each read compared with it.
//!
//! A write that was answered says which revision it is. A revision that no
//! answer claims is that of a request whose outcome is unknown, of a lock or
//! lease request, or of a lease's end: whichever gives the events that watches
//! were told and lies right in time. Where several do, with different effects,
//! each is tried; with the events of a watch of all keys there is one, and going
//! through is linear.

use std::collections::BTreeSet;

use crate::history::{
    check::{
        mismatch,
        plan::Plan,
        timeline::{Author, Step, Timeline},
    },
    record::{History, Moment},
    request::{LeaseId, Request, Revision},
    state::State,
    violation::{Rule, Violation},
};

/// After so many wrong guesses it is no guessing any more.
const MOST_GUESSES: usize = 20_000;

/// What happened at every revision.
///
/// # Errors
/// When no sequence of writes gives what was answered and told.
pub fn replay(history: &History) -> Result<Timeline, Violation> {
    let plan = Plan::of(history)?;
    let mut path = Path {
        state: State::from(&history.start),
        timeline: Timeline::after(history.start.revision),
    };
    let mut forks = Vec::new();
    let mut furthest: Option<(Revision, Violation)> = None;
    for _ in 0..MOST_GUESSES {
        let Err(violation) = plan.walk(&mut path, &mut forks) else {
            return Ok(path.timeline);
        };
        let revision = path.state.revision();
        if furthest.as_ref().is_none_or(|(best, _)| revision > *best) {
            furthest = Some((revision, violation));
        }
        let Some(fork) = forks.pop() else { break };
        path = fork;
    }
    Err(furthest.map_or_else(|| mismatch::hole(&plan, path.state.revision()), |(_, v)| v))
}

/// The keyspace after a number of revisions, and how it came to it.
#[derive(Clone)]
struct Path {
    state: State,
    timeline: Timeline,
}

impl Path {
    /// With the next revision, written by `author`.
    fn then(&self, step: Step, state: State) -> Self {
        let mut timeline = self.timeline.clone();
        timeline.push(step);
        Self { state, timeline }
    }
}

impl Plan<'_> {
    /// Goes on to the last revision; what else might have been is left in `forks`.
    fn walk(&self, path: &mut Path, forks: &mut Vec<Path>) -> Result<(), Violation> {
        self.check_looks(path)?;
        while path.state.revision() < self.last {
            let revision = path.state.revision() + 1;
            match self.writes.get(&revision) {
                Some(op) => self.write(path, *op)?,
                None => self.guess(path, revision, forks)?,
            }
            self.check_looks(path)?;
        }
        Ok(())
    }

    fn write(&self, path: &mut Path, index: usize) -> Result<(), Violation> {
        let op = &self.history.ops[index];
        let before = path.state.clone();
        let effect = path.state.apply(&op.request);
        let answered = op.answer().map(|(_, _, response)| response);
        if effect.response.as_ref() != answered {
            return Err(mismatch::wrong_write(op, &before, effect.response.as_ref()));
        }
        path.timeline.push(Step {
            events: effect.events,
            author: Author::Op(index),
        });
        Ok(())
    }

    fn guess(
        &self,
        path: &mut Path,
        revision: Revision,
        forks: &mut Vec<Path>,
    ) -> Result<(), Violation> {
        let mut guesses = self.authors(path, revision);
        if guesses.is_empty() {
            return Err(mismatch::hole(self, revision));
        }
        let (step, state) = guesses.remove(0);
        forks.extend(
            guesses
                .into_iter()
                .rev()
                .map(|(step, state)| path.then(step, state)),
        );
        path.state = state;
        path.timeline.push(step);
        Ok(())
    }

    /// Who may have written a revision that no answer claims, one for each
    /// different effect: of those with the same effect the first to be due.
    fn authors(&self, path: &Path, revision: Revision) -> Vec<(Step, State)> {
        let unlocks = self.unlocks.get(&revision).into_iter().flatten();
        let time = (self.bounds.absent(revision), self.bounds.seen(revision));
        let floating = self
            .floating
            .iter()
            .filter(|op| self.is_in_time(**op, time) && path.timeline.written_by(**op).is_none());
        let ops = unlocks.chain(floating).map(|op| {
            let request = &self.history.ops[*op].request;
            (Author::Op(*op), request.clone())
        });
        let ends = leases(&path.state)
            .into_iter()
            .map(|id| (Author::LeaseEnd(id), Request::Revoke { id }));
        let mut found: Vec<(Step, State)> = Vec::new();
        for (author, request) in ops.chain(ends) {
            if !self.may_concern(revision, &request) {
                continue;
            }
            let mut state = path.state.clone();
            let events = state.apply(&request).events;
            let is_new = found.iter().all(|(step, _)| step.events != events);
            if !events.is_empty() && is_new && self.may_be(revision, &events) {
                found.push((Step { events, author }, state));
            }
        }
        found
    }

    /// Whether a request was under way between these moments.
    fn is_in_time(&self, op: usize, (absent, seen): (Moment, Moment)) -> bool {
        let op = &self.history.ops[op];
        op.invoked <= seen && op.returned().is_none_or(|over| over >= absent)
    }

    /// False when the request cannot change a key that was told: a cheap look
    /// before the request is tried.
    fn may_concern(&self, revision: Revision, request: &Request) -> bool {
        let told = self.told.get(&revision);
        told.and_then(|told| told.keys().next())
            .is_none_or(|key| may_write(request, key))
    }

    /// Compares what was answered of this revision with the keyspace.
    fn check_looks(&self, path: &Path) -> Result<(), Violation> {
        let revision = path.state.revision();
        for index in self.looks.get(&revision).into_iter().flatten() {
            let op = &self.history.ops[*index];
            let expected = path.state.effect(&op.request).response;
            let answered = op.answer().map(|(_, _, response)| response);
            if expected.as_ref() != answered {
                return Err(mismatch::wrong_look(op, &path.state, &path.timeline));
            }
        }
        for index in self.unlocks.get(&revision).into_iter().flatten() {
            let op = &self.history.ops[*index];
            if let Request::Unlock { key } = &op.request
                && let Some(kv) = path.state.get(key)
            {
                let story = format!("{op}\n  at revision {revision} there is {kv}");
                return Err(Violation::new(Rule::UnlockLeftKey, story));
            }
        }
        Ok(())
    }
}

/// The leases that have keys.
fn leases(state: &State) -> BTreeSet<LeaseId> {
    let leases = state.all().map(|kv| kv.lease);
    leases.filter(|id| *id != 0).collect()
}

/// Whether a request may put or delete a key.
fn may_write(request: &Request, key: &str) -> bool {
    match request {
        Request::Put { key: put, .. } => put == key,
        Request::Delete { span, .. } => span.contains(key),
        Request::Txn { then, or_else, .. } => {
            then.iter().chain(or_else).any(|part| may_write(part, key))
        }
        Request::Lock { name, .. } => key.starts_with(name),
        Request::Unlock { key: unlocked } => unlocked == key,
        Request::Revoke { .. } => true,
        _ => false,
    }
}
