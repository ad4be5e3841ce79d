//! latchd.v1: what it looks like on the wire and as JSON.

use latchd_proto::latchd::v1::{
    AcquireRequest, Label, Mode, SessionRequest, session_request as sr,
};
use prost::Message;
use serde_json::json;

fn request() -> AcquireRequest {
    AcquireRequest {
        names: vec!["job".into()],
        mode: Mode::Semaphore as i32,
        permits: 3,
        wait_ms: -1,
        session: 31,
        request_id: "a1".into(),
        labels: vec![Label {
            key: "host".into(),
            value: "h1".into(),
        }],
        ..Default::default()
    }
}

#[test]
fn an_acquire_as_json() {
    let json = json!({
        "names": ["am9i"],
        "mode": "SEMAPHORE",
        "permits": 3,
        "wait_ms": "-1",
        "session": "31",
        "request_id": "a1",
        "labels": [{"key": "host", "value": "h1"}],
    });
    assert_eq!(serde_json::to_value(request()).expect("JSON"), json);
    let read: AcquireRequest = serde_json::from_value(json).expect("the same message");
    assert_eq!(read, request());
}

#[test]
fn an_acquire_on_the_wire() {
    let bytes = [
        &[0x0a, 3][..],
        b"job",
        &[0x10, 2, 0x18, 3, 0x20],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        &[0x28, 31, 0x3a, 2],
        b"a1",
        &[0x4a, 10, 0x0a, 4],
        b"host",
        &[0x12, 2],
        b"h1",
    ]
    .concat();
    assert_eq!(request().encode_to_vec(), bytes);
}

#[test]
fn the_first_request_of_a_session() {
    let open = SessionRequest {
        request: Some(sr::Request::Open(sr::Open {
            ttl_ms: 300,
            bound: true,
            grace_ms: 0,
        })),
    };
    let json = json!({"open": {"ttl_ms": "300", "bound": true}});
    assert_eq!(serde_json::to_value(&open).expect("JSON"), json);
    assert_eq!(open.encode_to_vec(), [0x0a, 5, 0x08, 0xac, 2, 0x10, 1]);
}
