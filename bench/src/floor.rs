//! The floor: a tonic server that answers the scenarios' RPCs at once and stores nothing.
//!
//! What it needs for an operation is what gRPC itself costs here. Its replies have the size and
//! shape of real ones; they are not true: everybody holds every lock.

use std::{net::SocketAddr, pin::Pin};

use anyhow::Result;
use futures::{Stream, StreamExt, stream};
use latchd_proto::{
    etcdserverpb::{
        CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse,
        LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
        LeaseLeasesRequest, LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse,
        LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, PutRequest, PutResponse, RangeRequest,
        RangeResponse, RangeStreamResponse, RequestOp, ResponseHeader, ResponseOp, TxnRequest,
        TxnResponse, WatchRequest, WatchResponse,
        kv_server::{Kv, KvServer},
        lease_server::{Lease, LeaseServer},
        request_op, response_op,
        watch_server::{Watch, WatchServer},
    },
    mvccpb::{Event, KeyValue},
    v3lockpb::{
        LockRequest, LockResponse, UnlockRequest, UnlockResponse,
        lock_server::{Lock, LockServer},
    },
};
use tokio::sync::broadcast;
use tonic::{Request, Response, Status, Streaming, codegen::Bytes, transport::Server};

use crate::scenario::VALUE;

/// A lease ID of the length that real ones have.
const LEASE: i64 = 0x694d_8e2a_91c4_7b05;
/// A revision of the length that a real one has after a while.
const REVISION: i64 = 100_000;

/// How many Puts a watcher may be behind; then its stream ends.
const UNTOLD_PUTS: usize = 1024;

type Reply<T> = Result<Response<T>, Status>;

/// Serves the floor until the process is ended.
///
/// # Errors
/// When the address is taken.
pub async fn serve(listen: SocketAddr) -> Result<()> {
    let floor = Floor {
        puts: broadcast::Sender::new(UNTOLD_PUTS),
    };
    let router = Server::builder()
        .add_service(KvServer::new(floor.clone()))
        .add_service(LeaseServer::new(floor.clone()))
        .add_service(WatchServer::new(floor.clone()))
        .add_service(LockServer::new(floor));
    router.serve(listen).await?;
    Ok(())
}

/// It knows nothing but who watches: everybody is told of every Put.
#[derive(Clone)]
struct Floor {
    /// The keys that are put.
    puts: broadcast::Sender<Bytes>,
}

#[tonic::async_trait]
impl Kv for Floor {
    type RangeStreamStream = futures::stream::Empty<Result<RangeStreamResponse, Status>>;

    async fn range(&self, request: Request<RangeRequest>) -> Reply<RangeResponse> {
        Ok(Response::new(range(request.into_inner())))
    }

    async fn put(&self, request: Request<PutRequest>) -> Reply<PutResponse> {
        if self.puts.receiver_count() > 0 {
            // An error says that the last watcher has just gone.
            let _ = self.puts.send(request.into_inner().key);
        }
        Ok(Response::new(put()))
    }

    async fn delete_range(&self, _: Request<DeleteRangeRequest>) -> Reply<DeleteRangeResponse> {
        Ok(Response::new(delete_range()))
    }

    async fn txn(&self, request: Request<TxnRequest>) -> Reply<TxnResponse> {
        let responses = request.into_inner().success.into_iter().map(answer);
        Ok(Response::new(TxnResponse {
            header: header(),
            succeeded: true,
            responses: responses.collect(),
        }))
    }

    async fn compact(&self, _: Request<CompactionRequest>) -> Reply<CompactionResponse> {
        Err(no_scenario())
    }

    async fn range_stream(&self, _: Request<RangeRequest>) -> Reply<Self::RangeStreamStream> {
        Err(no_scenario())
    }
}

#[tonic::async_trait]
impl Lease for Floor {
    type LeaseKeepAliveStream =
        Pin<Box<dyn Stream<Item = Result<LeaseKeepAliveResponse, Status>> + Send>>;

    async fn lease_grant(&self, request: Request<LeaseGrantRequest>) -> Reply<LeaseGrantResponse> {
        Ok(Response::new(LeaseGrantResponse {
            header: header(),
            id: LEASE,
            ttl: request.get_ref().ttl,
            ..Default::default()
        }))
    }

