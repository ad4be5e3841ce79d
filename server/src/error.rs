//! What can go wrong, and what a client is told: one enum, one table to etcd's codes and texts.
//!
//! Texts and codes are those of etcd 3.7.1 (`api/v3rpc/rpctypes/error.go`); clients match on them.

use thiserror::Error as ThisError;
use tonic::{Code, Status};

/// A result whose error a client can be told.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum Error {
    /// A request named no key.
    #[error("etcdserver: key is not provided")]
    EmptyKey,
    /// `ignore_value` or `ignore_lease` on a key that does not exist, or an empty operation in a Txn.
    #[error("etcdserver: key not found")]
    KeyNotFound,
    /// `ignore_value` together with a value.
    #[error("etcdserver: value is provided")]
    ValueProvided,
    /// `ignore_lease` together with a lease.
    #[error("etcdserver: lease is provided")]
    LeaseProvided,
    /// More than the permitted number of operations in one Txn.
    #[error("etcdserver: too many operations in txn request")]
    TooManyOps,
    /// One Txn writes a key twice.
    #[error("etcdserver: duplicate key given in txn request")]
    DuplicateKey,
    /// A sort order or target that does not exist.
    #[error("etcdserver: invalid sort option")]
    InvalidSortOption,
    /// A write larger than the server takes.
    #[error("etcdserver: request is too large")]
    RequestTooLarge,
    /// The revision asked for is no longer kept.
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted,
    /// The revision asked for does not exist yet.
    #[error("etcdserver: mvcc: required revision is a future revision")]
    FutureRevision,
    /// The data file is at its quota; deletes still work.
    #[error("etcdserver: mvcc: database space exceeded")]
    NoSpace,
    /// The CORRUPT alarm is raised.
    #[error("etcdserver: corrupt cluster")]
    Corrupt,
    /// Peer URLs that are none.
    #[error("etcdserver: given member URLs are invalid")]
    MemberBadUrls,
    /// No member has that ID.
    #[error("etcdserver: member not found")]
    MemberNotFound,
    /// The only member is no learner.
    #[error("etcdserver: can only promote a learner member")]
    MemberNotLearner,
    /// The only member cannot be removed.
    #[error("etcdserver: re-configuration failed due to not enough started members")]
    MemberNotEnoughStarted,
    /// Leadership can go nowhere else.
    #[error("etcdserver: bad leader transferee")]
    BadLeaderTransferee,
    /// A change of membership that a store without peers cannot make.
    #[error("latchd: {0}: this server is its own cluster and has no peers")]
    NoPeers(&'static str),
    /// A version that is none.
    #[error("etcdserver: wrong downgrade target version format")]
    DowngradeFormat,
    /// A version that is not the one before this one.
    #[error("etcdserver: invalid downgrade target version")]
    DowngradeTarget,
    /// An action that etcd does not know either.
    #[error("etcdserver: unknown method")]
    UnknownMethod,
    /// `RangeStream` was asked for an order other than by key.
    #[error("RangeStream does not support custom sort orders")]
    RangeStreamOrder,
    /// `RangeStream` was asked for revision filters.
    #[error("RangeStream does not support revision filters")]
    RangeStreamFilter,
    /// No such lease.
    #[error("etcdserver: requested lease not found")]
    LeaseNotFound,
    /// A grant of an ID that is taken.
    #[error("etcdserver: lease already exists")]
    LeaseExists,
    /// A TTL over etcd's bound of 9,000,000,000 s.
    #[error("etcdserver: too large lease TTL")]
    LeaseTtlTooLarge,
    /// The queue of writes is full; nothing was written.
    #[error("etcdserver: too many requests")]
    TooManyRequests,
    /// The server is going down.
    #[error("etcdserver: server stopped")]
    Stopped,
    /// The client went away from a watch stream.
    #[error("etcdserver: watch canceled")]
    WatchCanceled,
    /// Authentication is off.
    #[error("etcdserver: authentication is not enabled")]
    AuthNotEnabled,
    /// The waiter's lease went away while it waited (etcd 3.5 and later).
    #[error("mutex: session is expired")]
    SessionExpired,
    /// Proclaiming without leading.
    #[error("election: not leader")]
    NotLeader,
    /// Nobody campaigns.
    #[error("election: no leader")]
    NoLeader,
    /// Proclaim or Resign without saying whose key.
    #[error("\"leader\" field must be provided")]
    MissingLeader,
    /// An error as etcd's Lock and Election services give it: the text stays, the code is lost.
    #[error("{0}")]
    Unknown(String),
    /// A part of etcd's surface that latchd does not serve yet.
    #[error("latchd: {0} is not implemented yet")]
    Unimplemented(&'static str),
    /// The file could not be made smaller; nothing else has changed.
    #[error("latchd: the data file could not be defragmented: {0}")]
    Defragment(String),
    /// The store failed underneath a read; writes that fail stop the process instead.
    #[error("latchd: the store cannot be read: {0}")]
    Storage(String),
}

impl Error {
    /// The gRPC code that etcd answers with.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Error::EmptyKey
            | Error::KeyNotFound
            | Error::ValueProvided
            | Error::LeaseProvided
            | Error::TooManyOps
            | Error::DuplicateKey
            | Error::InvalidSortOption
            | Error::RequestTooLarge
            | Error::MemberBadUrls
            | Error::DowngradeFormat
            | Error::DowngradeTarget => Code::InvalidArgument,
            Error::Compacted | Error::FutureRevision | Error::LeaseTtlTooLarge => Code::OutOfRange,
            Error::LeaseNotFound | Error::MemberNotFound => Code::NotFound,
            Error::LeaseExists
            | Error::AuthNotEnabled
            | Error::MemberNotLearner
            | Error::BadLeaderTransferee
            | Error::NoPeers(_) => Code::FailedPrecondition,
            Error::TooManyRequests | Error::NoSpace => Code::ResourceExhausted,
            Error::Corrupt => Code::DataLoss,
            Error::Stopped => Code::Unavailable,
            Error::WatchCanceled => Code::Cancelled,
            Error::SessionExpired
            | Error::NotLeader
            | Error::NoLeader
            | Error::MissingLeader
            | Error::UnknownMethod
            // Its code is lost on the way in etcd, too (seen on 3.7.1).
            | Error::MemberNotEnoughStarted
            | Error::Unknown(_) => Code::Unknown,
            Error::Unimplemented(_) | Error::RangeStreamOrder | Error::RangeStreamFilter => {
                Code::Unimplemented
            }
            Error::Storage(_) | Error::Defragment(_) => Code::Internal,
        }
    }

    /// The same text with code UNKNOWN, as etcd's Lock and Election services answer: their
    /// embedded client drops the status (behaviour seen on etcd 3.4 to 3.7).
    #[must_use]
    pub fn into_unknown(self) -> Error {
        Error::Unknown(self.to_string())
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Status {
        Status::new(error.code(), error.to_string())
    }
}

impl From<redb::StorageError> for Error {
    fn from(error: redb::StorageError) -> Error {
        Error::Storage(error.to_string())
    }
}

impl From<redb::TableError> for Error {
    fn from(error: redb::TableError) -> Error {
        Error::Storage(error.to_string())
    }
}

impl From<redb::TransactionError> for Error {
    fn from(error: redb::TransactionError) -> Error {
        Error::Storage(error.to_string())
    }
}

impl From<redb::CommitError> for Error {
    fn from(error: redb::CommitError) -> Error {
        Error::Storage(error.to_string())
    }
}
