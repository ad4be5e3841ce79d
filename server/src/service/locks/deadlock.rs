//! Who waits for whom, and whether that ever ends: graph reduction, without a clock or a store.
//!
//! An owner can go on when each of its waits would be granted with nobody left but those who can
//! not; then all of its keys go. A wait for exclusive or shared needs all who are in its way to go
//! (AND), one for a permit some of them (k of n). What cannot be reduced is a deadlock, or waits for
//! one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::keys::Mode;
use super::rule::Older;
use crate::types::Revision;

/// A key in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot<K> {
    /// Whose it is.
    pub owner: usize,
    /// How it contends.
    pub mode: Mode,
    /// Its create revision.
    pub created: Revision,
    /// What names it.
    pub key: K,
}

/// Lines in which some owners wait; each in the order of create revisions.
#[derive(Clone, Debug)]
pub struct Situation<K> {
    /// How many owners there are.
    pub owners: usize,
    /// The lines.
    pub lines: Vec<Vec<Spot<K>>>,
}

/// What a wait is to whoever looks for a victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It can be aborted.
    Ours {
        /// It ends by itself.
        limited: bool,
    },
    /// It cannot.
    Foreign,
}

/// A deadlock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict<K> {
    /// The keys of the waits in it, each waiting for the owner of the next.
    pub cycle: Vec<K>,
    /// The one to abort, if there is one.
    pub victim: Option<K>,
}

/// A spot, by its line and its place there.
type At = (usize, usize);

impl<K: Clone> Situation<K> {
    /// The deadlock that `owner` is part of, if it is.
    #[must_use]
    pub fn deadlock_of(&self, owner: usize, kind: impl Fn(&K) -> Kind) -> Option<Verdict<K>> {
        let stuck = self.stuck();
        if !stuck[owner] {
            return None;
        }
        let waits = self.waits(&stuck);
        let together = knot(owner, &waits)?;
        let victim = self.victim(&together, &waits, kind);
        let from = victim.map_or(owner, |at| self.at(at).owner);
        let cycle = self.cycle(from, victim, &together, &waits);
        Some(Verdict {
            cycle: cycle
                .into_iter()
                .map(|at| self.at(at).key.clone())
                .collect(),
            victim: victim.map(|at| self.at(at).key.clone()),
        })
    }

    /// For each owner, whether it cannot be reduced.
    #[must_use]
    pub fn stuck(&self) -> Vec<bool> {
        let mut stuck = vec![true; self.owners];
        loop {
            let mut blocked = vec![false; self.owners];
            for line in &self.lines {
                each_waiting(line, &stuck, |at| blocked[line[at].owner] = true);
            }
            if blocked == stuck {
                return stuck;
            }
            stuck = blocked;
        }
    }

    /// The waits of each stuck owner, and the owners in the way of each.
    fn waits(&self, stuck: &[bool]) -> BTreeMap<usize, Vec<(At, BTreeSet<usize>)>> {
        let mut waits: BTreeMap<usize, Vec<(At, BTreeSet<usize>)>> = BTreeMap::new();
        for (number, line) in self.lines.iter().enumerate() {
            let (mut ahead, mut passed) = (Ahead::default(), 0);
            each_waiting(line, stuck, |place| {
                let wait = &line[place];
                // One pass over the line, however many wait in it.
                while line[passed].created < wait.created {
                    if stuck[line[passed].owner] {
                        ahead.add(&line[passed]);
                    }
                    passed += 1;
                }
                let own = waits.entry(wait.owner).or_default();
                own.push(((number, place), ahead.of(wait.mode).clone()));
            });
        }
        waits
    }

