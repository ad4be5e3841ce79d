//! Put, DeleteRange and Compact, as etcd 3.7.1 applies them (`etcdserver/txn`).

use latchd_proto::etcdserverpb::{
    DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse, ResponseHeader,
};

use crate::error::{Error, Result};
use crate::mvcc::KeyRange;
use crate::mvcc::write::Batch;
use crate::types::{LeaseId, Revision};

/// A header that says the revision; the rest is filled in at the backend's edge.
pub fn header(revision: Revision) -> Option<ResponseHeader> {
    Some(ResponseHeader {
        revision: revision.0,
        ..Default::default()
    })
}

/// Whether a put could be done: its lease exists, and so does the key that it leaves parts of.
pub fn check_put(batch: &Batch<'_>, request: &PutRequest) -> Result<()> {
    let lease = LeaseId(request.lease);
    if !lease.is_none() && !batch.state().leases.contains_key(&lease) {
        return Err(Error::LeaseNotFound);
    }
    let needs_previous = request.ignore_value || request.ignore_lease;
    if needs_previous && batch.view().get(&request.key)?.is_none() {
        return Err(Error::KeyNotFound);
    }
    Ok(())
}

/// Checks, then puts.
pub fn put(batch: &mut Batch<'_>, request: &PutRequest) -> Result<PutResponse> {
    check_put(batch, request)?;
    checked_put(batch, request)
}

/// Puts what [`check_put`] found possible.
pub fn checked_put(batch: &mut Batch<'_>, request: &PutRequest) -> Result<PutResponse> {
    let mut value = request.value.clone();
    let mut lease = LeaseId(request.lease);
    if (request.ignore_value || request.ignore_lease)
        && let Some(present) = batch.view().get(&request.key)?
    {
        if request.ignore_value {
            value = present.value;
        }
        if request.ignore_lease {
            lease = present.lease;
        }
    }
    let previous = batch.put(&request.key, value, lease)?;
    Ok(PutResponse {
        header: header(batch.revision()),
        prev_kv: previous
            .filter(|_| request.prev_kv)
            .map(|record| record.to_proto(request.key.clone())),
    })
}

/// Deletes a range; finding nothing is no write.
pub fn delete_range(
    batch: &mut Batch<'_>,
    request: &DeleteRangeRequest,
) -> Result<DeleteRangeResponse> {
    let range = KeyRange::from_wire(&request.key, &request.range_end);
    let removed = batch.delete(&range)?;
    let deleted = i64::try_from(removed.len()).unwrap_or(i64::MAX);
    let prev_kvs = if request.prev_kv {
        let kvs = removed.into_iter();
        kvs.map(|(key, record)| record.to_proto(key)).collect()
    } else {
        Vec::new()
    };
    Ok(DeleteRangeResponse {
        header: header(batch.revision()),
        deleted,
        prev_kvs,
    })
}

/// Moves the compacted revision up, because a client has `asked` for it or not; rows are freed by
/// later trims.
pub fn compact(batch: &mut Batch<'_>, revision: Revision, asked: bool) -> Result<Revision> {
    if revision <= batch.state().compacted {
        return Err(Error::Compacted);
    }
    if revision > batch.state().revision {
        return Err(Error::FutureRevision);
    }
    batch.set_compacted(revision, asked)?;
    Ok(batch.revision())
}
