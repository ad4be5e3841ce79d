//! R0, the one rule that grants: who holds follows from the keys directly under a name and from their
//! order. It only becomes truer as older keys go, so a look that is a moment old errs on the safe side.

use crate::types::Mode;

/// Keys that are older than some key, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Older {
    exclusive: usize,
    shared: usize,
    permits: usize,
    /// The least number of permits that one of them knows.
    least: Option<u32>,
}

impl Older {
    /// One more.
    pub(crate) fn add(&mut self, mode: Mode) {
        match mode {
            Mode::Exclusive => self.exclusive += 1,
            Mode::Shared => self.shared += 1,
            Mode::Permit { of } => {
                self.permits += 1;
                self.least = Some(self.least.map_or(of, |least| least.min(of)));
            }
        }
    }

    /// Whether a key of this mode is granted behind them.
    pub(crate) fn admit(&self, mode: Mode) -> bool {
        match mode {
            Mode::Exclusive => self.exclusive + self.shared + self.permits == 0,
            Mode::Shared => self.exclusive + self.permits == 0,
            Mode::Permit { of } => {
                let least = self.least.map_or(of, |least| least.min(of));
                self.exclusive + self.shared == 0 && self.permits < least as usize
            }
        }
    }
}

impl FromIterator<Mode> for Older {
    fn from_iter<I: IntoIterator<Item = Mode>>(modes: I) -> Older {
        let mut older = Older::default();
        modes.into_iter().for_each(|mode| older.add(mode));
        older
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: Mode = Mode::Exclusive;
    const R: Mode = Mode::Shared;

    fn s(of: u32) -> Mode {
        Mode::Permit { of }
    }

    #[test]
    fn r0_as_the_rules_say_it() {
        let cases: [(&[Mode], Mode, bool); 14] = [
            (&[], X, true),
            (&[R], X, false),
            (&[s(3)], X, false),
            (&[X], R, false),
            (&[], R, true),
            (&[R, R], R, true),
            (&[R, X], R, false),
            (&[s(3)], R, false),
            (&[s(3), s(3)], s(3), true),
            (&[s(3), s(3), s(3)], s(3), false),
            (&[s(2), s(3)], s(3), false),
            (&[s(3), s(3)], s(2), false),
            (&[R], s(3), false),
            (&[X], s(3), false),
        ];
        for (older, own, granted) in cases {
            let sum: Older = older.iter().copied().collect();
            assert_eq!(sum.admit(own), granted, "{own} behind {older:?}");
        }
    }
}
