//! Locks: one holder at a time, in the order of create revisions, with a token
//! that rises; by what the clients believed and by the keyspace.

use std::collections::BTreeMap;

use crate::history::{
    check::{
        bounds::Bounds,
        leases::Leases,
        timeline::{Author, Timeline},
    },
    record::{History, Hold, Moment},
    request::{LeaseId, Revision},
    state::State,
    violation::{Rule, Violation},
};

/// Checks the locks of a history.
///
/// # Errors
/// With the first that was held by two, out of turn, or written under by
/// somebody who does not hold it.
pub fn check(history: &History, timeline: &Timeline, bounds: &Bounds) -> Result<(), Violation> {
    let leases = Leases::of(history);
    let mut by_name: BTreeMap<&str, Vec<&Hold>> = BTreeMap::new();
    for hold in &history.holds {
        by_name.entry(&hold.name).or_default().push(hold);
    }
    for (name, mut holds) in by_name {
        holds.sort_by_key(|hold| hold.granted);
        one_at_a_time(&holds, &leases)?;
        tokens_rise(&holds)?;
        let queue = Queue::of(name, history, timeline);
        for hold in holds {
            queue.check_turn(hold, &leases, bounds)?;
        }
    }
    fenced_writes(history, timeline)
}

/// Until when a client may rely on its lock: until it gives it back, or somebody
/// asks for its lease's end, or the lease's promise is over.
fn relied_on(hold: &Hold, leases: &Leases<'_>) -> Moment {
    let released = hold.released.unwrap_or(Moment(u64::MAX));
    let revoked = leases.revoked(hold.lease).unwrap_or(Moment(u64::MAX));
    let promised = leases.promised(hold.lease, released);
    released.min(revoked).min(promised)
}

/// `holds` of one lock, as they were granted.
fn one_at_a_time(holds: &[&Hold], leases: &Leases<'_>) -> Result<(), Violation> {
    let mut last: Option<(&Hold, Moment)> = None;
    for hold in holds {
        let until = relied_on(hold, leases);
        if let Some((before, still)) = last
            && hold.granted < still
        {
            let story = format!(
                "{}: {before}\n  could rely on it until {still}; {hold}",
                hold.name
            );
            return Err(Violation::new(Rule::TwoHolders, story));
        }
        if last.is_none_or(|(_, still)| until > still) {
            last = Some((hold, until));
        }
    }
    Ok(())
}

fn tokens_rise(holds: &[&Hold]) -> Result<(), Violation> {
    for pair in holds.windows(2) {
        if pair[1].token <= pair[0].token {
            let story = format!("{}: {}\n  after {}", pair[1].name, pair[1], pair[0]);
            return Err(Violation::new(Rule::TokenFell, story));
        }
    }
    Ok(())
}

/// A key of the lock, from its creation to its deletion.
struct Contender {
    key: String,
    create: Revision,
    /// Still there at the end if there is none.
    gone: Option<Gone>,
}

#[derive(Clone, Copy)]
struct Gone {
    revision: Revision,
    author: Author,
    lease: LeaseId,
}

/// All keys that a lock ever had.
struct Queue<'a> {
    history: &'a History,
    contenders: Vec<Contender>,
}

impl<'a> Queue<'a> {
    fn of(name: &str, history: &'a History, timeline: &Timeline) -> Self {
        let prefix = format!("{name}/");
        let there = history.start.kvs.iter().map(|kv| (&kv.key, kv.create));
        let mut contenders: Vec<Contender> = there
            .filter(|(key, _)| key.starts_with(&prefix))
            .map(|(key, create)| Contender::new(key, create))
            .collect();
        for (revision, step) in timeline.iter() {
            let ours = step.events.iter().filter(|e| e.kv.key.starts_with(&prefix));
            for event in ours {
                if event.prev.is_none() {
                    contenders.push(Contender::new(&event.kv.key, revision));
                } else if event.deleted {
                    let key = &event.kv.key;
                    let last = contenders.iter_mut().rev().find(|c| c.key == *key);
                    if let Some(contender) = last {
                        contender.gone = Some(Gone {
                            revision,
                            author: step.author,
                            lease: event.prev.as_ref().map_or(0, |kv| kv.lease),
                        });
                    }
                }
            }
        }
        Self {
            history,
            contenders,
        }
    }

    /// The key of a hold must have been the oldest by the time of the grant.
    fn check_turn(
        &self,
        hold: &Hold,
        leases: &Leases<'_>,
        bounds: &Bounds,
    ) -> Result<(), Violation> {
        let is_its = |c: &&Contender| c.key == hold.key && c.create == hold.token;
        let Some(own) = self.contenders.iter().find(is_its) else {
            let same = self.contenders.iter().filter(|c| c.key == hold.key);
            let created: Vec<Revision> = same.map(|c| c.create).collect();
            let story = format!(
                "{}: {hold}\n  its key was created at {created:?}",
                hold.name
            );
            return Err(Violation::new(Rule::WrongToken, story));
        };
        let gone = own.gone.map_or(Revision::MAX, |gone| gone.revision);
        for older in self.contenders.iter().filter(|c| c.create < own.create) {
            let left = older.gone.map_or(Revision::MAX, |gone| gone.revision);
            let in_turn = left <= hold.revision && left < gone;
            let at = older.gone.map(|gone| self.earliest(gone, leases, bounds));
            if !in_turn || at.is_some_and(|at| hold.granted < at) {
                let story = self.overtook(hold, older, at);
                return Err(Violation::new(Rule::OutOfTurn, story));
            }
        }
        Ok(())
    }

    fn overtook(&self, hold: &Hold, older: &Contender, at: Option<Moment>) -> String {
        let Contender { key, create, gone } = older;
        let left = gone.map_or("stayed".to_owned(), |gone| {
            format!("left at revision {}", gone.revision)
        });
        let at = at.map_or(String::new(), |at| format!(", not before {at}"));
        let name = &hold.name;
        format!("{name}: {hold}\n  {key}, created at {create}, was before it and {left}{at}")
    }

    /// The earliest moment at which a key may have gone.
    fn earliest(&self, gone: Gone, leases: &Leases<'_>, bounds: &Bounds) -> Moment {
        let absent = bounds.absent(gone.revision);
        match gone.author {
            Author::Op(op) => self.history.ops[op].invoked.max(absent),
            Author::LeaseEnd(_) if leases.revoked(gone.lease).is_some() => absent,
            Author::LeaseEnd(id) => leases.lived_until(id, absent).max(absent),
        }
    }
}

impl Contender {
    fn new(key: &str, create: Revision) -> Self {
        Self {
            key: key.to_owned(),
            create,
            gone: None,
        }
    }
}

/// Whoever writes under a token holds the lock at that revision. (That its key
/// is there is part of the Txn's answer.)
fn fenced_writes(history: &History, timeline: &Timeline) -> Result<(), Violation> {
    let mut state = State::from(&history.start);
    for (_, step) in timeline.iter() {
        let Author::Op(index) = step.author else {
            state.replay(&step.events);
            continue;
        };
        let op = &history.ops[index];
        let before = op.request.fence().and_then(|(key, token)| {
            let (name, _) = key.rsplit_once('/')?;
            let own = state.get(key).filter(|kv| kv.create == token)?;
            state
                .holder(name)
                .filter(|holder| holder.create < own.create)
        });
        if let Some(holder) = before {
            let story = format!("{op}\n  but the holder was {holder}");
            return Err(Violation::new(Rule::WaiterWrote, story));
        }
        state.replay(&step.events);
    }
    Ok(())
}
