//! The clients' way to a server: gRPC over one HTTP/2 connection, with as little between as can be.
//!
//! The load shares the CPUs with the server, so each microsecond that a client takes is taken from
//! the server and draws all ratios towards 1. tonic's `Channel` hands a call to a task of its own,
//! which hands it to hyper's, for reconnects, balancing and timeouts that nobody needs here. A
//! [`Wire`] is under the same generated clients, but a call writes its frames into the connection
//! itself and reads its reply from there.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use anyhow::Result;
use futures::{FutureExt, StreamExt};
use h2::{
    RecvStream, SendStream,
    client::{self, SendRequest},
};
use http::{
    HeaderValue, Request, Response, Uri,
    header::USER_AGENT,
    uri::{Authority, Scheme},
};
use http_body::{Frame, SizeHint};
use http_body_util::BodyStream;
use tokio::net::TcpStream;
use tonic::{
    body::Body,
    codegen::{Bytes, Service},
};

/// How many bytes a server may send before it is told that they were read: hyper's figures.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 5 << 20;

/// A connection; its clones share it. It is closed when the last one and all calls are gone.
#[derive(Clone)]
pub struct Wire {
    authority: Authority,
    sender: SendRequest<Bytes>,
}

impl Wire {
    /// Connects to a loopback port.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(stream)
            .await?;
        // How it ends is told to every call that is under way.
        tokio::spawn(connection);
        Ok(Self {
            authority: format!("127.0.0.1:{port}").parse()?,
            sender,
        })
    }

    fn head(&self, parts: http::request::Parts) -> Result<Request<()>, http::Error> {
        let mut head = Request::from_parts(parts, ());
        let path = head.uri().path_and_query().cloned();
        let mut uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.authority.clone());
        if let Some(path) = path {
            uri = uri.path_and_query(path);
        }
        *head.uri_mut() = uri.build()?;
        let agent = HeaderValue::from_static("latchd-bench");
        head.headers_mut().insert(USER_AGENT, agent);
        Ok(head)
    }

    async fn send(
        self,
        request: Request<Body>,
    ) -> Result<Response<Answer>, tonic::codegen::StdError> {
        let (parts, body) = request.into_parts();
        let head = self.head(parts)?;
        let mut sender = self.sender.ready().await?;
        let (response, stream) = sender.send_request(head, false)?;
        send_body(body, stream)?;
        Ok(response.await?.map(Answer))
    }
}

impl Service<Request<Body>> for Wire {
    type Response = Response<Answer>;
    type Error = tonic::codegen::StdError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

/// Sends what of the body is there. A unary call's is whole; the rest of a stream's is sent by a
/// task, as it comes.
fn send_body(body: Body, mut stream: SendStream<Bytes>) -> Result<(), tonic::codegen::StdError> {
    let mut frames = BodyStream::new(body);
    let mut unsent = None;
    loop {
        match frames.next().now_or_never() {
            None => break,
            Some(Some(frame)) => {
                let next = frame?.into_data().unwrap_or_default();
                if let Some(data) = unsent.replace(next) {
                    stream.send_data(data, false)?;
                }
            }
            Some(None) => return Ok(stream.send_data(unsent.unwrap_or_default(), true)?),
        }
    }
    if let Some(data) = unsent {
        stream.send_data(data, false)?;
    }
    tokio::spawn(pump(frames, stream));
    Ok(())
}

/// Ends when the client lets its requests go, or the connection breaks, which the call is told too.
async fn pump(mut frames: BodyStream<Body>, mut stream: SendStream<Bytes>) {
    while let Some(Ok(frame)) = frames.next().await {
        let data = frame.into_data().unwrap_or_default();
        if stream.send_data(data, false).is_err() {
            return;
        }
    }
    // An error says that the stream is closed already.
    let _ = stream.send_data(Bytes::new(), true);
}

/// The body of a reply.
pub struct Answer(RecvStream);

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if let Some(data) = ready!(self.0.poll_data(context)) {
            let data = data?;
            self.0.flow_control().release_capacity(data.len())?;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let trailers = ready!(self.0.poll_trailers(context))?;
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
