//! latchctl against servers as they are installed: the latchd binary, and a real etcd 3.7.1.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod common;

use std::time::Duration;

use latchd_conformance::etcdctl::Etcdctl;
use latchd_conformance::server::{Server, Spec};
use latchd_conformance::target::Kind;
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::time::Instant;

use common::{Latchctl, keys, soon, stderr, stdout, wait_for_keys};

/// A server, latchctl and etcdctl pointed at it, and a client that looks.
struct Outside {
    server: Server,
    latchctl: Latchctl,
    etcdctl: Etcdctl,
    etcd: etcd_client::Client,
}

impl Outside {
    async fn of(kind: Kind) -> Outside {
        let server = Spec::of(kind).unwrap().start().await.unwrap();
        let latchctl = Latchctl {
            endpoint: server.spec().url(),
        };
        Outside {
            latchctl,
            etcdctl: Etcdctl::new(server.spec().address()).unwrap(),
            etcd: server.client().await.unwrap(),
            server,
        }
    }

    /// Both kinds, one after the other.
    async fn each(mut check: impl AsyncFnMut(Outside)) {
        for kind in Kind::both_from_env().unwrap() {
            check(Outside::of(kind).await).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_hold_a_lock_works_on_both() {
    Outside::each(async |outside| {
        let latchctl = &outside.latchctl;
        let script = "echo $LATCHD_LOCK_NAME; exit 7";
        let output = latchctl
            .output(&["lock", "job", "--", "sh", "-c", script])
            .await;
        assert_eq!(output.status.code(), Some(7), "{output:?}");
        assert_eq!(stdout(&output), "job\n");
        assert!(keys(&outside.etcd, "job").await.is_empty());

        let mut reader = latchctl.hold(&["index", "--shared"]).await;
        let sharing = ["lock", "index", "--shared", "--try", "--", "echo", "too"];
        assert_eq!(latchctl.ok(&sharing).await, "too\n");
        for (option, code) in [(vec!["--try"], 121), (vec!["--timeout", "100ms"], 124)] {
            let arguments = [&["lock", "index"], &option[..], &["--", "true"]].concat();
            let output = latchctl.output(&arguments).await;
            assert_eq!(output.status.code(), Some(code), "{output:?}");
        }
        assert_eq!(reader.end(Signal::SIGTERM).await, Some(143));

        let _permit = latchctl.hold(&["gpu", "--semaphore", "2"]).await;
        let _other = latchctl.hold(&["gpu", "--semaphore", "2"]).await;
        let third = ["lock", "gpu", "--semaphore", "2", "--try", "--", "true"];
        assert_eq!(latchctl.output(&third).await.status.code(), Some(121));

        let several = ["lock", "gpu", "other", "--try", "--", "true"];
        assert_eq!(latchctl.output(&several).await.status.code(), Some(121));
        assert!(keys(&outside.etcd, "other").await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn etcdctl_is_excluded_and_seen_on_both() {
    Outside::each(async |outside| {
        let latchctl = &outside.latchctl;
        let (holder, key) = outside.etcdctl.hold("job", 10).await.unwrap();
        let output = latchctl
            .output(&["lock", "job", "--try", "--", "true"])
            .await;
        assert_eq!(output.status.code(), Some(121), "{output:?}");
        let mut waiter = latchctl.start(&["lock", "job", "--", "echo", "ran"]);
        wait_for_keys(&outside.etcd, "job", 2).await;
        let locks = latchctl.json(&["ls"]).await;
        assert_eq!(locks[0]["name"], "job", "{locks}");
        assert_eq!(locks[0]["holders"][0]["key"], key.as_str(), "{locks}");
        let lock = latchctl.json(&["show", "job"]).await;
        assert_eq!(lock["waiting"].as_array().unwrap().len(), 1, "{lock}");
        assert!(
            latchctl
                .ok(&["show", "job"])
                .await
                .starts_with("job: exclusive")
        );
        let token = lock["holders"][0]["token"].to_string();
        assert!(
            latchctl
                .ok(&["verify", "job", &token])
                .await
                .contains("held")
        );
        holder.signal("TERM").await.unwrap();
        assert_eq!(waiter.rest().await, "ran\n");
        let stale = latchctl.output(&["verify", "job", &token]).await;
        assert_eq!(stale.status.code(), Some(1), "{stale:?}");
        assert_eq!(latchctl.json(&["ls"]).await, json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_told_on_both() {
    Outside::each(async |outside| {
        let latchctl = &outside.latchctl;
        let mut watch = latchctl.start(&["watch", "team/", "-o", "json"]);
        assert_eq!(watch.json_line().await["event"], "snapshot");
        let mut holder = latchctl.hold(&["team/job", "--owner", "ann"]).await;
        let acquired = watch.json_line().await;
        assert_eq!(acquired["event"], "acquired", "{acquired}");
        assert_eq!(acquired["contender"]["owner"], "ann", "{acquired}");
        holder.end(Signal::SIGTERM).await;
        // An etcd's keys don't tell how a hold ended.
        let over = watch.json_line().await;
        let how = if outside.server.is_latchd() {
            "released"
        } else {
            "ended"
        };
        assert_eq!(
            (&over["event"], &over["name"]),
            (&json!(how), &json!("team/job"))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_taken_away_on_both() {
    Outside::each(async |outside| {
        let latchctl = &outside.latchctl;
        let mut holder = latchctl.hold(&["job"]).await;
        let lock = latchctl.json(&["show", "job"]).await;
        let token = lock["holders"][0]["token"].to_string();
        latchctl
            .ok(&["release", "job", "--force", "--token", &token])
            .await;
        assert_eq!(holder.exit().await.code(), Some(120));
        holder.rest().await;
        let again = latchctl
            .output(&["release", "job", "--force", "--token", &token])
            .await;
        assert_eq!(again.status.code(), Some(1), "{again:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn elections_are_those_of_etcdctl_on_both() {
    Outside::each(async |outside| {
        let latchctl = &outside.latchctl;
        let (mut leader, key) = latchctl.running(&["elect", "boss", "ann"]).await;
        assert_eq!(leader.line().await, "ann");
        let mut observer = outside.etcdctl.start(&["elect", "-l", "boss"]).unwrap();
        let seen = observer
            .stdout_until(common::PATIENCE, |out| out.contains("ann"))
            .await;
        assert!(seen.unwrap().contains(&key));
        let mut second = outside.etcdctl.start(&["elect", "boss", "bob"]).unwrap();
        wait_for_keys(&outside.etcd, "boss", 2).await;
        let mut own = latchctl.start(&["elect", "-l", "boss"]);
        assert_eq!((own.line().await, own.line().await.as_str()), (key, "ann"));
        assert_eq!(leader.end(Signal::SIGINT).await, Some(0));
        second
            .stdout_until(common::PATIENCE, |out| out.contains("bob"))
            .await
            .unwrap();
        own.line().await;
        assert_eq!(own.line().await, "bob");
    })
    .await;
}

/// Nobody else can have the lock before the TTL is over, and by then the command is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_ends_the_command_in_time_on_both() {
    Outside::each(async |mut outside| {
        let script = "trap '' TERM; echo up; while :; do sleep 1000; done";
        let arguments = ["lock", "job", "--ttl", "8s", "--", "sh", "-c", script];
        let (mut latchctl, _) = outside.latchctl.running(&arguments).await;
        // Whatever was renewed, was renewed before this.
        let killed = Instant::now();
        outside.server.kill().await.unwrap();
        latchctl.rest().await;
        assert!(
            killed.elapsed() < Duration::from_secs(8),
            "{:?}",
            killed.elapsed()
        );
        assert_eq!(latchctl.exit().await.code(), Some(120));
        assert!(latchctl.errors().await.contains("lost"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_in_time_leaves_the_command_alone_on_both() {
    Outside::each(async |mut outside| {
        let script = "echo up; read line; echo done; exit 3";
        let mut command = outside
            .latchctl
            .command(&["lock", "job", "--ttl", "30s", "--", "sh", "-c", script]);
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        wait_for_keys(&outside.etcd, "job", 1).await;
        outside.server.kill().await.unwrap();
        outside.server.start_again().await.unwrap();
        drop(child.stdin.take());
        let output = soon(child.wait_with_output()).await.unwrap();
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert_eq!(stdout(&output), "up\ndone\n");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_etcd_does_not_have_is_told() {
    let outside = Outside::of(Kind::Etcd).await;
    for looks in [vec!["history"], vec!["session", "ls"], vec!["deadlocks"]] {
        let output = outside.latchctl.output(&looks).await;
        assert_eq!(output.status.code(), Some(125), "{looks:?}: {output:?}");
        assert!(stderr(&output).contains("etcd"), "{looks:?}: {output:?}");
    }
    let report = outside
        .latchctl
        .json(&["bench", "-c", "2", "-t", "300ms"])
        .await;
    assert!(report["cycles"].as_u64().unwrap() > 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_have_to_say_who_they_are() {
    let outside = Outside::of(Kind::Etcd).await;
    let etcdctl = &outside.etcdctl;
    etcdctl
        .output(&["user", "add", "root:secret"])
        .await
        .unwrap();
    etcdctl
        .output(&["user", "grant-role", "root", "root"])
        .await
        .unwrap();
    etcdctl.output(&["auth", "enable"]).await.unwrap();
    let nobody = outside
        .latchctl
        .output(&["lock", "job", "--", "true"])
        .await;
    assert_eq!(nobody.status.code(), Some(125), "{nobody:?}");
    assert!(stderr(&nobody).contains("--user"), "{nobody:?}");
    let wrong = outside.latchctl.output(&["ls", "--user", "root:x"]).await;
    assert_eq!(wrong.status.code(), Some(125), "{wrong:?}");
    assert!(stderr(&wrong).contains("password"), "{wrong:?}");
    let root = ["lock", "job", "--user", "root:secret", "--", "echo", "ran"];
    assert_eq!(outside.latchctl.ok(&root).await, "ran\n");
    let mut command = outside.latchctl.command(&["ls", "-o", "json"]);
    command.envs([("ETCDCTL_USER", "root"), ("ETCDCTL_PASSWORD", "secret")]);
    let listed = soon(command.output()).await.unwrap();
    assert_eq!(stdout(&listed).trim(), "[]", "{listed:?}");
}

/// Files of a certificate that vouches for itself, and its key.
fn certificate(dir: &std::path::Path, name: &str) -> [String; 2] {
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let [cert, key] = ["pem", "key"].map(|kind| dir.join(format!("{name}.{kind}")));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    [cert, key].map(|path| path.to_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_tls_is_verified() {
    let dir = tempfile::tempdir().unwrap();
    let [cert, key] = certificate(dir.path(), "server");
    let [stranger, _] = certificate(dir.path(), "stranger");
    let spec = Spec::of(Kind::Etcd).unwrap();
    let url = format!("https://{}", spec.address());
    let spec = spec
        .flag(format!("--listen-client-urls={url}"))
        .flag(format!("--advertise-client-urls={url}"))
        .flag(format!("--cert-file={cert}"))
        .flag(format!("--key-file={key}"));
    let server = spec.start().await.unwrap();
    let latchctl = |endpoint: String| Latchctl { endpoint };
    let lock = ["lock", "job", "--", "echo", "ran"];
    // With a scheme, and without one, where the option says enough.
    for endpoint in [url.clone(), server.spec().address()] {
        let mut command = latchctl(endpoint).command(&lock);
        command.env("ETCDCTL_CACERT", &cert);
        let output = soon(command.output()).await.unwrap();
        assert_eq!(stdout(&output), "ran\n", "{output:?}");
    }
    let unverified = [&lock[..2], &["--insecure-skip-tls-verify"], &lock[2..]].concat();
    let output = latchctl(url.clone()).output(&unverified).await;
    assert_eq!(stdout(&output), "ran\n", "{output:?}");
    for (options, advice) in [
        (vec![], "--cacert"),
        (vec!["--cacert", &stranger], "--cacert"),
    ] {
        let arguments = [
            &lock[..2],
            &options,
            &["--command-timeout", "1s"],
            &lock[2..],
        ]
        .concat();
        let output = latchctl(url.clone()).output(&arguments).await;
        assert_eq!(output.status.code(), Some(123), "{options:?}: {output:?}");
        assert!(stderr(&output).contains(advice), "{options:?}: {output:?}");
    }
}
