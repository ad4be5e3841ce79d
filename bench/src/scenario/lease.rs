//! Leases that are granted and revoked at once.

use anyhow::{Context, Result};
use latchd_proto::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseRevokeRequest, LeaseRevokeResponse,
};
use tonic::codegen::Bytes;

use super::LEASE_TTL;
use crate::wire::{Call, Wire, framed};

/// Takes a lease and gives it back, over and over.
pub struct Granter {
    grant: Call<LeaseGrantResponse>,
    request: Bytes,
    revoke: Call<LeaseRevokeResponse>,
}

impl Granter {
    /// One without a lease.
    pub fn prepare(wire: &Wire) -> Result<Self> {
        let request = LeaseGrantRequest {
            ttl: LEASE_TTL,
            id: 0,
        };
        Ok(Self {
            grant: Call::new(wire, "/etcdserverpb.Lease/LeaseGrant")?,
            request: framed(&request),
            revoke: Call::new(wire, "/etcdserverpb.Lease/LeaseRevoke")?,
        })
    }

    /// LeaseGrant, and LeaseRevoke of what was granted.
    pub async fn operate(&mut self) -> Result<()> {
        let granted = self.grant.send(self.request.clone()).await;
        let id = granted.context("LeaseGrant")?.id;
        let request = framed(&LeaseRevokeRequest { id });
        self.revoke.send(request).await.context("LeaseRevoke")?;
        Ok(())
    }
}
