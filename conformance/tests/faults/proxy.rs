//! A proxy in front of a server that falsifies one thing and forwards all else.

use std::{convert::Infallible, sync::Arc};

use anyhow::Result;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, future, stream::BoxStream};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use latchd_conformance::suite::frames::Frames;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tonic::{
    Status, Streaming,
    body::Body,
    client,
    codegen::http::uri::PathAndQuery,
    metadata::MetadataMap,
    server::{self, StreamingService},
    transport::{Channel, Endpoint},
};

use crate::fault::Lie;

/// It serves until it is dropped.
pub struct Proxy {
    /// Where it listens.
    pub url: String,
    task: JoinHandle<()>,
}

/// The server behind, and the lie.
#[derive(Clone)]
struct Upstream {
    address: String,
    channel: Channel,
    lie: Arc<Lie>,
}

impl Proxy {
    /// In front of the server at `address`, a `host:port`.
    pub async fn start(address: String, lie: Arc<Lie>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect_lazy();
        let upstream = Upstream {
            address,
            channel,
            lie,
        };
        let task = tokio::spawn(accept(listener, upstream));
        Ok(Self { url, task })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, upstream: Upstream) {
    // Dropped with the task, and the connections with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // Small messages that wait for one another's acknowledgement are slow.
        let _ = stream.set_nodelay(true);
        let upstream = upstream.clone();
        connections.spawn(async move {
            let serve = service_fn(move |request| upstream.clone().answer(request));
            let server = auto::Builder::new(TokioExecutor::new());
            // A connection that breaks is its client's business.
            let _ = server.serve_connection(TokioIo::new(stream), serve).await;
        });
    }
}

impl Upstream {
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let is_grpc = request
            .headers()
            .get("content-type")
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        if !is_grpc {
            return Ok(self.forward(request).await.unwrap_or_else(|error| {
                let mut broken = Response::new(Body::new(error.to_string()));
                *broken.status_mut() = http::StatusCode::BAD_GATEWAY;
                broken
            }));
        }
        let Some(path) = request.uri().path_and_query().cloned() else {
            return Ok(Status::unimplemented("no path").into_http());
        };
        let call = Call {
            upstream: self,
            path,
        };
        let mut grpc = server::Grpc::new(Frames).max_decoding_message_size(usize::MAX);
        Ok(grpc.streaming(call, request).await)
    }

    /// Plain HTTP.
    async fn forward(self, request: Request<Incoming>) -> Result<Response<Body>> {
        let stream = TcpStream::connect(&self.address).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let path = request.uri().path().to_owned();
        let response = sender.send_request(request).await?;
        if !self.lie.is_about_page(&path) {
            return Ok(response.map(Body::new));
        }
        let (mut parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await?.to_bytes().into())?;
        let (status, text) = self.lie.page(parts.status, text);
        parts.status = status;
        parts.headers.remove(http::header::CONTENT_LENGTH);
        Ok(Response::from_parts(parts, Body::new(text)))
    }
}

/// Any gRPC call: on the wire they are all streams.
struct Call {
    upstream: Upstream,
    path: PathAndQuery,
}

impl StreamingService<Bytes> for Call {
    type Response = Bytes;
    type ResponseStream = BoxStream<'static, Result<Bytes, Status>>;
    type Future = future::Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    /// Answers at once with a stream that makes the call as it is read: a server may
    /// say nothing for long, and its client may speak meanwhile.
    fn call(&mut self, request: tonic::Request<Streaming<Bytes>>) -> Self::Future {
        let Upstream { channel, lie, .. } = self.upstream.clone();
        let path = self.path.clone();
        let answers = call(channel, self.path.clone(), lie.clone(), request)
            .into_stream()
            .try_flatten()
            .map(move |message| match message {
                Ok(message) => Ok(lie.answer(path.path(), message)),
                Err(status) => Err(lie.status(path.path(), status)),
            });
        future::ready(Ok(tonic::Response::new(answers.boxed())))
    }
}

async fn call(
    channel: Channel,
    path: PathAndQuery,
    lie: Arc<Lie>,
    request: tonic::Request<Streaming<Bytes>>,
) -> Result<Streaming<Bytes>, Status> {
    let (metadata, _, messages) = request.into_parts();
    let of = path.path().to_owned();
    let messages = messages
        .filter_map(|message| future::ready(message.ok()))
        .map(move |message| lie.request(&of, message));
    let mut forwarded = tonic::Request::new(messages);
    *forwarded.metadata_mut() = own(metadata);
    let mut grpc = client::Grpc::new(channel).max_decoding_message_size(usize::MAX);
    let ready = grpc.ready().await;
    ready.map_err(|error| Status::unavailable(error.to_string()))?;
    Ok(grpc.streaming(forwarded, path, Frames).await?.into_inner())
}

/// Metadata without what the connection behind says for itself.
fn own(metadata: MetadataMap) -> MetadataMap {
    let mut headers: HeaderMap = metadata.into_headers();
    for name in ["te", "content-type", "user-agent", "grpc-timeout"] {
        headers.remove(name);
    }
    MetadataMap::from_headers(headers)
}
