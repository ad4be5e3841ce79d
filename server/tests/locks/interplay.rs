//! "On the same keyspace, so that every etcd client keeps excluding and being excluded."

use etcd_client::{Compare, CompareOp, LockOptions, PutOptions, Txn, TxnOp};
use tokio::task::JoinHandle;

use crate::common::{keys_under, soon, until_count};
use crate::support::{Service, exclusive, granted, permit, reason, refused, shared};

/// A call of the Lock service.
fn lock(service: &Service, name: &'static str, lease: i64) -> JoinHandle<Vec<u8>> {
    let mut etcd = service.etcd.clone();
    tokio::spawn(async move {
        let options = LockOptions::new().with_lease(lease);
        let locked = etcd.lock(name, Some(options)).await.unwrap();
        locked.key().to_vec()
    })
}

/// What Go's Mutex does: its own key, unless it is there, and a look at who is first.
async fn go_mutex(service: &mut Service, name: &str, lease: i64) -> String {
    let key = format!("{name}/{lease:x}");
    let put = PutOptions::new().with_lease(lease);
    let txn = Txn::new()
        .when([Compare::create_revision(key.as_str(), CompareOp::Equal, 0)])
        .and_then([TxnOp::put(key.as_str(), "", Some(put))]);
    assert!(service.etcd.txn(txn).await.unwrap().succeeded());
    key
}

#[tokio::test]
async fn etcds_lock_waits_for_each_mode() {
    let mut service = Service::start().await;
    let (own, etcd) = (service.lease().await, service.lease().await);
    for request in [
        exclusive("job", own),
        shared("job", own),
        permit("job", 2, own),
    ] {
        let held = service.hold(request).await;
        let waiting = lock(&service, "job", etcd);
        until_count(&mut service.etcd, "job/", 2).await;
        assert!(!waiting.is_finished());
        service.release(own, &held).await.unwrap();
        let key = soon(waiting).await.unwrap();
        service.etcd.unlock(key).await.unwrap();
    }
}

#[tokio::test]
async fn each_mode_waits_for_etcds_lock_and_gos_mutex() {
    let mut service = Service::start().await;
    let (own, etcd) = (service.lease().await, service.lease().await);
    for request in [
        exclusive("job", own),
        shared("job", own),
        permit("job", 2, own),
    ] {
        for go in [false, true] {
            let key = match go {
                true => go_mutex(&mut service, "job", etcd).await.into_bytes(),
                false => soon(lock(&service, "job", etcd)).await.unwrap(),
            };
            let status = service.acquire(request.clone()).await.unwrap_err();
            assert_eq!(reason(&status), "held");
            let mut waiting = request.clone();
            waiting.request_id.push(if go { 'g' } else { 'l' });
            let waiting = service.queue(waiting, 2).await;
            assert!(!waiting.is_finished());
            service.etcd.delete(key, None).await.unwrap();
            let held = granted(waiting).await;
            service.release(own, &held).await.unwrap();
        }
    }
}

/// "A re-lock on one lease by the Lock service while readers hold": the new key is behind them.
#[tokio::test]
async fn a_relock_by_etcd_while_readers_hold() {
    let mut service = Service::start().await;
    let (reader, etcd) = (service.lease().await, service.lease().await);
    let first = soon(lock(&service, "doc", etcd)).await.unwrap();
    let reading = service.queue(shared("doc", reader), 2).await;
    service.etcd.unlock(first).await.unwrap();
    let read = granted(reading).await;
    let again = lock(&service, "doc", etcd);
    until_count(&mut service.etcd, "doc/", 2).await;
    assert!(!again.is_finished());
    service.release(reader, &read).await.unwrap();
    soon(again).await.unwrap();
}

