//! Leases that are granted and revoked at once.

use crate::wire::Wire;
use anyhow::{Context, Result};
use latchd_proto::etcdserverpb::{LeaseRevokeRequest, lease_client::LeaseClient};

use super::grant;

/// Takes a lease and gives it back, over and over.
pub struct Granter {
    wire: Wire,
}

impl Granter {
    /// One without a lease.
    pub fn prepare(wire: Wire) -> Self {
        Self { wire }
    }

    /// LeaseGrant, and LeaseRevoke of what was granted.
    pub async fn operate(&mut self) -> Result<()> {
        let id = grant(self.wire.clone()).await?;
        let mut leases = LeaseClient::new(self.wire.clone());
        let revoked = leases.lease_revoke(LeaseRevokeRequest { id }).await;
        revoked.context("LeaseRevoke")?;
        Ok(())
    }
}