    /// The youngest wait of ours that nothing else will end. One that ends by itself is left alone,
    /// unless there is no other wait.
    fn victim(
        &self,
        together: &BTreeSet<usize>,
        waits: &BTreeMap<usize, Vec<(At, BTreeSet<usize>)>>,
        kind: impl Fn(&K) -> Kind,
    ) -> Option<At> {
        let inside = together
            .iter()
            .filter_map(|owner| waits.get(owner))
            .flatten();
        let inside = inside.filter(|(_, ahead)| !ahead.is_disjoint(together));
        let (mut lasting, mut limited, mut foreign) = (Vec::new(), Vec::new(), false);
        for (at, _) in inside {
            match kind(&self.at(*at).key) {
                Kind::Ours { limited: false } => lasting.push(*at),
                Kind::Ours { limited: true } => limited.push(*at),
                Kind::Foreign => foreign = true,
            }
        }
        let candidates = if lasting.is_empty() && !foreign {
            limited
        } else {
            lasting
        };
        candidates.into_iter().max_by_key(|at| self.at(*at).created)
    }

    /// The shortest way from an owner to itself, as the waits on it; if `first` is given, it begins
    /// with that one.
    fn cycle(
        &self,
        from: usize,
        first: Option<At>,
        together: &BTreeSet<usize>,
        waits: &BTreeMap<usize, Vec<(At, BTreeSet<usize>)>>,
    ) -> Vec<At> {
        let mut came_by: BTreeMap<usize, At> = BTreeMap::new();
        let mut next = VecDeque::from([from]);
        while let Some(owner) = next.pop_front() {
            let own = waits.get(&owner).into_iter().flatten();
            let other = |at: At| owner == from && first.is_some_and(|first| first != at);
            for (at, ahead) in own.filter(|(at, _)| !other(*at)) {
                for to in ahead.intersection(together) {
                    if came_by.contains_key(to) {
                        continue;
                    }
                    came_by.insert(*to, *at);
                    next.push_back(*to);
                }
            }
        }
        let (mut cycle, mut owner) = (Vec::new(), from);
        while let Some(at) = came_by.get(&owner) {
            cycle.push(*at);
            owner = self.at(*at).owner;
            if owner == from {
                break;
            }
        }
        cycle.reverse();
        cycle
    }

    fn at(&self, (line, place): At) -> &Spot<K> {
        &self.lines[line][place]
    }
}

/// The owners of keys that are older than some key.
#[derive(Default)]
struct Ahead {
    all: BTreeSet<usize>,
    /// Those with a key that is not shared.
    unshared: BTreeSet<usize>,
}

impl Ahead {
    fn add<K>(&mut self, spot: &Spot<K>) {
        self.all.insert(spot.owner);
        if spot.mode != Mode::Shared {
            self.unshared.insert(spot.owner);
        }
    }

    /// Those in the way of a key of that mode.
    fn of(&self, mode: Mode) -> &BTreeSet<usize> {
        match mode {
            Mode::Shared => &self.unshared,
            Mode::Exclusive | Mode::Permit(_) => &self.all,
        }
    }
}

/// Calls `waiting` with the place of each stuck owner's key that is not granted among the keys of
/// stuck owners.
fn each_waiting<K>(line: &[Spot<K>], stuck: &[bool], mut waiting: impl FnMut(usize)) {
    let mut older = Older::default();
    let mut start = 0;
    for (place, spot) in line.iter().enumerate() {
        // Keys of one revision are not older than one another.
        if spot.created > line[start].created {
            let before = &line[start..place];
            let before = before.iter().filter(|spot| stuck[spot.owner]);
            before.for_each(|spot| older.add(spot.mode));
            start = place;
        }
        if stuck[spot.owner] && !older.admit(spot.mode) {
            waiting(place);
        }
    }
}

/// The owners that wait for `owner` and for whom it waits, itself among them; none if it does not
/// wait for itself.
fn knot(
    owner: usize,
    waits: &BTreeMap<usize, Vec<(At, BTreeSet<usize>)>>,
) -> Option<BTreeSet<usize>> {
    let mut forward: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let mut backward: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (from, waits) in waits {
        for to in waits.iter().flat_map(|(_, ahead)| ahead) {
            forward.entry(*from).or_default().insert(*to);
            backward.entry(*to).or_default().insert(*from);
        }
    }
    let ahead = reach(owner, &forward);
    let behind = reach(owner, &backward);
    ahead
        .contains(&owner)
        .then(|| ahead.intersection(&behind).copied().collect())
}

