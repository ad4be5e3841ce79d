//! Who leads.

use latchd_client::{Client, Error, Leader, Observer};

use crate::support::{Stage, joined, soon};

on_both!(
    leaders_follow_one_another,
    an_observer_sees_each_leader_and_what_it_says,
    leads_together_with_etcds_election_service,
    a_leader_whose_key_is_gone_can_do_nothing,
);

async fn leading(client: &Client, name: &str) -> Option<Leader> {
    client.election(name).leader().await.expect("an answer")
}

async fn leaders_follow_one_another(stage: Stage) {
    let name = stage.name("boss");
    let election = stage.client.election(&name);
    assert_eq!(leading(&stage.client, &name).await, None);
    let (one, two) = (stage.session().await, stage.session().await);
    let first = election.campaign(&one, "one").await.expect("it leads");
    let leader = leading(&stage.client, &name).await.expect("a leader");
    assert_eq!(
        (leader.value.as_slice(), leader.lease),
        (&b"one"[..], one.lease())
    );
    assert_eq!(
        (leader.key.as_str(), leader.token),
        (first.key(), first.fencing_token())
    );
    let tried = election.try_campaign(&two, "two").await.expect("an answer");
    assert!(tried.is_none());

    let mut changes = stage.changes("boss").await;
    let campaigning = {
        let (election, two) = (election.clone(), two.clone());
        tokio::spawn(async move { election.campaign(&two, "two").await })
    };
    changes.put().await;
    first.resign().await.expect("resigned");
    let second = joined(campaigning).await.expect("it leads");
    assert!(second.fencing_token() > leader.token);
    let leader = leading(&stage.client, &name).await.expect("a leader");
    assert_eq!(leader.value, b"two");
    drop(second);
    let third = election.campaign(&one, "three").await.expect("it leads");
    third.resign().await.expect("resigned");
    assert!(stage.keys("boss").await.is_empty());
}

async fn told(observer: &mut Observer) -> String {
    let leader = soon(observer.next()).await.expect("a leader");
    String::from_utf8(leader.value).expect("UTF-8")
}

async fn an_observer_sees_each_leader_and_what_it_says(stage: Stage) {
    let election = stage.client.election(stage.name("boss"));
    let mut observer = election.observe().await.expect("an observer");
    let (one, two) = (stage.session().await, stage.session().await);
    let (told_first, first) = tokio::join!(told(&mut observer), election.campaign(&one, "one"));
    let first = first.expect("it leads");
    assert_eq!(told_first, "one");
    first.proclaim("one, ready").await.expect("said");
    assert_eq!(told(&mut observer).await, "one, ready");
    first.resign().await.expect("resigned");
    let second = election.campaign(&two, "two").await.expect("it leads");
    assert_eq!(told(&mut observer).await, "two");
    let mut late = election.observe().await.expect("an observer");
    assert_eq!(told(&mut late).await, "two");
    second.proclaim("two, ready").await.expect("said");
    assert_eq!(told(&mut late).await, "two, ready");
    assert_eq!(told(&mut observer).await, "two, ready");
}

/// Both kinds of keys lie in one line.
async fn leads_together_with_etcds_election_service(stage: Stage) {
    let name = stage.name("boss");
    let mut service = stage.etcd.election_client();
    let session = stage.session().await;
    let lease = stage.session().await;
    let campaigned = service
        .campaign(name.as_str(), "etcd", lease.lease().0)
        .await;
    let campaigned = campaigned.expect("it leads");
    let mut changes = stage.changes("boss").await;
    let campaigning = {
        let (election, session) = (stage.client.election(&name), session.clone());
        tokio::spawn(async move { election.campaign(&session, "latchd").await })
    };
    changes.put().await;
    let leader = leading(&stage.client, &name).await.expect("a leader");
    assert_eq!(leader.value, b"etcd");
    let leader = campaigned.leader().cloned().expect("a leader's key");
    let resign = etcd_client::ResignOptions::new().with_leader(leader);
    service.resign(Some(resign)).await.expect("resigned");
    let leadership = joined(campaigning).await.expect("it leads");
    let seen = service.leader(name.as_str()).await.expect("a leader");
    let seen = seen.kv().expect("a key");
    assert_eq!(
        (seen.value(), seen.key()),
        (&b"latchd"[..], leadership.key().as_bytes())
    );
}

async fn a_leader_whose_key_is_gone_can_do_nothing(stage: Stage) {
    let election = stage.client.election(stage.name("boss"));
    let session = stage.session().await;
    let leadership = election.campaign(&session, "one").await.expect("it leads");
    let key = leadership.key().to_owned();
    let (_, ()) = soon(async { tokio::join!(leadership.lost(), stage.delete(&key)) }).await;
    assert_refused!(leadership.proclaim("late").await, Error::NotLeader { .. });
    assert_refused!(leadership.resign().await, Error::NotLeader { .. });
    assert!(stage.keys("boss").await.is_empty());
}
