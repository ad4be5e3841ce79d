//! Why a guest does not get what it asks for. Each door says it in its own words.

use bytes::Bytes;

use crate::service::locks::refusal::Refusal;

/// Why.
#[derive(Clone, Debug, PartialEq)]
pub enum Denied {
    /// The guest holds the name already.
    Already(Bytes),
    /// Somebody else has it, or had it for all of the wait; who, if that is known.
    Taken(String),
    /// The name is locked by that one.
    NotYours(Bytes, String),
    /// The name is locked by nobody.
    NotLocked(Bytes),
    /// The guest has as many names as it may have.
    TooMany(usize),
    /// The session is over.
    Expelled,
    /// The request makes no sense, or the server cannot do it.
    Failed(Refusal),
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Denied {
        match refusal {
            Refusal::Held(_, owner) => Denied::Taken(owner),
            // None of them got it, and none of them has left anything behind.
            Refusal::Timeout(_)
            | Refusal::Deadlock(_)
            | Refusal::Lost(_)
            | Refusal::OtherPermits(..) => Denied::Taken(String::new()),
            Refusal::AlreadyHeld(name) => Denied::Already(name.into()),
            Refusal::NoSession(_) | Refusal::Fenced(..) => Denied::Expelled,
            other => Denied::Failed(other),
        }
    }
}
