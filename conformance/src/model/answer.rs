//! Requests and answers, as the wire has them.

use std::fmt;

use latchd_proto::{
    etcdserverpb::{
        CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse,
        LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
        LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse, LeaseTimeToLiveRequest,
        LeaseTimeToLiveResponse, PutRequest, PutResponse, RangeRequest, RangeResponse,
        ResponseHeader, TxnRequest, TxnResponse,
    },
    v3electionpb::{
        CampaignRequest, CampaignResponse, LeaderRequest, LeaderResponse, ProclaimRequest,
        ProclaimResponse, ResignRequest, ResignResponse,
    },
    v3lockpb::{LockRequest, LockResponse, UnlockRequest, UnlockResponse},
};
use tonic::{Code, Status};

use super::contend::Waiter;

/// One call. Watches are a stream of answers, so they are apart ([`super::watch`]).
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Request {
    Range(RangeRequest),
    /// Answered as one Range; who reads the stream puts its pieces together.
    RangeStream(RangeRequest),
    Put(PutRequest),
    DeleteRange(DeleteRangeRequest),
    Txn(TxnRequest),
    Compact(CompactionRequest),
    LeaseGrant(LeaseGrantRequest),
    LeaseRevoke(LeaseRevokeRequest),
    /// A stream of one request.
    LeaseKeepAlive(LeaseKeepAliveRequest),
    LeaseTimeToLive(LeaseTimeToLiveRequest),
    LeaseLeases,
    Lock(LockRequest),
    Unlock(UnlockRequest),
    Campaign(CampaignRequest),
    Proclaim(ProclaimRequest),
    Resign(ResignRequest),
    Leader(LeaderRequest),
}

/// What a call that succeeded was answered.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Response {
    Range(RangeResponse),
    Put(PutResponse),
    DeleteRange(DeleteRangeResponse),
    Txn(TxnResponse),
    Compact(CompactionResponse),
    LeaseGrant(LeaseGrantResponse),
    LeaseRevoke(LeaseRevokeResponse),
    LeaseKeepAlive(LeaseKeepAliveResponse),
    LeaseTimeToLive(LeaseTimeToLiveResponse),
    LeaseLeases(LeaseLeasesResponse),
    Lock(LockResponse),
    Unlock(UnlockResponse),
    Campaign(CampaignResponse),
    Proclaim(ProclaimResponse),
    Resign(ResignResponse),
    Leader(LeaderResponse),
    /// Nothing yet: its key is in the line, behind others.
    Waiting(Waiter),
}

impl Response {
    /// The header of an answer; none while it is [`Response::Waiting`].
    #[must_use]
    pub fn header_mut(&mut self) -> Option<&mut ResponseHeader> {
        match self {
            Self::Range(response) => response.header.as_mut(),
            Self::Put(response) => response.header.as_mut(),
            Self::DeleteRange(response) => response.header.as_mut(),
            Self::Txn(response) => response.header.as_mut(),
            Self::Compact(response) => response.header.as_mut(),
            Self::LeaseGrant(response) => response.header.as_mut(),
            Self::LeaseRevoke(response) => response.header.as_mut(),
            Self::LeaseKeepAlive(response) => response.header.as_mut(),
            Self::LeaseTimeToLive(response) => response.header.as_mut(),
            Self::LeaseLeases(response) => response.header.as_mut(),
            Self::Lock(response) => response.header.as_mut(),
            Self::Unlock(response) => response.header.as_mut(),
            Self::Campaign(response) => response.header.as_mut(),
            Self::Proclaim(response) => response.header.as_mut(),
            Self::Resign(response) => response.header.as_mut(),
            Self::Leader(response) => response.header.as_mut(),
            Self::Waiting(_) => None,
        }
    }
}

/// What a call that was refused was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Failure {
    /// The gRPC code.
    pub code: Code,
    /// The text, which clients match on.
    pub message: String,
}

impl Failure {
    /// With etcd's prefix, as the services KV, Watch and Lease answer.
    pub(super) fn of(code: Code, message: &str) -> Self {
        Self {
            code,
            message: format!("etcdserver: {message}"),
        }
    }

    /// A text of Go's `concurrency`, which knows no codes.
    pub(super) fn unknown(message: impl Into<String>) -> Self {
        Self {
            code: Code::Unknown,
            message: message.into(),
        }
    }

    /// As the services Lock and Election pass it on: the code is lost.
    pub(super) fn without_code(self) -> Self {
        Self::unknown(self.message)
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self {
            code: status.code(),
            message: status.message().to_owned(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.code, self.message)
    }
}

/// A response, or why there is none.
pub type Answer = Result<Response, Failure>;
