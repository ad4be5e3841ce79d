//! KV: refuse what is malformed, and pass the rest on.

use latchd_proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest,
    PutResponse, RangeRequest, RangeResponse, TxnRequest, TxnResponse,
};

use super::range_stream::RangeStream;
use super::validate;
use crate::backend::{Backend, Limits};
use crate::error::Result;

/// The service; cheap to clone.
#[derive(Clone)]
pub struct Kv {
    backend: Backend,
    limits: Limits,
}

impl Kv {
    /// The service over `backend`.
    #[must_use]
    pub fn new(backend: Backend, limits: Limits) -> Kv {
        Kv { backend, limits }
    }

    /// KV.Range.
    pub async fn range(&self, request: &RangeRequest) -> Result<RangeResponse> {
        validate::range(request)?;
        self.backend.range(request).await
    }

    /// KV.RangeStream.
    pub fn range_stream(&self, request: RangeRequest) -> Result<RangeStream> {
        RangeStream::begin(self.backend.clone(), self.limits.request_bytes, request)
    }

    /// KV.Put.
    pub async fn put(&self, request: PutRequest) -> Result<PutResponse> {
        validate::put(&request)?;
        self.backend.put(request).await
    }

    /// KV.DeleteRange.
    pub async fn delete_range(&self, request: DeleteRangeRequest) -> Result<DeleteRangeResponse> {
        validate::delete_range(&request)?;
        self.backend.delete_range(request).await
    }

    /// KV.Txn.
    pub async fn txn(&self, request: TxnRequest) -> Result<TxnResponse> {
        validate::txn(&request, self.limits.txn_ops)?;
        self.backend.txn(request).await
    }

    /// KV.Compact.
    pub async fn compact(&self, request: CompactionRequest) -> Result<CompactionResponse> {
        self.backend.compact(request).await
    }
}