/// Everyone who can be reached from `start` in one step or more.
fn reach(start: usize, edges: &BTreeMap<usize, BTreeSet<usize>>) -> BTreeSet<usize> {
    let (mut reached, mut next) = (BTreeSet::new(), vec![start]);
    while let Some(owner) = next.pop() {
        for to in edges.get(&owner).into_iter().flatten() {
            if reached.insert(*to) {
                next.push(*to);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const X: Mode = Mode::Exclusive;
    const R: Mode = Mode::Shared;
    const OURS: Kind = Kind::Ours { limited: false };
    const LIMITED: Kind = Kind::Ours { limited: true };

    /// Lines of (owner, mode, create revision, key).
    fn situation(
        owners: usize,
        lines: &[&[(usize, Mode, i64, &'static str)]],
    ) -> Situation<&'static str> {
        let spot = |(owner, mode, created, key): &(usize, Mode, i64, &'static str)| Spot {
            owner: *owner,
            mode: *mode,
            created: Revision(*created),
            key: *key,
        };
        let lines = lines.iter();
        Situation {
            owners,
            lines: lines.map(|line| line.iter().map(spot).collect()).collect(),
        }
    }

    fn opposite_order() -> Situation<&'static str> {
        situation(
            2,
            &[
                &[(0, X, 1, "a holds"), (1, X, 4, "b waits")],
                &[(1, X, 2, "b holds"), (0, X, 3, "a waits")],
            ],
        )
    }

    #[test]
    fn two_locks_in_opposite_order() {
        let verdict = opposite_order().deadlock_of(1, |_| OURS).unwrap();
        assert_eq!(verdict.cycle, ["b waits", "a waits"]);
        assert_eq!(verdict.victim, Some("b waits"), "the youngest");
    }

    #[test]
    fn who_only_waits_for_a_deadlock_is_not_in_it() {
        let mut stuck = opposite_order();
        stuck.owners = 3;
        stuck.lines[0].push(Spot {
            owner: 2,
            mode: X,
            created: Revision(5),
            key: "c waits",
        });
        assert_eq!(stuck.stuck(), [true, true, true]);
        assert_eq!(stuck.deadlock_of(2, |_| OURS), None);
        let verdict = stuck.deadlock_of(0, |_| OURS).unwrap();
        assert_eq!(verdict.victim, Some("b waits"), "not the youngest of all");
    }

    #[test]
    fn a_chain_is_no_deadlock() {
        let chain = situation(
            3,
            &[
                &[(0, X, 1, "a"), (1, X, 2, "b waits")],
                &[(1, X, 1, "b"), (2, X, 3, "c waits")],
            ],
        );
        assert_eq!(chain.stuck(), [false, false, false]);
    }

    /// "Edges to older waiters as well": a reader behind a writer that waits.
    #[test]
    fn an_older_waiter_is_in_the_way_too() {
        let readers = situation(
            2,
            &[&[
                (0, R, 1, "a reads"),
                (1, X, 2, "b waits to write"),
                (0, R, 3, "a waits to read again"),
            ]],
        );
        let verdict = readers.deadlock_of(0, |_| OURS).unwrap();
        assert_eq!(verdict.victim, Some("a waits to read again"));
        assert_eq!(verdict.cycle.len(), 2);
    }

    /// k of n: one of two holders can go on, so its permit will be free.
    #[test]
    fn permits_need_not_all_come_back() {
        let s = Mode::Permit(2);
        let half = |free: bool| {
            let line: &[(usize, Mode, i64, &'static str)] = &[
                (0, s, 1, "a"),
                (if free { 2 } else { 0 }, s, 2, "c or a"),
                (1, s, 5, "b waits"),
            ];
            situation(3, &[line, &[(1, X, 3, "b"), (0, X, 4, "a waits")]])
        };
        assert_eq!(half(true).deadlock_of(1, |_| OURS), None);
        assert_eq!(
            half(false).deadlock_of(1, |_| OURS).unwrap().victim,
            Some("b waits")
        );
    }

    #[test]
    fn an_owner_that_waits_for_itself() {
        let alone = situation(1, &[&[(0, X, 1, "holds"), (0, X, 2, "waits")]]);
        let verdict = alone.deadlock_of(0, |_| OURS).unwrap();
        assert_eq!(
            (verdict.cycle, verdict.victim),
            (vec!["waits"], Some("waits"))
        );
    }

    /// "With none in it, it is reported only." "Waits with a timeout are left to time out, unless
    /// the cycle has no other wait."
    #[test]
    fn who_is_the_victim() {
        let victim = |a: Kind, b: Kind| {
            let kind = |key: &&str| if key.starts_with('a') { a } else { b };
            opposite_order().deadlock_of(0, kind).unwrap().victim
        };
        assert_eq!(victim(OURS, Kind::Foreign), Some("a waits"));
        assert_eq!(victim(Kind::Foreign, Kind::Foreign), None);
        assert_eq!(victim(OURS, LIMITED), Some("a waits"), "though it is older");
        assert_eq!(victim(LIMITED, LIMITED), Some("b waits"));
        assert_eq!(victim(LIMITED, Kind::Foreign), None);
    }

    fn modes() -> impl Strategy<Value = Mode> {
        prop_oneof![Just(X), Just(R), (1..4u32).prop_map(Mode::Permit)]
    }

    fn situations() -> impl Strategy<Value = Situation<usize>> {
        let line = prop::collection::vec((0..5usize, modes()), 0..6);
        prop::collection::vec(line, 1..5).prop_map(|lines| {
            let mut created = 0;
            let mut line_of = |line: Vec<(usize, Mode)>| {
                let spots = line.into_iter().map(|(owner, mode)| {
                    created += 1;
                    Spot {
                        owner,
                        mode,
                        created: Revision(created),
                        key: usize::try_from(created).unwrap(),
                    }
                });
                spots.collect()
            };
            Situation {
                owners: 5,
                lines: lines.into_iter().map(&mut line_of).collect(),
            }
        })
    }

    /// Runs the owners: whoever has all that it asked for ends, one at a time, the last one first.
    /// Who is left can never go on.
    fn played_out(situation: &Situation<usize>) -> Vec<bool> {
        let mut lines = situation.lines.clone();
        let mut left = vec![true; situation.owners];
        loop {
            let waits = |owner: usize| {
                lines.iter().any(|line| {
                    line.iter().enumerate().any(|(place, spot)| {
                        let mut older = Older::default();
                        line[..place].iter().for_each(|spot| older.add(spot.mode));
                        spot.owner == owner && !older.admit(spot.mode)
                    })
                })
            };
            let Some(done) = (0..situation.owners).rev().find(|o| left[*o] && !waits(*o)) else {
                return left;
            };
            left[done] = false;
            for line in &mut lines {
                line.retain(|spot| spot.owner != done);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn what_is_stuck_is_what_never_ends(situation in situations()) {
            prop_assert_eq!(situation.stuck(), played_out(&situation));
        }

        /// Aborting victims until there are none leaves nobody stuck.
        #[test]
        fn victims_resolve_every_deadlock(situation in situations()) {
            let mut left = situation;
            let mut aborted = 0;
            while let Some(verdict) = (0..5).find_map(|owner| left.deadlock_of(owner, |_| OURS)) {
                let victim = verdict.victim.unwrap();
                prop_assert!(verdict.cycle.contains(&victim), "{:?}", verdict);
                for line in &mut left.lines {
                    line.retain(|spot| spot.key != victim);
                }
                aborted += 1;
                prop_assert!(aborted < 40);
            }
            prop_assert_eq!(left.stuck(), vec![false; 5]);
        }
    }
}
