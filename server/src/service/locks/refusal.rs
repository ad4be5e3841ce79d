//! Why a call of `latchd.v1` is refused: a code, a text that says what to do, and one word for
//! programs.

use latchd_proto::latchd::v1;
use thiserror::Error as ThisError;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::error::Error;
use crate::types::LeaseId;

/// The metadata that carries the word.
const REASON: &str = "latchd-reason";
/// The metadata that carries a deadlock, as text.
const CYCLE: &str = "latchd-cycle";

/// What a call ends with that does not succeed.
pub type Result<T> = std::result::Result<T, Refusal>;

/// Why.
#[derive(Clone, Debug, PartialEq, ThisError)]
pub enum Refusal {
    /// The request is wrong in itself.
    #[error("latchd: {0}")]
    Invalid(String),
    /// No wait was asked for, and there would be one.
    #[error("latchd: {0:?} is held by {1}; wait for it with wait_ms")]
    Held(String, String),
    /// The wait is over.
    #[error("latchd: not granted within {0} ms; the wait has left the queue")]
    Timeout(i64),
    /// Somebody released the request.
    #[error("latchd: the request was released; acquire again with another request_id")]
    Cancelled,
    /// A later call has the same request ID.
    #[error("latchd: a later call with the same request_id goes on in place of this one")]
    Superseded,
    /// Waiting would never end.
    #[error("latchd: deadlock: {}; release what you hold and begin again", told(.0))]
    Deadlock(v1::Deadlock),
    /// The session has that name already.
    #[error(
        "latchd: the session holds or awaits {0:?} already; release that first, or repeat its \
         Acquire with the same request_id"
    )]
    AlreadyHeld(String),
    /// The semaphore has another size.
    #[error(
        "latchd: {0:?} is in use with {1} permits, not {2}; ask for {1}, or wait until nobody uses it"
    )]
    OtherPermits(String, u32, u32),
    /// No session, no lease.
    #[error("latchd: there is no session {0}, or it has ended; open another one")]
    NoSession(LeaseId),
    /// The session is another connection's.
    #[error(
        "latchd: epoch {1} of session {0} is past; it was resumed, and goes on with the epoch that \
         the resume told"
    )]
    Fenced(LeaseId, i64),
    /// The waiter's key is gone.
    #[error("latchd: the key of the wait for {0:?} was deleted by somebody; acquire again")]
    Lost(String),
    /// There is no such hold.
    #[error("latchd: {0}: nothing was freed")]
    NotHeld(String),
    /// The resume token is wrong.
    #[error("latchd: the resume token is not that of session {0}; send what Opened told")]
    WrongToken(LeaseId),
    /// The session cannot be resumed.
    #[error(
        "latchd: session {0} is bound to its connection and cannot be resumed; open another one"
    )]
    Bound(LeaseId),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] Error),
}

impl Refusal {
    /// The gRPC code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Refusal::Invalid(_) => Code::InvalidArgument,
            Refusal::Held(..)
            | Refusal::OtherPermits(..)
            | Refusal::Lost(_)
            | Refusal::Bound(_) => Code::FailedPrecondition,
            Refusal::Timeout(_) => Code::DeadlineExceeded,
            Refusal::Cancelled | Refusal::Superseded => Code::Cancelled,
            Refusal::Deadlock(_) => Code::Aborted,
            Refusal::AlreadyHeld(_) => Code::AlreadyExists,
            Refusal::NoSession(_) | Refusal::NotHeld(_) => Code::NotFound,
            Refusal::Fenced(..) | Refusal::WrongToken(_) => Code::PermissionDenied,
            Refusal::Store(error) => error.code(),
        }
    }

    /// The word for programs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Refusal::Invalid(_) => "invalid",
            Refusal::Held(..) => "held",
            Refusal::Timeout(_) => "timeout",
            Refusal::Cancelled => "cancelled",
            Refusal::Superseded => "superseded",
            Refusal::Deadlock(_) => "deadlock",
            Refusal::AlreadyHeld(_) => "already-held",
            Refusal::OtherPermits(..) => "other-permits",
            Refusal::NoSession(_) => "no-session",
            Refusal::Fenced(..) => "fenced",
            Refusal::Lost(_) => "lost",
            Refusal::NotHeld(_) => "not-held",
            Refusal::WrongToken(_) => "wrong-token",
            Refusal::Bound(_) => "bound",
            Refusal::Store(_) => "store",
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Status {
        let mut metadata = MetadataMap::new();
        metadata.insert(REASON, MetadataValue::from_static(refusal.reason()));
        if let Refusal::Deadlock(deadlock) = &refusal
            && let Ok(cycle) = told(deadlock).escape_default().to_string().parse()
        {
            metadata.insert(CYCLE, cycle);
        }
        Status::with_metadata(refusal.code(), refusal.to_string(), metadata)
    }
}

/// A name as texts show it.
#[must_use]
pub fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// A deadlock in words: who waits for what, each for the next.
#[must_use]
pub fn told(deadlock: &v1::Deadlock) -> String {
    let waits = deadlock.waits.iter();
    let waits: Vec<String> = waits
        .map(|wait| format!("{} waits for {:?}", wait.owner, shown(&wait.name)))
        .collect();
    waits.join(", ")
}
