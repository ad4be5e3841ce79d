//! The real etcdctl: `etcdctl lock` in all its endings, and its basic commands.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;

use anyhow::{Result, ensure};
use latchd_conformance::{
    etcdctl::{Etcdctl, granted_key},
    locks,
    process::Process,
    server::Server,
    wait::{SOON, until},
};
use serde_json::Value;

async fn start() -> Result<(Server, Etcdctl)> {
    let server = Server::start().await?;
    let etcdctl = Etcdctl::new(server.spec().address())?;
    Ok((server, etcdctl))
}

/// Reads, waits for another process to have its turn, and writes: any two at
/// once lose an increment.
const INCREMENT: &str = r#"n=$(cat "$0"); sh -c :; echo $((n + 1)) > "$0""#;

#[tokio::test]
async fn twenty_concurrent_increments_give_twenty() -> Result<()> {
    let (_server, etcdctl) = start().await?;
    let dir = tempfile::tempdir()?;
    let counter = dir.path().join("counter");
    std::fs::write(&counter, "0\n")?;

    let mut all = Vec::new();
    for _ in 0..20 {
        all.push(increment(&etcdctl, &counter)?);
    }
    for mut one in all {
        one.exit(SOON * 3).await?.ok()?;
    }
    assert_eq!(std::fs::read_to_string(&counter)?, "20\n");
    Ok(())
}

fn increment(etcdctl: &Etcdctl, counter: &Path) -> Result<Process> {
    let file = counter.to_str().unwrap();
    etcdctl.start(&["lock", "job", "--", "sh", "-c", INCREMENT, file])
}

#[tokio::test]
async fn the_childs_exit_code_comes_through() -> Result<()> {
    let (server, etcdctl) = start().await?;
    let exit = etcdctl
        .run(&["lock", "job", "--", "sh", "-c", "exit 7"])
        .await?;
    assert_eq!(exit.code(), 7, "{exit:#?}");
    assert_eq!(locks::count(&server.client().await?, "job").await?, 0);
    Ok(())
}

/// A child that shows what it was told, what the server has while it runs, and
/// waits until it may end.
fn telling_child(dir: &Path) -> String {
    format!(
        r#"echo "$ETCD_LOCK_KEY $ETCD_LOCK_REV"; until [ -e {}/go ]; do sleep 0.02; done"#,
        dir.display()
    )
}

