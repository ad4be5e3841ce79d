//! What is known of the locks, and what the one who looks has chosen to see.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::follow::{Look, Update};
use super::rate::Rate;
use crate::model::{Deadlock, Lock};
use crate::output::Output;

/// Everything that is drawn. Times are counted from when it began.
pub struct Top {
    pub endpoint: String,
    pub prefix: String,
    pub out: Output,
    pub has_colours: bool,
    locks: Vec<Lock>,
    pub deadlocks: Vec<Deadlock>,
    rates: HashMap<Vec<u8>, Rate>,
    pub rate: Rate,
    /// When the locks were as they are told.
    looked: Option<Duration>,
    /// Why the server does not answer, if it does not.
    pub lost: Option<String>,
    pub sort: Sort,
    pub is_reversed: bool,
    pub filter: String,
    pub mode: Mode,
    pub is_stopped: bool,
    /// By name, so that it stays selected wherever it moves.
    selected: Option<Vec<u8>>,
    pub is_over: bool,
}

/// What the keys are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Looking,
    Filtering,
    Help,
}

/// By what locks are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Waiting,
    LongestWait,
    HandOffs,
    Held,
    Name,
}

/// A lock as it is drawn.
pub struct Row<'a> {
    pub lock: &'a Lock,
    pub hand_offs: f64,
}

impl Sort {
    pub fn next(self) -> Sort {
        match self {
            Sort::Waiting => Sort::LongestWait,
            Sort::LongestWait => Sort::HandOffs,
            Sort::HandOffs => Sort::Held,
            Sort::Held => Sort::Name,
            Sort::Name => Sort::Waiting,
        }
    }
}

impl Top {
    pub fn new(endpoint: String, prefix: String, out: Output) -> Top {
        Top {
            endpoint,
            prefix,
            out,
            has_colours: false,
            locks: Vec::new(),
            deadlocks: Vec::new(),
            rates: HashMap::new(),
            rate: Rate::default(),
            looked: None,
            lost: None,
            sort: Sort::default(),
            is_reversed: false,
            filter: String::new(),
            mode: Mode::default(),
            is_stopped: false,
            selected: None,
            is_over: false,
        }
    }

    pub fn learn(&mut self, update: Update, now: Duration) {
        match update {
            Update::Lost(why) => self.lost = Some(why),
            Update::Look(_) if self.is_stopped => self.lost = None,
            Update::Look(look) => {
                self.lost = None;
                self.look(look, now);
            }
        }
    }

    fn look(&mut self, look: Look, now: Duration) {
        let over = self
            .looked
            .map_or(Duration::ZERO, |before| now.saturating_sub(before));
        self.looked = Some(now);
        self.rate.add(now, over, look.acquired.values().sum());
        self.count(&look, now, over);
        self.locks = look.locks;
        self.deadlocks = look.deadlocks;
        self.keep_those_handed_on();
    }

    /// Adds to the rate of every lock that is there, or was.
    fn count(&mut self, look: &Look, now: Duration, over: Duration) {
        let listed = look.locks.iter().map(|lock| &lock.name);
        let names: HashSet<&Vec<u8>> = listed.chain(look.acquired.keys()).collect();
        for name in &names {
            self.rates.entry((*name).clone()).or_default();
        }
        for (name, rate) in &mut self.rates {
            rate.add(
                now,
                over,
                look.acquired.get(name).copied().unwrap_or_default(),
            );
        }
        self.rates
            .retain(|name, rate| names.contains(name) || rate.per_second(now) > 0.0);
    }

    /// A lock that goes from hand to hand may be free at the moment of the look.
    fn keep_those_handed_on(&mut self) {
        let listed: HashSet<&Vec<u8>> = self.locks.iter().map(|lock| &lock.name).collect();
        let free = self.rates.keys().filter(|name| !listed.contains(name));
        let free: Vec<Lock> = free
            .map(|name| Lock {
                name: name.clone(),
                ..Lock::default()
            })
            .collect();
        self.locks.extend(free);
    }

    /// How much older everything is than it was told.
    pub fn age(&self, now: Duration) -> Duration {
        match self.looked {
            Some(looked) if !self.is_stopped => now.saturating_sub(looked),
            _ => Duration::ZERO,
        }
    }

    /// Whether the server has told anything yet.
    pub fn has_looked(&self) -> bool {
        self.looked.is_some()
    }

    /// Holders and waiters of all locks.
    pub fn counts(&self) -> (usize, usize) {
        let sum = |of: fn(&Lock) -> usize| self.locks.iter().map(of).sum();
        (
            sum(|lock| lock.holders.len()),
            sum(|lock| lock.waiting.len()),
        )
    }

    pub fn lock_count(&self) -> usize {
        self.locks.len()
    }

