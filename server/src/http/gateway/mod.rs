//! etcd's JSON gateway: each RPC under a path, messages as JSON, streams as one JSON object a line.
//!
//! A request becomes the message that gRPC would carry and goes through gRPC's router, in this
//! process; the answer comes back the same way. So nothing is decided here but how JSON, paths,
//! headers and statuses look. Behaviour is that of etcd 3.7.1's gateway (grpc-gateway v2), but that
//! streams are answered while the request still comes, and that bodies are bounded.
//!
//! To serve another RPC, add a row to the table in `routes.rs`.

mod body;
mod call;
mod error;
mod metadata;
mod normalize;
mod number;
mod routes;
mod shapes;
mod stream;
pub(super) mod websocket;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::ready;
use futures::stream::BoxStream;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header,
};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use tonic::Status;
use tonic::body::Body;

use crate::backend::Limits;
use crate::config::ConnectionSettings;
use crate::error::Error;
use crate::grpc::GrpcRouter;
use crate::listener::Lifecycle;
use body::{Chunks, Gone, Unreadable, Values};
use call::{Answers, Call, Caller};
use error::refusal;
use normalize::encoded;
use routes::{Route, ToJson};
use shapes::MessageShape;

/// How much longer than a message its JSON may be: base64 needs four bytes for three.
const JSON_PER_BYTE: usize = 2;
/// How much of a body is read for nothing, in bytes; after more the connection is closed.
const MOST_DRAINED: usize = 64 << 20;

/// Below this are the paths of what latchd adds.
const OWN: &str = "/v1/locks/";

/// The gateway's path that `uri` names, if it is one: below `/v3/`, or `/v3beta/` as it was once;
/// or one of latchd's own.
#[must_use]
pub fn path_of(uri: &Uri) -> Option<String> {
    let path = uri.path();
    if path.starts_with(OWN) {
        return Some(path.to_owned());
    }
    let rest = path
        .strip_prefix("/v3/")
        .or(path.strip_prefix("/v3beta/"))?;
    let rest = percent_decode_str(rest).decode_utf8_lossy();
    Some(format!("/v3/{rest}"))
}

/// The gateway; cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    caller: Caller,
    /// How long a message in JSON may be, in bytes.
    longest: usize,
    settings: ConnectionSettings,
    lifecycle: Lifecycle,
}

/// A request but for its method and path.
struct Ask {
    headers: HeaderMap,
    chunks: Chunks,
    /// Whether the rest of the body is read before the answer, so that the connection can be used
    /// again.
    drained: bool,
}

impl Gateway {
    /// A gateway to `router`, for messages within `limits`, until `lifecycle` ends. It counts as one
    /// connection, for which `settings` hold.
    #[must_use]
    pub fn new(
        router: GrpcRouter,
        limits: Limits,
        settings: ConnectionSettings,
        lifecycle: Lifecycle,
    ) -> Gateway {
        routes::check();
        Gateway {
            caller: Caller::new(router, settings.max_streams),
            longest: limits.message_bytes().saturating_mul(JSON_PER_BYTE),
            settings,
            lifecycle,
        }
    }

    /// Answers a request to `path`.
    pub async fn answer(&self, path: String, request: Request<Incoming>) -> Response<Body> {
        if websocket::is_wanted(request.headers()) {
            return websocket::accept(self, path, request);
        }
        let (parts, body) = request.into_parts();
        let chunks = body.into_data_stream();
        let ask = Ask {
            headers: parts.headers,
            chunks: chunks.map(|chunk| chunk.map_err(|_| Gone)).boxed(),
            drained: true,
        };
        self.respond(&path, &parts.method, ask).await
    }

    async fn respond(&self, path: &str, method: &Method, ask: Ask) -> Response<Body> {
        let Some(route) = routes::find(path) else {
            return refusal(&Status::not_found("Not Found"));
        };
        if method != Method::POST {
            return refusal(&Status::unimplemented("Method Not Allowed"));
        }
        let call = match self.prepare(route, ask).await {
            Ok(call) => call,
            Err(refused) => return refusal(&refused),
        };
        let answers = self.caller.call(call).await;
        if route.method.answers_stream {
            return stream::response(answers, route.json).await;
        }
        match single(answers, route.json).await {
            Ok(json) => through_grpc(json_response(StatusCode::OK, json)),
            Err(status) => refusal(&status),
        }
    }

    /// Reads what is needed to make the call.
    async fn prepare(&self, route: Route, ask: Ask) -> Result<Call, Status> {
        let deadline = metadata::deadline(&ask.headers)?;
        let metadata = metadata::of(&ask.headers)?;
        let mut values = Values::new(ask.chunks, self.longest);
        let requests = if route.method.takes_stream {
            all_messages(values, route.takes)
        } else {
            let read = only_message(&mut values, route.takes, ask.drained);
            let message = tokio::select! {
                message = read => message?,
                () = self.lifecycle.stopping.cancelled() => return Err(Error::Stopped.into()),
            };
            futures::stream::once(ready(message)).boxed()
        };
        Ok(Call {
            path: route.rpc,
            metadata,
            requests,
            deadline,
        })
    }
}

/// The message of a unary call; none is an empty one, as in etcd.
async fn only_message(
    values: &mut Values<Chunks>,
    shape: &MessageShape,
    drained: bool,
) -> Result<Bytes, Status> {
    let first = values.next().await;
    if drained {
        values.drain(MOST_DRAINED).await;
    }
    match first? {
        Some(json) => message(shape, &json),
        None => Ok(Bytes::new()),
    }
}

/// The messages of a stream, up to the first that is none: it ends there without a word, as in etcd.
fn all_messages(values: Values<Chunks>, shape: &'static MessageShape) -> BoxStream<'static, Bytes> {
    let messages = futures::stream::unfold(values, move |mut values| async move {
        let json = values.next().await.ok()??;
        Some((message(shape, &json).ok()?, values))
    });
    messages.boxed()
}

fn message(shape: &MessageShape, json: &[u8]) -> Result<Bytes, Status> {
    let invalid = |error: &dyn std::error::Error| Status::invalid_argument(error.to_string());
    let json = std::str::from_utf8(json).map_err(|error| invalid(&error))?;
    let message = encoded(shape, json).map_err(|error| invalid(&error))?;
    Ok(message.into())
}

async fn single(answers: Result<Answers, Status>, json: ToJson) -> Result<Vec<u8>, Status> {
    match answers?.next().await? {
        Some(message) => json(message),
        None => Err(Status::internal("latchd: the call ended without an answer")),
    }
}

fn json_response(status: StatusCode, json: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(json.into())));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// Marks a response as etcd marks what gRPC answered.
fn through_grpc(mut response: Response<Body>) -> Response<Body> {
    let name = HeaderName::from_static("grpc-metadata-content-type");
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(name, grpc);
    response
}

impl From<Unreadable> for Status {
    fn from(unreadable: Unreadable) -> Status {
        match unreadable {
            Unreadable::NotAnObject => Status::invalid_argument("the body is not a JSON object"),
            Unreadable::Truncated => Status::invalid_argument("unexpected EOF"),
            Unreadable::TooDeep => Status::invalid_argument("exceeded max depth"),
            Unreadable::TooLong => Status::resource_exhausted("latchd: the body is too large"),
        }
    }
}
