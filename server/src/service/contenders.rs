//! Contending for a name: one key a call, in the line of create revisions, with a guard that takes
//! it back. Lock and Campaign are this, with and without a value.
//!
//! Two holes of etcd's are closed here (see the lock rules): a grant is answered only after a look
//! at the own key and its create revision, and cancelling one of two calls on a lease leaves the
//! other one's key alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use latchd_proto::etcdserverpb::{
    LeaseGrantRequest, PutRequest, ResponseHeader, TxnRequest, TxnResponse, request_op::Request,
    response_op::Response,
};
use latchd_proto::mvccpb::KeyValue;
use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use super::requests::{created_at, delete_if_created_at, just, operation, put_if_created_at};
use super::turn::{contender_key, oldest, wait_for_turn};
use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::types::{LeaseId, Revision};

/// The TTL of the lease that the server grants to a caller without one, in seconds (etcd's
/// default session TTL). Nobody renews it.
const OWN_LEASE_TTL: i64 = 60;

/// Everyone who contends through this server; cheap to clone.
#[derive(Clone)]
pub struct Contenders {
    backend: Backend,
    calls: Arc<Mutex<HashMap<Bytes, Calls>>>,
    /// Calls that were given up while their first Txn was on its way.
    leaving: TaskTracker,
}

/// What a call contends for.
pub struct Contest {
    /// The name, with its `/`.
    pub prefix: Bytes,
    /// On which lease; [`LeaseId::NONE`] for one of 60 s that the server grants.
    pub lease: LeaseId,
    /// What the key says. A key that is there already is changed to it, if `Some`.
    pub value: Option<Bytes>,
}

/// A contest that was won.
pub struct Won {
    /// The key; deleting it ends the hold.
    pub key: Bytes,
    /// Its create revision: the fencing token.
    pub created: Revision,
    /// The lease that it is on.
    pub lease: LeaseId,
    /// The header of the Txn that put the key, or found it.
    pub joined: ResponseHeader,
    /// The header of the look that found it to be first.
    pub seen: ResponseHeader,
}

/// The calls in progress on one key. They share the key, so the last to give up deletes it.
#[derive(Default)]
struct Calls {
    count: usize,
    /// The create revision of the key that they wait with.
    waiting: Option<Revision>,
    /// The create revision at which one of them was answered; its caller owns that key now.
    granted: Option<Revision>,
}

impl Calls {
    /// A call waits with the key of that create revision. Answers may be noted out of order, and
    /// only the newest key can still be there.
    fn wait_with(&mut self, created: Revision) {
        self.waiting = self.waiting.max(Some(created));
    }
}

/// What a call's first Txn found.
struct Joined {
    header: ResponseHeader,
    created: Revision,
    /// The key as it was before; `None` if the key is this call's own doing.
    present: Option<KeyValue>,
    /// Whether nothing is older.
    is_first: bool,
}

impl Contenders {
    /// Nobody yet, over `backend`.
    #[must_use]
    pub fn new(backend: Backend) -> Contenders {
        Contenders {
            backend,
            calls: Arc::default(),
            leaving: TaskTracker::new(),
        }
    }

    /// Waits until no call that was given up has anything left to undo. Nobody may come any more.
    pub async fn settled(&self) {
        self.leaving.close();
        self.leaving.wait().await;
    }

    /// Waits until the contest is won. Dropping the future gives up: no key is left.
    pub async fn win(&self, contest: Contest) -> Result<Won> {
        let own_lease = OwnLease::unless_given(&self.backend, contest.lease);
        let lease = own_lease.as_ref().map_or(contest.lease, |own| own.id);
        if let Some(own) = &own_lease {
            // Boxed, as what comes before the wait takes room through all of it.
            Box::pin(own.grant()).await?;
        }
        let contest = Contest { lease, ..contest };
        let call = Call::begin(self, contender_key(&contest.prefix, lease));
        // Bound again to be dropped before the call: one revoke takes lease and key together.
        let own_lease = own_lease;
        let won = call.win(&contest).await?;
        if let Some(own) = own_lease {
            own.keep();
        }
        Ok(won)
    }

