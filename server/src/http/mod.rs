//! Plain HTTP on the client port.

mod console;
mod cors;
pub mod distlock;
pub mod gateway;
mod health;
mod redirect;

use http::{Method, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use serde_json::json;
use tonic::body::Body;

use crate::metrics::METRICS;
use crate::service::member::ThisMember;
use crate::version;
use distlock::Distlock;
use gateway::Gateway;

pub use cors::Cors;

/// What is answered on `--listen-metrics-urls`, as the first part of a path.
const MONITORED: [&str; 4] = ["metrics", "health", "livez", "readyz"];

/// What is answered to GET alone, beside the health checks.
const PAGES: [&str; 3] = ["/version", "/debug/vars", "/health"];

/// The HTTP endpoints; cheap to clone.
#[derive(Clone)]
pub struct HttpRouter {
    member: ThisMember,
    gateway: Option<Gateway>,
    distlock: Distlock,
    cors: Cors,
}

impl HttpRouter {
    /// The endpoints of `member`, the JSON gateway if there is to be one, and distlock's door.
    #[must_use]
    pub fn new(
        member: ThisMember,
        gateway: Option<Gateway>,
        distlock: Distlock,
        cors: Cors,
    ) -> HttpRouter {
        HttpRouter {
            member,
            gateway,
            distlock,
            cors,
        }
    }

    /// Answers one HTTP request of a monitor: metrics and health, and nothing else.
    pub async fn answer_monitor(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        let first = path.split('/').nth(1).unwrap_or_default();
        if MONITORED.contains(&first) {
            self.page(request.method(), request.uri()).await
        } else {
            not_found()
        }
    }

    /// `/metrics`, in Prometheus's text format.
    fn metrics(&self) -> Response<Body> {
        let text = METRICS.text(self.member.backend().figures());
        respond(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            text,
        )
    }

    /// Answers one HTTP request.
    pub async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let origin = self.cors.allowed(request.headers());
        let mut response = self.route(request).await;
        if let Some(origin) = origin {
            cors::allow(origin, response.headers_mut());
        }
        response
    }

    async fn route(&self, request: Request<Incoming>) -> Response<Body> {
        // A browser asks what it may do, and is told by the headers.
        if request.method() == Method::OPTIONS {
            return Response::new(Body::empty());
        }
        if let Some(clean) = redirect::elsewhere(request.method(), request.uri()) {
            return clean;
        }
        if request.uri().path() == distlock::PATH {
            return self.distlock.answer(request);
        }
        if let Some(console) = self.console(&request) {
            return console;
        }
        match (&self.gateway, gateway::path_of(request.uri())) {
            (Some(gateway), Some(path)) => gateway.answer(path, request).await,
            _ => self.page(request.method(), request.uri()).await,
        }
    }

    /// The web console, which lives on the gateway.
    fn console(&self, request: &Request<Incoming>) -> Option<Response<Body>> {
        self.gateway.as_ref()?;
        console::answer(request.method(), request.uri(), request.headers())
    }

    async fn page(&self, method: &Method, uri: &Uri) -> Response<Body> {
        let path = uri.path();
        let query = uri.query().unwrap_or_default();
        // As in etcd, these alone can be had by any method.
        if path == "/metrics" {
            return self.metrics();
        }
        let is_page = PAGES.contains(&path) || health::is_check(path);
        if method != Method::GET && is_page {
            return refuse_method();
        }
        let found = match path {
            "/version" => Some(versions()),
            "/debug/vars" => Some(debug_vars()),
            "/health" => Some(health::health(&self.member, query).await),
            _ if path.starts_with("/livez") => health::livez(&self.member, path, query).await,
            _ if path.starts_with("/readyz") => health::readyz(&self.member, path, query).await,
            _ => None,
        };
        found.unwrap_or_else(not_found)
    }
}

/// What Go's expvar tells of a process, as far as it means anything here.
fn debug_vars() -> Response<Body> {
    let arguments: Vec<String> = std::env::args().collect();
    let limit = rlimit::Resource::NOFILE.get_soft().unwrap_or_default();
    let body = json!({"cmdline": arguments, "file_descriptor_limit": limit});
    respond(
        StatusCode::OK,
        "application/json; charset=utf-8",
        body.to_string(),
    )
}

fn versions() -> Response<Body> {
    let (server, cluster, storage) = (version::ETCD, version::CLUSTER, version::STORAGE);
    let body =
        format!(r#"{{"etcdserver":"{server}","etcdcluster":"{cluster}","storage":"{storage}"}}"#);
    respond(StatusCode::OK, "application/json", body)
}

fn refuse_method() -> Response<Body> {
    let text = "Method Not Allowed\n".to_owned();
    let mut refused = respond(
        StatusCode::METHOD_NOT_ALLOWED,
        "text/plain; charset=utf-8",
        text,
    );
    let get = header::HeaderValue::from_static("GET");
    refused.headers_mut().insert(header::ALLOW, get);
    nosniff(refused)
}

fn not_found() -> Response<Body> {
    let text = "404 page not found\n".to_owned();
    let missing = respond(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", text);
    nosniff(missing)
}

/// As Go marks plain texts that it says by itself.
fn nosniff(mut response: Response<Body>) -> Response<Body> {
    let nosniff = header::HeaderValue::from_static("nosniff");
    let name = header::X_CONTENT_TYPE_OPTIONS;
    response.headers_mut().insert(name, nosniff);
    response
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::from(body)));
    *response.status_mut() = status;
    let content_type = header::HeaderValue::from_static(content_type);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}
