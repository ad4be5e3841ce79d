//! etcd's Lock service: the same keys that Go's `concurrency.Mutex` writes, waited for here.
//!
//! Behaviour is that of etcd 3.5 and later, with two holes closed (see the lock rules): a grant
//! is answered only after a look at the own key and its create revision, and cancelling one of two
//! calls on a lease leaves the other one's key alone.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use latchd_proto::etcdserverpb::{
    Compare, DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest, RequestOp,
    ResponseHeader, TxnRequest, TxnResponse,
    compare::{CompareResult, CompareTarget, TargetUnion},
    request_op::Request,
    response_op::Response,
};
use latchd_proto::v3lockpb::{LockResponse, UnlockResponse};
use parking_lot::Mutex;

use super::contender::{contender_key, oldest, wait_for_turn};
use super::validate;
use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::types::{LeaseId, Revision};

/// The TTL of the lease that the server grants to a caller without one, in seconds (etcd's
/// default session TTL). Nobody renews it.
const OWN_LEASE_TTL: i64 = 60;

/// The service; cheap to clone.
#[derive(Clone)]
pub struct Locks {
    backend: Backend,
    calls: Arc<Mutex<HashMap<Bytes, Calls>>>,
}

/// The Lock calls in progress on one key. They share the key, so the last to give up deletes it.
#[derive(Default)]
struct Calls {
    count: usize,
    /// The create revision of the key that they wait with.
    waiting: Option<Revision>,
    /// The create revision at which one of them was answered; its caller owns that key now.
    granted: Option<Revision>,
}

/// What a call's first Txn found.
struct Joined {
    header: ResponseHeader,
    created: Revision,
    /// Whether the key is this call's own doing.
    is_new: bool,
    /// Whether nothing is older.
    is_first: bool,
}

impl Locks {
    /// The service over `backend`.
    #[must_use]
    pub fn new(backend: Backend) -> Locks {
        Locks {
            backend,
            calls: Arc::default(),
        }
    }

    /// Lock.Lock: waits until `name` is held on `lease` (0: on a lease of 60 s that the server
    /// grants and nobody renews).
    ///
    /// Dropping the future gives up: no key is left. Every error has code UNKNOWN, as in etcd.
    pub async fn lock(&self, name: &Bytes, lease: LeaseId) -> Result<LockResponse> {
        self.acquire(name, lease).await.map_err(Error::into_unknown)
    }

    /// Lock.Unlock: deletes the key, whoever holds it; a missing key is fine.
    pub async fn unlock(&self, key: Bytes) -> Result<UnlockResponse> {
        let request = DeleteRangeRequest {
            key,
            ..Default::default()
        };
        let deleted = async {
            validate::delete_range(&request)?;
            self.backend.delete_range(request).await
        };
        let response = deleted.await.map_err(Error::into_unknown)?;
        Ok(UnlockResponse {
            header: response.header,
        })
    }

    async fn acquire(&self, name: &Bytes, lease: LeaseId) -> Result<LockResponse> {
        let prefix = Bytes::from([name.as_ref(), b"/"].concat());
        let own_lease = OwnLease::unless_given(&self.backend, lease);
        let lease = own_lease.as_ref().map_or(lease, |own| own.id);
        if let Some(own) = &own_lease {
            own.grant().await?;
        }
        let call = Call::begin(self, contender_key(&prefix, lease));
        // Bound again to be dropped before the call: one revoke takes lease and key together.
        let own_lease = own_lease;
        let header = call.wait(&prefix, lease).await?;
        if let Some(own) = own_lease {
            own.keep();
        }
        Ok(LockResponse {
            header: Some(header),
            key: call.key.clone(),
        })
    }

    /// Puts the key unless it is there, and looks who is first, in one Txn.
    fn join(
        &self,
        prefix: &Bytes,
        key: &Bytes,
        lease: LeaseId,
    ) -> BoxFuture<'static, Result<Joined>> {
        let request = TxnRequest {
            compare: vec![created_at(key, Revision(0))],
            success: vec![
                operation(Request::RequestPut(PutRequest {
                    key: key.clone(),
                    lease: lease.0,
                    ..Default::default()
                })),
                operation(Request::RequestRange(oldest(prefix))),
            ],
            failure: vec![
                operation(Request::RequestRange(just(key))),
                operation(Request::RequestRange(oldest(prefix))),
            ],
        };
        let backend = self.backend.clone();
        async move { Joined::read(backend.txn(request).await?) }.boxed()
    }

    /// A call on `key` is over; what it waited with goes, unless others want it.
    fn leave(&self, key: &Bytes) {
        let mut calls = self.calls.lock();
        let Some(entry) = calls.get_mut(key) else {
            return;
        };
        entry.count -= 1;
        if entry.count > 0 {
            return;
        }
        let abandoned = entry
            .waiting
            .filter(|waiting| entry.granted != Some(*waiting));
        calls.remove(key);
        drop(calls);
        if let Some(created) = abandoned {
            self.backend.clean_up(delete_if_created_at(key, created));
        }
    }

    fn note(&self, key: &Bytes, note: impl FnOnce(&mut Calls)) {
        if let Some(entry) = self.calls.lock().get_mut(key) {
            note(entry);
        }
    }
}

