//! What a checker found, told so that the reader sees what contradicts what.

use std::fmt::{self, Display, Formatter};

/// Something in a history that no correct server gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which rule is broken.
    pub rule: Rule,
    /// By what: the recorded things that contradict one another.
    pub story: String,
}

/// The rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Each revision is one write.
    RevisionGivenTwice,
    /// No revision without a write.
    RevisionWithoutWrite,
    /// Nothing is in the store, nor told, that nobody wrote.
    Phantom,
    /// A read has what the last writes up to its revision left.
    LostWrite,
    /// A Txn is seen whole or not at all.
    TornTxn,
    /// A write's answer is what it did.
    WrongAnswer,
    /// A read sees all that was complete before it was sent.
    StaleRead,
    /// Revisions keep the order of writes that did not overlap.
    Reordered,
    /// Nothing is seen before it was asked for.
    SeenBeforeSent,
    /// A watch begins where it was asked to, after a word that it is there.
    WatchBegins,
    /// A watch is told of every revision.
    WatchMissed,
    /// A watch is told of each revision once.
    WatchToldTwice,
    /// A watch is told in the order of revisions.
    WatchOutOfOrder,
    /// The events of a revision come in one response.
    WatchSplit,
    /// An event is what the write did.
    WatchWrongEvent,
    /// An event has the key as it was before.
    WatchWrongPrev,
    /// A watch's progress is not ahead of what it was told.
    WatchAhead,
    /// No lease ends before its time, nor with a restart.
    LeaseEndedEarly,
    /// A lease that nobody renews ends.
    LeaseOutlived,
    /// A lease's end takes its keys along.
    LeaseKeptKeys,
    /// One holder at a time.
    TwoHolders,
    /// The oldest key has the lock.
    OutOfTurn,
    /// The fencing token rises with each hand-off.
    TokenFell,
    /// The fencing token is the create revision of the holder's key.
    WrongToken,
    /// Who has lost the lock changes nothing under its token.
    DeadHolderWrote,
    /// Who waits for the lock changes nothing under its token.
    WaiterWrote,
    /// Given back, the key is gone.
    UnlockLeftKey,
}

impl Rule {
    /// The rule as a statement that was found false.
    #[must_use]
    pub fn broken(self) -> &'static str {
        match self {
            Self::RevisionGivenTwice => "a revision was given to two writes",
            Self::RevisionWithoutWrite => "a revision that nobody wrote",
            Self::Phantom => "something that nobody wrote",
            Self::LostWrite => "a write is missing from a later state",
            Self::TornTxn => "half of a Txn was seen",
            Self::WrongAnswer => "an answer that the state does not give",
            Self::StaleRead => "a stale read",
            Self::Reordered => "writes in another order than they were made",
            Self::SeenBeforeSent => "a write was seen before it was sent",
            Self::WatchBegins => "a watch began wrongly",
            Self::WatchMissed => "a watch was not told of a revision",
            Self::WatchToldTwice => "a watch was told twice of a revision",
            Self::WatchOutOfOrder => "a watch was told out of order",
            Self::WatchSplit => "a revision came to a watch in pieces",
            Self::WatchWrongEvent => "a watch was told something else than was written",
            Self::WatchWrongPrev => "a watch was told a wrong previous key",
            Self::WatchAhead => "a watch's progress ran ahead of its events",
            Self::LeaseEndedEarly => "a lease ended before its time",
            Self::LeaseOutlived => "a lease outlived its time",
            Self::LeaseKeptKeys => "a lease's end left its keys",
            Self::TwoHolders => "a lock had two holders",
            Self::OutOfTurn => "a lock was granted out of turn",
            Self::TokenFell => "a fencing token did not rise",
            Self::WrongToken => "a fencing token is not the key's create revision",
            Self::DeadHolderWrote => "a holder that had lost its lock wrote under it",
            Self::WaiterWrote => "a waiter wrote under the lock",
            Self::UnlockLeftKey => "an unlock left the key",
        }
    }
}

impl Violation {
    /// A violation of `rule` by what `story` tells.
    #[must_use]
    pub fn new(rule: Rule, story: impl Into<String>) -> Self {
        let story = story.into();
        Self { rule, story }
    }
}

impl Display for Violation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}:\n  {}", self.rule.broken(), self.story)
    }
}

impl std::error::Error for Violation {}
