//! Leases: what exists and what goes with it. Deadlines are the lessor's.

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::mvcc::state::LeaseKind;
use crate::mvcc::write::Batch;
use crate::types::{LeaseId, Revision, Ttl};

/// Records a lease whose ID is free.
pub fn grant(batch: &mut Batch<'_>, id: LeaseId, ttl: Ttl, kind: LeaseKind) -> Result<Revision> {
    if batch.state().leases.contains_key(&id) {
        return Err(Error::LeaseExists);
    }
    batch.grant(id, ttl, kind)?;
    Ok(batch.revision())
}

/// Ends a lease and deletes its keys, in one revision.
pub fn revoke(batch: &mut Batch<'_>, id: LeaseId) -> Result<Revision> {
    if !batch.state().leases.contains_key(&id) {
        return Err(Error::LeaseNotFound);
    }
    batch.revoke(id)?;
    Ok(batch.revision())
}

/// The keys of a lease, sorted.
pub fn keys(batch: &Batch<'_>, id: LeaseId) -> Result<Vec<Bytes>> {
    let lease = batch.state().leases.get(&id).ok_or(Error::LeaseNotFound)?;
    Ok(lease
        .keys
        .iter()
        .map(|key| Bytes::copy_from_slice(key))
        .collect())
}