impl Joined {
    fn read(response: TxnResponse) -> Result<Joined> {
        let header = response.header.unwrap_or_default();
        let ranges: Vec<_> = response
            .responses
            .into_iter()
            .map(|response| match response.response {
                Some(Response::ResponseRange(range)) => range.kvs.into_iter().next(),
                _ => None,
            })
            .collect();
        let of_range = |at: usize| {
            let kv = ranges.get(at)?.as_ref()?;
            Some(Revision(kv.create_revision))
        };
        let created = if response.succeeded {
            Revision(header.revision)
        } else {
            of_range(0).ok_or(Error::SessionExpired)?
        };
        Ok(Joined {
            created,
            is_new: response.succeeded,
            is_first: of_range(1).is_none_or(|oldest| oldest >= created),
            header,
        })
    }
}

/// One Lock call on a key. Dropped before its answer, it leaves no key.
struct Call<'a> {
    locks: &'a Locks,
    key: Bytes,
    /// The first Txn, while its outcome is unknown.
    joining: Mutex<Option<BoxFuture<'static, Result<Joined>>>>,
}

impl<'a> Call<'a> {
    fn begin(locks: &'a Locks, key: Bytes) -> Call<'a> {
        locks.calls.lock().entry(key.clone()).or_default().count += 1;
        Call {
            locks,
            key,
            joining: Mutex::new(None),
        }
    }

    async fn wait(&self, prefix: &Bytes, lease: LeaseId) -> Result<ResponseHeader> {
        *self.joining.lock() = Some(self.locks.join(prefix, &self.key, lease));
        let joined = std::future::poll_fn(|cx| {
            let mut joining = self.joining.lock();
            let outcome = joining.as_mut().map(|future| future.poll_unpin(cx));
            let outcome = outcome.unwrap_or(std::task::Poll::Pending);
            if outcome.is_ready() {
                *joining = None;
            }
            outcome
        })
        .await?;
        if joined.is_first {
            self.locks
                .note(&self.key, |calls| calls.granted = Some(joined.created));
            return Ok(joined.header);
        }
        self.locks
            .note(&self.key, |calls| calls.waiting = Some(joined.created));
        wait_for_turn(&self.locks.backend, prefix, joined.created).await?;
        self.last_look(joined.created).await
    }

    /// The own key must be there still: the lease may have ended while the call waited.
    async fn last_look(&self, created: Revision) -> Result<ResponseHeader> {
        let response = self.locks.backend.range(&just(&self.key)).await?;
        let present = response.kvs.first().map(|kv| Revision(kv.create_revision));
        if present != Some(created) {
            return Err(Error::SessionExpired);
        }
        self.locks
            .note(&self.key, |calls| calls.granted = Some(created));
        Ok(response.header.unwrap_or_default())
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let Some(joining) = self.joining.lock().take() else {
            self.locks.leave(&self.key);
            return;
        };
        // The Txn is on its way, and only its answer says whether there is a key to delete.
        let (locks, key) = (self.locks.clone(), self.key.clone());
        let finish = async move {
            if let Ok(joined) = joining.await
                && joined.is_new
            {
                locks.note(&key, |calls| calls.waiting = Some(joined.created));
            }
            locks.leave(&key);
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(finish);
        }
    }
}

/// A lease that the server grants for one call; dropped before the answer, it is revoked, and the
/// key with it.
struct OwnLease {
    backend: Backend,
    id: LeaseId,
    kept: bool,
}

impl OwnLease {
    fn unless_given(backend: &Backend, lease: LeaseId) -> Option<OwnLease> {
        lease.is_none().then(|| OwnLease {
            backend: backend.clone(),
            id: LeaseId::random(),
            kept: false,
        })
    }

    async fn grant(&self) -> Result<()> {
        let request = LeaseGrantRequest {
            ttl: OWN_LEASE_TTL,
            id: self.id.0,
        };
        self.backend.lease_grant(request).await.map(drop)
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for OwnLease {
    fn drop(&mut self) {
        if !self.kept {
            self.backend.clean_up_lease(self.id);
        }
    }
}

fn operation(request: Request) -> RequestOp {
    RequestOp {
        request: Some(request),
    }
}

fn just(key: &Bytes) -> RangeRequest {
    RangeRequest {
        key: key.clone(),
        ..Default::default()
    }
}

fn created_at(key: &Bytes, revision: Revision) -> Compare {
    Compare {
        result: CompareResult::Equal as i32,
        target: CompareTarget::Create as i32,
        key: key.clone(),
        target_union: Some(TargetUnion::CreateRevision(revision.0)),
        ..Default::default()
    }
}

/// Deletes the key that was created at that revision, and no later one of the same name.
fn delete_if_created_at(key: &Bytes, revision: Revision) -> TxnRequest {
    TxnRequest {
        compare: vec![created_at(key, revision)],
        success: vec![operation(Request::RequestDeleteRange(DeleteRangeRequest {
            key: key.clone(),
            ..Default::default()
        }))],
        failure: Vec::new(),
    }
}
