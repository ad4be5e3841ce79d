//! Letting go: "every delete is a Txn: create revision equals the token, then delete."

use latchd_proto::latchd::v1::{ForceReleaseRequest, Hold, ReleaseRequest};
use tonic::Code;

use crate::common::keys_under;
use crate::support::{Service, exclusive, granted, of, reason, refused, shared};

/// "A stale release frees nothing and says NOT_FOUND", also after a re-lock on the same lease.
#[tokio::test]
async fn a_stale_release_after_a_relock() {
    let mut service = Service::start().await;
    let lease = service.lease().await;
    let first = service.hold(exclusive("job", lease)).await;
    service.release(lease, &first).await.unwrap();
    let second = service.hold(exclusive("job", lease)).await;
    let stale = Hold {
        key: second.key.clone(),
        ..first.clone()
    };
    for hold in [first, stale] {
        let status = service.release(lease, &hold).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(reason(&status), "not-held");
    }
    assert!(service.is_held("job", second.token).await);
}

/// Of several, those that are held are released, and the answer says which.
#[tokio::test]
async fn some_of_several_are_gone_already() {
    let mut service = Service::start().await;
    let lease = service.lease().await;
    let granted = service.acquire(of(&["a", "b", "c"], lease)).await.unwrap();
    service.release(lease, &granted.holds[1]).await.unwrap();
    let request = ReleaseRequest {
        session: lease,
        holds: granted.holds,
        ..Default::default()
    };
    let released = service.locks.release(request).await.unwrap().into_inner();
    let names: Vec<&[u8]> = released.released.iter().map(|h| h.name.as_ref()).collect();
    assert_eq!(names, [b"a", b"c"]);
}

fn force(name: &str, token: i64) -> ForceReleaseRequest {
    ForceReleaseRequest {
        name: name.to_owned().into(),
        token,
    }
}

#[tokio::test]
async fn force_release_takes_a_hold_or_a_wait_away() {
    let mut service = Service::start().await;
    let (a, b, c) = (
        service.lease().await,
        service.lease().await,
        service.lease().await,
    );
    let held = service.hold(exclusive("job", a)).await;
    let second = service.queue(exclusive("job", b), 2).await;
    let third = service.queue(exclusive("job", c), 3).await;
    let waiting = service.list().await.remove(0).waiting.remove(0);
    let forced = service.locks.force_release(force("job", waiting.token));
    let forced = forced.await.unwrap().into_inner().contender.unwrap();
    assert_eq!((forced.session, forced.position), (b, 1));
    assert_eq!(refused(second).await, "lost");
    let forced = service.locks.force_release(force("job", held.token)).await;
    assert_eq!(forced.unwrap().into_inner().contender.unwrap().session, a);
    granted(third).await;
}

/// "Force-release touches recognised lock keys only", those of etcd's clients included.
#[tokio::test]
async fn force_release_knows_a_lock_when_it_sees_one() {
    let mut service = Service::start().await;
    let lease = service.lease().await;
    let options = etcd_client::LockOptions::new().with_lease(lease);
    service.etcd.lock("job", Some(options)).await.unwrap();
    let token = service.list().await[0].holders[0].token;
    service
        .locks
        .force_release(force("job", token))
        .await
        .unwrap();
    assert!(keys_under(&mut service.etcd, "job/").await.is_empty());
    let leased = etcd_client::PutOptions::new().with_lease(lease);
    for (key, options) in [("job/web-1", Some(leased)), ("job/plain", None)] {
        let put = service.etcd.put(key, "", options).await.unwrap();
        let token = put.header().unwrap().revision();
        let status = service.locks.force_release(force("job", token)).await;
        let status = status.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::NotFound, "not-held")
        );
    }
    assert_eq!(keys_under(&mut service.etcd, "job/").await.len(), 2);
}

/// "Verify is true while R0 holds."
#[tokio::test]
async fn verify_says_who_holds() {
    let mut service = Service::start().await;
    let (a, b, c) = (
        service.lease().await,
        service.lease().await,
        service.lease().await,
    );
    let (first, second) = (
        service.hold(shared("doc", a)).await,
        service.hold(shared("doc", b)).await,
    );
    let writer = service.queue(exclusive("doc", c), 3).await;
    let waiting = service.list().await.remove(0).waiting.remove(0).token;
    assert!(service.is_held("doc", first.token).await);
    assert!(service.is_held("doc", second.token).await);
    assert!(!service.is_held("doc", waiting).await);
    assert!(!service.is_held("other", first.token).await);
    for (lease, hold) in [(a, &first), (b, &second)] {
        service.release(lease, hold).await.unwrap();
    }
    assert_eq!(granted(writer).await.token, waiting);
    assert!(service.is_held("doc", waiting).await);
}

/// "A contender for NAME is a leased key": one without a lease is in the way, and holds nothing.
#[tokio::test]
async fn verify_knows_a_holder_when_it_sees_one() {
    let mut service = Service::start().await;
    let lease = service.lease().await;
    let put = service.etcd.put("job/plain", "", None).await.unwrap();
    let plain = put.header().unwrap().revision();
    assert!(!service.is_held("job", plain).await);
    let waiter = service.queue(exclusive("job", lease), 2).await;
    assert!(!service.is_held("job", plain + 1).await);
    service.etcd.delete("job/plain", None).await.unwrap();
    let held = granted(waiter).await;
    assert!(service.is_held("job", held.token).await);
}

/// "Import, restore and defragment never let the revision fall": nor does anything else, so tokens
/// rise over all of it.
#[tokio::test]
async fn tokens_rise_over_compaction_defragmentation_and_restarts() {
    let mut service = Service::start().await;
    let lease = service.lease().await;
    let mut last = 0;
    for step in 0..4 {
        let held = service.hold(exclusive("job", lease)).await;
        assert!(held.token > last, "{} after {last}", held.token);
        last = held.token;
        service.release(lease, &held).await.unwrap();
        match step {
            0 => drop(service.etcd.compact(last, None).await.unwrap()),
            1 => drop(service.etcd.defragment().await.unwrap()),
            _ => service.restart().await,
        }
    }
}
