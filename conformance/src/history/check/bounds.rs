//! When each revision was there, as far as the clients can tell.

use std::collections::BTreeMap;

use crate::history::{
    record::{History, Moment},
    request::Revision,
};

/// Bounds in time for every revision.
pub struct Bounds {
    /// For a revision that somebody knew of: the earliest such moment.
    seen: BTreeMap<Revision, Moment>,
    /// For a revision that a linearizable answer did not have: the latest moment
    /// at which such a request was sent. The revision came after it.
    absent: BTreeMap<Revision, Moment>,
}

impl Bounds {
    /// What the answers and the watches of a history say.
    #[must_use]
    pub fn of(history: &History) -> Self {
        let mut seen = BTreeMap::new();
        let mut absent = BTreeMap::new();
        for op in &history.ops {
            let Some((at, revision, response)) = op.answer() else {
                continue;
            };
            earliest(&mut seen, revision, at);
            if op.is_exact() && !op.request.is_serializable() {
                // A write was sent before its own revision, too.
                let missing = if response.wrote() {
                    revision
                } else {
                    revision + 1
                };
                latest(&mut absent, missing, op.invoked);
            }
        }
        for watcher in &history.watchers {
            for told in watcher.streams.iter().flat_map(|stream| &stream.told) {
                earliest(&mut seen, told.revision.max(told.up_to()), told.at);
            }
        }
        spread(&mut seen, &mut absent);
        Self { seen, absent }
    }

    /// The earliest moment at which somebody knew that the revision, or a later
    /// one, is there; never, as it seems, if nobody did.
    #[must_use]
    pub fn seen(&self, revision: Revision) -> Moment {
        let next = self.seen.range(revision..).next();
        next.map_or(Moment(u64::MAX), |(_, moment)| *moment)
    }

    /// The latest moment at which the revision surely was not there yet.
    #[must_use]
    pub fn absent(&self, revision: Revision) -> Moment {
        let last = self.absent.range(..=revision).next_back();
        last.map_or(Moment(0), |(_, moment)| *moment)
    }
}

fn earliest(map: &mut BTreeMap<Revision, Moment>, revision: Revision, at: Moment) {
    let entry = map.entry(revision).or_insert(at);
    *entry = at.min(*entry);
}

fn latest(map: &mut BTreeMap<Revision, Moment>, revision: Revision, at: Moment) {
    let entry = map.entry(revision).or_insert(at);
    *entry = at.max(*entry);
}

/// Who knew of a revision knew of all before it; what was sent before a revision
/// was there was sent before all that follow.
fn spread(seen: &mut BTreeMap<Revision, Moment>, absent: &mut BTreeMap<Revision, Moment>) {
    let mut least = Moment(u64::MAX);
    for moment in seen.values_mut().rev() {
        least = least.min(*moment);
        *moment = least;
    }
    let mut most = Moment(0);
    for moment in absent.values_mut() {
        most = most.max(*moment);
        *moment = most;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{
        record::{Op, Outcome},
        request::{Request, Response},
    };

    fn put(invoked: u64, at: u64, revision: Revision) -> Op {
        Op {
            client: 0,
            invoked: Moment(invoked),
            request: Request::put("a", "x"),
            outcome: Outcome::Answered {
                at: Moment(at),
                revision,
                response: Response::Put { prev: None },
            },
        }
    }

    #[test]
    fn a_revision_lies_between_the_answers_around_it() {
        let ops = vec![put(1, 9, 2), put(3, 4, 3), put(5, 6, 5)];
        let history = History {
            ops,
            ..History::default()
        };
        let bounds = Bounds::of(&history);
        assert_eq!(bounds.seen(2), Moment(4), "revision 3 was seen");
        assert_eq!(bounds.seen(4), Moment(6));
        assert_eq!(bounds.seen(6), Moment(u64::MAX));
        assert_eq!(bounds.absent(2), Moment(1));
        assert_eq!(bounds.absent(4), Moment(3), "revision 3 was still to come");
    }
}
