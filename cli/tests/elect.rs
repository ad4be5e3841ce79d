//! `latchctl elect`, against a latchd in this process.
#![allow(missing_docs)]

mod common;

use nix::sys::signal::Signal;

use common::Fixture;

#[tokio::test(flavor = "multi_thread")]
async fn one_leads_and_the_next_one_after_it() {
    let fixture = Fixture::start().await;
    let latchctl = &fixture.latchctl;
    let (mut first, key) = latchctl.running(&["elect", "boss", "ann"]).await;
    assert!(key.starts_with("boss/"), "{key}");
    assert_eq!(first.line().await, "ann");
    let mut observer = latchctl.start(&["elect", "--listen", "boss"]);
    assert_eq!(observer.line().await, key);
    assert_eq!(observer.line().await, "ann");
    let mut second = latchctl.start(&["elect", "boss", "bob", "-o", "json"]);
    fixture.wait_for_keys("boss", 2).await;
    assert_eq!(first.end(Signal::SIGINT).await, Some(0));
    let elected = second.json_line().await;
    assert_eq!(
        (&elected["name"], &elected["value"]),
        (&"boss".into(), &"bob".into())
    );
    observer.line().await;
    assert_eq!(observer.line().await, "bob");
    assert_eq!(observer.end(Signal::SIGTERM).await, Some(0));
    second.end(Signal::SIGTERM).await;
    assert!(fixture.keys("boss").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_while_it_leads() {
    let fixture = Fixture::start().await;
    let latchctl = &fixture.latchctl;
    let script = "echo $LATCHD_ELECTION_NAME $LATCHD_ELECTION_KEY $LATCHD_FENCING_TOKEN; exit 5";
    let output = latchctl
        .output(&["elect", "boss", "v", "--", "sh", "-c", script])
        .await;
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let told = common::stdout(&output);
    let words: Vec<&str> = told.split_whitespace().collect();
    assert_eq!((words.len(), words[0]), (3, "boss"), "{told}");
    assert!(fixture.keys("boss").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_key_is_gone_ends_its_command() {
    let fixture = Fixture::start().await;
    let script = "echo $LATCHD_ELECTION_KEY; exec sleep 1000";
    let arguments = ["elect", "boss", "v", "--", "sh", "-c", script];
    let (mut leader, key) = fixture.latchctl.running(&arguments).await;
    fixture.delete(&key).await;
    assert_eq!(leader.exit().await.code(), Some(120));
    leader.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_before_the_election_leaves_no_key() {
    let fixture = Fixture::start().await;
    let (_first, _) = fixture.latchctl.running(&["elect", "boss", "ann"]).await;
    let mut second = fixture.latchctl.start(&["elect", "boss", "bob"]);
    fixture.wait_for_keys("boss", 2).await;
    assert_eq!(second.end(Signal::SIGINT).await, Some(130));
    assert_eq!(fixture.keys("boss").await.len(), 1);
}