#[tokio::test]
async fn the_child_learns_the_locks_key_and_revision() -> Result<()> {
    let (server, etcdctl) = start().await?;
    let client = server.client().await?;
    let dir = tempfile::tempdir()?;
    let child = telling_child(dir.path());
    let mut lock = etcdctl.start(&["lock", "job", "--", "sh", "-c", &child])?;
    let told = lock.stdout_until(SOON, |out| out.ends_with('\n')).await?;

    let queue = locks::queue(&client, "job").await?;
    let found = client.kv_client().get(queue[0].clone(), None).await?;
    let kv = &found.kvs()[0];
    // Nobody else was there, so the lock's revision is its key's.
    let expected = format!("{} {}\n", kv.key_str()?, kv.create_revision());
    assert_eq!(told, expected);
    assert_eq!(kv.lease(), locks::lease_of(kv.key_str()?)?);

    std::fs::write(dir.path().join("go"), "")?;
    lock.exit(SOON).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn after_a_wait_the_revision_is_that_of_the_hand_over() -> Result<()> {
    let (server, etcdctl) = start().await?;
    let client = server.client().await?;
    let (mut holder, _) = etcdctl.hold("job", 60).await?;
    let script = r#"echo "$ETCD_LOCK_REV""#;
    let mut waiter = etcdctl.start(&["lock", "job", "--", "sh", "-c", script])?;
    locks::await_count(&client, "job", 2).await?;
    let queued = revision(&server).await?;
    holder.signal("INT").await?;
    holder.exit(SOON).await?.ok()?;
    // The holder's delete is the only write until the waiter's own.
    let told = waiter.exit(SOON).await?.ok()?;
    assert_eq!(told.trim().parse::<i64>()?, queued + 1);
    Ok(())
}

async fn revision(server: &Server) -> Result<i64> {
    let client = server.client().await?;
    let found = client.kv_client().get("-", None).await?;
    locks::revision(found.header())
}

#[tokio::test]
async fn sigint_on_a_waiting_one_leaves_no_key() -> Result<()> {
    let (server, etcdctl) = start().await?;
    let client = server.client().await?;
    let (_holder, key) = etcdctl.hold("job", 60).await?;
    let mut waiter = etcdctl.lock("job", 60)?;
    // Until it knows its place it would leave its key to its lease, on etcd too. Then it watches.
    until("the waiter's watch", async || {
        Ok(server.metric("etcd_debugging_mvcc_watcher_total").await? == 1.0)
    })
    .await?;

    waiter.signal("INT").await?;
    let exit = waiter.exit(SOON).await?;
    assert_eq!(exit.code(), 1, "{exit:#?}");
    assert!(exit.stderr.contains("context canceled"), "{exit:#?}");
    assert_eq!(locks::queue(&client, "job").await?, [key.into_bytes()]);
    Ok(())
}

#[tokio::test]
async fn sigint_on_a_holder_frees_the_lock_and_exits_0() -> Result<()> {
    let (server, etcdctl) = start().await?;
    let client = server.client().await?;
    let (mut holder, _) = etcdctl.hold("job", 60).await?;
    let mut waiter = etcdctl.lock("job", 60)?;
    locks::await_count(&client, "job", 2).await?;

    holder.signal("INT").await?;
    assert_eq!(holder.exit(SOON).await?.code(), 0);
    let key = granted_key(&mut waiter).await?;
    assert_eq!(locks::queue(&client, "job").await?, [key.into_bytes()]);

    waiter.signal("TERM").await?;
    assert_eq!(waiter.exit(SOON).await?.code(), 0);
    assert_eq!(locks::count(&client, "job").await?, 0);
    Ok(())
}

#[tokio::test]
async fn lock_without_a_name_exits_128() -> Result<()> {
    let (_server, etcdctl) = start().await?;
    let exit = etcdctl.run(&["lock"]).await?;
    assert_eq!(exit.code(), 128, "{exit:#?}");
    Ok(())
}

#[tokio::test]
async fn a_lease_revoked_under_the_holder_ends_it() -> Result<()> {
    let (server, etcdctl) = start().await?;
    let client = server.client().await?;
    let (mut holder, key) = etcdctl.hold("job", 6).await?;
    client.lease_client().revoke(locks::lease_of(&key)?).await?;

    let exit = holder.exit(SOON).await?;
    assert_eq!(exit.code(), 1, "{exit:#?}");
    assert!(exit.stderr.contains("session expired"), "{exit:#?}");
    assert_eq!(locks::count(&client, "job").await?, 0);
    Ok(())
}

#[tokio::test]
async fn put_get_and_del_print_what_they_do_with_etcd() -> Result<()> {
    let (_server, etcdctl) = start().await?;
    for (arguments, printed) in [
        (&["put", "a", "1"][..], "OK\n"),
        (&["put", "a", "2", "--prev-kv"], "OK\na\n1\n"),
        (&["get", "a"], "a\n2\n"),
        (&["get", "a", "--print-value-only"], "2\n"),
        (&["get", "a", "--rev", "2"], "a\n1\n"),
        (&["get", "nothing"], ""),
        (&["put", "b", "3"], "OK\n"),
        (&["get", "--prefix", ""], "a\n2\nb\n3\n"),
        (
            &["get", "--prefix", "", "--keys-only", "--limit", "1"],
            "a\n\n",
        ),
        (&["del", "a", "--prev-kv"], "1\na\n2\n"),
        (&["del", "a"], "0\n"),
        (&["del", "--prefix", ""], "1\n"),
    ] {
        assert_eq!(etcdctl.output(arguments).await?, printed, "{arguments:?}");
    }
    Ok(())
}

#[tokio::test]
async fn txn_takes_either_branch() -> Result<()> {
    let (_server, etcdctl) = start().await?;
    etcdctl.output(&["put", "a", "2"]).await?;
    let txn = "value(\"a\") = \"2\"\n\nput b 9\nput a 3\nget a\n\nput c 1\nget b\n\n";
    // A get inside it sees its own earlier put.
    let first = etcdctl.output_of_input(&["txn"], txn).await?;
    assert_eq!(first, "SUCCESS\n\nOK\n\nOK\n\na\n3\n");
    let second = etcdctl.output_of_input(&["txn"], txn).await?;
    assert_eq!(second, "FAILURE\n\nOK\n\nb\n9\n");
    Ok(())
}

#[tokio::test]
async fn watch_prints_puts_and_deletes_also_from_an_old_revision() -> Result<()> {
    let (_server, etcdctl) = start().await?;
    etcdctl.output(&["put", "a", "1"]).await?;
    let mut watch = etcdctl.start(&["watch", "a", "--rev", "2"])?;
    watch.stdout_until(SOON, |out| out == "PUT\na\n1\n").await?;
    etcdctl.output(&["put", "a", "2"]).await?;
    etcdctl.output(&["del", "a"]).await?;
    let all = "PUT\na\n1\nPUT\na\n2\nDELETE\na\n\n";
    watch.stdout_until(SOON, |out| out == all).await?;
    Ok(())
}

#[tokio::test]
async fn a_lease_is_granted_listed_kept_alive_and_revoked() -> Result<()> {
    let (_server, etcdctl) = start().await?;
    let granted = etcdctl.output(&["lease", "grant", "100"]).await?;
    let id = granted.split(' ').nth(1).unwrap().to_owned();
    assert_eq!(granted, format!("lease {id} granted with TTL(100s)\n"));
    assert_eq!(
        etcdctl
            .output(&["put", "leased", "x", "--lease", &id])
            .await?,
        "OK\n"
    );
    assert_eq!(
        etcdctl.output(&["lease", "list"]).await?,
        format!("found 1 leases\n{id}\n")
    );
    assert_eq!(
        etcdctl
            .output(&["lease", "keep-alive", "--once", &id])
            .await?,
        format!("lease {id} keepalived with TTL(100)\n")
    );
    let left = etcdctl
        .output(&["lease", "timetolive", &id, "--keys"])
        .await?;
    assert!(left.starts_with(&format!("lease {id} granted with TTL(100s), remaining(")));
    assert!(left.ends_with("), attached keys([leased])\n"), "{left}");
    assert_eq!(
        etcdctl.output(&["lease", "revoke", &id]).await?,
        format!("lease {id} revoked\n")
    );
    assert_eq!(
        etcdctl.output(&["lease", "timetolive", &id]).await?,
        format!("lease {id} already expired\n")
    );
    assert_eq!(etcdctl.output(&["get", "leased"]).await?, "");
    Ok(())
}

#[tokio::test]
async fn compaction_forgets_what_is_older() -> Result<()> {
    let (_server, etcdctl) = start().await?;
    for value in ["1", "2", "3"] {
        etcdctl.output(&["put", "a", value]).await?;
    }
    assert_eq!(
        etcdctl.output(&["compaction", "3"]).await?,
        "compacted revision 3\n"
    );
    assert_eq!(etcdctl.output(&["get", "a", "--rev", "3"]).await?, "a\n2\n");
    for refused in [&["get", "a", "--rev", "2"][..], &["compaction", "3"]] {
        let exit = etcdctl.run(refused).await?;
        assert_eq!(exit.code(), 1, "{exit:#?}");
        let text = "etcdserver: mvcc: required revision has been compacted";
        assert!(exit.stderr.contains(text), "{exit:#?}");
    }
    Ok(())
}

#[tokio::test]
async fn endpoint_and_member_commands_succeed() -> Result<()> {
    let (server, etcdctl) = start().await?;
    let address = server.spec().address();
    let health = etcdctl.output(&["endpoint", "health"]).await?;
    assert!(
        health.starts_with(&format!("{address} is healthy:")),
        "{health}"
    );

    let status = json(&etcdctl, &["endpoint", "status"]).await?;
    let status = &status[0]["Status"];
    assert_eq!(status["version"], "3.7.1");
    assert!(status["leader"].as_u64() > Some(0), "{status}");
    assert!(status["raftTerm"].as_u64() > Some(0), "{status}");

    let members = json(&etcdctl, &["member", "list"]).await?;
    let member = &members["members"][0];
    assert_eq!(member["name"], "default");
    assert_eq!(member["clientURLs"][0], Value::from(server.spec().url()));
    assert_eq!(member["ID"], status["leader"], "it leads itself");
    let line = etcdctl.output(&["member", "list"]).await?;
    ensure!(line.split(", ").nth(1) == Some("started"), "{line}");
    Ok(())
}

async fn json(etcdctl: &Etcdctl, arguments: &[&str]) -> Result<Value> {
    let all = [arguments, &["--write-out", "json"]].concat();
    Ok(serde_json::from_str(&etcdctl.output(&all).await?)?)
}

#[tokio::test]
async fn elect_proclaims_and_a_listener_sees_the_next_leader() -> Result<()> {
    let (server, etcdctl) = start().await?;
    let client = server.client().await?;
    let mut first = etcdctl.start(&["elect", "post", "one"])?;
    let key = granted_key(&mut first).await?;
    first
        .stdout_until(SOON, |out| *out == format!("{key}\none\n"))
        .await?;
    let mut listener = etcdctl.start(&["elect", "--listen", "post"])?;
    listener
        .stdout_until(SOON, |out| out.ends_with("\none\n"))
        .await?;
    let mut second = etcdctl.start(&["elect", "post", "two"])?;
    locks::await_count(&client, "post", 2).await?;

    first.signal("INT").await?;
    first.exit(SOON).await?.ok()?;
    second
        .stdout_until(SOON, |out| out.ends_with("\ntwo\n"))
        .await?;
    listener
        .stdout_until(SOON, |out| out.ends_with("\ntwo\n"))
        .await?;
    second.signal("TERM").await?;
    second.exit(SOON).await?.ok()?;
    until("no key left", async || {
        Ok(locks::count(&client, "post").await? == 0)
    })
    .await
}
