//! One port, two protocols, byte by byte.

use std::io;

use latchd_proto::etcdserverpb::RangeResponse;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::soon;
use crate::raw::{Raw, range};

/// What begins an HTTP/2 connection, then an empty SETTINGS frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// Before each gRPC message: whether it is compressed, and its length.
const MESSAGE_HEAD: usize = 5;

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

async fn dial(endpoint: &str) -> TcpStream {
    let address = endpoint.strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// The status line and the body of `GET path` over HTTP/1.1.
pub async fn get(endpoint: &str, path: &str) -> (String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    one_by_one(endpoint, request.as_bytes()).await
}

/// Sends the bytes each by itself, which no protocol may mind.
async fn one_by_one(endpoint: &str, request: &[u8]) -> (String, String) {
    let mut stream = dial(endpoint).await;
    for byte in request {
        stream.write_all(&[*byte]).await.unwrap();
    }
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.lines().next().unwrap();
    (status.to_owned(), body.to_owned())
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

async fn read_frame(stream: &mut TcpStream) -> io::Result<Frame> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).await?;
    Ok(Frame {
        kind: head[3],
        flags: head[4],
        stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
        payload,
    })
}

/// A header of a request, not indexed and not compressed.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0];
    for text in [name, value] {
        field.push(u8::try_from(text.len()).unwrap());
        field.extend(text.as_bytes());
    }
    field
}

/// A gRPC call over HTTP/2 without TLS, known beforehand (no upgrade).
async fn call<M: Message + Default>(endpoint: &str, path: &str, request: &impl Message) -> M {
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "a"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let headers = headers
        .iter()
        .flat_map(|(name, value)| literal(name, value));
    let headers = frame(HEADERS, END_HEADERS, 1, &headers.collect::<Vec<_>>());
    let body = frame(DATA, END_STREAM, 1, &message(request));
    let mut stream = dial(endpoint).await;
    // The preface, too, may come in pieces; its first letter could begin a method of HTTP/1.
    for byte in PREFACE.iter().chain(&headers).chain(&body) {
        stream.write_all(&[*byte]).await.unwrap();
    }
    let answer = body_of_answer(&mut stream).await;
    M::decode(&answer[MESSAGE_HEAD..]).unwrap()
}

/// A message as gRPC sends it: not compressed, its length, itself.
fn message(message: &impl Message) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.encoded_len()).unwrap().to_be_bytes());
    bytes.extend(message.encode_to_vec());
    bytes
}

async fn body_of_answer(stream: &mut TcpStream) -> Vec<u8> {
    let first = soon(read_frame(stream)).await.unwrap();
    assert_eq!(
        (first.kind, first.flags),
        (SETTINGS, 0),
        "settings come first"
    );
    let mut body = Vec::new();
    loop {
        let frame = soon(read_frame(stream)).await.unwrap();
        if frame.stream == 1 && frame.kind == DATA {
            body.extend(frame.payload);
        } else if frame.stream == 1 && frame.kind == HEADERS && frame.flags & END_STREAM != 0 {
            // The trailers.
            return body;
        }
    }
}

/// Trap 16: HTTP/1.1 and HTTP/2 without TLS, with gRPC in it, come to the same port.
#[tokio::test]
async fn trap_16_one_port_serves_http_1_1_and_h2c() {
    let raw = Raw::start().await;
    let revision = raw.put("k", "v").await;
    let (status, body) = get(&raw.endpoint, "/version").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(body.contains("etcdserver"), "{body}");
    let path = "/etcdserverpb.KV/Range";
    let answer: RangeResponse = call(&raw.endpoint, path, &range("k")).await;
    assert_eq!(&answer.kvs[0].value[..], b"v");
    assert_eq!(answer.header.unwrap().revision, revision);
}

/// Trap 16: monitors that speak HTTP/1.0 are served there as well.
#[tokio::test]
async fn trap_16_http_1_0_gets_an_answer_and_an_end() {
    let raw = Raw::start().await;
    let (status, body) = one_by_one(&raw.endpoint, b"GET /metrics HTTP/1.0\r\n\r\n").await;
    assert!(
        status.starts_with("HTTP/1.") && status.ends_with(" 200 OK"),
        "{status}"
    );
    assert!(body.contains("etcd_server_has_leader 1"), "{body}");
}