/// "etcd's services use the whole prefix NAME/ (so foo/bar held blocks foo for them, and not the
/// other way round); latchd.v1 looks at direct children only."
#[tokio::test]
async fn deeper_names_are_other_names_here_and_not_for_etcd() {
    let mut service = Service::start().await;
    let (deep, own, etcd) = (
        service.lease().await,
        service.lease().await,
        service.lease().await,
    );
    let below = service.hold(exclusive("foo/bar", deep)).await;
    let held = service.hold(exclusive("foo", own)).await;
    service.release(own, &held).await.unwrap();
    let waited = service.wait(exclusive("foo", own));
    let held = granted(waited).await;
    service.release(own, &held).await.unwrap();
    let waiting = lock(&service, "foo", etcd);
    until_count(&mut service.etcd, "foo/", 2).await;
    assert!(!waiting.is_finished());
    // "Of two direct keys the younger sees the older under both rules."
    let behind = service.queue(exclusive("foo", own), 3).await;
    assert!(!behind.is_finished());
    service.release(deep, &below).await.unwrap();
    let key = soon(waiting).await.unwrap();
    assert!(!behind.is_finished());
    service.etcd.unlock(key).await.unwrap();
    granted(behind).await;
}

/// A Txn that deletes a holder's key: the next is let in, and the token stands for nothing.
#[tokio::test]
async fn a_txn_that_deletes_a_holders_key() {
    let mut service = Service::start().await;
    let (a, b) = (service.lease().await, service.lease().await);
    let held = service.hold(exclusive("job", a)).await;
    let next = service.queue(exclusive("job", b), 2).await;
    let delete = Txn::new().and_then([TxnOp::delete(held.key.to_vec(), None)]);
    service.etcd.txn(delete).await.unwrap();
    granted(next).await;
    assert!(!service.is_held("job", held.token).await);
    let status = service.release(a, &held).await.unwrap_err();
    assert_eq!(reason(&status), "not-held");
}

/// A lease revoked under a holder, and under a waiter.
#[tokio::test]
async fn a_lease_revoked_under_a_holder() {
    let mut service = Service::start().await;
    let (a, b, c) = (
        service.lease().await,
        service.lease().await,
        service.lease().await,
    );
    service.hold(exclusive("job", a)).await;
    let second = service.queue(exclusive("job", b), 2).await;
    let third = service.queue(exclusive("job", c), 3).await;
    service.etcd.lease_revoke(b).await.unwrap();
    assert_eq!(refused(second).await, "no-session");
    service.etcd.lease_revoke(a).await.unwrap();
    granted(third).await;
}

/// "Mode and attempt are in the key's name, so no Put can change or forge them."
#[tokio::test]
async fn a_put_on_a_holders_key_changes_no_grant() {
    let mut service = Service::start().await;
    let (a, b, c) = (
        service.lease().await,
        service.lease().await,
        service.lease().await,
    );
    let read = service.hold(shared("doc", a)).await;
    let lease = PutOptions::new().with_lease(a);
    let key = read.key.to_vec();
    service
        .etcd
        .put(key, r#"{"mode":"exclusive"}"#, Some(lease))
        .await
        .unwrap();
    service.hold(shared("doc", b)).await;
    assert!(service.is_held("doc", read.token).await);
    let status = service.acquire(exclusive("doc", c)).await.unwrap_err();
    assert_eq!(reason(&status), "held");
}

/// "Everything else under the prefix counts as exclusive."
#[tokio::test]
async fn a_key_that_nobody_knows_is_in_the_way() {
    let mut service = Service::start().await;
    let lease = service.lease().await;
    for odd in ["doc/odd", "doc/", "doc/~r.1F.a", "doc/~q.1.a"] {
        service.etcd.put(odd, "", None).await.unwrap();
        let status = service.acquire(shared("doc", lease)).await.unwrap_err();
        assert_eq!(reason(&status), "held", "{odd}");
        service.etcd.delete(odd, None).await.unwrap();
    }
    service.hold(shared("doc", lease)).await;
    assert_eq!(keys_under(&mut service.etcd, "doc/").await.len(), 1);
}
