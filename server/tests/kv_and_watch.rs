//! KV, Watch and Lease of a whole server, through `etcd-client`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod common;

use common::{Fixture, soon, status, watching};
use etcd_client::{
    AlarmAction, AlarmOptions, AlarmType, Client, Compare, CompareOp, DeleteOptions, EventType,
    GetOptions, PutOptions, Txn, TxnOp, WatchOptions, WatchStream,
};
use tonic::Code;

/// The next events of a stream, as (revision, key, is delete).
async fn next(stream: &mut WatchStream) -> Vec<(i64, String, bool)> {
    loop {
        let response = soon(stream.message()).await.unwrap().unwrap();
        let events = response.events().iter().map(|event| {
            let kv = event.kv().unwrap();
            (
                kv.mod_revision(),
                kv.key_str().unwrap().to_owned(),
                event.event_type() == EventType::Delete,
            )
        });
        let events: Vec<_> = events.collect();
        if !events.is_empty() {
            return events;
        }
    }
}

async fn put_all(client: &mut Client, keys: &[&str]) {
    for key in keys {
        client.put(*key, "", None).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_written_survives_a_restart() {
    let mut f = Fixture::start().await;
    let mut client = f.client().await;
    let lease = client.lease_grant(600, None).await.unwrap().id();
    client
        .put("k", "v", Some(PutOptions::new().with_lease(lease)))
        .await
        .unwrap();
    client
        .put("k", "w", Some(PutOptions::new().with_ignore_lease()))
        .await
        .unwrap();
    let before = client.status().await.unwrap();
    f.restart().await;
    let mut client = f.client().await;
    let got = client.get("k", None).await.unwrap();
    assert_eq!(
        (got.kvs()[0].value(), got.kvs()[0].lease()),
        (&b"w"[..], lease)
    );
    assert_eq!(got.header().unwrap().revision(), 3);
    let after = client.status().await.unwrap();
    assert_eq!(
        before.header().unwrap().cluster_id(),
        after.header().unwrap().cluster_id()
    );
    assert!(after.raft_term() > before.raft_term() && before.raft_term() > 0);
    let ttl = client.lease_time_to_live(lease, None).await.unwrap();
    assert_eq!(ttl.granted_ttl(), 600);
    assert!((500..600).contains(&ttl.ttl()), "{ttl:?}");
}

#[tokio::test]
async fn bad_requests_get_etcds_codes_and_texts() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let invalid = |text: &str| (Code::InvalidArgument, format!("etcdserver: {text}"));
    assert_eq!(
        status(client.put("", "v", None).await.unwrap_err()),
        invalid("key is not provided")
    );
    assert_eq!(
        status(client.get("", None).await.unwrap_err()),
        invalid("key is not provided")
    );
    let twice = Txn::new().and_then([TxnOp::put("k", "1", None), TxnOp::put("k", "2", None)]);
    assert_eq!(
        status(client.txn(twice).await.unwrap_err()),
        invalid("duplicate key given in txn request")
    );
    let future = GetOptions::new().with_revision(99);
    assert_eq!(
        status(client.get("k", Some(future)).await.unwrap_err()),
        (
            Code::OutOfRange,
            "etcdserver: mvcc: required revision is a future revision".into()
        )
    );
    let unknown = PutOptions::new().with_lease(99);
    assert_eq!(
        status(client.put("k", "v", Some(unknown)).await.unwrap_err()),
        (
            Code::NotFound,
            "etcdserver: requested lease not found".into()
        )
    );
    assert_eq!(
        client
            .get("k", None)
            .await
            .unwrap()
            .header()
            .unwrap()
            .revision(),
        1
    );
}

#[tokio::test]
async fn a_request_over_the_limit_is_refused_and_costs_nobody_else_anything() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let too_large = vec![b'v'; (3 << 19) + 1];
    assert_eq!(
        status(client.put("k", too_large, None).await.unwrap_err()),
        (
            Code::InvalidArgument,
            "etcdserver: request is too large".into()
        )
    );
    let (code, text) = status(
        client
            .put("k", vec![b'v'; 8 << 20], None)
            .await
            .unwrap_err(),
    );
    assert_eq!(code, Code::ResourceExhausted, "{text}");
    assert!(
        text.starts_with("grpc: received message larger than max"),
        "{text}"
    );
    let long_key = vec![b'k'; 1 << 20];
    client.put(long_key.clone(), "v", None).await.unwrap();
    assert_eq!(client.get(long_key, None).await.unwrap().count(), 1);
}

#[tokio::test]
async fn a_txn_bumps_the_revision_once_and_its_events_come_together() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let all = WatchOptions::new().with_all_keys();
    let mut stream = watching(&mut client, "", all).await;
    let txn = Txn::new()
        .when([Compare::create_revision("a", CompareOp::Equal, 0)])
        .and_then([TxnOp::put("a", "", None), TxnOp::put("b", "", None)]);
    assert!(client.txn(txn).await.unwrap().succeeded());
    let event = |key: &str| (2, key.to_owned(), false);
    assert_eq!(next(&mut stream).await, [event("a"), event("b")]);
}

