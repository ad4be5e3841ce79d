//! Calls that wait and then go away.

use latchd_proto::v3electionpb::CampaignRequest;
use latchd_proto::v3electionpb::election_client::ElectionClient;
use latchd_proto::v3lockpb::LockRequest;
use latchd_proto::v3lockpb::lock_client::LockClient;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use crate::common::until_count;
use crate::raw::Raw;

/// One client for watching what is under a name.
async fn watcher(raw: &Raw) -> etcd_client::Client {
    etcd_client::Client::connect([&raw.endpoint], None)
        .await
        .unwrap()
}

fn lock(channel: Channel, lease: i64) -> JoinHandle<()> {
    let request = LockRequest {
        name: "wait".into(),
        lease,
    };
    tokio::spawn(async move {
        LockClient::new(channel).lock(request).await.unwrap();
    })
}

fn campaign(channel: Channel, lease: i64) -> JoinHandle<()> {
    let request = CampaignRequest {
        name: "wait".into(),
        lease,
        value: "v".into(),
    };
    tokio::spawn(async move {
        ElectionClient::new(channel)
            .campaign(request)
            .await
            .unwrap();
    })
}

/// Holds `wait`, lets another ask for it, makes that one go away and sees its key go.
async fn a_waiter_goes(ask: fn(Channel, i64) -> JoinHandle<()>, connection_too: bool) {
    let raw = Raw::start().await;
    let mut seen = watcher(&raw).await;
    let (first, second) = (raw.grant().await, raw.grant().await);
    ask(raw.channel.clone(), first).await.unwrap();
    let own = Channel::from_shared(raw.endpoint.clone()).unwrap();
    let own = own.connect().await.unwrap();
    let channel = if connection_too {
        own
    } else {
        raw.channel.clone()
    };
    let waiting = ask(channel, second);
    until_count(&mut seen, "wait/", 2).await;
    assert!(!waiting.is_finished());
    waiting.abort();
    until_count(&mut seen, "wait/", 1).await;
}

/// Trap 14: a Lock call that is cancelled deletes the key that it waited with.
#[tokio::test]
async fn trap_14_a_cancelled_lock_call_leaves_no_key() {
    a_waiter_goes(lock, false).await;
}

/// Trap 14, when the connection goes as well.
#[tokio::test]
async fn trap_14_a_lock_call_on_a_lost_connection_leaves_no_key() {
    a_waiter_goes(lock, true).await;
}

/// Trap 14 for elections.
#[tokio::test]
async fn trap_14_a_cancelled_campaign_leaves_no_key() {
    a_waiter_goes(campaign, false).await;
}

/// Trap 14 for elections, when the connection goes as well.
#[tokio::test]
async fn trap_14_a_campaign_on_a_lost_connection_leaves_no_key() {
    a_waiter_goes(campaign, true).await;
}
