//! What `latchd.v1` says when it refuses: one word for programs, beside the code and the text.

use tonic::Status;

/// The metadata that carries the word.
const REASON: &str = "latchd-reason";
/// The metadata that carries a deadlock, as text.
const CYCLE: &str = "latchd-cycle";

/// The words that this crate acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Invalid,
    Held,
    Timeout,
    Cancelled,
    Deadlock,
    AlreadyHeld,
    OtherPermits,
    NoSession,
    Fenced,
    Lost,
    NotHeld,
    /// Any other.
    Other,
}

/// The word, if latchd answered.
pub(crate) fn reason(status: &Status) -> Option<Reason> {
    let word = status.metadata().get(REASON)?.to_str().ok()?;
    Some(match word {
        "invalid" => Reason::Invalid,
        "held" => Reason::Held,
        "timeout" => Reason::Timeout,
        "cancelled" => Reason::Cancelled,
        "deadlock" => Reason::Deadlock,
        "already-held" => Reason::AlreadyHeld,
        "other-permits" => Reason::OtherPermits,
        "no-session" => Reason::NoSession,
        "fenced" => Reason::Fenced,
        "lost" => Reason::Lost,
        "not-held" => Reason::NotHeld,
        _ => Reason::Other,
    })
}

/// Who waits for whom, each for the next.
pub(crate) fn cycle(status: &Status) -> String {
    let told = status.metadata().get(CYCLE);
    let told = told.and_then(|cycle| cycle.to_str().ok());
    told.unwrap_or_else(|| status.message()).to_owned()
}

/// The text, without the name of who says it.
pub(crate) fn text(status: &Status) -> String {
    let message = status.message();
    message
        .strip_prefix("latchd: ")
        .unwrap_or(message)
        .to_owned()
}