#[tokio::test]
async fn a_watch_from_the_past_sees_each_revision_once() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    put_all(&mut client, &["a", "b", "a"]).await;
    client.delete("a", None).await.unwrap();
    let from = WatchOptions::new().with_start_revision(2);
    let mut stream = client.watch("a", Some(from)).await.unwrap();
    let mut seen = next(&mut stream).await;
    put_all(&mut client, &["a"]).await;
    seen.extend(next(&mut stream).await);
    let wanted = [(2, false), (4, false), (5, true), (6, false)];
    let wanted: Vec<_> = wanted
        .map(|(revision, deleted)| (revision, "a".to_owned(), deleted))
        .into();
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn previous_records_and_filters() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let options = WatchOptions::new()
        .with_prefix()
        .with_prev_key()
        .with_filters([etcd_client::WatchFilterType::NoPut]);
    let mut stream = watching(&mut client, "k", options).await;
    client.put("k1", "v", None).await.unwrap();
    client
        .delete("k", Some(DeleteOptions::new().with_prefix()))
        .await
        .unwrap();
    let response = soon(stream.message()).await.unwrap().unwrap();
    let event = &response.events()[0];
    assert_eq!(event.prev_kv().unwrap().value(), b"v");
    let kv = event.kv().unwrap();
    assert_eq!(
        (kv.create_revision(), kv.mod_revision(), kv.version()),
        (0, 3, 0)
    );
}

#[tokio::test]
async fn many_watches_on_a_stream_cancel_and_progress() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let mut stream = client.watch("a", None).await.unwrap();
    stream.watch("b", None).await.unwrap();
    for id in 0..2 {
        let created = soon(stream.message()).await.unwrap().unwrap();
        assert!(created.created() && created.watch_id() == id);
    }
    stream.cancel(0).await.unwrap();
    let canceled = soon(stream.message()).await.unwrap().unwrap();
    assert!(canceled.canceled() && canceled.watch_id() == 0);
    put_all(&mut client, &["a", "b"]).await;
    assert_eq!(next(&mut stream).await, [(3, "b".to_owned(), false)]);
    stream.request_progress().await.unwrap();
    let progress = soon(stream.message()).await.unwrap().unwrap();
    assert_eq!(
        (progress.watch_id(), progress.header().unwrap().revision()),
        (-1, 3)
    );
    assert!(progress.events().is_empty());
}

#[tokio::test]
async fn a_compacted_start_is_cancelled_with_the_revision_to_resume_from() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    put_all(&mut client, &["a", "a", "a"]).await;
    client.compact(4, None).await.unwrap();
    let from = WatchOptions::new().with_start_revision(2);
    let mut stream = client.watch("b", Some(from)).await.unwrap();
    assert!(soon(stream.message()).await.unwrap().unwrap().created());
    let canceled = soon(stream.message()).await.unwrap().unwrap();
    assert!(canceled.canceled());
    assert_eq!(
        (canceled.compact_revision(), canceled.cancel_reason()),
        (4, "")
    );
    assert_eq!(
        status(client.compact(4, None).await.unwrap_err()),
        (
            Code::OutOfRange,
            "etcdserver: mvcc: required revision has been compacted".into()
        )
    );
}

#[tokio::test]
async fn leases_have_etcds_bounds() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    assert_eq!(client.lease_grant(-5, None).await.unwrap().ttl(), 2);
    assert_eq!(
        status(client.lease_grant(9_000_000_001, None).await.unwrap_err()),
        (Code::OutOfRange, "etcdserver: too large lease TTL".into())
    );
    let options = etcd_client::LeaseGrantOptions::new().with_id(7);
    client
        .lease_grant(9_000_000_000, Some(options))
        .await
        .unwrap();
    let options = etcd_client::LeaseGrantOptions::new().with_id(7);
    assert_eq!(
        status(client.lease_grant(10, Some(options)).await.unwrap_err()),
        (
            Code::FailedPrecondition,
            "etcdserver: lease already exists".into()
        )
    );
    assert_eq!(client.lease_time_to_live(99, None).await.unwrap().ttl(), -1);
    assert_eq!(
        status(client.lease_revoke(99).await.unwrap_err()),
        (
            Code::NotFound,
            "etcdserver: requested lease not found".into()
        )
    );
    let (mut keeper, mut answers) = client.lease_keep_alive(7).await.unwrap();
    keeper.keep_alive().await.unwrap();
    let answer = soon(answers.message()).await.unwrap().unwrap();
    assert_eq!(answer.ttl(), 9_000_000_000);
}

