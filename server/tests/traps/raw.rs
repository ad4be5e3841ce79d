//! Requests as they go over the wire, and what comes back.

use futures::channel::mpsc;
use latchd_proto::etcdserverpb::cluster_client::ClusterClient;
use latchd_proto::etcdserverpb::kv_client::KvClient;
use latchd_proto::etcdserverpb::lease_client::LeaseClient;
use latchd_proto::etcdserverpb::maintenance_client::MaintenanceClient;
use latchd_proto::etcdserverpb::watch_client::WatchClient;
use latchd_proto::etcdserverpb::watch_request::RequestUnion;
use latchd_proto::etcdserverpb::{
    DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest, RangeResponse, RequestOp,
    ResponseHeader, ResponseOp, TxnRequest, TxnResponse, WatchCancelRequest, WatchCreateRequest,
    WatchProgressRequest, WatchRequest, WatchResponse, request_op, response_op,
};
use latchd_proto::mvccpb::Event;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::common::{Fixture, soon};

/// A server and a connection to it.
pub struct Raw {
    fixture: Option<Fixture>,
    pub endpoint: String,
    pub channel: Channel,
}

impl Raw {
    /// A fresh server in this process, or the one that `LATCHD_TRAPS_ENDPOINT` names.
    pub async fn start() -> Raw {
        let (fixture, endpoint) = match std::env::var("LATCHD_TRAPS_ENDPOINT") {
            Ok(endpoint) => (None, endpoint),
            Err(_) => {
                let fixture = Fixture::start().await;
                let endpoint = fixture.endpoint();
                (Some(fixture), endpoint)
            }
        };
        let channel = connect(&endpoint).await;
        let raw = Raw {
            fixture,
            endpoint,
            channel,
        };
        if !raw.is_ours() {
            raw.clear().await;
        }
        raw
    }

    /// Whether the server is this test's own.
    pub fn is_ours(&self) -> bool {
        self.fixture.is_some()
    }

    /// Removes what an earlier test left.
    async fn clear(&self) {
        let request = DeleteRangeRequest {
            key: "\0".into(),
            range_end: "\0".into(),
            ..Default::default()
        };
        self.kv().delete_range(request).await.unwrap();
    }

    /// Stops and starts the server; `false` if it is not ours.
    pub async fn restart(&mut self) -> bool {
        let Some(fixture) = &mut self.fixture else {
            return false;
        };
        fixture.restart().await;
        self.endpoint = fixture.endpoint();
        self.channel = connect(&self.endpoint).await;
        true
    }

    pub fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX)
    }

    pub fn lease(&self) -> LeaseClient<Channel> {
        LeaseClient::new(self.channel.clone())
    }

    pub fn cluster(&self) -> ClusterClient<Channel> {
        ClusterClient::new(self.channel.clone())
    }

    pub fn maintenance(&self) -> MaintenanceClient<Channel> {
        MaintenanceClient::new(self.channel.clone())
    }

    /// Puts, and returns the revision that it made.
    pub async fn put(&self, key: &'static str, value: &'static str) -> i64 {
        let response = self.kv().put(put(key, value)).await.unwrap();
        revision(response.get_ref().header)
    }

    /// Deletes one key, and returns the revision of the answer.
    pub async fn delete(&self, key: &'static str) -> i64 {
        let request = DeleteRangeRequest {
            key: key.into(),
            ..Default::default()
        };
        let response = self.kv().delete_range(request).await.unwrap();
        revision(response.get_ref().header)
    }

    pub async fn range(&self, request: RangeRequest) -> RangeResponse {
        self.kv().range(request).await.unwrap().into_inner()
    }

    pub async fn txn(&self, request: TxnRequest) -> TxnResponse {
        self.kv().txn(request).await.unwrap().into_inner()
    }

    /// Grants a lease of a minute.
    pub async fn grant(&self) -> i64 {
        let request = LeaseGrantRequest { ttl: 60, id: 0 };
        self.lease()
            .lease_grant(request)
            .await
            .unwrap()
            .get_ref()
            .id
    }

    /// The current revision.
    pub async fn revision(&self) -> i64 {
        revision(self.range(range("k")).await.header)
    }

    /// Opens a Watch stream with these first requests.
    pub async fn watch(&self, creates: impl IntoIterator<Item = WatchCreateRequest>) -> Watching {
        let (requests, receiver) = mpsc::unbounded();
        for create in creates {
            requests
                .unbounded_send(asking(RequestUnion::CreateRequest(create)))
                .unwrap();
        }
        let mut client =
            WatchClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        let responses = soon(client.watch(receiver)).await.unwrap().into_inner();
        Watching {
            requests: Some(requests),
            responses,
        }
    }
}

