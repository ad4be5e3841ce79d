//! The clients' way to a server: gRPC over one HTTP/2 connection, with as little between as can be.
//!
//! The load shares the CPUs with the server, so each microsecond that a client takes is taken from
//! the server and draws all ratios towards 1. tonic's `Channel` hands a call to a task of its own,
//! which hands it to hyper's, for reconnects, balancing and timeouts that nobody needs here. On a
//! [`Wire`] a call writes its frames into the connection itself and reads its reply from there: the
//! generated clients for streams and for what is prepared, a [`Call`] for what is measured.

use std::{
    future::{Future, poll_fn},
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use anyhow::{Context as _, Result, ensure};
use futures::{FutureExt, StreamExt};
use h2::{
    RecvStream, SendStream,
    client::{self, SendRequest},
};
use http::{
    HeaderMap, HeaderValue, Request, Response, Uri,
    header::{CONTENT_TYPE, TE, USER_AGENT},
    uri::{Authority, Scheme},
};
use http_body::{Frame, SizeHint};
use http_body_util::BodyStream;
use prost::Message;
use tokio::net::TcpStream;
use tonic::{
    Code, Status,
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

/// A unary call that is made over and over: its head is made once, and so can be its request. This
/// is what a generated client does, without what it makes anew for each call.
pub struct Call<R> {
    head: Request<()>,
    sender: SendRequest<Bytes>,
    reply: PhantomData<fn() -> R>,
}

impl<R: Message + Default> Call<R> {
    /// One of the method at `path`, `/package.Service/Method`.
    ///
    /// # Errors
    /// When that is no path.
    pub fn new(wire: &Wire, path: &'static str) -> Result<Self> {
        let request = Request::post(path)
            .header(TE, "trailers")
            .header(CONTENT_TYPE, "application/grpc");
        let (parts, ()) = request.body(())?.into_parts();
        Ok(Self {
            head: wire.head(parts)?,
            sender: wire.sender.clone(),
            reply: PhantomData,
        })
    }

    /// Sends a request that was [`framed`], and reads the reply.
    ///
    /// # Errors
    /// What the server answers instead, or that the connection is broken.
    pub async fn send(&mut self, request: Bytes) -> Result<R> {
        poll_fn(|context| self.sender.poll_ready(context)).await?;
        let (response, mut stream) = self.sender.send_request(self.head.clone(), false)?;
        stream.send_data(request, true)?;
        let (head, mut body) = response.await?.into_parts();
        accept(&head.headers)?;
        let mut reply = Bytes::new();
        while let Some(data) = body.data().await {
            let data = data?;
            body.flow_control().release_capacity(data.len())?;
            reply = joined(reply, data);
        }
        let trailers = body.trailers().await?;
        accept(&trailers.context("no trailers")?)?;
        ensure!(reply.len() >= PREFIX, "no reply");
        Ok(R::decode(reply.split_off(PREFIX))?)
    }
}

/// Length and a byte that says that nothing is compressed.
const PREFIX: usize = 5;

/// A request as it is sent.
pub fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = Vec::with_capacity(PREFIX + length);
    frame.push(0);
    // Requests are far from 4 GiB.
    frame.extend_from_slice(&(length as u32).to_be_bytes());
    frame.extend_from_slice(&message.encode_to_vec());
    frame.into()
}

/// An error unless the status, where there is one, is OK.
fn accept(headers: &HeaderMap) -> Result<()> {
    match Status::from_header_map(headers) {
        Some(status) if status.code() != Code::Ok => Err(status.into()),
        _ => Ok(()),
    }
}

/// Nearly always a reply is one piece.
fn joined(first: Bytes, second: Bytes) -> Bytes {
    if first.is_empty() {
        return second;
    }
    [first, second].concat().into()
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

#[cfg(test)]
mod tests {
    use latchd_proto::v3lockpb::UnlockRequest;

    use super::*;

    #[test]
    fn a_frame_is_the_length_and_the_message() {
        let key = "ab".into();
        let frame = framed(&UnlockRequest { key });
        assert_eq!(frame, &b"\0\0\0\0\x04\x0a\x02ab"[..]);
    }

    #[test]
    fn a_status_other_than_ok_is_an_error() {
        let status = |code: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", HeaderValue::from_static(code));
            accept(&headers)
        };
        assert!(status("0").is_ok() && accept(&HeaderMap::new()).is_ok());
        assert!(status("8").is_err());
    }

    #[test]
    fn pieces_are_put_together() {
        let piece = Bytes::from_static;
        assert_eq!(joined(piece(b""), piece(b"ab")), "ab");
        assert_eq!(joined(piece(b"ab"), piece(b"c")), "abc");
    }
}
