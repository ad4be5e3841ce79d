//! R0, the one rule that grants: who holds follows from the keys in a name's directory and their
//! order, and from nothing else.
//!
//! The rule only becomes truer as older keys go, and younger keys don't matter to it. So a view that
//! is a moment old errs on the safe side, and what was granted stays so while its key exists.

use super::keys::Mode;
use crate::types::Revision;

/// A key in the line for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its create revision.
    pub created: Revision,
    /// How it contends.
    pub mode: Mode,
}

/// Whether `own` is granted among `line`, which may have it, younger ones, and any order.
#[must_use]
pub fn is_granted(own: Place, line: impl IntoIterator<Item = Place>) -> bool {
    let mut older = Older::default();
    for place in line {
        if place.created < own.created {
            older.add(place.mode);
        }
    }
    older.admit(own.mode)
}

/// Keys that are older than some key, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Older {
    exclusive: usize,
    shared: usize,
    permits: usize,
    /// The least N among the permits.
    least: Option<u32>,
}

impl Older {
    /// One more.
    pub fn add(&mut self, mode: Mode) {
        match mode {
            Mode::Exclusive => self.exclusive += 1,
            Mode::Shared => self.shared += 1,
            Mode::Permit(most) => {
                self.permits += 1;
                self.least = Some(self.least.map_or(most, |least| least.min(most)));
            }
        }
    }

    /// Whether a key of this mode is granted behind them.
    #[must_use]
    pub fn admit(&self, mode: Mode) -> bool {
        match mode {
            Mode::Exclusive => self.exclusive + self.shared + self.permits == 0,
            Mode::Shared => self.exclusive + self.permits == 0,
            Mode::Permit(most) => {
                let least = self.least.map_or(most, |least| least.min(most));
                self.exclusive + self.shared == 0 && self.permits < least as usize
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// R0 as the rules say it, word by word.
    fn brute(own: Place, line: &[Place]) -> bool {
        let older: Vec<Mode> = line
            .iter()
            .filter(|place| place.created < own.created)
            .map(|place| place.mode)
            .collect();
        match own.mode {
            Mode::Exclusive => older.is_empty(),
            Mode::Shared => !older.iter().any(|mode| *mode != Mode::Shared),
            Mode::Permit(own) => {
                let permits: Vec<u32> = older
                    .iter()
                    .filter_map(|mode| match mode {
                        Mode::Permit(most) => Some(*most),
                        _ => None,
                    })
                    .collect();
                let least = permits.iter().copied().chain([own]).min().unwrap();
                permits.len() == older.len() && older.len() < least as usize
            }
        }
    }

    fn modes() -> impl Strategy<Value = Mode> {
        prop_oneof![
            Just(Mode::Exclusive),
            Just(Mode::Shared),
            (1..5u32).prop_map(Mode::Permit)
        ]
    }

    fn lines() -> impl Strategy<Value = Vec<Place>> {
        prop::collection::vec(
            (1..12i64, modes()).prop_map(|(created, mode)| Place {
                created: Revision(created),
                mode,
            }),
            0..10,
        )
    }

    fn holders(line: &[Place]) -> Vec<Place> {
        let granted = line.iter().filter(|own| brute(**own, line));
        granted.copied().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn r0_is_what_the_rules_say(line in lines(), created in 1..12i64, mode in modes()) {
            let own = Place { created: Revision(created), mode };
            prop_assert_eq!(is_granted(own, line.iter().copied()), brute(own, &line));
        }

        /// "Each predicate only becomes truer as older keys go."
        #[test]
        fn r0_only_becomes_truer_as_keys_go(line in lines(), gone in any::<prop::sample::Index>(), created in 1..12i64, mode in modes()) {
            prop_assume!(!line.is_empty());
            let own = Place { created: Revision(created), mode };
            let mut fewer = line.clone();
            fewer.remove(gone.index(line.len()));
            prop_assert!(!is_granted(own, line) || is_granted(own, fewer));
        }

        /// At most one holder if any is exclusive; never more permits out than any of them allows.
        #[test]
        fn r0_never_grants_an_illegal_set(mut line in lines()) {
            line.sort_by_key(|place| place.created);
            line.dedup_by_key(|place| place.created);
            let holders = holders(&line);
            for holder in &holders {
                match holder.mode {
                    Mode::Exclusive => prop_assert_eq!(holders.len(), 1),
                    Mode::Shared => prop_assert!(holders.iter().all(|h| h.mode == Mode::Shared)),
                    Mode::Permit(most) => {
                        prop_assert!(holders.iter().all(|h| matches!(h.mode, Mode::Permit(_))));
                        prop_assert!(holders.len() <= most as usize);
                    }
                }
            }
            // Someone holds whenever anyone contends, and the holders are the front of the line.
            prop_assert!(line.is_empty() || !holders.is_empty());
            prop_assert_eq!(&line[..holders.len()], &holders[..]);
        }
    }
}
