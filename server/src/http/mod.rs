//! Plain HTTP on the client port.

use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use latchd_proto::etcdserverpb::RangeRequest;
use serde_json::json;
use tonic::body::Body;

use crate::backend::Backend;
use crate::version;

/// The HTTP endpoints; cheap to clone.
#[derive(Clone)]
pub struct HttpRouter {
    backend: Backend,
}

impl HttpRouter {
    /// The endpoints over `backend`.
    #[must_use]
    pub fn new(backend: Backend) -> HttpRouter {
        HttpRouter { backend }
    }

    /// Answers one HTTP request.
    pub async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let known = matches!(request.uri().path(), "/version" | "/health");
        if known && request.method() != Method::GET {
            let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
            refused
                .headers_mut()
                .insert(header::ALLOW, header::HeaderValue::from_static("GET"));
            return refused;
        }
        match request.uri().path() {
            "/version" => json(StatusCode::OK, &versions()),
            "/health" => self.health().await,
            path => text(
                StatusCode::NOT_FOUND,
                &format!(
                    "404 page not found: {path}; latchd serves /version, /health and gRPC here\n"
                ),
            ),
        }
    }

    /// Whether a linearizable read succeeds, in etcd's words.
    async fn health(&self) -> Response<Body> {
        let any_key = RangeRequest {
            key: vec![0].into(),
            limit: 1,
            keys_only: true,
            ..Default::default()
        };
        match self.backend.range(&any_key).await {
            Ok(_) => json(StatusCode::OK, &json!({"health": "true", "reason": ""})),
            Err(error) => {
                let reason = format!("RANGE ERROR:{error}");
                let body = json!({"health": "false", "reason": reason});
                json(StatusCode::SERVICE_UNAVAILABLE, &body)
            }
        }
    }
}

fn versions() -> serde_json::Value {
    json!({
        "etcdserver": version::ETCD,
        "etcdcluster": version::CLUSTER,
        "storage": version::STORAGE,
    })
}

fn json(status: StatusCode, body: &serde_json::Value) -> Response<Body> {
    answer(status, "application/json", body.to_string())
}

fn text(status: StatusCode, body: &str) -> Response<Body> {
    answer(status, "text/plain; charset=utf-8", body.to_owned())
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::from(body)));
    *response.status_mut() = status;
    let content_type = header::HeaderValue::from_static(content_type);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}
