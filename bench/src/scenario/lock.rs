//! Lock and Unlock of the Lock service.

use anyhow::{Context, Result, ensure};
use latchd_proto::v3lockpb::{LockRequest, LockResponse, UnlockRequest, UnlockResponse};
use tonic::codegen::Bytes;

use super::{grant, grant_for};
use crate::wire::{Call, Wire, framed};

/// Holds a name for no time at all, over and over.
pub struct Locker {
    lock: Call<LockResponse>,
    request: Bytes,
    unlock: Call<UnlockResponse>,
}

impl Locker {
    /// One with a lease of its own, for the lock `name`.
    pub async fn prepare(wire: Wire, name: &str) -> Result<Self> {
        let lease = grant(wire.clone()).await?;
        Self::on(&wire, name, lease)
    }

    /// One with a lease that lives for `ttl` seconds.
    pub async fn short_lived(wire: Wire, name: &str, ttl: i64) -> Result<Self> {
        let lease = grant_for(wire.clone(), ttl).await?;
        Self::on(&wire, name, lease)
    }

    fn on(wire: &Wire, name: &str, lease: i64) -> Result<Self> {
        let request = LockRequest {
            name: name.to_owned().into(),
            lease,
        };
        Ok(Self {
            lock: Call::new(wire, "/v3lockpb.Lock/Lock")?,
            request: framed(&request),
            unlock: Call::new(wire, "/v3lockpb.Lock/Unlock")?,
        })
    }

    /// Lock, however long it waits, and Unlock.
    pub async fn operate(&mut self) -> Result<()> {
        let granted = self.lock.send(self.request.clone()).await;
        let key = granted.context("Lock")?.key;
        ensure!(!key.is_empty(), "Lock: the reply has no key");
        let request = framed(&UnlockRequest { key });
        self.unlock.send(request).await.context("Unlock")?;
        Ok(())
    }
}