    /// What is to be drawn, in order.
    pub fn rows(&self, now: Duration) -> Vec<Row<'_>> {
        let rate = |lock: &Lock| {
            self.rates
                .get(&lock.name)
                .map_or(0.0, |rate| rate.per_second(now))
        };
        let shown = self.locks.iter().filter(|lock| self.shows(lock));
        let mut rows: Vec<Row<'_>> = shown
            .map(|lock| Row {
                hand_offs: rate(lock),
                lock,
            })
            .collect();
        rows.sort_by(|a, b| {
            let order = compare(self.sort, a, b);
            let order = if self.is_reversed {
                order.reverse()
            } else {
                order
            };
            // So that equals do not change places at every look.
            order.then_with(|| a.lock.name.cmp(&b.lock.name))
        });
        rows
    }

    fn shows(&self, lock: &Lock) -> bool {
        self.filter.is_empty() || self.out.bytes(&lock.name).contains(&self.filter)
    }

    /// The place of the selected lock among `rows`; the first, if it is not there.
    pub fn selected_in(&self, rows: &[Row<'_>]) -> Option<usize> {
        let is_selected = |row: &Row<'_>| Some(&row.lock.name) == self.selected.as_ref();
        let found = rows.iter().position(is_selected);
        found.or((!rows.is_empty()).then_some(0))
    }

    /// Selects the lock so many places further down.
    pub fn select_further(&mut self, places: isize) {
        let rows = self.rows(self.looked.unwrap_or_default());
        let Some(place) = self.selected_in(&rows) else {
            return;
        };
        let place = place.saturating_add_signed(places).min(rows.len() - 1);
        self.selected = Some(rows[place].lock.name.clone());
    }
}

/// The greatest first, but names in their order.
fn compare(sort: Sort, a: &Row<'_>, b: &Row<'_>) -> Ordering {
    match sort {
        Sort::Waiting => b.lock.waiting.len().cmp(&a.lock.waiting.len()),
        Sort::LongestWait => b.lock.longest_wait().cmp(&a.lock.longest_wait()),
        Sort::HandOffs => b.hand_offs.total_cmp(&a.hand_offs),
        Sort::Held => b.lock.held_for().cmp(&a.lock.held_for()),
        Sort::Name => a.lock.name.cmp(&b.lock.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::samples::{acquired, lock, top};

    const SECOND: Duration = Duration::from_secs(1);

    fn names(top: &Top) -> Vec<String> {
        let rows = top.rows(SECOND);
        rows.iter()
            .map(|row| top.out.bytes(&row.lock.name))
            .collect()
    }

    fn look(locks: Vec<Lock>) -> Update {
        Update::Look(Look {
            locks,
            ..Look::default()
        })
    }

    #[test]
    fn ordered_as_asked_for() {
        let mut top = top();
        let locks = vec![lock("a", 5, &[]), lock("b", 1, &[2]), lock("c", 9, &[1, 1])];
        top.learn(look(locks), SECOND);
        let mut orders = Vec::new();
        for _ in 0..5 {
            orders.push(names(&top).concat());
            top.sort = top.sort.next();
        }
        // By waiting, longest wait, hand-offs (all alike), held, name.
        assert_eq!(orders, ["cba", "bca", "abc", "cab", "abc"]);
        top.is_reversed = true;
        assert_eq!(names(&top).concat(), "abc");
    }

    #[test]
    fn hand_offs_are_counted_also_of_locks_that_are_free_just_now() {
        let mut top = top();
        top.learn(look(vec![lock("a", 1, &[])]), SECOND);
        let busy = Look {
            locks: vec![lock("a", 1, &[])],
            acquired: acquired(&[("a", 10), ("b", 30)]),
            ..Look::default()
        };
        top.learn(Update::Look(busy), 2 * SECOND);
        top.sort = Sort::HandOffs;
        let rows = top.rows(2 * SECOND);
        let rates: Vec<f64> = rows.iter().map(|row| row.hand_offs).collect();
        assert_eq!(rates, [30.0, 10.0]);
        assert_eq!(top.rate.per_second(2 * SECOND), 40.0);
        // And forgotten when nothing has happened for a while.
        top.learn(look(vec![lock("a", 1, &[])]), 30 * SECOND);
        assert_eq!(names(&top), ["a"]);
    }

    #[test]
    fn the_selection_stays_on_its_lock() {
        let mut top = top();
        top.learn(look(vec![lock("a", 1, &[]), lock("b", 1, &[])]), SECOND);
        top.select_further(1);
        top.learn(
            look(vec![lock("b", 1, &[1]), lock("a", 1, &[])]),
            2 * SECOND,
        );
        assert_eq!(top.selected_in(&top.rows(SECOND)), Some(0));
        top.select_further(99);
        assert_eq!(top.selected_in(&top.rows(SECOND)), Some(1));
        top.learn(look(vec![]), 3 * SECOND);
        assert_eq!(top.selected_in(&top.rows(SECOND)), None);
    }

    #[test]
    fn a_server_that_comes_back_is_heard_again() {
        let mut top = top();
        top.learn(Update::Lost("away".into()), SECOND);
        assert_eq!(top.lost.as_deref(), Some("away"));
        top.learn(look(vec![]), 2 * SECOND);
        assert_eq!(top.lost, None);
    }

    #[test]
    fn stopped_means_that_nothing_moves() {
        let mut top = top();
        top.learn(look(vec![lock("a", 1, &[])]), SECOND);
        top.is_stopped = true;
        top.learn(look(vec![]), 2 * SECOND);
        assert_eq!(names(&top), ["a"]);
        assert_eq!(top.age(9 * SECOND), Duration::ZERO);
    }
}
