//! The backend that is the store in this process.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use latchd_proto::etcdserverpb::alarm_request::AlarmAction;
use latchd_proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmResponse, AlarmType, CompactionRequest, CompactionResponse,
    DeleteRangeRequest, DeleteRangeResponse, HashKvResponse, HashResponse, LeaseGrantRequest,
    LeaseGrantResponse, LeaseKeepAliveResponse, LeaseLeasesResponse, LeaseRevokeResponse,
    LeaseStatus, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, PutRequest, PutResponse,
    RangeRequest, RangeResponse, ResponseHeader, TxnRequest, TxnResponse,
};
use prost::Message;

use crate::apply::alarm::cost;
use crate::apply::txn::{is_read_only, read};
use crate::command::{Command, Reply};
use crate::error::{Error, Result};
use crate::lessor::{Lessor, Renewal};
use crate::metrics::{METRICS, StoreFigures};
use crate::mvcc::hash::{hash_all, hash_keys};
use crate::mvcc::state::LeaseKind;
use crate::mvcc::{Snapshot, Store};
use crate::proposer::{Proposer, Urgency};
use crate::types::{LeaseId, Revision, Ttl};
use crate::watch::{Hub, Watches};

/// etcd's least TTL: one and a half election timeouts of 1 s, rounded up.
const MIN_TTL_SECONDS: i64 = 2;
/// etcd's largest TTL (`lease.MaxLeaseTTL`).
const MAX_TTL_SECONDS: i64 = 9_000_000_000;

/// What one request may weigh.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a write, as the client encoded it (etcd's `--max-request-bytes`).
    pub request_bytes: usize,
    /// Operations of a Txn, nested ones included along each path (etcd's `--max-txn-ops`).
    pub txn_ops: usize,
    /// How long the data file may become before writes are refused, in bytes; `None` for as long
    /// as the disk has room (etcd's `--quota-backend-bytes`).
    pub quota: Option<u64>,
}

/// What a message may be larger than the request limit, as in etcd: framing, and a clear refusal
/// of what is only somewhat too large.
const MESSAGE_OVERHEAD: usize = 512 << 10;

impl Limits {
    /// Bytes of a message, beyond which the transport refuses it.
    #[must_use]
    pub fn message_bytes(&self) -> usize {
        self.request_bytes.saturating_add(MESSAGE_OVERHEAD)
    }

    /// The quota as etcd tells it: negative for none.
    #[must_use]
    pub fn told_quota(&self) -> i64 {
        let told = |quota| i64::try_from(quota).unwrap_or(i64::MAX);
        self.quota.map_or(-1, told)
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            request_bytes: 3 << 19,
            txn_ops: 128,
            quota: Some(2 << 30),
        }
    }
}

/// A handle to the parts of the embedded store; cheap to clone.
#[derive(Clone)]
pub struct Embedded(Arc<Parts>);

struct Parts {
    store: Arc<Store>,
    hub: Hub,
    lessor: Lessor,
    proposer: Proposer,
    limits: Limits,
}

/// The reply of the variant that a command answers with; anything else would be a bug in `apply`.
macro_rules! expect {
    ($reply:expr, $variant:pat => $value:expr) => {
        match $reply {
            $variant => $value,
            other => unreachable!("a command was answered with {other:?}"),
        }
    };
}

