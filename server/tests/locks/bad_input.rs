//! Each kind of bad input has its code and a text that says what to do.

use bytes::Bytes;
use latchd_proto::latchd::v1::{
    AcquireRequest, ExtendRequest, ForceReleaseRequest, Hold, Label, ListRequest, ReleaseRequest,
    VerifyRequest,
};
use tonic::{Code, Status};

use crate::support::{Service, exclusive, of, permit, reason};

fn check(status: Status, code: Code, word: &str, advice: &str) {
    assert_eq!(status.code(), code, "{status:?}");
    assert_eq!(reason(&status), word, "{status:?}");
    assert!(status.message().contains(advice), "{status:?}");
}

#[tokio::test]
async fn acquires() {
    let mut service = Service::start().await;
    let lease = service.lease().await;
    let labels = vec![Label {
        key: "k".into(),
        value: "v".repeat(4096),
    }];
    let table: Vec<(AcquireRequest, &str)> = vec![
        (of(&[], lease), "give one at least"),
        (of(&[""], lease), "one byte at least"),
        (of(&[&"x".repeat(1025)], lease), "at most 1024"),
        (of(&["a", "a"], lease), "name it once"),
        (of(&["a", "a/b"], lease), "one after the other"),
        (permit("a", 0, lease), "permits from 1"),
        (exclusive("a", 0), "open one"),
        (
            AcquireRequest {
                labels,
                ..exclusive("a", lease)
            },
            "at most 4096",
        ),
    ];
    for (request, advice) in table {
        let status = service.acquire(request).await.unwrap_err();
        check(status, Code::InvalidArgument, "invalid", advice);
    }
    for wait_ms in [0, -1, 100] {
        let request = AcquireRequest {
            wait_ms,
            ..exclusive("a", 4711)
        };
        let status = service.acquire(request).await.unwrap_err();
        check(status, Code::NotFound, "no-session", "open another one");
    }
    let request = AcquireRequest {
        epoch: 3,
        ..exclusive("a", lease)
    };
    let status = service.acquire(request).await.unwrap_err();
    check(status, Code::NotFound, "no-session", "open another one");
}

#[tokio::test]
async fn releases() {
    let mut service = Service::start().await;
    let (lease, other) = (service.lease().await, service.lease().await);
    let held = service.hold(exclusive("job", lease)).await;
    let release = |holds: Vec<Hold>, request_id: &str| ReleaseRequest {
        session: lease,
        holds,
        request_id: request_id.into(),
        ..Default::default()
    };
    let foreign = Hold {
        key: Bytes::from(format!("job/{other:x}")),
        token: 5,
        ..Default::default()
    };
    for (request, advice) in [
        (release(vec![], ""), "give one of them"),
        (release(vec![held.clone()], "r1"), "give one of them"),
        (release(vec![foreign], ""), "use ForceRelease"),
        (release(vec![held.clone(); 129], ""), "at most 128"),
        (release(vec![], "no.id"), "the one of an Acquire"),
    ] {
        let status = service.locks.release(request).await.unwrap_err();
        check(status, Code::InvalidArgument, "invalid", advice);
    }
    let status = service.release(other, &held).await.unwrap_err();
    check(
        status,
        Code::InvalidArgument,
        "invalid",
        "what Acquire answered",
    );
    let stale = Hold {
        token: held.token + 1,
        ..held.clone()
    };
    let status = service.release(lease, &stale).await.unwrap_err();
    check(status, Code::NotFound, "not-held", "nothing was freed");
    let unknown = ReleaseRequest {
        session: 4711,
        request_id: "r1".into(),
        ..Default::default()
    };
    let status = service.locks.release(unknown).await.unwrap_err();
    check(status, Code::NotFound, "no-session", "open another one");
    assert!(service.is_held("job", held.token).await);
}

#[tokio::test]
async fn the_others() {
    let mut service = Service::start().await;
    let name = Bytes::from_static(b"job");
    let empty = VerifyRequest {
        name: Bytes::new(),
        token: 5,
    };
    let status = service.locks.verify(empty).await.unwrap_err();
    check(
        status,
        Code::InvalidArgument,
        "invalid",
        "one byte at least",
    );
    let no_token = VerifyRequest {
        name: name.clone(),
        token: 0,
    };
    let status = service.locks.verify(no_token).await.unwrap_err();
    check(
        status,
        Code::InvalidArgument,
        "invalid",
        "what Acquire answered",
    );
    for token in [-1, 0, 7] {
        let name = name.clone();
        let force = ForceReleaseRequest { name, token };
        let status = service.locks.force_release(force).await.unwrap_err();
        check(status, Code::NotFound, "not-held", "nothing was freed");
    }
    let extend = ExtendRequest {
        session: 4711,
        epoch: 0,
    };
    let status = service.locks.extend(extend).await.unwrap_err();
    check(status, Code::NotFound, "no-session", "open another one");
    let list = ListRequest {
        limit: -1,
        ..Default::default()
    };
    let status = service.locks.list(list).await.unwrap_err();
    check(status, Code::InvalidArgument, "invalid", "the usual one");
}
