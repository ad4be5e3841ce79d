//! What the server says of itself.

use latchd_proto::etcdserverpb::{MemberListRequest, StatusRequest, StatusResponse};

use crate::raw::{Raw, range};

async fn status(raw: &Raw) -> StatusResponse {
    let response = raw.maintenance().status(StatusRequest {}).await;
    response.unwrap().into_inner()
}

/// A version as three numbers; anything else fails the test.
fn numbers(version: &str) -> Vec<u32> {
    let numbers = version.split('.').map(str::parse);
    let numbers: Vec<u32> = numbers.collect::<Result<_, _>>().unwrap();
    assert_eq!(numbers.len(), 3, "{version}");
    numbers
}

/// Trap 11: clients parse `/version` as digits and dots, and refuse what is before 3.4.
#[tokio::test]
async fn trap_11_the_version_is_digits_and_new_enough() {
    let raw = Raw::start().await;
    let body = crate::port::get(&raw.endpoint, "/version").await.1;
    let said: serde_json::Value = serde_json::from_str(&body).unwrap();
    for field in ["etcdserver", "etcdcluster"] {
        assert!(
            numbers(said[field].as_str().unwrap()) >= vec![3, 4, 0],
            "{said}"
        );
    }
    assert_eq!(status(&raw).await.version, said["etcdserver"]);
}

/// Trap 11: there is a leader and a term, which clients take for health; neither the term goes down
/// nor does the cluster become another one when the server starts again.
#[tokio::test]
async fn trap_11_a_leader_a_term_and_a_cluster_that_stays() {
    let mut raw = Raw::start().await;
    let before = status(&raw).await;
    let header = before.header.unwrap();
    assert_eq!(before.leader, header.member_id);
    assert_eq!(before.raft_term, header.raft_term);
    assert!(
        before.leader != 0 && before.raft_term != 0 && header.cluster_id != 0,
        "{before:?}"
    );
    if !raw.restart().await {
        return;
    }
    let after = status(&raw).await;
    let again = after.header.unwrap();
    assert!(after.raft_term >= before.raft_term);
    assert_eq!(
        (after.leader, again.cluster_id, again.member_id),
        (before.leader, header.cluster_id, header.member_id)
    );
    assert!(again.revision >= header.revision);
}

/// Trap 12: Patroni connects to what MemberList says.
#[tokio::test]
async fn trap_12_the_members_client_urls_can_be_reached() {
    let raw = Raw::start().await;
    for linearizable in [true, false] {
        let request = MemberListRequest { linearizable };
        let listed = raw
            .cluster()
            .member_list(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(listed.members.len(), 1);
        let member = &listed.members[0];
        assert_eq!(member.id, listed.header.unwrap().member_id);
        assert!(
            !member.client_ur_ls.is_empty() && !member.is_learner,
            "{member:?}"
        );
        for url in &member.client_ur_ls {
            let channel = tonic::transport::Channel::from_shared(url.clone()).unwrap();
            let channel = channel.connect().await.unwrap();
            let mut kv = latchd_proto::etcdserverpb::kv_client::KvClient::new(channel);
            kv.range(range("k")).await.unwrap();
        }
    }
}
