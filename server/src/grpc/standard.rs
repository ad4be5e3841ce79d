//! The services that gRPC itself defines: health, and server reflection from
//! tonic's own crate.

use std::convert::Infallible;

use futures::StreamExt;
use http::{Request, Response};
use http_body_util::{BodyStream, StreamBody};
use latchd_proto::FILE_DESCRIPTOR_SET;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt, service_fn};

use super::health;

type Erased = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// gRPC's own services; cheap to clone.
#[derive(Clone)]
pub struct Standard {
    health: Erased,
    reflection: Erased,
    reflection_alpha: Erased,
    stopping: CancellationToken,
}

impl Standard {
    /// Serving from now on, as the whole server (`""`).
    #[must_use]
    pub fn new(stopping: CancellationToken) -> Standard {
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let described = "the descriptor sets are those that were compiled in";
        Standard {
            health: erase(service_fn(|request| async {
                Ok(health::answer(request).await)
            })),
            reflection: erase(reflection().build_v1().expect(described)),
            reflection_alpha: erase(reflection().build_v1alpha().expect(described)),
            stopping,
        }
    }

    /// The one of these services that has this name, ready to be called.
    #[must_use]
    pub fn find(&self, service: &str) -> Option<Call> {
        let service = match service {
            "grpc.health.v1.Health" => &self.health,
            "grpc.reflection.v1.ServerReflection" => &self.reflection,
            "grpc.reflection.v1alpha.ServerReflection" => &self.reflection_alpha,
            _ => return None,
        };
        Some(Call {
            service: service.clone(),
            stopping: self.stopping.clone(),
        })
    }
}

/// A service that was found.
pub struct Call {
    service: Erased,
    stopping: CancellationToken,
}

impl Call {
    /// Answers `request`.
    pub async fn answer(self, request: Request<Body>) -> Response<Body> {
        match self.service.oneshot(request).await {
            Ok(response) => cut_when(self.stopping, response),
            Err(never) => match never {},
        }
    }
}

fn erase<S>(service: S) -> Erased
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    BoxCloneSyncService::new(service)
}

/// Ends a response's stream when the server drains: these services know nothing of that.
fn cut_when(stopping: CancellationToken, response: Response<Body>) -> Response<Body> {
    response.map(|body| {
        let frames = BodyStream::new(body).take_until(stopping.cancelled_owned());
        Body::new(StreamBody::new(frames))
    })
}
