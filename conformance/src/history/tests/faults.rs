//! Planted faults: a history of a correct server, spoilt in one way. Each kind
//! must be found wherever it is planted, and called by its name.

use std::sync::LazyLock;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::sim::{self, Shape, fenced};
use crate::history::{
    check::{check, timeline::Timeline},
    record::{History, Moment, Op, Outcome, Told},
    request::{Event, Kv, LeaseId, Look, Request, Response, Revision, Span},
    state::State,
    violation::Rule,
    workload::PREFIX,
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

fn response_of(op: &mut Op) -> &mut Response {
    match &mut op.outcome {
        Outcome::Answered { response, .. } => response,
        other => panic!("{other:?}"),
    }
}

fn is_plain_read(op: &Op) -> bool {
    matches!(&op.request, Request::Range(look) if look.revision == 0 && !look.serializable)
        && op.answer().is_some()
}

// What clients are answered.

/// A read is served from an older revision than was complete.
fn stale_read(ground: &mut Ground) -> Option<()> {
    let reads = ground.ops(is_plain_read);
    let known_before = |read: &Op| {
        let answers = ground.history.ops.iter().filter_map(Op::answer);
        let before = answers.filter(|(at, ..)| *at < read.invoked);
        before.map(|(_, revision, _)| revision).max().unwrap_or(1)
    };
    let reads = reads.into_iter().filter_map(|read| {
        let floor = known_before(&ground.history.ops[read]);
        (floor > 2).then_some((read, floor - 1))
    });
    let (read, revision) = ground.pick(reads.collect())?;
    let response = ground
        .state(revision)
        .effect(&ground.history.ops[read].request)
        .response?;
    if let Outcome::Answered {
        revision: header,
        response: answer,
        ..
    } = &mut ground.history.ops[read].outcome
    {
        (*header, *answer) = (revision, response);
    }
    Some(())
}

/// A read has the header of its revision and the keys of an older one.
fn old_keys(ground: &mut Ground) -> Option<()> {
    let reads = ground.ops(is_plain_read).into_iter().filter_map(|read| {
        let op = &ground.history.ops[read];
        let (_, revision, response) = op.answer()?;
        let older = ground.state(revision - 1).effect(&op.request).response?;
        (older != *response).then_some((read, older))
    });
    let (read, older) = ground.pick(reads.collect())?;
    *response_of(&mut ground.history.ops[read]) = older;
    Some(())
}

/// A write that was acknowledged is not there in the end.
fn lost_write(ground: &mut Ground) -> Option<()> {
    let end = ground.last();
    ground.add_put("kv/lost", 0);
    let all = Request::Range(Look::at(Span::prefix(PREFIX)));
    let without = ground.state(end).effect(&all).response?;
    ground.add(all, end + 1, without);
    Some(())
}

/// A write is lost with a crash, and its revision given to another.
fn lost_revision(ground: &mut Ground) -> Option<()> {
    let revision = ground.add_put("kv/lost", 0);
    ground.add_put("kv/other", 0);
    if let Outcome::Answered {
        revision: header, ..
    } = &mut ground.history.ops.last_mut()?.outcome
    {
        *header = revision;
    }
    Some(())
}

/// A read shows a key that nobody wrote.
fn phantom(ground: &mut Ground) -> Option<()> {
    let wide = |op: &Op| {
        is_plain_read(op) && matches!(&op.request, Request::Range(l) if !l.span.end.is_empty())
    };
    let read = ground.pick(ground.ops(wide))?;
    let revision = ground.history.ops[read].answer()?.1;
    if let Response::Range { kvs, count, .. } = response_of(&mut ground.history.ops[read]) {
        kvs.push(Kv {
            key: "kv/9".to_owned(),
            value: "never".to_owned(),
            create: revision,
            modified: revision,
            version: 1,
            lease: 0,
        });
        *count += 1;
    }
    Some(())
}

/// A read shows one key of a Txn as it was before, the other as it is after.
fn torn_txn(ground: &mut Ground) -> Option<()> {
    let reads = ground.ops(is_plain_read).into_iter().filter_map(|read| {
        let Response::Range { kvs, .. } = ground.history.ops[read].answer()?.2 else {
            return None;
        };
        let twin = |a: &&Kv| {
            kvs.iter()
                .any(|b| b.key != a.key && b.modified == a.modified)
        };
        // Not a lease's: only puts make twins.
        let kv = kvs.iter().find(|kv| twin(kv) && kv.version > 1)?;
        Some((read, kv.clone()))
    });
    let (read, kv) = ground.pick(reads.collect())?;
    let before = ground.state(kv.modified - 1).get(&kv.key)?.clone();
    if let Response::Range { kvs, .. } = response_of(&mut ground.history.ops[read]) {
        *kvs.iter_mut().find(|other| other.key == kv.key)? = before;
    }
    Some(())
}

/// A comparison is answered the wrong way round.
fn wrong_comparison(ground: &mut Ground) -> Option<()> {
    let failed = |op: &Op| {
        let answer = op.answer().map(|(_, _, response)| response);
        matches!(
            answer,
            Some(Response::Txn {
                succeeded: false,
                ..
            })
        ) && op.request.fence().is_none()
    };
    let op = ground.pick(ground.ops(failed))?;
    *response_of(&mut ground.history.ops[op]) = Response::Txn {
        succeeded: true,
        responses: vec![Response::Put { prev: None }],
    };
    let revision = ground.last() + 1;
    if let Outcome::Answered {
        revision: header,
        at,
        ..
    } = &mut ground.history.ops[op].outcome
    {
        *header = revision;
        *at = Moment(u64::MAX);
    }
    Some(())
}

/// Two writes, one after the other, with each other's revisions.
fn reordered(ground: &mut Ground) -> Option<()> {
    let puts = ground.ops(|op| {
        matches!(
            op.request,
            Request::Put {
                prev: false,
                lease: 0,
                ..
            }
        ) && op.answer().is_some()
    });
    let revision = |op: &Op| op.answer().map(|(_, revision, _)| revision);
    let mut pairs = Vec::new();
    for a in &puts {
        for b in &puts {
            let (one, other) = (&ground.history.ops[*a], &ground.history.ops[*b]);
            let next = revision(one).map(|revision| revision + 1) == revision(other);
            if next && one.returned() < Some(other.invoked) {
                pairs.push((*a, *b));
            }
        }
    }
    let (a, b) = ground.pick(pairs)?;
    let times = |op: &Op| (op.invoked, op.returned());
    let (of_a, of_b) = (times(&ground.history.ops[a]), times(&ground.history.ops[b]));
    for (op, (sent, returned)) in [(a, of_b), (b, of_a)] {
        ground.history.ops[op].invoked = sent;
        if let Outcome::Answered { at, .. } = &mut ground.history.ops[op].outcome {
            *at = returned?;
        }
    }
    Some(())
}

/// A write is seen, and sent after that.
fn seen_before_sent(ground: &mut Ground) -> Option<()> {
    // Only answered writes follow it: their times do not depend on it.
    let mut last = ground.last();
    while ground.is_answered(last) {
        last -= 1;
    }
    let puts = ground.ops(|op| {
        let answer = op.answer().filter(|_| op.is_exact());
        answer.is_some_and(|(_, revision, response)| response.wrote() && revision > last)
    });
    let put = ground.pick(puts)?;
    let last = ground.after_all();
    let op = &mut ground.history.ops[put];
    op.invoked = last;
    if let Outcome::Answered { at, .. } = &mut op.outcome {
        *at = Moment(last.0 + 1);
    }
    Some(())
}

#[test]
fn reads() {
    is_caught(stale_read, &[Rule::StaleRead]);
    is_caught(old_keys, &[Rule::LostWrite]);
    is_caught(phantom, &[Rule::Phantom]);
    is_caught(torn_txn, &[Rule::TornTxn]);
}

/// Revisions 2 and 4 are writes, and 3 is nobody's.
#[test]
fn a_revision_without_write() {
    let mut ground = Ground {
        history: History {
            end: 1,
            ..History::default()
        },
        timeline: Timeline::after(1),
        rng: StdRng::seed_from_u64(0),
    };
    ground.add_put("kv/0", 0);
    ground.history.end = 3;
    ground.add_put("kv/1", 0);
    let violation = check(&ground.history).unwrap_err();
    assert_eq!(violation.rule, Rule::RevisionWithoutWrite, "{violation}");
}

#[test]
fn writes() {
    is_caught(lost_write, &[Rule::LostWrite]);
    is_caught(lost_revision, &[Rule::RevisionGivenTwice]);
    is_caught(wrong_comparison, &[Rule::WrongAnswer]);
    // Whatever stands between the two may also tell.
    is_caught(
        reordered,
        &[Rule::Reordered, Rule::SeenBeforeSent, Rule::StaleRead],
    );
    is_caught(seen_before_sent, &[Rule::SeenBeforeSent, Rule::Reordered]);
}

// What watches are told.

fn with_events(told: &Told) -> bool {
    !told.events.is_empty()
}

/// A response never comes.
fn missed(ground: &mut Ground) -> Option<()> {
    let candidates = ground.told(with_events).into_iter().filter(|at| {
        let [w, s, t] = *at;
        let told = &ground.history.watchers[w].streams[s].told;
        // One that is followed by another, or the watcher would ask again.
        let followed = told.get(t + 1).is_some_and(with_events);
        followed
            && told[t]
                .events
                .iter()
                .all(|e| ground.is_answered(e.kv.modified))
    });
    let at = ground.pick(candidates.collect())?;
    ground.all_told(at).remove(at[2]);
    Some(())
}

/// The last response never comes.
fn missed_at_the_end(ground: &mut Ground) -> Option<()> {
    let last = ground.history.watchers[1].streams.last_mut()?;
    let told = last.told.iter().rposition(with_events)?;
    let later = last.told.split_off(told);
    later[0]
        .events
        .iter()
        .all(|event| ground.is_answered(event.kv.modified))
        .then_some(())
}

/// A response comes twice.
fn told_twice(ground: &mut Ground) -> Option<()> {
    let at = ground.pick(ground.told(with_events))?;
    let again = ground.response(at).clone();
    ground.all_told(at).insert(at[2] + 1, again);
    Some(())
}

/// What was told before the stream broke is told again after.
fn told_again_on_reconnect(ground: &mut Ground) -> Option<()> {
    let mut found = Vec::new();
    for (w, watcher) in ground.history.watchers.iter().enumerate() {
        for (s, pair) in watcher.streams.windows(2).enumerate() {
            let last = pair[0].told.iter().rfind(|told| with_events(told));
            if let Some(last) = last
                && !pair[1].told.is_empty()
            {
                found.push((w, s + 1, last.clone()));
            }
        }
    }
    let (w, s, again) = ground.pick(found)?;
    ground.history.watchers[w].streams[s].told.insert(1, again);
    Some(())
}

/// Two responses come in the wrong order.
fn swapped(ground: &mut Ground) -> Option<()> {
    let pairs = ground.told(with_events).into_iter().filter(|at| {
        let [w, s, t] = *at;
        let told = &ground.history.watchers[w].streams[s].told;
        told.get(t + 1).is_some_and(with_events)
    });
    let at = ground.pick(pairs.collect())?;
    let t = at[2];
    let told = ground.all_told(at);
    told.swap(t, t + 1);
    // Both come when the later one came.
    told[t + 1].at = told[t].at;
    Some(())
}

/// The events of a revision come in the wrong order.
fn swapped_within(ground: &mut Ground) -> Option<()> {
    let at = ground.pick(ground.told(has_twins))?;
    let events = &mut ground.response(at).events;
    let twin = twins(events)?;
    events.swap(twin, twin + 1);
    Some(())
}

fn has_twins(told: &Told) -> bool {
    twins(&told.events).is_some()
}

/// Where two events of one revision follow one another.
fn twins(events: &[Event]) -> Option<usize> {
    events
        .windows(2)
        .position(|pair| pair[0].kv.modified == pair[1].kv.modified)
}

/// The events of a revision come in two responses.
fn split(ground: &mut Ground) -> Option<()> {
    let at = ground.pick(ground.told(has_twins))?;
    let told = ground.response(at);
    let cut = twins(&told.events)? + 1;
    let mut rest = told.clone();
    rest.events = told.events.split_off(cut);
    rest.at = Moment(told.at.0 + 1);
    ground.all_told(at).insert(at[2] + 1, rest);
    Some(())
}

/// An event of a revision never comes, but its twin does.
fn torn_event(ground: &mut Ground) -> Option<()> {
    let torn = ground.told(has_twins).into_iter().filter(|[w, s, t]| {
        let told = &ground.history.watchers[*w].streams[*s].told[*t];
        let twin = twins(&told.events).map(|twin| told.events[twin].kv.modified);
        twin.is_some_and(|revision| ground.is_answered(revision))
    });
    let at = ground.pick(torn.collect())?;
    let events = &mut ground.response(at).events;
    let twin = twins(events)?;
    events.remove(twin);
    Some(())
}

/// An event has another value than was written.
fn wrong_value(ground: &mut Ground) -> Option<()> {
    let put = |told: &Told| {
        let is_put = |event: &Event| !event.deleted && ground.is_answered(event.kv.modified);
        told.events.iter().position(is_put)
    };
    let puts = ground
        .told(|told| put(told).is_some())
        .into_iter()
        .filter_map(|[w, s, t]| {
            let event = put(&ground.history.watchers[w].streams[s].told[t])?;
            Some(([w, s, t], event))
        });
    let (at, event) = ground.pick(puts.collect())?;
    ground.response(at).events[event].kv.value.push('!');
    Some(())
}

/// A watch is told of a key that no write of that revision has.
fn phantom_event(ground: &mut Ground) -> Option<()> {
    let candidates = ground.told(|told| {
        told.events
            .last()
            .is_some_and(|event| ground.is_answered(event.kv.modified))
    });
    let wide = candidates.into_iter().filter(|at| at[0] != 2).collect();
    let at = ground.pick(wide)?;
    let told = ground.response(at);
    let mut event = told.events.last()?.clone();
    event.kv.key = "kv/never".to_owned();
    told.events.push(event);
    Some(())
}

/// A watch of all keys is told of a revision that nobody wrote.
fn phantom_revision(ground: &mut Ground) -> Option<()> {
    let revision = ground.last() + 1;
    let at = ground.after_all();
    let kv = Kv {
        key: "kv/never".to_owned(),
        modified: revision,
        create: revision,
        version: 1,
        ..Kv::default()
    };
    let told = Told {
        at,
        revision,
        events: vec![Event {
            deleted: false,
            kv,
            prev: None,
        }],
        ..Told::default()
    };
    ground.history.watchers[0]
        .streams
        .last_mut()?
        .told
        .push(told);
    Some(())
}

/// An event has an older key as the one before it, or none, or one unasked.
fn wrong_prev(ground: &mut Ground) -> Option<()> {
    let at = ground.pick(ground.told(with_events))?;
    let how = ground.rng.random_range(0..2);
    let event = ground.response(at).events.last_mut()?;
    event.prev = match &event.prev {
        Some(prev) if how == 0 => Some(Kv {
            version: prev.version + 1,
            ..prev.clone()
        }),
        Some(_) => None,
        None => Some(event.kv.clone()),
    };
    Some(())
}

/// A word of progress stands before the events that it speaks of.
fn early_progress(ground: &mut Ground) -> Option<()> {
    let at = ground.pick(ground.told(with_events))?;
    let told = ground.response(at);
    let progress = Told {
        at: told.at,
        revision: told.up_to(),
        ..Told::default()
    };
    ground.all_told(at).insert(at[2], progress);
    Some(())
}

/// The word that a watch is there does not come first.
fn not_created(ground: &mut Ground) -> Option<()> {
    let at = ground.pick(ground.told(|told| told.created))?;
    let told = ground.all_told(at);
    told.remove(0);
    (!told.is_empty()).then_some(())
}

#[test]
fn watches_that_miss_or_repeat() {
    is_caught(missed, &[Rule::WatchMissed]);
    is_caught(missed_at_the_end, &[Rule::WatchMissed]);
    is_caught(told_twice, &[Rule::WatchToldTwice]);
    is_caught(told_again_on_reconnect, &[Rule::WatchToldTwice]);
    is_caught(torn_event, &[Rule::WatchMissed]);
}

#[test]
fn watches_out_of_order() {
    is_caught(swapped, &[Rule::WatchOutOfOrder]);
    is_caught(swapped_within, &[Rule::WatchOutOfOrder]);
    is_caught(split, &[Rule::WatchSplit]);
    is_caught(early_progress, &[Rule::WatchAhead]);
    is_caught(not_created, &[Rule::WatchBegins]);
}

#[test]
fn watches_with_wrong_events() {
    is_caught(wrong_value, &[Rule::WatchWrongEvent]);
    is_caught(phantom_event, &[Rule::WatchWrongEvent]);
    is_caught(phantom_revision, &[Rule::Phantom]);
    is_caught(wrong_prev, &[Rule::WatchWrongPrev]);
}

// Locks and leases.

/// A holder relies on the lock when the next one has it.
fn two_holders(ground: &mut Ground) -> Option<()> {
    let holds = &ground.history.holds;
    let pairs = (0..holds.len()).filter(|i| holds[*i].released.is_some());
    let last = holds.iter().map(|hold| hold.granted).max()?;
    let revoked: Vec<LeaseId> = (ground.history.ops.iter())
        .filter_map(|op| match op.request {
            Request::Revoke { id } => Some(id),
            _ => None,
        })
        .collect();
    let kept = pairs.filter(|i| holds[*i].granted < last && !revoked.contains(&holds[*i].lease));
    let hold = ground.pick(kept.collect())?;
    ground.history.holds[hold].released = None;
    Some(())
}

/// A waiter is granted the lock while an older key is there that has it not.
fn out_of_turn(ground: &mut Ground) -> Option<()> {
    let waited = ground
        .history
        .holds
        .iter()
        .enumerate()
        .filter_map(|(index, hold)| {
            // It came later than its key: it had to wait.
            (hold.revision > hold.token + 1).then_some(index)
        });
    let hold = ground.pick(waited.collect())?;
    let name = ground.history.holds[hold].name.clone();
    let token = ground.history.holds[hold].token;
    let first = ground.state(token).holder(&name)?.clone();
    if first.create == token {
        return None;
    }
    ground.history.holds[hold].revision = token;
    Some(())
}

/// Two holders have each other's tokens.
fn falling_token(ground: &mut Ground) -> Option<()> {
    let mut holds: Vec<usize> = (0..ground.history.holds.len()).collect();
    holds.sort_by_key(|hold| ground.history.holds[*hold].granted);
    let pairs: Vec<_> = holds.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let (one, other) = ground.pick(pairs)?;
    let token = ground.history.holds[one].token;
    ground.history.holds[one].token = ground.history.holds[other].token;
    ground.history.holds[other].token = token;
    Some(())
}

/// A token that rises, but is not the key's create revision.
fn wrong_token(ground: &mut Ground) -> Option<()> {
    let last = ground
        .history
        .holds
        .iter_mut()
        .max_by_key(|hold| hold.granted)?;
    last.token += 1;
    Some(())
}

/// Who has lost the lock writes under it.
fn dead_holder(ground: &mut Ground) -> Option<()> {
    let end = ground.state(ground.last());
    let lost = ground
        .history
        .holds
        .iter()
        .filter(|hold| end.get(&hold.key).is_none_or(|kv| kv.create != hold.token));
    let lost: Vec<(String, Revision)> = lost.map(|h| (h.key.clone(), h.token)).collect();
    let (key, token) = ground.pick(lost)?;
    let done = Response::Txn {
        succeeded: true,
        responses: vec![Response::Put { prev: None }],
    };
    let revision = ground.last() + 1;
    ground.add(fenced(&key, token, "from the grave"), revision, done);
    Some(())
}

/// Who waits for the lock writes under it.
fn waiter(ground: &mut Ground) -> Option<()> {
    ground.add_put("locks/b/1", 0);
    let token = ground.add_put("locks/b/2", 0);
    let done = Response::Txn {
        succeeded: true,
        responses: vec![Response::Put { prev: None }],
    };
    ground.add(fenced("locks/b/2", token, "impatient"), token + 1, done);
    Some(())
}

/// The key is still there after the unlock.
fn unlock_without_effect(ground: &mut Ground) -> Option<()> {
    let revision = ground.add_put("locks/b/1", 0);
    let unlock = Request::Unlock {
        key: "locks/b/1".to_owned(),
    };
    ground.add(unlock, revision, Response::Unlocked);
    Some(())
}

#[test]
fn locks() {
    is_caught(two_holders, &[Rule::TwoHolders]);
    is_caught(out_of_turn, &[Rule::OutOfTurn]);
    is_caught(falling_token, &[Rule::TokenFell]);
    is_caught(wrong_token, &[Rule::WrongToken]);
    is_caught(dead_holder, &[Rule::DeadHolderWrote]);
    is_caught(waiter, &[Rule::WaiterWrote]);
    is_caught(unlock_without_effect, &[Rule::UnlockLeftKey]);
}

const LEASE: LeaseId = 0xabc;

/// Grants a lease of a minute and puts a key with it.
fn with_lease(ground: &mut Ground) -> Revision {
    let end = ground.last();
    let granted = Response::Granted { id: LEASE, ttl: 60 };
    ground.add(Request::Grant { id: LEASE, ttl: 60 }, end, granted);
    ground.add_put("leased/1", LEASE)
}

/// A watch of all keys is told that a key of a lease is gone.
fn tell_its_end(ground: &mut Ground, revision: Revision, at: Moment) -> Option<()> {
    let deleted = |revision| Event {
        deleted: true,
        kv: Kv {
            key: "leased/1".to_owned(),
            modified: revision,
            ..Kv::default()
        },
        prev: None,
    };
    let mut put = State::from(&ground.history.start);
    put.apply(&Request::Put {
        key: "leased/1".to_owned(),
        value: "x".to_owned(),
        lease: LEASE,
        prev: false,
    });
    let mut kv = put.get("leased/1")?.clone();
    (kv.create, kv.modified) = (revision, revision);
    let there = Event {
        deleted: false,
        kv: kv.clone(),
        prev: None,
    };
    let gone = Event {
        prev: Some(kv),
        ..deleted(revision + 1)
    };
    let told = |revision, event| Told {
        at,
        revision,
        events: vec![event],
        ..Told::default()
    };
    let stream = ground.history.watchers[0].streams.last_mut()?;
    stream
        .told
        .extend([told(revision, there), told(revision + 1, gone)]);
    Some(())
}

/// A lease ends before its time.
fn early_end(ground: &mut Ground) -> Option<()> {
    let revision = with_lease(ground);
    let at = ground.after_all();
    tell_its_end(ground, revision, at)
}

/// A lease ends a TTL after its grant, although the server was started since.
fn no_new_ttl(ground: &mut Ground) -> Option<()> {
    let revision = with_lease(ground);
    let killed = ground.after_all().plus_seconds(50);
    ground
        .history
        .restarts
        .push(crate::history::record::Restart {
            killed,
            started: killed.plus_seconds(1),
        });
    // It was there after the start.
    let look = Request::get("leased/1");
    let state = {
        let mut state = ground.state(revision - 1);
        state.apply(&ground.history.ops.last()?.request);
        state
    };
    let response = state.effect(&look).response?;
    ground.history.ops.push(Op {
        client: 98,
        invoked: killed.plus_seconds(2),
        request: look,
        outcome: Outcome::Answered {
            at: killed.plus_seconds(3),
            revision,
            response,
        },
    });
    tell_its_end(ground, revision, killed.plus_seconds(20))
}

/// An acknowledged lease is unknown after a restart.
fn lost_lease(ground: &mut Ground) -> Option<()> {
    let revision = with_lease(ground);
    let killed = ground.after_all();
    let started = Moment(killed.0 + 500);
    let restart = crate::history::record::Restart { killed, started };
    ground.history.restarts.push(restart);
    let gone = Response::KeptAlive { ttl: 0 };
    ground.add(Request::KeepAlive { id: LEASE }, revision, gone);
    Some(())
}

/// A lease has less left than was promised.
fn short_lease(ground: &mut Ground) -> Option<()> {
    let revision = with_lease(ground);
    let left = Response::Left { ttl: 40 };
    ground.add(Request::TimeToLive { id: LEASE }, revision, left);
    Some(())
}

/// The keys of a revoked lease are still there.
fn kept_keys(ground: &mut Ground) -> Option<()> {
    let revision = with_lease(ground);
    ground.add(Request::Revoke { id: LEASE }, revision, Response::Revoked);
    ground.add_put("kv/after", 0);
    Some(())
}

#[test]
fn leases() {
    is_caught(early_end, &[Rule::LeaseEndedEarly]);
    is_caught(no_new_ttl, &[Rule::LeaseEndedEarly]);
    is_caught(lost_lease, &[Rule::LeaseEndedEarly]);
    is_caught(short_lease, &[Rule::LeaseEndedEarly]);
    is_caught(kept_keys, &[Rule::LeaseKeptKeys]);
}