async fn connect(endpoint: &str) -> Channel {
    let endpoint = Channel::from_shared(endpoint.to_owned()).unwrap();
    endpoint.connect().await.unwrap()
}

/// An open Watch stream.
pub struct Watching {
    requests: Option<mpsc::UnboundedSender<WatchRequest>>,
    responses: Streaming<WatchResponse>,
}

impl Watching {
    pub fn create(&self, request: WatchCreateRequest) {
        self.ask(RequestUnion::CreateRequest(request));
    }

    pub fn cancel(&self, watch_id: i64) {
        self.ask(RequestUnion::CancelRequest(WatchCancelRequest { watch_id }));
    }

    pub fn progress(&self) {
        self.ask(RequestUnion::ProgressRequest(WatchProgressRequest {}));
    }

    fn ask(&self, request: RequestUnion) {
        let requests = self.requests.as_ref().expect("not closed yet");
        requests.unbounded_send(asking(request)).unwrap();
    }

    /// Says that no more requests come.
    pub fn half_close(&mut self) {
        self.requests = None;
    }

    pub async fn next(&mut self) -> WatchResponse {
        let response = soon(self.responses.message()).await.unwrap();
        response.expect("the stream is open")
    }

    /// The next response, which must be that of a creation.
    pub async fn created(&mut self) -> WatchResponse {
        let response = self.next().await;
        assert!(
            response.created && response.events.is_empty(),
            "{response:?}"
        );
        response
    }

    /// The next `count` events of whatever watch.
    pub async fn events(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        while events.len() < count {
            events.extend(self.next().await.events);
        }
        events
    }
}

fn asking(request: RequestUnion) -> WatchRequest {
    WatchRequest {
        request_union: Some(request),
    }
}

pub fn revision(header: Option<ResponseHeader>) -> i64 {
    header.expect("a header").revision
}

/// Every key under a prefix ends here.
pub fn end_of(prefix: &'static str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    *end.last_mut().unwrap() += 1;
    end
}

pub fn put(key: &'static str, value: &'static str) -> PutRequest {
    PutRequest {
        key: key.into(),
        value: value.into(),
        ..Default::default()
    }
}

pub fn range(key: &'static str) -> RangeRequest {
    RangeRequest {
        key: key.into(),
        ..Default::default()
    }
}

pub fn range_under(prefix: &'static str) -> RangeRequest {
    RangeRequest {
        range_end: end_of(prefix).into(),
        ..range(prefix)
    }
}

pub fn delete(key: &'static str) -> DeleteRangeRequest {
    DeleteRangeRequest {
        key: key.into(),
        ..Default::default()
    }
}

pub fn watch(key: &'static str) -> WatchCreateRequest {
    WatchCreateRequest {
        key: key.into(),
        ..Default::default()
    }
}

pub fn watch_under(prefix: &'static str) -> WatchCreateRequest {
    WatchCreateRequest {
        range_end: end_of(prefix).into(),
        ..watch(prefix)
    }
}

/// A request inside a Txn.
pub trait InTxn {
    fn op(self) -> RequestOp;
}

macro_rules! in_txn {
    ($($request:ty => $variant:ident),+) => {
        $(impl InTxn for $request {
            fn op(self) -> RequestOp {
                RequestOp { request: Some(request_op::Request::$variant(self)) }
            }
        })+
    };
}

in_txn! {
    PutRequest => RequestPut,
    RangeRequest => RequestRange,
    DeleteRangeRequest => RequestDeleteRange,
    TxnRequest => RequestTxn
}

/// A Txn that does all of these.
pub fn all_of(success: impl IntoIterator<Item = RequestOp>) -> TxnRequest {
    TxnRequest {
        success: success.into_iter().collect(),
        ..Default::default()
    }
}

/// The answer to a Range inside a Txn.
pub fn ranged(response: &ResponseOp) -> &RangeResponse {
    match &response.response {
        Some(response_op::Response::ResponseRange(range)) => range,
        other => panic!("no range: {other:?}"),
    }
}

/// The header of whatever answer inside a Txn.
pub fn header_of(response: &ResponseOp) -> ResponseHeader {
    use response_op::Response;
    let header = match response.response.as_ref().unwrap() {
        Response::ResponseRange(range) => range.header,
        Response::ResponsePut(put) => put.header,
        Response::ResponseDeleteRange(deleted) => deleted.header,
        Response::ResponseTxn(txn) => txn.header,
    };
    header.expect("nested responses have headers")
}

/// The keys of a Range's answer, as text.
pub fn keys(response: &RangeResponse) -> Vec<&str> {
    let keys = response.kvs.iter().map(|kv| str::from_utf8(&kv.key));
    keys.collect::<Result<_, _>>().unwrap()
}
