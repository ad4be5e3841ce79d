//! From a path to a service, and what holds for all of them: deadlines and sizes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response};
use latchd_proto::etcdserverpb::auth_server::AuthServer;
use latchd_proto::etcdserverpb::cluster_server::ClusterServer;
use latchd_proto::etcdserverpb::kv_server::KvServer;
use latchd_proto::etcdserverpb::lease_server::LeaseServer;
use latchd_proto::etcdserverpb::maintenance_server::MaintenanceServer;
use latchd_proto::etcdserverpb::watch_server::WatchServer;
use latchd_proto::latchd::v1::locks_server::LocksServer;
use latchd_proto::v3electionpb::election_server::ElectionServer;
use latchd_proto::v3lockpb::lock_server::LockServer;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;
use tracing::warn;

use super::auth::AuthRpc;
use super::cluster::ClusterRpc;
use super::counted::Counted;
use super::deadline;
use super::election::ElectionRpc;
use super::kv::KvRpc;
use super::lease::LeaseRpc;
use super::lock::LockRpc;
use super::locks::LocksRpc;
use super::maintenance::MaintenanceRpc;
use super::standard::Standard;
use super::watch::WatchRpc;
use crate::backend::{Backend, Limits};
use crate::clock;
use crate::metrics::{Call, METRICS};
use crate::service::contenders::Contenders;
use crate::service::election::Elections;
use crate::service::kv::Kv;
use crate::service::lock::Locks;
use crate::service::locks::Keeper;
use crate::service::member::ThisMember;
use crate::service::watch::WatchOptions;

/// How tonic says that a message is too large, with code OUT_OF_RANGE: then the two numbers.
const TOO_LARGE: &str = "Error, decoded message length too large: found ";

/// How tonic says, with code INTERNAL, that bytes are no message of the call's type: then why.
const NOT_DECODED: &str = "failed to decode Protobuf message: ";

/// How tonic says, with code INTERNAL, that a unary call ended before its message.
const NO_MESSAGE: &str = "Missing request message.";

/// Calls whose purpose is to wait for somebody else. (Streams are answered at once.)
const MAY_WAIT: &[&str] = &[
    "/v3lockpb.Lock/Lock",
    "/v3electionpb.Election/Campaign",
    "/latchd.v1.Locks/Acquire",
];

/// What the services need.
pub struct Services {
    /// Where the keys are.
    pub backend: Backend,
    /// What one request may weigh.
    pub limits: Limits,
    /// How Watch streams behave.
    pub watch: WatchOptions,
    /// Calls that take longer are warned of.
    pub slow_call: Duration,
    /// Who this is.
    pub member: ThisMember,
    /// Who waits for locks and elections.
    pub contenders: Contenders,
    /// latchd.v1.
    pub keeper: Keeper,
    /// Cancelled when the server begins to drain.
    pub stopping: CancellationToken,
}

/// Every gRPC service of the server; cheap to clone.
#[derive(Clone)]
pub struct GrpcRouter(Arc<Servers>);

/// Built once, and shared by all requests.
struct Servers {
    kv: KvServer<KvRpc>,
    lease: LeaseServer<LeaseRpc>,
    watch: WatchServer<WatchRpc>,
    lock: LockServer<LockRpc>,
    locks: LocksServer<LocksRpc>,
    election: ElectionServer<ElectionRpc>,
    cluster: ClusterServer<ClusterRpc>,
    maintenance: MaintenanceServer<MaintenanceRpc>,
    auth: AuthServer<AuthRpc>,
    standard: Standard,
    slow_call: Duration,
}

/// A response on its way, as tonic's services give it.
type Answer = BoxFuture<'static, Result<Response<Body>, Infallible>>;

