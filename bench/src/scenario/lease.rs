//! Leases that are granted and revoked at once.

use crate::wire::Wire;
use anyhow::{Context, Result};
use latchd_proto::etcdserverpb::{LeaseRevokeRequest, lease_client::LeaseClient};

use super::grant;

/// Takes a lease and gives it back, over and over.
pub struct Granter {
    channel: Wire,
}

impl Granter {
    /// One without a lease.
    pub fn prepare(channel: Wire) -> Self {
        Self { channel }
    }

    /// LeaseGrant, and LeaseRevoke of what was granted.
    pub async fn operate(&mut self) -> Result<()> {
        let id = grant(self.channel.clone()).await?;
        let mut leases = LeaseClient::new(self.channel.clone());
        let revoked = leases.lease_revoke(LeaseRevokeRequest { id }).await;
        revoked.context("LeaseRevoke")?;
        Ok(())
    }
}
