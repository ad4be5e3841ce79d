//! etcdserverpb.KV.

use futures::StreamExt;
use futures::stream::BoxStream;
use latchd_proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest,
    PutResponse, RangeRequest, RangeResponse, RangeStreamResponse, TxnRequest, TxnResponse,
    kv_server,
};
use tonic::{Request, Response, Status};

use crate::service::kv::Kv;

/// The RPCs of KV.
pub struct KvRpc(pub Kv);

#[tonic::async_trait]
impl kv_server::Kv for KvRpc {
    type RangeStreamStream = BoxStream<'static, Result<RangeStreamResponse, Status>>;

    async fn range(&self, req: Request<RangeRequest>) -> Result<Response<RangeResponse>, Status> {
        Ok(Response::new(self.0.range(req.get_ref()).await?))
    }

    async fn range_stream(
        &self,
        req: Request<RangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        let stream = self.0.range_stream(req.into_inner())?;
        let pieces = futures::stream::try_unfold(stream, |mut stream| async {
            Ok(stream.next().await?.map(|piece| (piece, stream)))
        });
        Ok(Response::new(pieces.boxed()))
    }

    async fn put(&self, req: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        Ok(Response::new(self.0.put(req.into_inner()).await?))
    }

    async fn delete_range(
        &self,
        req: Request<DeleteRangeRequest>,
    ) -> Result<Response<DeleteRangeResponse>, Status> {
        Ok(Response::new(self.0.delete_range(req.into_inner()).await?))
    }

    async fn txn(&self, req: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        Ok(Response::new(self.0.txn(req.into_inner()).await?))
    }

    async fn compact(
        &self,
        req: Request<CompactionRequest>,
    ) -> Result<Response<CompactionResponse>, Status> {
        Ok(Response::new(self.0.compact(req.into_inner()).await?))
    }
}
