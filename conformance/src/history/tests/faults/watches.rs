//! Faults in what watches are told.

use rand::RngExt;

use super::{Ground, is_caught};
use crate::history::{
    record::{Moment, Told},
    request::{Event, Kv},
    violation::Rule,
};

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
