//! grpc.health.v1.Health, as grpc-go serves it for etcd: the server as a whole (`""`) serves, and no
//! other name is known.

use std::collections::BTreeMap;
use std::future::{Ready, ready};

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use http::{Request, Response as HttpResponse};
use tonic::body::Body;
use tonic::server::{Grpc, UnaryService};
use tonic::{Request as GrpcRequest, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_prost::ProstCodec;
use tower::Service;

/// The call that tonic-health does not have.
const LIST: &str = "/grpc.health.v1.Health/List";

/// Answers a call of the service.
pub async fn answer(request: Request<Body>) -> HttpResponse<Body> {
    if request.uri().path() == LIST {
        return Grpc::new(ProstCodec::default()).unary(List, request).await;
    }
    match HealthServer::new(Serving).call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// What is known of a service.
fn status_of(service: &str) -> Option<ServingStatus> {
    service.is_empty().then_some(ServingStatus::Serving)
}

fn told(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

struct Serving;

#[tonic::async_trait]
impl Health for Serving {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: GrpcRequest<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let status = status_of(&request.get_ref().service);
        let status = status.ok_or_else(|| Status::not_found("unknown service"))?;
        Ok(Response::new(told(status)))
    }

    /// The status, which never changes: the stream stays open until the client or the server ends.
    async fn watch(
        &self,
        request: GrpcRequest<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let status = status_of(&request.get_ref().service);
        let first = told(status.unwrap_or(ServingStatus::ServiceUnknown));
        let forever = stream::iter([Ok(first)]).chain(stream::pending());
        Ok(Response::new(forever.boxed()))
    }
}

/// Answers with all services that are known.
struct List;

#[derive(Clone, PartialEq, prost::Message)]
struct ListRequest {}

#[derive(Clone, PartialEq, prost::Message)]
struct ListResponse {
    #[prost(btree_map = "string, message", tag = "1")]
    statuses: BTreeMap<String, HealthCheckResponse>,
}

impl UnaryService<ListRequest> for List {
    type Response = ListResponse;
    type Future = Ready<Result<Response<ListResponse>, Status>>;

    fn call(&mut self, _: GrpcRequest<ListRequest>) -> Self::Future {
        let whole = (String::new(), told(ServingStatus::Serving));
        ready(Ok(Response::new(ListResponse {
            statuses: BTreeMap::from([whole]),
        })))
    }
}
