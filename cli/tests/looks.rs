//! The commands that look, and those about one hold, against a latchd in this process.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod common;

use latchd_conformance::wait;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use common::{Fixture, Running, stderr, stdout};

/// Ann holds it, and Bob waits for it.
async fn contended(fixture: &Fixture, name: &str) -> (Running, Running) {
    let ann = ["--owner", "ann", "--label", "team=x", name];
    let ann = fixture.latchctl.hold(&ann).await;
    let waits = [
        "lock",
        name,
        "--owner",
        "bob",
        "--",
        "sh",
        "-c",
        "echo up; exec sleep 1000",
    ];
    let bob = fixture.latchctl.start(&waits);
    fixture.wait_for_keys(name, 2).await;
    (ann, bob)
}

fn token_of(lock: &Value) -> String {
    lock["holders"][0]["token"].as_i64().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_are_listed_for_people_and_for_programs() {
    let fixture = Fixture::start().await;
    let latchctl = &fixture.latchctl;
    let nothing = latchctl.output(&["ls"]).await;
    assert!(
        nothing.status.success() && nothing.stdout.is_empty(),
        "{nothing:?}"
    );
    assert_eq!(latchctl.json(&["ls"]).await, json!([]));
    let _both = contended(&fixture, "team/job").await;
    let _other = latchctl.hold(&["other", "--semaphore", "3"]).await;
    let table = latchctl.ok(&["ls", "team/"]).await;
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines.len(), 2, "{table}");
    assert_eq!(lines[1][..3], ["team/job", "exclusive", "ann"], "{table}");
    assert_eq!(lines[1][4], "1", "{table}");
    let locks = latchctl.json(&["ls"]).await;
    assert_eq!(locks[0]["name"], "other");
    assert_eq!(locks[0]["holders"][0]["permits"], 3);
    let job = &locks[1];
    assert_eq!(job["holders"][0]["owner"], "ann");
    assert_eq!(job["holders"][0]["labels"], json!({"team": "x"}));
    assert_eq!(job["holders"][0]["mode"], "exclusive");
    assert_eq!(job["waiting"][0]["owner"], "bob");
    assert!(job["waiting"][0]["for_ms"].is_u64(), "{job}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_lock_with_its_queue() {
    let fixture = Fixture::start().await;
    let latchctl = &fixture.latchctl;
    let absent = latchctl.output(&["show", "job"]).await;
    assert_eq!(absent.status.code(), Some(1), "{absent:?}");
    let _both = contended(&fixture, "job").await;
    // A longer name that begins alike is another lock.
    let _other = latchctl.hold(&["jo"]).await;
    let page = latchctl.ok(&["show", "job"]).await;
    assert!(page.starts_with("job: exclusive, held for "), "{page}");
    assert!(page.contains("team=x"), "{page}");
    let ranks = page
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let ranks: Vec<&str> = ranks.collect();
    assert!(ranks.ends_with(&["holds", "1"]), "{page}");
    let lock = latchctl.json(&["show", "job"]).await;
    assert_eq!(lock["waiting"].as_array().unwrap().len(), 1);
    let short = latchctl.json(&["show", "jo"]).await;
    assert_eq!(
        (&short["name"], short["waiting"].as_array().unwrap().len()),
        (&json!("jo"), 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_told_as_they_come() {
    let fixture = Fixture::start().await;
    let latchctl = &fixture.latchctl;
    let mut before = latchctl.hold(&["team/a", "--owner", "ann"]).await;
    let mut watch = latchctl.start(&["watch", "team/", "-o", "json"]);
    let snapshot = watch.json_line().await;
    assert_eq!(snapshot["event"], "snapshot");
    assert_eq!(snapshot["locks"][0]["name"], "team/a");
    let mut people = latchctl.start(&["watch", "team/"]);
    let line = people.line().await;
    assert!(
        line.starts_with("now ") && line.contains("holds") && line.contains("ann"),
        "{line}"
    );
    latchctl.ok(&["lock", "elsewhere", "--", "true"]).await;
    before.end(Signal::SIGTERM).await;
    let released = watch.json_line().await;
    assert_eq!(
        (&released["event"], &released["name"]),
        (&json!("released"), &json!("team/a"))
    );
    latchctl
        .ok(&["lock", "team/b", "--owner", "bob", "--", "true"])
        .await;
    let acquired = watch.json_line().await;
    assert_eq!(
        (&acquired["event"], &acquired["contender"]["owner"]),
        (&json!("acquired"), &json!("bob"))
    );
    assert!(people.line().await.contains("released"));
    assert!(people.line().await.contains("acquired"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_of_changes_only_begins_with_a_change() {
    let fixture = Fixture::start().await;
    let latchctl = &fixture.latchctl;
    let _both = contended(&fixture, "job").await;
    let mut watch = latchctl.start(&["watch", "--only-changes", "-o", "json"]);
    // Until it watches, there are changes that it does not see.
    let seen = loop {
        latchctl.ok(&["lock", "x", "--", "true"]).await;
        let line = tokio::time::timeout(std::time::Duration::from_millis(500), watch.json_line());
        if let Ok(line) = line.await {
            break line;
        }
    };
    assert_eq!(seen["name"], "x", "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_is_told() {
    let fixture = Fixture::start().await;
    let latchctl = &fixture.latchctl;
    let nothing = latchctl.output(&["history"]).await;
    assert!(
        nothing.status.success() && nothing.stdout.is_empty(),
        "{nothing:?}"
    );
    for owner in ["ann", "bob"] {
        latchctl
            .ok(&["lock", "job", "--owner", owner, "--", "true"])
            .await;
    }
    let history = latchctl.json(&["history", "jo", "--limit", "1"]).await;
    let holds = history["holds"].as_array().unwrap();
    assert_eq!(holds.len(), 1, "{history}");
    assert_eq!(
        (&holds[0]["how"], &holds[0]["contender"]["owner"]),
        (&json!("released"), &json!("bob"))
    );
    assert!(
        holds[0]["held_ms"].is_u64() && history["since"].is_string(),
        "{history}"
    );
    let table = latchctl.ok(&["history"]).await;
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.lines().nth(1).unwrap().contains("bob"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed() {
    let fixture = Fixture::start().await;
    let latchctl = &fixture.latchctl;
    let _both = contended(&fixture, "job").await;
    let sessions = latchctl.json(&["session", "ls"]).await;
    let sessions = sessions.as_array().unwrap();
    let holding: u64 = sessions
        .iter()
        .map(|session| session["holding"].as_u64().unwrap())
        .sum();
    let waiting: u64 = sessions
        .iter()
        .map(|session| session["waiting"].as_u64().unwrap())
        .sum();
    assert_eq!((holding, waiting), (1, 1), "{sessions:?}");
    let table = latchctl.ok(&["session", "ls"]).await;
    assert_eq!(table.lines().count(), 1 + sessions.len(), "{table}");
    assert!(table.starts_with("SESSION"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_verified() {
    let fixture = Fixture::start().await;
    let latchctl = &fixture.latchctl;
    let _both = contended(&fixture, "job").await;
    let lock = latchctl.json(&["show", "job"]).await;
    let held = latchctl.json(&["verify", "job", &token_of(&lock)]).await;
    assert_eq!(held["held"], true);
    let waits = lock["waiting"][0]["token"].to_string();
    for (token, why) in [(waits.as_str(), "it waits"), ("1", "nobody has it")] {
        let output = latchctl.output(&["verify", "job", token]).await;
        assert_eq!(output.status.code(), Some(1), "{why}: {output:?}");
        assert!(stdout(&output).contains("not held"), "{why}: {output:?}");
    }
    let none = latchctl.output(&["verify", "job"]).await;
    assert_eq!(none.status.code(), Some(2), "{none:?}");
    let own = [
        "lock",
        "own",
        "--",
        env!("CARGO_BIN_EXE_latchctl"),
        "verify",
        "own",
    ];
    assert!(latchctl.ok(&own).await.starts_with("own: held"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_taken_away_by_force() {
    let fixture = Fixture::start().await;
    let latchctl = &fixture.latchctl;
    let (mut ann, mut bob) = contended(&fixture, "job").await;
    let lock = latchctl.json(&["show", "job"]).await;
    let wrong = latchctl
        .output(&["release", "job", "--force", "--token", "1"])
        .await;
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    let forced = latchctl
        .json(&["release", "job", "--force", "--token", &token_of(&lock)])
        .await;
    assert_eq!(forced["forced"]["owner"], "ann", "{forced}");
    // Its command is ended, and the next one has it.
    assert_eq!(ann.exit().await.code(), Some(120));
    assert_eq!(bob.line().await, "up");
    let history = latchctl.json(&["history", "job"]).await;
    assert_eq!(history["holds"][0]["how"], "forced", "{history}");
    let again = latchctl
        .output(&["release", "job", "--force", "--token", &token_of(&lock)])
        .await;
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(stderr(&again).contains("job"), "{again:?}");
}

/// Two etcd clients that wait for each other: nobody to refuse, so people have to.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_of_others_is_shown() {
    let fixture = Fixture::start().await;
    let latchctl = &fixture.latchctl;
    let none = latchctl.json(&["deadlocks"]).await;
    assert_eq!(none, json!([]));
    let mut leases = fixture.etcd.lease_client();
    let mut ids = Vec::new();
    for (name, other) in [("a", "b"), ("b", "a")] {
        let lease = leases.grant(60, None).await.unwrap().id();
        put(&fixture, name, lease).await;
        ids.push((other, lease));
    }
    for (other, lease) in &ids {
        put(&fixture, other, *lease).await;
    }
    let mut watch = latchctl.start(&["watch", "-o", "json"]);
    while watch.json_line().await["event"] != "deadlock" {}
    let found = latchctl.output(&["deadlocks", "-o", "json"]).await;
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    let found: Value = serde_json::from_str(&stdout(&found)).unwrap();
    assert_eq!(found[0]["resolved"], false, "{found}");
    assert_eq!(found[0]["waits"].as_array().unwrap().len(), 2, "{found}");
    for looks in [vec!["deadlocks"], vec!["ls"], vec!["show", "a"]] {
        let shown = stdout(&latchctl.output(&looks).await);
        assert!(
            shown.contains("waits for a") && shown.contains("by hand"),
            "{looks:?}: {shown}"
        );
    }
    // Who gives its place up waits no more.
    let token = latchctl.json(&["show", "a"]).await["waiting"][0]["token"].to_string();
    latchctl
        .ok(&["release", "a", "--force", "--token", &token])
        .await;
    // The server looks again a moment later.
    let resolved = wait::until("no deadlock", async || {
        Ok(latchctl.output(&["deadlocks"]).await.status.success())
    });
    resolved.await.unwrap();
}

/// As Go's Mutex queues.
async fn put(fixture: &Fixture, name: &str, lease: i64) {
    let options = etcd_client::PutOptions::new().with_lease(lease);
    let key = format!("{name}/{lease:x}");
    let mut kv = fixture.etcd.kv_client();
    kv.put(key, "", Some(options)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_bytes() {
    let fixture = Fixture::start().await;
    let latchctl = &fixture.latchctl;
    let lease = fixture
        .etcd
        .lease_client()
        .grant(60, None)
        .await
        .unwrap()
        .id();
    let options = etcd_client::PutOptions::new().with_lease(lease);
    let mut key = b"n\xff\x1b/".to_vec();
    key.extend(format!("{lease:x}").into_bytes());
    fixture
        .etcd
        .kv_client()
        .put(key, "", Some(options))
        .await
        .unwrap();
    // For people nothing that commands the terminal, for programs exactly.
    assert!(latchctl.ok(&["ls"]).await.contains("n\\xff\\x1b "));
    let lock = &latchctl.json(&["ls"]).await[0];
    assert_eq!(
        (&lock["name"], &lock["name_base64"]),
        (&json!("n\\xff\\x1b"), &json!("bv8b"))
    );
    let name = "\\x6e\\xff\\x1b";
    assert!(latchctl.ok(&["ls", "--hex"]).await.contains(name));
    let shown = latchctl.json(&["show", "--hex", name]).await;
    assert_eq!(shown["name"], name);
    let wrong = latchctl.output(&["show", "--hex", "job"]).await;
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
}