impl GrpcRouter {
    /// The router over `services`.
    #[must_use]
    pub fn new(services: Services) -> GrpcRouter {
        let Services {
            backend,
            limits,
            watch: options,
            slow_call,
            member,
            contenders,
            keeper,
            stopping,
        } = services;
        let most = limits.message_bytes();
        let locks = Locks::new(backend.clone(), contenders.clone());
        let elections = Elections::new(backend.clone(), contenders);
        let lease = LeaseRpc {
            backend: backend.clone(),
            stopping: stopping.clone(),
        };
        let watch = WatchRpc {
            backend: backend.clone(),
            options,
            stopping: stopping.clone(),
        };
        let election = ElectionRpc {
            elections,
            stopping: stopping.clone(),
        };
        let locks_v1 = LocksRpc {
            keeper,
            stopping: stopping.clone(),
        };
        let standard = Standard::new(stopping.clone());
        let lock = LockRpc { locks, stopping };
        GrpcRouter(Arc::new(Servers {
            kv: KvServer::new(KvRpc(Kv::new(backend, limits)))
                .max_decoding_message_size(most)
                .max_encoding_message_size(usize::MAX),
            lease: LeaseServer::new(lease).max_decoding_message_size(most),
            watch: WatchServer::new(watch)
                .max_decoding_message_size(most)
                .max_encoding_message_size(usize::MAX),
            lock: LockServer::new(lock).max_decoding_message_size(most),
            locks: LocksServer::new(locks_v1)
                .max_decoding_message_size(most)
                .max_encoding_message_size(usize::MAX),
            election: ElectionServer::new(election).max_decoding_message_size(most),
            cluster: ClusterServer::new(ClusterRpc(member.clone())).max_decoding_message_size(most),
            maintenance: MaintenanceServer::new(MaintenanceRpc(member.clone()))
                .max_decoding_message_size(most),
            auth: AuthServer::new(AuthRpc(member)).max_decoding_message_size(most),
            standard,
            slow_call,
        }))
    }

    /// Answers one gRPC request, over a connection or from the JSON gateway.
    ///
    /// The request is gone into its own call before there is a future: who waits keeps neither
    /// room for it nor a copy.
    pub fn answer(self, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send {
        let deadline = deadline::of_call(request.headers());
        let path = Path::of(&request);
        let counted = path.known().map(Counted::begin);
        let began = clock::now();
        let answer = self.0.dispatch(request);
        let answer = match deadline {
            None => answer,
            Some(deadline) => within(deadline, answer),
        };
        let slow_call = self.0.slow_call;
        answer.map(move |response| {
            let response = response.unwrap_or_else(|never| match never {});
            warn_if_slow(path.text(), began.elapsed(), slow_call);
            let response = as_grpc_go(response, path.text());
            match counted {
                None => response,
                Some(counted) => counted.follow(response),
            }
        })
    }
}

/// The answer, or that it is too late for it.
fn within(deadline: Duration, answer: Answer) -> Answer {
    let answer = clock::timeout(deadline, answer);
    answer
        .map(|answer| answer.unwrap_or_else(|_| Ok(past_its_deadline())))
        .boxed()
}

/// A call's path, which outlives its request.
enum Path {
    /// Of an RPC that etcd defines.
    Known(&'static Call),
    Other(String),
}

impl Path {
    fn of(request: &Request<Body>) -> Path {
        let path = request.uri().path();
        METRICS
            .call(path)
            .map_or_else(|| Path::Other(path.to_owned()), Path::Known)
    }

    fn known(&self) -> Option<&'static Call> {
        match self {
            Path::Known(call) => Some(call),
            Path::Other(_) => None,
        }
    }