    async fn lease_keep_alive(
        &self,
        requests: Request<Streaming<LeaseKeepAliveRequest>>,
    ) -> Reply<Self::LeaseKeepAliveStream> {
        let replies = requests.into_inner().map(|request| Ok(renewed(&request?)));
        Ok(Response::new(Box::pin(replies)))
    }

    async fn lease_revoke(&self, _: Request<LeaseRevokeRequest>) -> Reply<LeaseRevokeResponse> {
        Ok(Response::new(LeaseRevokeResponse { header: header() }))
    }

    async fn lease_time_to_live(
        &self,
        _: Request<LeaseTimeToLiveRequest>,
    ) -> Reply<LeaseTimeToLiveResponse> {
        Err(no_scenario())
    }

    async fn lease_leases(&self, _: Request<LeaseLeasesRequest>) -> Reply<LeaseLeasesResponse> {
        Err(no_scenario())
    }
}

#[tonic::async_trait]
impl Watch for Floor {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    /// One watcher a stream, as the scenario has it.
    async fn watch(&self, requests: Request<Streaming<WatchRequest>>) -> Reply<Self::WatchStream> {
        let created = requests.into_inner().map(|request| Ok(created(&request?)));
        let told = stream::unfold(self.puts.subscribe(), |mut puts| async {
            let key = puts.recv().await.ok()?;
            Some((Ok(told(key)), puts))
        });
        Ok(Response::new(Box::pin(stream::select(created, told))))
    }
}

#[tonic::async_trait]
impl Lock for Floor {
    async fn lock(&self, request: Request<LockRequest>) -> Reply<LockResponse> {
        let LockRequest { name, lease } = request.into_inner();
        let name = String::from_utf8_lossy(&name);
        Ok(Response::new(LockResponse {
            header: header(),
            key: format!("{name}/{lease:x}").into(),
        }))
    }

    async fn unlock(&self, _: Request<UnlockRequest>) -> Reply<UnlockResponse> {
        Ok(Response::new(UnlockResponse { header: header() }))
    }
}

/// What a Txn answers to one of its operations.
fn answer(op: RequestOp) -> ResponseOp {
    use request_op::Request::{RequestDeleteRange, RequestPut, RequestRange, RequestTxn};
    use response_op::Response::{ResponseDeleteRange, ResponsePut, ResponseRange};
    let response = op.request.and_then(|request| match request {
        RequestRange(request) => Some(ResponseRange(range(request))),
        RequestPut(_) => Some(ResponsePut(put())),
        RequestDeleteRange(_) => Some(ResponseDeleteRange(delete_range())),
        RequestTxn(_) => None,
    });
    ResponseOp { response }
}

fn header() -> Option<ResponseHeader> {
    Some(ResponseHeader {
        cluster_id: LEASE.unsigned_abs(),
        member_id: LEASE.unsigned_abs(),
        revision: REVISION,
        raft_term: 2,
    })
}

fn created(_: &WatchRequest) -> WatchResponse {
    WatchResponse {
        header: header(),
        created: true,
        ..Default::default()
    }
}

fn told(key: Bytes) -> WatchResponse {
    let event = Event {
        kv: Some(key_value(key)),
        ..Default::default()
    };
    WatchResponse {
        header: header(),
        events: vec![event],
        ..Default::default()
    }
}

fn key_value(key: Bytes) -> KeyValue {
    KeyValue {
        key,
        create_revision: REVISION,
        mod_revision: REVISION,
        version: 1,
        value: VALUE.as_slice().into(),
        lease: 0,
    }
}

/// The key that is asked for is there, whatever it is.
fn range(request: RangeRequest) -> RangeResponse {
    let found = key_value(request.key);
    RangeResponse {
        header: header(),
        kvs: vec![found],
        more: false,
        count: 1,
    }
}

fn put() -> PutResponse {
    PutResponse {
        header: header(),
        prev_kv: None,
    }
}

fn delete_range() -> DeleteRangeResponse {
    DeleteRangeResponse {
        header: header(),
        deleted: 1,
        prev_kvs: Vec::new(),
    }
}

fn renewed(request: &LeaseKeepAliveRequest) -> LeaseKeepAliveResponse {
    LeaseKeepAliveResponse {
        header: header(),
        id: request.id,
        ttl: 3600,
    }
}

fn no_scenario() -> Status {
    Status::unimplemented("no scenario of the benchmark needs it")
}