#[tokio::test]
async fn a_file_at_its_quota_takes_no_more_until_it_is_disarmed() {
    let f = Fixture::start_with(|config| config.limits.quota = Some(4 << 20)).await;
    let mut client = f.client().await;
    let full = (
        Code::ResourceExhausted,
        "etcdserver: mvcc: database space exceeded".to_owned(),
    );
    let value = vec![b'v'; 1 << 20];
    let refused = loop {
        if let Err(error) = client.put("k", value.clone(), None).await {
            break status(error);
        }
    };
    assert_eq!(refused, full);
    assert_eq!(
        status(client.put("small", "", None).await.unwrap_err()),
        full
    );
    let alarms = client.status().await.unwrap();
    assert_eq!(alarms.errors().len(), 1);
    client.delete("k", None).await.unwrap();
    let member = alarms.header().unwrap().member_id();
    let mut options = AlarmOptions::new();
    options.with_member(member);
    client
        .alarm(AlarmAction::Deactivate, AlarmType::Nospace, Some(options))
        .await
        .unwrap();
    assert!(client.status().await.unwrap().errors().is_empty());
}

#[tokio::test]
async fn defragmenting_shrinks_the_file_and_readers_wait_for_it() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    for n in 0..40 {
        client
            .put(format!("k{n}"), vec![b'v'; 100 << 10], None)
            .await
            .unwrap();
    }
    let all = client
        .delete("k", Some(DeleteOptions::new().with_prefix()))
        .await
        .unwrap();
    let revision = all.header().unwrap().revision();
    let physical = etcd_client::CompactionOptions::new().with_physical();
    client.compact(revision, Some(physical)).await.unwrap();
    let before = client.status().await.unwrap().db_size();
    let mut stream = watching(&mut client, "late", WatchOptions::new()).await;
    let mut reader = f.client().await;
    let reads = async {
        for _ in 0..50 {
            reader.get("k", None).await.unwrap();
        }
    };
    let (defragmented, ()) = tokio::join!(client.defragment(), reads);
    defragmented.unwrap();
    let after = client.status().await.unwrap().db_size();
    assert!(after < before / 2, "{before} bytes, then {after}");
    client.put("late", "", None).await.unwrap();
    assert_eq!(
        next(&mut stream).await,
        [(revision + 1, "late".to_owned(), false)]
    );
}

#[tokio::test]
async fn peer_urls_that_were_updated_are_told_from_then_on() {
    let mut f = Fixture::start().await;
    let told = async |client: &mut Client| {
        let listed = client.member_list().await.unwrap();
        listed.members()[0].peer_urls().to_vec()
    };
    let mut client = f.client().await;
    assert_eq!(told(&mut client).await, ["http://localhost:2380"]);
    let member = client.status().await.unwrap().leader();
    let (code, text) = status(
        client
            .member_update(1, ["http://a:1".to_owned()])
            .await
            .unwrap_err(),
    );
    assert_eq!(
        (code, text.as_str()),
        (Code::NotFound, "etcdserver: member not found")
    );
    let urls = ["http://b:2", "http://a:1"];
    let before = client
        .get("k", None)
        .await
        .unwrap()
        .header()
        .unwrap()
        .revision();
    client
        .member_update(member, urls.map(str::to_owned))
        .await
        .unwrap();
    assert_eq!(told(&mut client).await, urls);
    f.restart().await;
    let mut client = f.client().await;
    assert_eq!(told(&mut client).await, urls);
    let after = client
        .get("k", None)
        .await
        .unwrap()
        .header()
        .unwrap()
        .revision();
    assert_eq!(after, before, "no key was written");
}

#[tokio::test]
async fn a_lease_ends_under_the_corrupt_alarm_too() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let mut stream = watching(&mut client, "k", WatchOptions::new()).await;
    // Long enough for a machine that stands still for a moment before the alarm.
    let lease = client.lease_grant(5, None).await.unwrap().id();
    let leased = PutOptions::new().with_lease(lease);
    client.put("k", "", Some(leased)).await.unwrap();
    assert_eq!(next(&mut stream).await, [(2, "k".to_owned(), false)]);
    client
        .alarm(AlarmAction::Activate, AlarmType::Corrupt, None)
        .await
        .unwrap();
    let (code, text) = status(client.put("k", "", None).await.unwrap_err());
    assert_eq!(
        (code, text.as_str()),
        (Code::DataLoss, "etcdserver: corrupt cluster")
    );
    assert_eq!(next(&mut stream).await, [(3, "k".to_owned(), true)]);
    assert_eq!(
        client.lease_time_to_live(lease, None).await.unwrap().ttl(),
        -1
    );
}

#[tokio::test]
async fn what_comes_later_says_so() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let (code, text) = status(client.auth_enable().await.unwrap_err());
    assert_eq!(
        (code, text.contains("not implemented")),
        (Code::Unimplemented, true)
    );
}
