//! Lock and Election: keys under a name, in the order of their create revisions.
//!
//! Everything here is made of Txns and Ranges, as in etcd, whose services call a client of their
//! own. That is why their failures have lost their codes.

use bytes::Bytes;
use latchd_proto::{
    etcdserverpb::{
        Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, ResponseHeader,
        TxnRequest, TxnResponse,
        compare::{CompareResult, CompareTarget, TargetUnion},
        range_request::{SortOrder, SortTarget},
        request_op::Request as Operation,
        response_op::Response as Outcome,
    },
    mvccpb::KeyValue,
    v3electionpb::{
        CampaignRequest, CampaignResponse, LeaderKey, LeaderRequest, LeaderResponse,
        ProclaimRequest, ProclaimResponse, ResignRequest, ResignResponse,
    },
    v3lockpb::{LockRequest, LockResponse, UnlockRequest, UnlockResponse},
};

use super::{Answer, Failure, Model, Response, kv};

/// A Lock or Campaign that is in the line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Waiter {
    /// Its name with the `/`.
    pub prefix: Bytes,
    /// Its key.
    pub key: Bytes,
    /// The create revision of its key, which is its place.
    pub created: i64,
    /// What a Campaign will be answered, which is known from the start; `None` for a Lock.
    campaign: Option<CampaignResponse>,
}

impl Waiter {
    /// Whether it came by Campaign.
    #[must_use]
    pub fn is_campaign(&self) -> bool {
        self.campaign.is_some()
    }
}

/// The key with which a lease stands in the line for `name`.
#[must_use]
pub fn contender_key(name: &[u8], lease: i64) -> Bytes {
    let sign = if lease < 0 { "-" } else { "" };
    let hex = format!("{sign}{:x}", lease.unsigned_abs());
    Bytes::from([name, b"/", hex.as_bytes()].concat())
}

/// What a first Txn on a name found.
struct Joined {
    header: Option<ResponseHeader>,
    created: i64,
    /// The key's value, if it was there already.
    present: Option<Bytes>,
}

impl Model {
    /// What a waiter is answered now; `None` as long as others are before it.
    #[must_use]
    pub fn turn(&self, waiter: &Waiter) -> Option<Answer> {
        if self.is_anyone_before(waiter) {
            return None;
        }
        Some(match &waiter.campaign {
            // The last look at the own key is the Lock's alone.
            Some(response) => Ok(Response::Campaign(response.clone())),
            None if self.created(&waiter.key).is_none() => {
                Err(Failure::unknown("mutex: session is expired"))
            }
            None => Ok(Response::Lock(LockResponse {
                header: self.header(),
                key: waiter.key.clone(),
            })),
        })
    }

    /// The waiter's call is cancelled: its key goes. A Lock deletes whatever has that name now.
    pub fn give_up(&mut self, waiter: &Waiter) {
        let own = self.created(&waiter.key) == Some(waiter.created);
        if own || !waiter.is_campaign() {
            let request = DeleteRangeRequest {
                key: waiter.key.clone(),
                ..DeleteRangeRequest::default()
            };
            kv::delete_range(&mut self.store.write(), &request);
        }
    }

    fn is_anyone_before(&self, waiter: &Waiter) -> bool {
        let mut keys = self.store.live().values();
        keys.any(|kv| kv.key.starts_with(&waiter.prefix) && kv.create_revision < waiter.created)
    }

    fn join(&mut self, name: &[u8], lease: i64, value: &Bytes) -> Result<Joined, Failure> {
        let key = contender_key(name, lease);
        let put = PutRequest {
            key: key.clone(),
            value: value.clone(),
            lease,
            ..PutRequest::default()
        };
        let get = RangeRequest {
            key: key.clone(),
            ..RangeRequest::default()
        };
        let request = TxnRequest {
            compare: vec![created_at(&key, 0)],
            success: vec![operation(Operation::RequestPut(put))],
            failure: vec![operation(Operation::RequestRange(get))],
        };
        let response = self.txn(&request).map_err(Failure::without_code)?;
        let present = first_found(&response);
        Ok(Joined {
            header: response.header,
            created: self.created(&key).unwrap_or_default(),
            present,
        })
    }

    pub(super) fn lock(&mut self, request: &LockRequest) -> Answer {
        let joined = self.join(&request.name, request.lease, &Bytes::new())?;
        let waiter = waiter(&request.name, request.lease, &joined, None);
        if self.is_anyone_before(&waiter) {
            return Ok(Response::Waiting(waiter));
        }
        Ok(Response::Lock(LockResponse {
            header: joined.header,
            key: waiter.key,
        }))
    }

