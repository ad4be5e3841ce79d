//! Watches: each revision once, whole, in order, with none missing, across all
//! streams of a watcher.

use std::collections::BTreeSet;

use crate::history::{
    check::timeline::Timeline,
    record::{History, Stream, Told, Watcher},
    request::{Event, Revision},
    text::list,
    violation::{Rule, Violation},
};

/// Checks what every watcher was told against what happened.
///
/// # Errors
/// With the first thing told wrongly, or not told.
pub fn check(history: &History, timeline: &Timeline) -> Result<(), Violation> {
    for watcher in &history.watchers {
        let mut audit = Audit::of(watcher, timeline);
        for (number, stream) in watcher.streams.iter().enumerate() {
            audit.stream = number;
            audit.follow(stream)?;
        }
        if watcher.to_the_end && audit.known.is_some() {
            audit.nothing_missing(history.end, Rule::WatchMissed)?;
        }
    }
    Ok(())
}

/// The check of one watcher.
struct Audit<'a> {
    watcher: &'a Watcher,
    timeline: &'a Timeline,
    /// All keys that it is ever told of, by revision.
    ever: BTreeSet<(Revision, &'a str)>,
    /// Those of them that it was told so far.
    told: BTreeSet<(Revision, &'a str)>,
    /// It was told all up to this revision; none before its first watch is there.
    known: Option<Revision>,
    /// The last revision of which it was told an event.
    last: Revision,
    /// The number of the stream.
    stream: usize,
}

impl<'a> Audit<'a> {
    fn of(watcher: &'a Watcher, timeline: &'a Timeline) -> Self {
        let told = watcher.streams.iter().flat_map(|stream| &stream.told);
        let events = told.flat_map(|told| &told.events);
        Self {
            watcher,
            timeline,
            ever: events.map(name).collect(),
            told: BTreeSet::new(),
            known: None,
            last: 0,
            stream: 0,
        }
    }

    fn follow(&mut self, stream: &'a Stream) -> Result<(), Violation> {
        // A stream may break before anything comes.
        let Some(first) = stream.told.first() else {
            return Ok(());
        };
        self.begin(stream, first)?;
        for told in &stream.told[1..] {
            if told.created {
                return self.broken(Rule::WatchBegins, "it was told twice that it is there");
            }
            self.hear(told)?;
        }
        Ok(())
    }

    fn begin(&mut self, stream: &Stream, first: &Told) -> Result<(), Violation> {
        if !first.created || !first.events.is_empty() || first.canceled.is_some() {
            let story = format!("its first word was {first:?}");
            return self.broken(Rule::WatchBegins, &story);
        }
        let before = match stream.from {
            0 => first.revision,
            from => from - 1,
        };
        match self.known {
            Some(known) if before > known => {
                let story = format!("it went on from {}, having seen {known}", stream.from);
                self.broken(Rule::WatchBegins, &story)
            }
            _ => {
                self.known = Some(before);
                Ok(())
            }
        }
    }

    fn hear(&mut self, told: &'a Told) -> Result<(), Violation> {
        if let Some(reason) = &told.canceled {
            let story = format!("it was cancelled: {reason}");
            return self.broken(Rule::WatchBegins, &story);
        }
        if told.events.is_empty() {
            return self.progress(told.revision);
        }
        let before = self.last;
        let mut events = told.events.as_slice();
        while let Some(first) = events.first() {
            let revision = first.kv.modified;
            let same = |event: &Event| event.kv.modified == revision;
            let whole = events.iter().take_while(|event| same(event)).count();
            let (group, rest) = events.split_at(whole);
            self.revision(revision, group, before)?;
            events = rest;
        }
        if told.revision < self.last {
            let story = format!(
                "the header of revision {} is of {}",
                self.last, told.revision
            );
            return self.broken(Rule::WatchWrongEvent, &story);
        }
        Ok(())
    }

    /// A word without events: all up to this revision was told.
    fn progress(&mut self, revision: Revision) -> Result<(), Violation> {
        self.nothing_missing(revision, Rule::WatchAhead)?;
        self.known = self.known.max(Some(revision));
        Ok(())
    }

    /// The events of one revision, as they stand in one response. `before` is the
    /// last revision of the responses before it.
    fn revision(
        &mut self,
        revision: Revision,
        group: &'a [Event],
        before: Revision,
    ) -> Result<(), Violation> {
        let names: BTreeSet<_> = group.iter().map(name).collect();
        if names.len() < group.len() || !self.told.is_disjoint(&names) {
            return self.broken(Rule::WatchToldTwice, &format!("[{}]", list(group)));
        }
        if revision < self.last {
            let story = format!("revision {revision} after {}: [{}]", self.last, list(group));
            return self.broken(Rule::WatchOutOfOrder, &story);
        }
        if revision == before {
            let story = format!(
                "revision {revision} went on in a second response: [{}]",
                list(group)
            );
            return self.broken(Rule::WatchSplit, &story);
        }
        if self.known.is_some_and(|known| revision <= known) {
            let known = self.known.unwrap_or_default();
            let story = format!("revision {revision}, though all up to {known} was over");
            return self.broken(Rule::WatchAhead, &story);
        }
        self.nothing_missing(revision - 1, Rule::WatchMissed)?;
        self.compare(revision, group)?;
        self.told.extend(names);
        self.last = revision;
        self.known = Some(revision);
        Ok(())
    }

    /// The events of a revision that lie in the span.
    fn expected(&self, revision: Revision) -> Vec<&'a Event> {
        let step = self.timeline.at(revision);
        let events = step.into_iter().flat_map(|step| &step.events);
        events
            .filter(|event| self.watcher.span.contains(&event.kv.key))
            .collect()
    }

    /// Nothing that it should have been told lies between what it knows and
    /// `end`; if there is, it breaks `rule`, or it comes later and out of order.
    fn nothing_missing(&self, end: Revision, rule: Rule) -> Result<(), Violation> {
        let Some(known) = self.known else {
            return Ok(());
        };
        for revision in known + 1..=end {
            let Some(missing) = self.expected(revision).first().copied() else {
                continue;
            };
            let later = self.ever.contains(&name(missing)) && rule == Rule::WatchMissed;
            let rule = if later { Rule::WatchOutOfOrder } else { rule };
            let story = format!("it was told nothing of {missing} before going on to {end}");
            return self.broken(rule, &story);
        }
        Ok(())
    }

    fn compare(&self, revision: Revision, group: &[Event]) -> Result<(), Violation> {
        let expected = self.expected(revision);
        for event in group {
            let Some(written) = expected.iter().find(|e| e.kv.key == event.kv.key) else {
                let story = format!("{event}, which nobody wrote");
                return self.broken(Rule::WatchWrongEvent, &story);
            };
            self.compare_event(event, written)?;
        }
        let names = |event: &&Event| event.kv.key.clone();
        let told: Vec<String> = group.iter().map(|event| names(&event)).collect();
        let written: Vec<String> = expected.iter().map(names).collect();
        if told.len() < written.len() {
            let lacking = expected.iter().find(|event| !told.contains(&event.kv.key));
            let lacking = lacking.copied().unwrap_or(expected[0]);
            let (rule, how) = if self.ever.contains(&name(lacking)) {
                (Rule::WatchSplit, "comes in another response")
            } else {
                (Rule::WatchMissed, "never came")
            };
            let story = format!("of revision {revision} it was told {told:?}; {lacking} {how}");
            return self.broken(rule, &story);
        }
        if told != written {
            let story = format!("in revision {revision}, {told:?} instead of {written:?}");
            return self.broken(Rule::WatchOutOfOrder, &story);
        }
        Ok(())
    }

    fn compare_event(&self, event: &Event, written: &Event) -> Result<(), Violation> {
        if event.kv != written.kv || event.deleted != written.deleted {
            let story = format!("{event}\n  instead of {written}");
            return self.broken(Rule::WatchWrongEvent, &story);
        }
        let expected = written.prev.as_ref().filter(|_| self.watcher.prev);
        if event.prev.as_ref() != expected {
            let show = |kv: Option<_>| kv.map_or("nothing".to_owned(), ToString::to_string);
            let story = format!(
                "{event}, before: {}\n  instead of {}",
                show(event.prev.as_ref()),
                show(expected)
            );
            return self.broken(Rule::WatchWrongPrev, &story);
        }
        Ok(())
    }

    fn broken(&self, rule: Rule, story: &str) -> Result<(), Violation> {
        let story = format!(
            "watch `{}`, stream {}: {story}",
            self.watcher.name, self.stream
        );
        Err(Violation::new(rule, story))
    }
}

fn name(event: &Event) -> (Revision, &str) {
    (event.kv.modified, &event.kv.key)
}
