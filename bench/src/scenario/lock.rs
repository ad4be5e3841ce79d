//! Lock and Unlock of the Lock service.

use anyhow::{Context, Result, ensure};
use latchd_proto::v3lockpb::{LockRequest, UnlockRequest, lock_client::LockClient};
use tonic::transport::Channel;

use super::grant;

/// Holds a name for no time at all, over and over.
pub struct Locker {
    locks: LockClient<Channel>,
    request: LockRequest,
}

impl Locker {
    /// One with a lease of its own, for the lock `name`.
    pub async fn prepare(channel: Channel, name: &str) -> Result<Self> {
        let lease = grant(channel.clone()).await?;
        Ok(Self {
            locks: LockClient::new(channel),
            request: LockRequest {
                name: name.to_owned().into(),
                lease,
            },
        })
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
