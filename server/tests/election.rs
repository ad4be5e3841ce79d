//! The Election service of a whole server, through `etcd-client` (behaviour of etcd 3.7.1).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod common;

use common::{Fixture, soon, status, until_count};
use etcd_client::{CampaignResponse, Client, Error, LeaderKey, ProclaimOptions, ResignOptions};
use tonic::Code;

fn unknown(text: &str) -> (Code, String) {
    (Code::Unknown, text.to_owned())
}

async fn lease(client: &mut Client) -> i64 {
    client.lease_grant(60, None).await.unwrap().id()
}

/// A campaign as a task of its own.
fn campaign(
    client: &Client,
    lease: i64,
    value: &'static str,
) -> tokio::task::JoinHandle<Result<CampaignResponse, Error>> {
    let mut client = client.clone();
    tokio::spawn(async move { client.campaign("election", value, lease).await })
}

async fn leader_value(client: &mut Client) -> Vec<u8> {
    let leader = client.leader("election").await.unwrap();
    leader.kv().unwrap().value().to_vec()
}

fn stale(leader: &LeaderKey) -> LeaderKey {
    leader.clone().with_rev(leader.rev() - 1)
}

#[tokio::test]
async fn one_leads_and_the_next_follows_when_it_resigns() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    assert_eq!(
        status(client.leader("election").await.unwrap_err()),
        unknown("election: no leader")
    );
    let (a, b) = (lease(&mut client).await, lease(&mut client).await);
    let first = campaign(&client, a, "one").await.unwrap().unwrap();
    let key = first.leader().unwrap().clone();
    assert_eq!((key.rev(), key.lease()), (2, a));
    let second = campaign(&client, b, "two");
    until_count(&mut client, "election/", 2).await;
    assert_eq!(leader_value(&mut client).await, b"one");
    let options = ResignOptions::new().with_leader(key);
    client.resign(Some(options)).await.unwrap();
    soon(second).await.unwrap().unwrap();
    assert_eq!(leader_value(&mut client).await, b"two");
}

#[tokio::test]
async fn a_leader_that_was_overtaken_changes_nothing() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let a = lease(&mut client).await;
    let won = campaign(&client, a, "one").await.unwrap().unwrap();
    let key = won.leader().unwrap();
    let proclaim = |key: LeaderKey| Some(ProclaimOptions::new().with_leader(key));
    client
        .proclaim("eins", proclaim(key.clone()))
        .await
        .unwrap();
    assert_eq!(leader_value(&mut client).await, b"eins");
    assert_eq!(
        status(
            client
                .proclaim("x", proclaim(stale(key)))
                .await
                .unwrap_err()
        ),
        unknown("election: not leader")
    );
    let options = ResignOptions::new().with_leader(stale(key));
    client.resign(Some(options)).await.unwrap();
    assert_eq!(leader_value(&mut client).await, b"eins");
}

#[tokio::test]
async fn campaigning_again_changes_the_value_and_keeps_the_place() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let a = lease(&mut client).await;
    let first = campaign(&client, a, "one").await.unwrap().unwrap();
    let again = campaign(&client, a, "uno").await.unwrap().unwrap();
    assert_eq!(first.leader().unwrap().rev(), again.leader().unwrap().rev());
    assert_eq!(leader_value(&mut client).await, b"uno");
}

#[tokio::test]
async fn a_campaign_that_cannot_change_the_value_takes_the_key_away() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    // Somebody wrote the key of a lease that was never granted.
    client.put("election/77", "old", None).await.unwrap();
    let failed = campaign(&client, 0x77, "new").await.unwrap();
    assert_eq!(
        status(failed.unwrap_err()),
        unknown("etcdserver: requested lease not found")
    );
    until_count(&mut client, "election/", 0).await;
}

#[tokio::test]
async fn a_campaign_that_is_given_up_resigns() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let (a, b) = (lease(&mut client).await, lease(&mut client).await);
    campaign(&client, a, "one").await.unwrap().unwrap();
    let waiting = campaign(&client, b, "two");
    until_count(&mut client, "election/", 2).await;
    waiting.abort();
    until_count(&mut client, "election/", 1).await;
}

#[tokio::test]
async fn a_campaign_whose_lease_ends_is_told_so() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let (a, b) = (lease(&mut client).await, lease(&mut client).await);
    campaign(&client, a, "one").await.unwrap().unwrap();
    let waiting = campaign(&client, b, "two");
    until_count(&mut client, "election/", 2).await;
    client.lease_revoke(b).await.unwrap();
    client.lease_revoke(a).await.unwrap();
    let error = status(soon(waiting).await.unwrap().unwrap_err());
    assert_eq!(error, unknown("election: session is expired"));
}

#[tokio::test]
async fn observers_see_the_first_leader_every_value_and_the_next_leader() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let mut stream = client.observe("election").await.unwrap();
    let (a, b) = (lease(&mut client).await, lease(&mut client).await);
    let won = campaign(&client, a, "one").await.unwrap().unwrap();
    let second = campaign(&client, b, "two");
    let mut seen = Vec::new();
    let mut next = async || {
        let response = soon(stream.message()).await.unwrap().unwrap();
        String::from_utf8(response.kv().unwrap().value().to_vec()).unwrap()
    };
    seen.push(next().await);
    let key = won.leader().unwrap().clone();
    let options = ProclaimOptions::new().with_leader(key.clone());
    client.proclaim("eins", Some(options)).await.unwrap();
    seen.push(next().await);
    until_count(&mut client, "election/", 2).await;
    client
        .resign(Some(ResignOptions::new().with_leader(key)))
        .await
        .unwrap();
    soon(second).await.unwrap().unwrap();
    seen.push(next().await);
    assert_eq!(seen, ["one", "eins", "two"]);
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let f = Fixture::start().await;
    let mut client = f.client().await;
    let text = "\"leader\" field must be provided";
    assert_eq!(
        status(client.resign(None).await.unwrap_err()),
        unknown(text)
    );
    assert_eq!(
        status(client.proclaim("x", None).await.unwrap_err()),
        unknown(text)
    );
    assert_eq!(
        status(campaign(&client, 99, "x").await.unwrap().unwrap_err()),
        unknown("etcdserver: requested lease not found")
    );
}
