//! etcd's Lock service: the same keys that Go's `concurrency.Mutex` writes, waited for here.
//! Behaviour is that of etcd 3.5 and later.

use bytes::Bytes;
use latchd_proto::etcdserverpb::DeleteRangeRequest;
use latchd_proto::v3lockpb::{LockResponse, UnlockResponse};

use super::contenders::{Contenders, Contest};
use super::turn::prefix_of;
use super::validate;
use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::types::LeaseId;

/// The service; cheap to clone.
#[derive(Clone)]
pub struct Locks {
    backend: Backend,
    contenders: Contenders,
}

impl Locks {
    /// The service over `backend`.
    #[must_use]
    pub fn new(backend: Backend, contenders: Contenders) -> Locks {
        Locks {
            backend,
            contenders,
        }
    }

    /// Lock.Lock: waits until `name` is held on `lease` (0: on a lease of 60 s that the server
    /// grants and nobody renews). The header is the Txn's where the lock was free, else that of
    /// the last look.
    ///
    /// Dropping the future gives up: no key is left. Every error has code UNKNOWN, as in etcd.
    pub async fn lock(&self, name: Bytes, lease: LeaseId) -> Result<LockResponse> {
        let contest = Contest {
            prefix: prefix_of(&name),
            lease,
            value: None,
        };
        // It shares the buffer of its request, which nobody needs while this waits.
        drop(name);
        let won = self
            .contenders
            .win(contest)
            .await
            .map_err(Error::into_unknown)?;
        Ok(LockResponse {
            header: Some(won.seen),
            key: won.key,
        })
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
}
