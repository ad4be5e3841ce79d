//! Programs from a seed. Keys, leases and names are few, so that operations meet; revisions lie
//! around the present one; about as much is refused as a careless client would see.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    op::{
        Compact, Compare, Contend, Delete, Grant, Label, Lead, Lease, Name, Op, Put, Range, Step,
        TimeToLive, Txn, Unlock, Watch, With,
    },
    rev::Rev,
    text::Text,
};
use crate::model::contend::contender_key;

/// What a program's operations are about. Together at most twelve keys: that many etcd sorts
/// stably, and of more it may give equal ones in any order.
struct World {
    keys: &'static [&'static [u8]],
    leases: &'static [i64],
    names: &'static [&'static [u8]],
}

const WORLDS: [World; 3] = [
    // Keys of all kinds, and a lock among them.
    World {
        keys: &[b"a", b"ab", b"a/x", b"b", b"b\0", b"\0", b"\xff\xff", b"c"],
        leases: &[7, 8, i64::MAX],
        names: &[b"a"],
    },
    // A lock whose name is a directory of the other's.
    World {
        keys: &[b"L/0", b"L", b"M"],
        leases: &[1, 2, 3, -31],
        names: &[b"L", b"L/b"],
    },
    // Few keys, which change often.
    World {
        keys: &[b"k", b"k\0", b"l"],
        leases: &[5, 6],
        names: &[b"k", b""],
    },
];

const VALUES: [&[u8]; 5] = [b"", b"x", b"y", b"yy", b"z\0\xff"];

/// How often each operation comes, out of their sum.
const WEIGHTS: [(u32, Kind); 20] = [
    (170, Kind::Put),
    (150, Kind::Range),
    (30, Kind::RangeStream),
    (70, Kind::Delete),
    (200, Kind::Txn),
    (15, Kind::Compact),
    (45, Kind::Grant),
    (20, Kind::Revoke),
    (20, Kind::KeepAlive),
    (30, Kind::TimeToLive),
    (10, Kind::Leases),
    (40, Kind::Lock),
    (35, Kind::Unlock),
    (15, Kind::Campaign),
    (12, Kind::GiveUp),
    (12, Kind::Proclaim),
    (10, Kind::Resign),
    (10, Kind::Leader),
    (50, Kind::Watch),
    (36, Kind::Cancel),
];

#[derive(Clone, Copy)]
enum Kind {
    Put,
    Range,
    RangeStream,
    Delete,
    Txn,
    Compact,
    Grant,
    Revoke,
    KeepAlive,
    TimeToLive,
    Leases,
    Lock,
    Unlock,
    Campaign,
    GiveUp,
    Proclaim,
    Resign,
    Leader,
    Watch,
    Cancel,
}

/// A program of so many operations. The same seed gives the same one.
#[must_use]
pub fn program(seed: u64, operations: usize) -> Vec<Op> {
    let mut generator = Generator::new(seed);
    (0..operations).map(|_| generator.op()).collect()
}

struct Generator {
    rng: StdRng,
    world: &'static World,
    labels: u32,
    /// Labels of watches that may still be there.
    watches: Vec<u32>,
    /// The label of the last call that may wait.
    call: Option<u32>,
}

