//! What the applier can be asked to do, and what it answers.
//!
//! Commands are deterministic: lease IDs and times are chosen before the queue, and applying one
//! reads no clock and no random number. All of them have been validated (`service::validate`).

use bytes::Bytes;
use latchd_proto::etcdserverpb::{
    AlarmRequest, AlarmResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse,
    TxnRequest, TxnResponse,
};
use prost::Message;

use crate::mvcc::state::LeaseKind;
use crate::types::{LeaseId, Revision, Ttl};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// A client: bounded by the queue, refused by alarms.
    Client,
    /// The server itself, undoing something: never refused.
    CleanUp,
}

/// A change to the store, or a question that only the writer can answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// KV.Put.
    Put(PutRequest),
    /// KV.DeleteRange.
    DeleteRange(DeleteRangeRequest),
    /// KV.Txn.
    Txn(TxnRequest),
    /// KV.Compact: refuse reads below this revision.
    Compact(Revision),
    /// The same, but nobody has asked for it: watches that have missed nothing go on.
    AutoCompact(Revision),
    /// Free the space of some history that compaction has put out of reach.
    Trim,
    /// Lease.LeaseGrant.
    Grant {
        /// Chosen by the client, or at random before the queue.
        id: LeaseId,
        /// Effective, that is within bounds.
        ttl: Ttl,
        /// For whom.
        kind: LeaseKind,
    },
    /// Lease.LeaseRevoke, also of a lease that expired.
    Revoke(LeaseId),
    /// The keys of a lease.
    LeaseKeys(LeaseId),
    /// Maintenance.Alarm.
    Alarm(AlarmRequest),
    /// Cluster.MemberUpdate of this member.
    SetPeerUrls(Vec<String>),
    /// Maintenance.Defragment: between batches, not in one.
    Defragment,
}

impl Command {
    /// Whether it may take much longer than a commit, whatever it is about.
    #[must_use]
    pub fn may_take_long(&self) -> bool {
        matches!(
            self,
            Command::Compact(_) | Command::AutoCompact(_) | Command::Trim | Command::Defragment
        )
    }

    /// What the command weighs in the queue, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        let request = match self {
            Command::Put(request) => request.encoded_len(),
            Command::DeleteRange(request) => request.encoded_len(),
            Command::Txn(request) => request.encoded_len(),
            Command::SetPeerUrls(urls) => urls.iter().map(String::len).sum(),
            _ => 0,
        };
        256 + request
    }
}

/// The answer to a [`Command`] that succeeded; the variants go by the command's names.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Its header has the revision only, as all headers below.
    Put(PutResponse),
    /// Deleted keys, with their records if asked for.
    DeleteRange(DeleteRangeResponse),
    /// Which branch, and what it answered.
    Txn(TxnResponse),
    /// The store's revision.
    Compact(Revision),
    /// Whether there is more to free.
    Trim {
        /// Ask again.
        more: bool,
    },
    /// The store's revision.
    Grant(Revision),
    /// The store's revision after the keys went.
    Revoke(Revision),
    /// The lease's keys, sorted.
    LeaseKeys(Vec<Bytes>),
    /// The alarms listed, raised or disarmed.
    Alarm(AlarmResponse),
    /// They are kept.
    SetPeerUrls,
    /// The file is as small as it gets.
    Defragment,
}