    fn text(&self) -> &str {
        match self {
            Path::Known(call) => &call.path,
            Path::Other(path) => path,
        }
    }
}

impl Servers {
    fn dispatch(&self, request: Request<Body>) -> Answer {
        let path = request.uri().path();
        let Some((service, _)) = service_and_method(path) else {
            return refused(format!("malformed method name: {path:?}"));
        };
        match service {
            "etcdserverpb.KV" => self.kv.clone().call(request),
            "etcdserverpb.Watch" => self.watch.clone().call(request),
            "etcdserverpb.Lease" => self.lease.clone().call(request),
            "v3lockpb.Lock" => self.lock.clone().call(request),
            "latchd.v1.Locks" => self.locks.clone().call(request),
            "v3electionpb.Election" => self.election.clone().call(request),
            "etcdserverpb.Cluster" => self.cluster.clone().call(request),
            "etcdserverpb.Maintenance" => self.maintenance.clone().call(request),
            "etcdserverpb.Auth" => self.auth.clone().call(request),
            service => match self.standard.find(service) {
                Some(call) => call.answer(request).map(Ok).boxed(),
                None => refused(format!("unknown service {service}")),
            },
        }
    }
}

/// The parts of a call's path; none if it has no two.
fn service_and_method(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('/')?.rsplit_once('/')
}

/// A call of what does not exist.
fn refused(text: String) -> Answer {
    futures::future::ready(Ok(Status::unimplemented(text).into_http())).boxed()
}

fn past_its_deadline() -> Response<Body> {
    Status::deadline_exceeded("context deadline exceeded").into_http()
}

/// Logs a call that took long, as etcd does; its client's deadline ends the watching of it.
fn warn_if_slow(path: &str, took: Duration, limit: Duration) {
    if took > limit && !MAY_WAIT.contains(&path) {
        warn!("time spent" = ?took, "request path" = path, "request stats");
    }
}

/// Turns what tonic itself refuses into what grpc-go says, which etcd's clients know.
fn as_grpc_go(response: Response<Body>, path: &str) -> Response<Body> {
    // Only a call that failed at once has its status among the headers.
    let Some(status) = response.headers().get("grpc-status") else {
        return response;
    };
    let is = |code: Code| *status == HeaderValue::from(code as i32);
    let said = if is(Code::OutOfRange) || is(Code::Internal) {
        Status::from_header_map(response.headers()).and_then(|status| in_go(status.message()))
    } else if is(Code::Unimplemented) && !response.headers().contains_key("grpc-message") {
        unknown_method(path)
    } else {
        None
    };
    said.map_or(response, Status::into_http)
}

/// What grpc-go says in place of these words of tonic's.
fn in_go(message: &str) -> Option<Status> {
    if message.starts_with(NOT_DECODED) {
        let text =
            "grpc: error unmarshalling request: proto: cannot parse invalid wire-format data";
        return Some(Status::internal(text));
    }
    if message == NO_MESSAGE {
        return Some(Status::unknown("EOF"));
    }
    too_large(message)
}

/// What grpc-go says in place of what tonic says of a stream's message.
pub(super) fn in_go_on_a_stream(status: Status) -> Status {
    if status.code() == Code::Internal && status.message().starts_with(NOT_DECODED) {
        let text = "grpc: failed to unmarshal the received message: proto: cannot parse invalid wire-format data";
        return Status::internal(text);
    }
    status
}

/// A message over the transport's limit is RESOURCE_EXHAUSTED; tonic's OUT_OF_RANGE looks like a
/// compacted revision.
fn too_large(message: &str) -> Option<Status> {
    let numbers = message.strip_prefix(TOO_LARGE)?;
    let (found, limit) = numbers.split_once(" bytes, the limit is: ")?;
    let limit = limit.trim_end_matches(" bytes");
    let text = format!("grpc: received message larger than max ({found} vs. {limit})");
    Some(Status::resource_exhausted(text))
}

fn unknown_method(path: &str) -> Option<Status> {
    let (service, method) = service_and_method(path)?;
    let text = format!("unknown method {method} for service {service}");
    Some(Status::unimplemented(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_method_is_what_follows_the_last_slash() {
        assert_eq!(service_and_method("/a.B/C"), Some(("a.B", "C")));
        assert_eq!(service_and_method("/a/b/C"), Some(("a/b", "C")));
        for bad in ["/a.B", "a.B/C", "", "/"] {
            assert_eq!(service_and_method(bad), None, "{bad}");
        }
    }

    fn told(status: Status) -> (Code, String) {
        let response = as_grpc_go(status.into_http(), "/etcdserverpb.KV/Nope");
        let status = Status::from_header_map(response.headers()).unwrap();
        (status.code(), status.message().to_owned())
    }

    #[test]
    fn what_tonic_refuses_is_said_as_grpc_go_says_it() {
        let large = Status::out_of_range(format!("{TOO_LARGE}9 bytes, the limit is: 8 bytes"));
        let text = "grpc: received message larger than max (9 vs. 8)";
        assert_eq!(told(large), (Code::ResourceExhausted, text.into()));
        let undecoded = Status::internal(format!("{NOT_DECODED}buffer underflow"));
        let text =
            "grpc: error unmarshalling request: proto: cannot parse invalid wire-format data";
        assert_eq!(told(undecoded), (Code::Internal, text.into()));
        let text = "unknown method Nope for service etcdserverpb.KV";
        assert_eq!(
            told(Status::internal(NO_MESSAGE)),
            (Code::Unknown, "EOF".into())
        );
        assert_eq!(
            told(Status::unimplemented("")),
            (Code::Unimplemented, text.into())
        );
    }

    #[test]
    fn of_a_streams_message_grpc_go_says_other_words() {
        let undecoded = Status::internal(format!("{NOT_DECODED}buffer underflow"));
        let text = "grpc: failed to unmarshal the received message: proto: cannot parse invalid wire-format data";
        assert_eq!(in_go_on_a_stream(undecoded).message(), text);
        let other = Status::cancelled("it went away");
        assert_eq!(in_go_on_a_stream(other).message(), "it went away");
    }

    #[test]
    fn what_a_service_says_stays() {
        for status in [
            Status::out_of_range("compacted"),
            Status::internal("it broke"),
            Status::unimplemented("not yet"),
        ] {
            let before = (status.code(), status.message().to_owned());
            assert_eq!(told(status), before);
        }
    }
}