    pub(super) fn unlock(&mut self, request: &UnlockRequest) -> Result<UnlockResponse, Failure> {
        let delete = DeleteRangeRequest {
            key: request.key.clone(),
            ..DeleteRangeRequest::default()
        };
        let response = self.delete_range(&delete).map_err(Failure::without_code)?;
        Ok(UnlockResponse {
            header: response.header,
        })
    }

    pub(super) fn campaign(&mut self, request: &CampaignRequest) -> Answer {
        let CampaignRequest { name, lease, value } = request;
        let joined = self.join(name, *lease, value)?;
        let leader = LeaderKey {
            name: name.clone(),
            key: contender_key(name, *lease),
            rev: joined.created,
            lease: *lease,
        };
        if joined.present.as_ref().is_some_and(|old| old != value) {
            let changed = self.proclaimed(&leader, value);
            if changed.is_err() {
                // As etcd: it takes the key away with which it could not go on.
                self.resigned(&leader)?;
            }
            changed?;
        }
        let response = CampaignResponse {
            header: joined.header,
            leader: Some(leader),
        };
        let waiter = waiter(name, *lease, &joined, Some(response.clone()));
        if self.is_anyone_before(&waiter) {
            return Ok(Response::Waiting(waiter));
        }
        Ok(Response::Campaign(response))
    }

    pub(super) fn proclaim(
        &mut self,
        request: &ProclaimRequest,
    ) -> Result<ProclaimResponse, Failure> {
        let leader = given(request.leader.as_ref())?;
        let header = self.proclaimed(leader, &request.value)?;
        Ok(ProclaimResponse { header })
    }

    pub(super) fn resign(&mut self, request: &ResignRequest) -> Result<ResignResponse, Failure> {
        let leader = given(request.leader.as_ref())?;
        let header = self.resigned(leader)?;
        Ok(ResignResponse { header })
    }

    pub(super) fn leader(&self, request: &LeaderRequest) -> Result<LeaderResponse, Failure> {
        let prefix = [&request.name[..], b"/"].concat();
        let end = [&request.name[..], b"0"].concat();
        let first = RangeRequest {
            key: prefix.into(),
            range_end: end.into(),
            sort_order: SortOrder::Ascend as i32,
            sort_target: SortTarget::Create as i32,
            limit: 1,
            ..RangeRequest::default()
        };
        let mut found = self.range(&first).map_err(Failure::without_code)?;
        match found.kvs.pop() {
            Some(kv) => Ok(LeaderResponse {
                header: found.header,
                kv: Some(kv),
            }),
            None => Err(Failure::unknown("election: no leader")),
        }
    }

    fn proclaimed(
        &mut self,
        leader: &LeaderKey,
        value: &Bytes,
    ) -> Result<Option<ResponseHeader>, Failure> {
        let put = PutRequest {
            key: leader.key.clone(),
            value: value.clone(),
            lease: leader.lease,
            ..PutRequest::default()
        };
        let response = self.if_leading(leader, Operation::RequestPut(put))?;
        if !response.succeeded {
            return Err(Failure::unknown("election: not leader"));
        }
        Ok(response.header)
    }

    fn resigned(&mut self, leader: &LeaderKey) -> Result<Option<ResponseHeader>, Failure> {
        let delete = DeleteRangeRequest {
            key: leader.key.clone(),
            ..DeleteRangeRequest::default()
        };
        let response = self.if_leading(leader, Operation::RequestDeleteRange(delete))?;
        Ok(response.header)
    }

    fn if_leading(&mut self, leader: &LeaderKey, then: Operation) -> Result<TxnResponse, Failure> {
        let request = TxnRequest {
            compare: vec![created_at(&leader.key, leader.rev)],
            success: vec![operation(then)],
            failure: Vec::new(),
        };
        self.txn(&request).map_err(Failure::without_code)
    }
}

fn waiter(name: &[u8], lease: i64, joined: &Joined, campaign: Option<CampaignResponse>) -> Waiter {
    Waiter {
        prefix: [name, b"/"].concat().into(),
        key: contender_key(name, lease),
        created: joined.created,
        campaign,
    }
}

fn given(leader: Option<&LeaderKey>) -> Result<&LeaderKey, Failure> {
    leader.ok_or_else(|| Failure::unknown("\"leader\" field must be provided"))
}

fn operation(request: Operation) -> RequestOp {
    RequestOp {
        request: Some(request),
    }
}

fn created_at(key: &Bytes, revision: i64) -> Compare {
    Compare {
        result: CompareResult::Equal as i32,
        target: CompareTarget::Create as i32,
        key: key.clone(),
        target_union: Some(TargetUnion::CreateRevision(revision)),
        ..Compare::default()
    }
}

fn first_found(response: &TxnResponse) -> Option<Bytes> {
    match response.responses.first()?.response.as_ref()? {
        Outcome::ResponseRange(range) => range.kvs.first().map(|kv: &KeyValue| kv.value.clone()),
        _ => None,
    }
}