impl Generator {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        Self {
            world: &WORLDS[rng.random_range(0..WORLDS.len())],
            rng,
            labels: 0,
            watches: Vec::new(),
            call: None,
        }
    }

    fn op(&mut self) -> Op {
        match self.kind() {
            Kind::Put => Op::Put(self.put()),
            Kind::Range => Op::Range(self.range()),
            Kind::RangeStream => Op::RangeStream(self.range_stream()),
            Kind::Delete => Op::Delete(self.delete()),
            Kind::Txn => Op::Txn(self.txn(2)),
            Kind::Compact => Op::Compact(Compact {
                at: self.compaction(),
                physical: self.one_in(4),
            }),
            Kind::Grant => Op::Grant(self.grant()),
            Kind::Revoke => Op::Revoke(Lease {
                lease: self.lease_or_none(),
            }),
            Kind::KeepAlive => Op::KeepAlive(Lease {
                lease: self.lease_or_none(),
            }),
            Kind::TimeToLive => Op::TimeToLive(TimeToLive {
                lease: self.lease_or_none(),
                keys: self.one_in(2),
            }),
            Kind::Leases => Op::Leases,
            Kind::Lock => Op::Lock(self.contend()),
            Kind::Unlock => Op::Unlock(self.unlock()),
            Kind::Campaign => Op::Campaign(self.contend()),
            Kind::GiveUp => self.give_up(),
            Kind::Proclaim => Op::Proclaim(self.lead()),
            Kind::Resign => Op::Resign(self.lead()),
            Kind::Leader => Op::Leader(Name { name: self.name() }),
            Kind::Watch => Op::Watch(self.watch()),
            Kind::Cancel => self.cancel(),
        }
    }

    fn kind(&mut self) -> Kind {
        let sum = WEIGHTS.iter().map(|(weight, _)| weight).sum();
        let mut left: u32 = self.rng.random_range(0..sum);
        for (weight, kind) in WEIGHTS {
            match left.checked_sub(weight) {
                Some(less) => left = less,
                None => return kind,
            }
        }
        Kind::Put
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.random_ratio(1, n)
    }

    fn among<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.rng.random_range(0..list.len())]
    }

    fn up_to(&mut self, most: i64) -> i64 {
        self.rng.random_range(0..=most)
    }

    fn key(&mut self) -> Text {
        if self.one_in(100) {
            return Text::default();
        }
        if self.one_in(6) {
            return self.contenders_key();
        }
        Text::of(self.among(self.world.keys))
    }

    fn contenders_key(&mut self) -> Text {
        let name = self.among(self.world.names);
        let lease = self.among(self.world.leases);
        Text(contender_key(name, lease))
    }

    /// A key and the end of a range.
    fn span(&mut self) -> (Text, Text) {
        let key = self.key();
        let end = match self.rng.random_range(0..10) {
            0..4 => Text::default(),
            4 | 5 => Text::of(b"\0"),
            // Often before the key, and then nothing is meant.
            6 | 7 => Text::of(self.among(self.world.keys)),
            _ => after(&key),
        };
        match self.one_in(8) {
            true => (Text::of(b"\0"), Text::of(b"\0")),
            false => (key, end),
        }
    }

    fn value(&mut self) -> Text {
        Text::of(self.among(&VALUES))
    }

    fn lease(&mut self) -> i64 {
        self.among(self.world.leases)
    }

    /// Also one that nobody grants, and zero.
    fn lease_or_none(&mut self) -> i64 {
        match self.rng.random_range(0..20) {
            0 => 0,
            1 => 99,
            _ => self.lease(),
        }
    }

    fn name(&mut self) -> Text {
        Text::of(self.among(self.world.names))
    }

    fn label(&mut self) -> u32 {
        self.labels += 1;
        self.labels
    }

    fn rev(&mut self) -> Rev {
        match self.rng.random_range(0..40) {
            0..18 => Rev::Now(-self.up_to(12)),
            18..20 => Rev::Now(-self.up_to(60)),
            20..23 => Rev::Now(1 + self.up_to(2)),
            23..30 => Rev::Created(self.up_to(2) - 1),
            30..36 => Rev::Modified(self.up_to(2) - 1),
            36 => Rev::At(i64::MAX),
            37 => Rev::At(i64::MIN),
            38 => Rev::At(-1),
            _ => Rev::At(1),
        }
    }

    fn rev_one_in(&mut self, n: u32) -> Rev {
        match self.one_in(n) {
            true => self.rev(),
            false => Rev::default(),
        }
    }

    fn compaction(&mut self) -> Rev {
        match self.rng.random_range(0..8) {
            0 => Rev::Now(0),
            1..6 => Rev::Now(-self.up_to(30)),
            _ => self.rev(),
        }
    }

    fn range(&mut self) -> Range {
        let (key, end) = self.span();
        let unknown = self.one_in(80);
        Range {
            key,
            end,
            limit: match self.rng.random_range(0..8) {
                0..5 => 0,
                5 | 6 => 1 + self.up_to(3),
                _ => self.among(&[-1, 100, i64::MAX]),
            },
            revision: self.rev_one_in(3),
            order: if unknown { 9 } else { self.up_to(2) as i32 },
            target: if unknown { 9 } else { self.up_to(4) as i32 },
            serializable: self.one_in(4),
            keys_only: self.one_in(5),
            count_only: self.one_in(7),
            min_mod: self.rev_one_in(10),
            max_mod: self.rev_one_in(10),
            min_create: self.rev_one_in(10),
            max_create: self.rev_one_in(8),
        }
    }

    /// Mostly without what it refuses. A target without an order would be sorted by it in each
    /// piece alone, so a piece's last key would not be where the next one begins.
    fn range_stream(&mut self) -> Range {
        let refused = self.one_in(8);
        let range = self.range();
        let limit = range.limit.max(0);
        match refused {
            true => Range {
                order: range.order.max(1),
                limit,
                ..range
            },
            false => Range {
                order: range.order.min(1),
                target: 0,
                min_mod: Rev::default(),
                max_mod: Rev::default(),
                min_create: Rev::default(),
                max_create: Rev::default(),
                limit,
                ..range
            },
        }
    }

    fn put(&mut self) -> Put {
        let ignore_value = self.one_in(14);
        let ignore_lease = self.one_in(14);
        let careless = self.one_in(10);
        Put {
            key: self.key(),
            value: match ignore_value && !careless {
                true => Text::default(),
                false => self.value(),
            },
            lease: match (ignore_lease && !careless, self.one_in(3)) {
                (false, true) => self.lease_or_none(),
                _ => 0,
            },
            prev_kv: self.one_in(3),
            ignore_value,
            ignore_lease,
        }
    }

    fn delete(&mut self) -> Delete {
        let (key, end) = self.span();
        Delete {
            key,
            end,
            prev_kv: self.one_in(3),
        }
    }

    /// With Txns in it, down to so many levels.
    fn txn(&mut self, levels: u32) -> Txn {
        let compares = self.up_to(2);
        Txn {
            compare: (0..compares).map(|_| self.compare()).collect(),
            success: self.steps(levels),
            failure: self.steps(levels),
            padding: match self.one_in(100) {
                true => self.among(&[100, 126, 129]),
                false => 0,
            },
        }
    }

    fn steps(&mut self, levels: u32) -> Vec<Step> {
        let steps = self.up_to(3);
        (0..steps).map(|_| self.step(levels)).collect()
    }

    fn step(&mut self, levels: u32) -> Step {
        match self.rng.random_range(0..40) {
            0..14 => Step::Put(self.put()),
            14..24 => Step::Delete(self.delete()),
            24..34 => Step::Range(self.range()),
            34..39 if levels > 0 => Step::Txn(self.txn(levels - 1)),
            39 => Step::Nothing,
            _ => Step::Put(self.put()),
        }
    }

    fn compare(&mut self) -> Compare {
        let (key, end) = self.span();
        let target = self.up_to(4) as i32;
        let of = match self.one_in(20) {
            true => self.up_to(5) as i32,
            false => target,
        };
        let with = match of {
            0 => With::Version(self.up_to(3)),
            1 => With::Created(self.compared()),
            2 => With::Modified(self.compared()),
            3 => With::Value(self.value()),
            4 => With::Lease(self.lease_or_none()),
            _ => With::Nothing,
        };
        Compare {
            key,
            end: match self.one_in(2) {
                true => end,
                false => Text::default(),
            },
            target: if self.one_in(60) { 9 } else { target },
            result: if self.one_in(60) {
                9
            } else {
                self.up_to(3) as i32
            },
            with,
        }
    }

    /// Zero is what clients compare with most.
    fn compared(&mut self) -> Rev {
        match self.one_in(3) {
            true => Rev::default(),
            false => self.rev(),
        }
    }

    /// TTLs lie so far apart that the leases end in their order, whenever they were renewed, and
    /// none of them ends while a program runs.
    fn grant(&mut self) -> Grant {
        let lease = self.lease();
        let place = self.world.leases.iter().position(|id| *id == lease);
        let ttl = 10_000 * (1 + place.unwrap_or_default() as i64);
        Grant {
            lease,
            ttl: match self.rng.random_range(0..20) {
                0 => 9_000_000_000 + self.up_to(1) * 1_000_000,
                1..4 => ttl * 1000,
                _ => ttl,
            },
        }
    }

    fn contend(&mut self) -> Contend {
        let label = self.label();
        self.call = Some(label);
        Contend {
            label,
            name: self.name(),
            // Without a lease the server grants one, of an ID that it chooses.
            lease: if self.one_in(20) { 99 } else { self.lease() },
            value: self.value(),
        }
    }

    /// Most calls do not wait for long, so the last one is the one that may.
    fn give_up(&mut self) -> Op {
        match self.call.take() {
            Some(label) => Op::GiveUp(Label { label }),
            None => Op::Lock(self.contend()),
        }
    }

    fn unlock(&mut self) -> Unlock {
        Unlock {
            key: match self.one_in(6) {
                true => self.key(),
                false => self.contenders_key(),
            },
        }
    }

    fn lead(&mut self) -> Lead {
        Lead {
            name: self.name(),
            lease: self.lease(),
            value: self.value(),
            stale: self.one_in(5),
            nobody: self.one_in(20),
        }
    }

    fn cancel(&mut self) -> Op {
        match self.watches.len() {
            0 => Op::Watch(self.watch()),
            open => {
                let at = self.rng.random_range(0..open);
                let label = self.watches.swap_remove(at);
                Op::Cancel(Label { label })
            }
        }
    }

    fn watch(&mut self) -> Watch {
        let label = self.label();
        self.watches.push(label);
        let (key, end) = self.span();
        Watch {
            label,
            stream: self.rng.random_range(0..3),
            id: match self.one_in(6) {
                true => self.up_to(4),
                false => 0,
            },
            key,
            end,
            start: self.rev_one_in(2),
            prev_kv: self.one_in(3),
            no_put: self.one_in(8),
            no_delete: self.one_in(8),
            progress_notify: self.one_in(6),
            fragment: self.one_in(6),
        }
    }
}