    /// Puts the key unless it is there, and looks who is first, in one Txn.
    fn join(&self, contest: &Contest, key: &Bytes) -> BoxFuture<'static, Result<Joined>> {
        let request = TxnRequest {
            compare: vec![created_at(key, Revision(0))],
            success: vec![
                operation(Request::RequestPut(PutRequest {
                    key: key.clone(),
                    value: contest.value.clone().unwrap_or_default(),
                    lease: contest.lease.0,
                    ..Default::default()
                })),
                operation(Request::RequestRange(oldest(&contest.prefix))),
            ],
            failure: vec![
                operation(Request::RequestRange(just(key))),
                operation(Request::RequestRange(oldest(&contest.prefix))),
            ],
        };
        let (backend, prefix) = (self.backend.clone(), contest.prefix.clone());
        async move { Joined::read(backend.join(&prefix, request).await?) }.boxed()
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
        // Queued before anyone can join on the key again: a later call must find it gone.
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
        let mut ranges = response
            .responses
            .into_iter()
            .map(|response| match response.response {
                Some(Response::ResponseRange(range)) => range.kvs.into_iter().next(),
                _ => None,
            });
        let present = ranges.next().flatten();
        let oldest = ranges.next().flatten();
        let created = match (response.succeeded, &present) {
            (true, _) => Revision(header.revision),
            (false, Some(kv)) => Revision(kv.create_revision),
            (false, None) => return Err(Error::SessionExpired),
        };
        Ok(Joined {
            is_first: oldest.is_none_or(|kv| Revision(kv.create_revision) >= created),
            created,
            present,
            header,
        })
    }
}

/// One call on a key. Dropped before its answer, it leaves no key.
struct Call<'a> {
    contenders: &'a Contenders,
    key: Bytes,
    /// The first Txn, while its outcome is unknown.
    joining: Mutex<Option<BoxFuture<'static, Result<Joined>>>>,
}

impl<'a> Call<'a> {
    fn begin(contenders: &'a Contenders, key: Bytes) -> Call<'a> {
        contenders
            .calls
            .lock()
            .entry(key.clone())
            .or_default()
            .count += 1;
        Call {
            contenders,
            key,
            joining: Mutex::new(None),
        }
    }

    async fn win(&self, contest: &Contest) -> Result<Won> {
        let joined = self.join(contest).await?;
        let created = joined.created;
        if !joined.is_first {
            self.note(|calls| calls.wait_with(created));
        }
        if let (Some(value), Some(present)) = (&contest.value, &joined.present)
            && present.value != *value
        {
            Box::pin(self.change_or_resign(created, value, contest.lease)).await?;
        }
        let seen = if joined.is_first {
            joined.header
        } else {
            wait_for_turn(&self.contenders.backend, &contest.prefix, created).await?;
            self.last_look(created).await?
        };
        self.note(|calls| calls.granted = calls.granted.max(Some(created)));
        Ok(Won {
            key: self.key.clone(),
            created,
            lease: contest.lease,
            joined: joined.header,
            seen,
        })
    }

    /// Runs the first Txn where a drop can find it.
    async fn join(&self, contest: &Contest) -> Result<Joined> {
        *self.joining.lock() = Some(self.contenders.join(contest, &self.key));
        std::future::poll_fn(|cx| {
            let mut joining = self.joining.lock();
            let outcome = match joining.as_mut() {
                Some(future) => future.poll_unpin(cx),
                None => Poll::Pending,
            };
            if outcome.is_ready() {
                *joining = None;
            }
            outcome
        })
        .await
    }

    /// Changes the key's value. etcd takes the key away when that fails, whoever wrote it.
    async fn change_or_resign(
        &self,
        created: Revision,
        value: &Bytes,
        lease: LeaseId,
    ) -> Result<()> {
        let changed = self.change_value(created, value, lease).await;
        if changed.is_err() {
            let resign = delete_if_created_at(&self.key, created);
            self.contenders.backend.txn(resign).await?;
        }
        changed
    }

    async fn change_value(&self, created: Revision, value: &Bytes, lease: LeaseId) -> Result<()> {
        let put = PutRequest {
            key: self.key.clone(),
            value: value.clone(),
            lease: lease.0,
            ..Default::default()
        };
        let request = put_if_created_at(put, created);
        match self.contenders.backend.txn(request).await?.succeeded {
            true => Ok(()),
            false => Err(Error::NotLeader),
        }
    }

    /// The own key must be there still: the lease may have ended while the call waited.
    async fn last_look(&self, created: Revision) -> Result<ResponseHeader> {
        let response = self.contenders.backend.range(&just(&self.key)).await?;
        let present = response.kvs.first().map(|kv| Revision(kv.create_revision));
        if present != Some(created) {
            return Err(Error::SessionExpired);
        }
        Ok(response.header.unwrap_or_default())
    }

    fn note(&self, note: impl FnOnce(&mut Calls)) {
        self.contenders.note(&self.key, note);
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let Some(joining) = self.joining.lock().take() else {
            self.contenders.leave(&self.key);
            return;
        };
        // The Txn is on its way, and only its answer says whether there is a key to delete.
        let (contenders, key) = (self.contenders.clone(), self.key.clone());
        let finish = async move {
            if let Ok(joined) = joining.await
                && joined.present.is_none()
            {
                contenders.note(&key, |calls| calls.wait_with(joined.created));
            }
            contenders.leave(&key);
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.contenders.leaving.spawn_on(finish, &runtime);
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
            id: LeaseId::fresh(),
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
