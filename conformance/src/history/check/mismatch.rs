//! Why an answer is wrong, in the words of the rule that it breaks.

use crate::history::{
    check::{plan::Plan, timeline::Timeline},
    record::Op,
    request::{Event, Kv, Request, Response, Revision},
    state::State,
    text::list,
    violation::{Rule, Violation},
};

/// A revision that nobody can have written as it was told.
pub fn hole(plan: &Plan<'_>, revision: Revision) -> Violation {
    let Some(told) = plan.told.get(&revision) else {
        let story = format!(
            "revision {revision}: no request wrote it, answered or not, and no lease's end"
        );
        return Violation::new(Rule::RevisionWithoutWrite, story);
    };
    let events: Vec<Event> = told.values().map(|(_, event)| (*event).clone()).collect();
    let watcher = told.values().next().map(|(watcher, _)| *watcher);
    let watcher = watcher.map_or("", |index| plan.history.watchers[index].name.as_str());
    let story = format!(
        "revision {revision}: watch `{watcher}` was told [{}], but no request of that time does this",
        list(&events)
    );
    Violation::new(Rule::Phantom, story)
}

/// A write whose answer is not what the state before it gives.
pub fn wrong_write(op: &Op, before: &State, expected: Option<&Response>) -> Violation {
    let expected = expected.map_or_else(String::new, Response::to_string);
    let revision = before.revision();
    let fenced_out = op.request.fence().filter(|(key, token)| {
        let kept = before.get(key).is_some_and(|kv| kv.create == *token);
        succeeded(op) && !kept
    });
    if let Some((key, token)) = fenced_out {
        let there = before.get(key).map_or("nothing".to_owned(), Kv::to_string);
        let story = format!(
            "{op}\n  at revision {revision} there is {there} for {key}, which had create revision {token}"
        );
        return Violation::new(Rule::DeadHolderWrote, story);
    }
    let story = format!("{op}\n  the state at revision {revision} gives: {expected}");
    Violation::new(Rule::WrongAnswer, story)
}

fn succeeded(op: &Op) -> bool {
    let answer = op.answer().map(|(_, _, response)| response);
    matches!(answer, Some(Response::Txn { succeeded, .. }) if *succeeded)
}

/// An answer that is not what `state`, of its revision, gives.
pub fn wrong_look(op: &Op, state: &State, timeline: &Timeline) -> Violation {
    let expected = state.effect(&op.request).response;
    let answered = op.answer().map(|(_, _, response)| response.clone());
    if let (Some(Response::Range { kvs: should, .. }), Some(Response::Range { kvs: is, .. })) =
        (&expected, &answered)
        && let Request::Range(look) = &op.request
        && look.limit == 0
        && look.max_create == 0
    {
        let read = Read {
            op,
            kvs: is,
            revision: state.revision(),
            timeline,
        };
        if let Some(violation) = read.differs(should) {
            return violation;
        }
    }
    wrong_write(op, state, expected.as_ref())
}

/// A Range's answer that differs from the state.
struct Read<'a> {
    op: &'a Op,
    kvs: &'a [Kv],
    revision: Revision,
    timeline: &'a Timeline,
}

impl Read<'_> {
    /// The first key that differs, and why; none when only order or count do.
    fn differs(&self, should: &[Kv]) -> Option<Violation> {
        let surplus = self.kvs.iter().find(|kv| !should.contains(kv));
        if let Some(kv) = surplus {
            return Some(self.has(kv));
        }
        let lacking = should.iter().find(|kv| !self.kvs.contains(kv))?;
        Some(self.lacks(&lacking.key, lacking.modified - 1))
    }

    /// It has a key that the state does not have so.
    fn has(&self, kv: &Kv) -> Violation {
        let step = self.timeline.at(kv.modified);
        let mut events = step.into_iter().flat_map(|step| &step.events);
        if events.any(|event| !event.deleted && event.kv == *kv) {
            return self.lacks(&kv.key, kv.modified);
        }
        let revision = self.revision;
        let story = format!("{}\n  nobody wrote {kv} by revision {revision}", self.op);
        Violation::new(Rule::Phantom, story)
    }

    /// It does not have the write of `key` that follows a revision.
    fn lacks(&self, key: &str, after: Revision) -> Violation {
        let missed = self.timeline.next_change(key, after);
        let (revision, events) = missed.map_or((after + 1, Vec::new()), |(revision, _)| {
            let step = self.timeline.at(revision);
            (
                revision,
                step.map_or(Vec::new(), |step| step.events.clone()),
            )
        });
        let shown = events
            .iter()
            .find(|event| event.kv.key != key && self.shows(event));
        let rule = shown.map_or(Rule::LostWrite, |_| Rule::TornTxn);
        let wrote = list(&events);
        let also = shown.map_or(String::new(), |event| format!(", but it shows {event}"));
        let story = format!(
            "{}\n  it is of revision {}, but lacks what revision {revision} did to {key}: [{wrote}]{also}",
            self.op, self.revision
        );
        Violation::new(rule, story)
    }

    /// Whether the answer shows this very change of another key.
    fn shows(&self, event: &Event) -> bool {
        !event.deleted && self.kvs.contains(&event.kv)
    }
}
