//! Lock and Unlock of the Lock service.

use crate::wire::Wire;
use anyhow::{Context, Result, ensure};
use latchd_proto::v3lockpb::{LockRequest, UnlockRequest, lock_client::LockClient};

use super::{grant, grant_for};

/// Holds a name for no time at all, over and over.
pub struct Locker {
    locks: LockClient<Wire>,
    request: LockRequest,
}

impl Locker {
    /// One with a lease of its own, for the lock `name`.
    pub async fn prepare(wire: Wire, name: &str) -> Result<Self> {
        let lease = grant(wire.clone()).await?;
        Ok(Self::on(wire, name, lease))
    }

    /// One with a lease that lives for `ttl` seconds.
    pub async fn short_lived(wire: Wire, name: &str, ttl: i64) -> Result<Self> {
        let lease = grant_for(wire.clone(), ttl).await?;
        Ok(Self::on(wire, name, lease))
    }

    fn on(wire: Wire, name: &str, lease: i64) -> Self {
        Self {
            locks: LockClient::new(wire),
            request: LockRequest {
                name: name.to_owned().into(),
                lease,
            },
        }
    }

    /// Lock, however long it waits, and Unlock.
    pub async fn operate(&mut self) -> Result<()> {
        let granted = self.locks.lock(self.request.clone()).await;
        let key = granted.context("Lock")?.into_inner().key;
        ensure!(!key.is_empty(), "Lock: the reply has no key");
        let released = self.locks.unlock(UnlockRequest { key }).await;
        released.context("Unlock")?;
        Ok(())
    }
}
