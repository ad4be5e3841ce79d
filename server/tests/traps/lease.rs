//! The keepalive stream.

use futures::channel::mpsc;
use futures::{StreamExt, stream};
use latchd_proto::etcdserverpb::{LeaseKeepAliveRequest, LeaseKeepAliveResponse};

use crate::common::soon;
use crate::raw::{Raw, revision};

fn renew(id: i64) -> LeaseKeepAliveRequest {
    LeaseKeepAliveRequest { id }
}

/// The answers to a stream that asks for all of `ids` and then for nothing more.
async fn answers(raw: &Raw, ids: Vec<i64>) -> Vec<LeaseKeepAliveResponse> {
    let requests = stream::iter(ids.into_iter().map(renew));
    let response = soon(raw.lease().lease_keep_alive(requests)).await.unwrap();
    let answers = soon(response.into_inner().collect::<Vec<_>>()).await;
    answers.into_iter().collect::<Result<_, _>>().unwrap()
}

/// Trap 8: after the client's last request the stream ends with OK; Python's `list()` waits for it.
#[tokio::test]
async fn trap_08_a_half_closed_keepalive_ends_with_ok() {
    let raw = Raw::start().await;
    let lease = raw.grant().await;
    let answers = answers(&raw, vec![lease]).await;
    assert_eq!(
        answers.iter().map(|a| (a.id, a.ttl)).collect::<Vec<_>>(),
        [(lease, 60)]
    );
    assert!(revision(answers[0].header) > 0);
}

/// Trap 10: the head of the answer does not wait for the first request, for which a client may wait
/// until it has the head. (etcd sends the head with the first answer; Go's client never waits for
/// it.)
#[tokio::test]
async fn trap_10_the_head_of_a_keepalive_comes_at_once() {
    let raw = Raw::start().await;
    if !raw.is_ours() {
        return;
    }
    let lease = raw.grant().await;
    let (requests, receiver) = mpsc::unbounded();
    let response = soon(raw.lease().lease_keep_alive(receiver)).await.unwrap();
    let mut answers = response.into_inner();
    requests.unbounded_send(renew(lease)).unwrap();
    let answer = soon(answers.message()).await.unwrap().unwrap();
    assert_eq!((answer.id, answer.ttl), (lease, 60));
}

/// Trap 10: one answer to each request, in order, also for a lease that is named twice and for one
/// that nobody granted.
#[tokio::test]
async fn trap_10_each_keepalive_has_its_own_answer() {
    let raw = Raw::start().await;
    let (one, other) = (raw.grant().await, raw.grant().await);
    let asked = vec![one, one, other, 4711, one];
    let answers = answers(&raw, asked.clone()).await;
    assert_eq!(answers.iter().map(|a| a.id).collect::<Vec<_>>(), asked);
    assert_eq!(
        answers.iter().map(|a| a.ttl).collect::<Vec<_>>(),
        [60, 60, 60, 0, 60]
    );
}

/// Trap 10: an answer comes when its request has come, not when there are more.
#[tokio::test]
async fn trap_10_no_keepalive_waits_for_the_next() {
    let raw = Raw::start().await;
    let lease = raw.grant().await;
    let (requests, receiver) = mpsc::unbounded();
    requests.unbounded_send(renew(lease)).unwrap();
    let response = soon(raw.lease().lease_keep_alive(receiver)).await.unwrap();
    let mut answers = response.into_inner();
    for _ in 0..3 {
        assert_eq!(soon(answers.message()).await.unwrap().unwrap().ttl, 60);
        requests.unbounded_send(renew(lease)).unwrap();
    }
}