impl Embedded {
    /// Puts the backend together from its parts.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        hub: Hub,
        lessor: Lessor,
        proposer: Proposer,
        limits: Limits,
    ) -> Embedded {
        Embedded(Arc::new(Parts {
            store,
            hub,
            lessor,
            proposer,
            limits,
        }))
    }

    pub(super) fn header(&self) -> ResponseHeader {
        self.header_at(self.0.store.revision())
    }

    fn header_at(&self, revision: Revision) -> ResponseHeader {
        let identity = self.0.store.identity;
        ResponseHeader {
            cluster_id: identity.cluster_id,
            member_id: identity.member_id,
            revision: revision.0,
            raft_term: identity.term,
        }
    }

    /// Adds what the store does not know to a header that has only its revision.
    fn complete(&self, header: &mut Option<ResponseHeader>) {
        let revision = header.as_ref().map_or(0, |header| header.revision);
        *header = Some(self.header_at(Revision(revision)));
    }

    async fn propose(&self, command: Command) -> Result<Reply> {
        self.0.proposer.propose(command)?.await
    }

    /// Like [`Embedded::propose`] for what takes space: over the quota, the alarm is raised and the
    /// command refused.
    async fn propose_within_quota(&self, command: Command) -> Result<Reply> {
        self.propose_space(Urgency::Now, command).await
    }

    async fn propose_space(&self, urgency: Urgency, command: Command) -> Result<Reply> {
        let cost = cost(&command) as u64;
        let quota = self.0.limits.quota.unwrap_or(u64::MAX);
        if cost > 0 && self.0.store.size().saturating_add(cost) >= quota {
            self.raise_no_space().await?;
            return Err(Error::NoSpace);
        }
        self.0.proposer.propose_at(urgency, command)?.await
    }

    async fn raise_no_space(&self) -> Result<()> {
        let (kind, member_id) = (AlarmType::Nospace as i32, self.0.store.identity.member_id);
        if self.0.store.alarms().contains(&(kind, member_id)) {
            return Ok(());
        }
        let alarm = AlarmRequest {
            action: AlarmAction::Activate as i32,
            member_id,
            alarm: kind,
        };
        self.propose(Command::Alarm(alarm)).await.map(drop)
    }

    fn check_size(&self, request: &impl Message) -> Result<()> {
        if request.encoded_len() > self.0.limits.request_bytes {
            return Err(Error::RequestTooLarge);
        }
        Ok(())
    }

    pub(super) fn figures(&self) -> StoreFigures {
        StoreFigures {
            size: self.0.store.size(),
            quota: self.0.limits.told_quota(),
            revision: self.0.store.revision().0,
            compacted: self.0.store.compacted().0,
            member_id: self.0.store.identity.member_id,
        }
    }

    pub(super) async fn range(&self, request: &RangeRequest) -> Result<RangeResponse> {
        METRICS.ranges.inc();
        let mut response = self.0.store.range(request).await?;
        self.complete(&mut response.header);
        Ok(response)
    }

    pub(super) async fn put(&self, request: PutRequest) -> Result<PutResponse> {
        self.check_size(&request)?;
        let reply = self.propose_within_quota(Command::Put(request)).await?;
        let mut response = expect!(reply, Reply::Put(response) => response);
        self.complete(&mut response.header);
        Ok(response)
    }

    pub(super) async fn delete_range(
        &self,
        request: DeleteRangeRequest,
    ) -> Result<DeleteRangeResponse> {
        self.check_size(&request)?;
        let reply = self.propose(Command::DeleteRange(request)).await?;
        let mut response = expect!(reply, Reply::DeleteRange(response) => response);
        self.complete(&mut response.header);
        Ok(response)
    }

    pub(super) async fn txn(&self, request: TxnRequest) -> Result<TxnResponse> {
        self.txn_at(Urgency::Now, request).await
    }

    /// A Txn that joins the line in `directory`, which may be empty.
    pub(super) async fn join(&self, directory: &Bytes, request: TxnRequest) -> Result<TxnResponse> {
        let urgency = match self.0.store.has_line(directory) {
            true => Urgency::Patient,
            false => Urgency::Now,
        };
        self.txn_at(urgency, request).await
    }

    async fn txn_at(&self, urgency: Urgency, request: TxnRequest) -> Result<TxnResponse> {
        METRICS.txns.inc();
        if is_read_only(&request) {
            let mut response = read(&*self.0.store.snapshot().await, &request)?;
            self.complete(&mut response.header);
            return Ok(response);
        }
        self.check_size(&request)?;
        let reply = self.propose_space(urgency, Command::Txn(request)).await?;
        let mut response = expect!(reply, Reply::Txn(response) => response);
        self.complete(&mut response.header);
        Ok(response)
    }

    pub(super) fn clean_up(&self, request: TxnRequest) {
        // Refused only when the server stops, and then the lease takes the key.
        let _ = self.0.proposer.clean_up(Command::Txn(request));
    }

    pub(super) fn clean_up_lease(&self, id: LeaseId) {
        let _ = self.0.proposer.clean_up(Command::Revoke(id));
    }

    pub(super) async fn undo(&self, request: TxnRequest) -> Result<TxnResponse> {
        let reply = self.0.proposer.clean_up(Command::Txn(request))?.await?;
        let mut response = expect!(reply, Reply::Txn(response) => response);
        self.complete(&mut response.header);
        Ok(response)
    }

    pub(super) async fn undo_lease(&self, id: LeaseId) -> Result<()> {
        let reply = self.0.proposer.clean_up(Command::Revoke(id))?.await?;
        expect!(reply, Reply::Revoke(_) => Ok(()))
    }

    pub(super) async fn grant_session(&self, id: LeaseId, ttl: Ttl) -> Result<()> {
        let kind = LeaseKind::Session;
        let grant = Command::Grant { id, ttl, kind };
        let reply = self.propose_within_quota(grant).await?;
        expect!(reply, Reply::Grant(_) => Ok(()))
    }

    pub(super) async fn renew(&self, id: LeaseId) -> Option<Ttl> {
        match self.0.lessor.renew(id) {
            Renewal::Renewed(ttl) => {
                METRICS.leases_renewed.inc();
                Some(ttl)
            }
            Renewal::Unknown => None,
            Renewal::Expiring(gone) => {
                // It resolves by being dropped.
                let _ = gone.await;
                None
            }
        }
    }

    pub(super) fn lease_left(&self, id: LeaseId) -> Option<Duration> {
        self.0.lessor.remaining(id).map(|(left, _)| left)
    }

    pub(super) async fn entangled(&self) {
        self.0.store.entangled().await;
    }

    pub(super) async fn compact(&self, request: CompactionRequest) -> Result<CompactionResponse> {
        let command = Command::Compact(Revision(request.revision));
        let revision = expect!(self.propose(command).await?, Reply::Compact(at) => at);
        let trimming = tokio::spawn(trim(self.0.proposer.clone()));
        if request.physical {
            // The task ends early only when the server stops; the next start goes on.
            let _ = trimming.await;
        }
        Ok(CompactionResponse {
            header: Some(self.header_at(revision)),
        })
    }

    pub(super) async fn lease_grant(
        &self,
        request: LeaseGrantRequest,
    ) -> Result<LeaseGrantResponse> {
        if request.ttl > MAX_TTL_SECONDS {
            return Err(Error::LeaseTtlTooLarge);
        }
        let id = match request.id {
            0 => LeaseId::fresh(),
            id => LeaseId(id),
        };
        let ttl = Ttl::from_seconds(request.ttl.max(MIN_TTL_SECONDS));
        let kind = LeaseKind::Etcd;
        let reply = self
            .propose_within_quota(Command::Grant { id, ttl, kind })
            .await?;
        Ok(LeaseGrantResponse {
            header: expect!(reply, Reply::Grant(at) => Some(self.header_at(at))),
            id: id.0,
            ttl: ttl.seconds(),
            ..Default::default()
        })
    }

    pub(super) async fn lease_revoke(&self, id: LeaseId) -> Result<LeaseRevokeResponse> {
        let reply = self.propose(Command::Revoke(id)).await?;
        Ok(LeaseRevokeResponse {
            header: expect!(reply, Reply::Revoke(at) => Some(self.header_at(at))),
        })
    }

    pub(super) async fn keep_alive(&self, id: LeaseId) -> LeaseKeepAliveResponse {
        // Before the renewal: a client must not see a revision at which the lease was gone (etcd).
        let header = Some(self.header());
        let ttl = self.renew(id).await.map_or(0, Ttl::seconds);
        LeaseKeepAliveResponse {
            header,
            id: id.0,
            ttl,
        }
    }

    pub(super) async fn time_to_live(
        &self,
        request: &LeaseTimeToLiveRequest,
    ) -> Result<LeaseTimeToLiveResponse> {
        let id = LeaseId(request.id);
        let gone = || LeaseTimeToLiveResponse {
            header: Some(self.header()),
            id: id.0,
            ttl: -1,
            ..Default::default()
        };
        let Some((remaining, granted)) = self.0.lessor.remaining(id) else {
            return Ok(gone());
        };
        let keys = match request.keys {
            false => Vec::new(),
            true => match self.propose(Command::LeaseKeys(id)).await {
                Ok(reply) => expect!(reply, Reply::LeaseKeys(keys) => keys),
                Err(Error::LeaseNotFound) => return Ok(gone()),
                Err(error) => return Err(error),
            },
        };
        Ok(LeaseTimeToLiveResponse {
            header: Some(self.header()),
            id: id.0,
            ttl: i64::try_from(remaining.as_secs()).unwrap_or(i64::MAX),
            granted_ttl: granted.seconds(),
            keys,
        })
    }

    pub(super) fn leases(&self) -> LeaseLeasesResponse {
        let ids = self.0.lessor.all().into_iter();
        LeaseLeasesResponse {
            header: Some(self.header()),
            leases: ids.map(|id| LeaseStatus { id: id.0 }).collect(),
        }
    }

    pub(super) async fn alarm(&self, request: AlarmRequest) -> Result<AlarmResponse> {
        let reply = self.propose(Command::Alarm(request)).await?;
        let mut response = expect!(reply, Reply::Alarm(response) => response);
        self.complete(&mut response.header);
        Ok(response)
    }

    pub(super) fn peer_urls(&self) -> Option<Arc<[String]>> {
        self.0.store.peer_urls()
    }

    pub(super) async fn set_peer_urls(&self, urls: Vec<String>) -> Result<()> {
        let reply = self.propose(Command::SetPeerUrls(urls)).await?;
        expect!(reply, Reply::SetPeerUrls => Ok(()))
    }

    pub(super) fn alarms(&self) -> Vec<AlarmMember> {
        let raised = self.0.store.alarms();
        let told = raised.iter().map(|(alarm, member_id)| AlarmMember {
            member_id: *member_id,
            alarm: *alarm,
        });
        told.collect()
    }

    pub(super) async fn range_piece(&self, request: &RangeRequest) -> Result<RangeResponse> {
        let mut response = self.0.store.range_piece(request).await?;
        self.complete(&mut response.header);
        Ok(response)
    }

    /// Reads the whole store, on a thread that may take its time.
    async fn hashed<T: Send + 'static>(
        &self,
        hash: impl FnOnce(&Snapshot) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let snapshot = self.0.store.snapshot().await;
        let hashed = tokio::task::spawn_blocking(move || hash(&snapshot)).await;
        hashed.unwrap_or(Err(Error::Stopped))
    }

    pub(super) async fn hash(&self) -> Result<HashResponse> {
        let hash = |snapshot: &Snapshot| Ok((hash_all(snapshot)?, snapshot.revision));
        let (hash, revision) = self.hashed(hash).await?;
        Ok(HashResponse {
            header: Some(self.header_at(revision)),
            hash,
        })
    }

    pub(super) async fn hash_kv(&self, revision: Revision) -> Result<HashKvResponse> {
        let hash = move |snapshot: &Snapshot| {
            let (hash, at) = hash_keys(snapshot, revision)?;
            Ok((hash, at, snapshot.compacted, snapshot.revision))
        };
        let (hash, at, compacted, now) = self.hashed(hash).await?;
        Ok(HashKvResponse {
            header: Some(self.header_at(now)),
            hash,
            compact_revision: compacted.0,
            hash_revision: at.0,
        })
    }

    pub(super) async fn defragment(&self) -> Result<()> {
        expect!(self.propose(Command::Defragment).await?, Reply::Defragment => Ok(()))
    }

    pub(super) fn size(&self) -> u64 {
        self.0.store.size()
    }

    pub(super) fn watches(&self) -> Watches {
        Watches::new(self.0.store.clone(), self.0.hub.clone())
    }
}

/// Frees history that compaction has put out of reach, a piece at a time so that writers get
/// their turn in between.
pub async fn trim(proposer: Proposer) {
    loop {
        let Ok(pending) = proposer.clean_up(Command::Trim) else {
            return;
        };
        match pending.await {
            Ok(Reply::Trim { more: true }) => {}
            _ => return,
        }
    }
}
