//! Real time: what was complete before a request was sent is behind it in the
//! order of revisions.
//!
//! A write of revision R stands before the reads of the keyspace at R, and both
//! before the write of R + 1. So for every request it is enough to know the
//! highest revision that anybody was answered or told before it was sent. A write
//! must lie above that; a linearizable read at or above; a serializable read at
//! or above what its own client was answered.

use std::collections::BTreeMap;

use crate::history::{
    check::timeline::Timeline,
    record::{History, Moment},
    request::Revision,
    violation::{Rule, Violation},
};

/// Checks that revisions agree with real time.
///
/// # Errors
/// With the first request that lies before something complete.
pub fn check(history: &History, timeline: &Timeline) -> Result<(), Violation> {
    let mut known = knowledge(history);
    known.sort_by_key(|fact| fact.at);
    let mut facts = known.into_iter().peekable();
    let mut ops: Vec<usize> = (0..history.ops.len()).collect();
    ops.sort_by_key(|op| history.ops[*op].invoked);
    let mut floor = Floor::default();
    for op in ops {
        let invoked = history.ops[op].invoked;
        while let Some(fact) = facts.next_if(|fact| fact.at < invoked) {
            floor.raise(fact);
        }
        check_op(history, timeline, op, &floor)?;
    }
    Ok(())
}

/// That a revision was known at a moment.
#[derive(Clone, Copy)]
struct Fact {
    at: Moment,
    revision: Revision,
    source: Source,
}

/// From what it was known.
#[derive(Clone, Copy)]
enum Source {
    Op(usize, u32),
    Watch(usize),
}

/// What is known by some moment.
#[derive(Default)]
struct Floor {
    highest: Option<Fact>,
    of_client: BTreeMap<u32, Fact>,
}

impl Floor {
    fn raise(&mut self, fact: Fact) {
        if self.highest.is_none_or(|h| fact.revision > h.revision) {
            self.highest = Some(fact);
        }
        if let Source::Op(_, client) = fact.source {
            let own = self.of_client.entry(client).or_insert(fact);
            if fact.revision > own.revision {
                *own = fact;
            }
        }
    }
}

fn knowledge(history: &History) -> Vec<Fact> {
    let answers = history.ops.iter().enumerate().filter_map(|(index, op)| {
        let (at, revision, _) = op.answer()?;
        let source = Source::Op(index, op.client);
        Some(Fact {
            at,
            revision,
            source,
        })
    });
    let watchers = history.watchers.iter().enumerate();
    let told = watchers.flat_map(|(index, watcher)| {
        let told = watcher.streams.iter().flat_map(|stream| &stream.told);
        told.map(move |told| Fact {
            at: told.at,
            revision: told.revision.max(told.up_to()),
            source: Source::Watch(index),
        })
    });
    answers.chain(told).collect()
}

fn check_op(
    history: &History,
    timeline: &Timeline,
    index: usize,
    floor: &Floor,
) -> Result<(), Violation> {
    let op = &history.ops[index];
    let known = if op.request.is_serializable() {
        floor.of_client.get(&op.client).copied()
    } else {
        floor.highest
    };
    let Some(known) = known else { return Ok(()) };
    let read = op.answer().filter(|_| op.is_exact());
    match (timeline.written_by(index), read) {
        (Some(revision), _) if revision <= known.revision => {
            Err(late_write(history, index, revision, &known))
        }
        (None, Some((_, revision, _))) if revision < known.revision => {
            let story = format!("{op}\n  {}", tell(history, &known));
            Err(Violation::new(Rule::StaleRead, story))
        }
        _ => Ok(()),
    }
}

fn late_write(history: &History, index: usize, revision: Revision, known: &Fact) -> Violation {
    let story = format!(
        "{}\n  it wrote revision {revision}; before it was sent, {}",
        history.ops[index],
        tell(history, known)
    );
    let wrote = |op: usize| {
        let answer = history.ops[op].answer();
        answer.is_some_and(|(_, _, response)| response.wrote())
    };
    let rule = match known.source {
        Source::Op(other, _) if wrote(other) => Rule::Reordered,
        _ => Rule::SeenBeforeSent,
    };
    Violation::new(rule, story)
}

fn tell(history: &History, fact: &Fact) -> String {
    let Fact { at, revision, .. } = fact;
    match fact.source {
        Source::Op(op, _) => format!("revision {revision} was known from {}", history.ops[op]),
        Source::Watch(watcher) => {
            let name = &history.watchers[watcher].name;
            format!("watch `{name}` was told of revision {revision} (at {at})")
        }
    }
}