/// The end of the range of all keys that begin with this one.
fn after(key: &Text) -> Text {
    let mut end = key.0.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Text(end.into());
        }
    }
    Text::of(b"\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_program() {
        assert_eq!(program(3, 200), program(3, 200));
        assert_ne!(program(3, 200), program(4, 200));
    }

    #[test]
    fn a_longer_program_goes_on_where_the_shorter_ends() {
        assert_eq!(program(3, 200)[..50], program(3, 50));
    }

    #[test]
    fn a_world_has_at_most_twelve_keys() {
        for world in &WORLDS {
            let mut keys: Vec<Vec<u8>> = world.keys.iter().map(|key| key.to_vec()).collect();
            for name in world.names {
                let contenders = world.leases.iter().chain(&[99]);
                keys.extend(contenders.map(|lease| contender_key(name, *lease).to_vec()));
            }
            keys.sort();
            keys.dedup();
            // That of lease 99, which nobody grants, only as a plain key: it is never written.
            assert!(keys.len() - world.names.len() <= 12, "{keys:?}");
        }
    }

    #[test]
    fn the_end_of_a_prefix() {
        assert_eq!(after(&Text::of(b"a\xff")), Text::of(b"b"));
        assert_eq!(after(&Text::of(b"\xff")), Text::of(b"\0"));
    }
}
