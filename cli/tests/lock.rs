//! `latchctl lock`, the real program, against a latchd in this process.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod common;

use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::time::{Duration, Instant};

use common::{Fixture, bare, soon, stderr, stdout};

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_exit_code_comes_through() {
    let fixture = Fixture::start().await;
    let cases = [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -KILL $$", 137),
        ("kill -TERM $$", 143),
    ];
    for (script, code) in cases {
        let arguments = ["lock", "job", "--", "sh", "-c", script];
        let output = fixture.latchctl.output(&arguments).await;
        assert_eq!(output.status.code(), Some(code), "{script}: {output:?}");
        assert_eq!(stderr(&output), "", "{script}");
    }
    assert!(fixture.keys("job").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_cannot_be_run() {
    let fixture = Fixture::start().await;
    let script = fixture.dir.path().join("not-executable");
    std::fs::write(&script, "").expect("written");
    let script = script.to_str().expect("UTF-8");
    for (command, code) in [("no-such-command-anywhere", 127), (script, 126)] {
        let output = fixture
            .latchctl
            .output(&["lock", "job", "--", command])
            .await;
        assert_eq!(output.status.code(), Some(code));
        assert!(stderr(&output).contains(command), "{}", stderr(&output));
        assert!(fixture.keys("job").await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_is_told_of_the_lock() {
    let fixture = Fixture::start().await;
    let script = "echo $LATCHD_LOCK_NAME $LATCHD_LOCK_KEY $LATCHD_FENCING_TOKEN $ETCD_LOCK_KEY $ETCD_LOCK_REV $LATCHD_OWNER";
    let mut last = 0;
    for _ in 0..3 {
        let arguments = ["lock", "my/job", "--owner", "ann", "--", "sh", "-c", script];
        let told = fixture.latchctl.ok(&arguments).await;
        let [name, key, token, etcd_key, etcd_revision, owner] =
            told.split_whitespace().collect::<Vec<_>>()[..]
        else {
            panic!("six words: {told}");
        };
        assert_eq!((name, owner), ("my/job", "ann"));
        assert!(key.starts_with("my/job/"), "{key}");
        assert_eq!(etcd_key, key);
        let [token, revision]: [i64; 2] = [token, etcd_revision].map(|n| n.parse().unwrap());
        assert!(token > last && revision >= token, "tokens rise: {told}");
        last = token;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_at_once_count_right() {
    let fixture = Fixture::start().await;
    let counter = fixture.dir.path().join("counter");
    std::fs::write(&counter, "0").expect("written");
    let script = "n=$(cat \"$0\"); echo $((n + 1)) > \"$0\"";
    let path = counter.to_str().expect("UTF-8");
    let arguments = ["lock", "counter", "--", "sh", "-c", script, path];
    let running: Vec<_> = (0..10)
        .map(|_| fixture.latchctl.start(&arguments))
        .collect();
    for mut latchctl in running {
        assert!(
            latchctl.exit().await.success(),
            "{}",
            latchctl.errors().await
        );
    }
    assert_eq!(read(&counter), "10");
}

fn read(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("it is there");
    text.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn try_and_timeout_do_not_run_the_command() {
    let fixture = Fixture::start().await;
    let mut holder = fixture.latchctl.hold(&["job"]).await;
    let held = fixture.keys("job").await;
    for (option, code) in [(vec!["--try"], 121), (vec!["--timeout", "50ms"], 124)] {
        let arguments = [&["lock", "job"], &option[..], &["--", "echo", "ran"]].concat();
        let output = fixture.latchctl.output(&arguments).await;
        assert_eq!(output.status.code(), Some(code), "{option:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{option:?}");
        assert!(stderr(&output).contains("job"), "{option:?}");
        assert_eq!(fixture.keys("job").await, held, "{option:?}");
    }
    assert_eq!(holder.end(Signal::SIGTERM).await, Some(143));
    for option in [vec!["--try"], vec!["--timeout", "0"]] {
        let arguments = [&["lock", "job"], &option[..], &["--", "echo", "ran"]].concat();
        assert_eq!(fixture.latchctl.ok(&arguments).await, "ran\n", "{option:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_share_and_a_writer_waits_for_all_of_them() {
    let fixture = Fixture::start().await;
    let mut readers = Vec::new();
    for _ in 0..2 {
        readers.push(fixture.latchctl.hold(&["index", "--shared"]).await);
    }
    let writing = fixture
        .latchctl
        .output(&["lock", "index", "--try", "--", "true"])
        .await;
    assert_eq!(writing.status.code(), Some(121));
    let mut writer = fixture
        .latchctl
        .start(&["lock", "index", "--", "echo", "written"]);
    fixture.wait_for_keys("index", 3).await;
    // Who comes after a waiting writer waits behind it.
    let late = ["lock", "index", "--shared", "--try", "--", "true"];
    assert_eq!(
        fixture.latchctl.output(&late).await.status.code(),
        Some(121)
    );
    for reader in &mut readers {
        reader.end(Signal::SIGTERM).await;
    }
    assert_eq!(writer.rest().await, "written\n");
    assert!(writer.exit().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_semaphore_has_so_many_permits() {
    let fixture = Fixture::start().await;
    let mut first = fixture.latchctl.hold(&["gpu", "--semaphore", "2"]).await;
    let _second = fixture.latchctl.hold(&["gpu", "--semaphore", "2"]).await;
    let third = ["lock", "gpu", "--semaphore", "2", "--try", "--", "true"];
    assert_eq!(
        fixture.latchctl.output(&third).await.status.code(),
        Some(121)
    );
    first.end(Signal::SIGTERM).await;
    assert!(fixture.latchctl.output(&third).await.status.success());
    // Those who disagree are told.
    let other = ["lock", "gpu", "--semaphore", "3", "--try", "--", "true"];
    let refused = fixture.latchctl.output(&other).await;
    assert_eq!(refused.status.code(), Some(125), "{refused:?}");
    assert!(stderr(&refused).contains("permits"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_names_are_held_together_or_not_at_all() {
    let fixture = Fixture::start().await;
    let mut one = fixture.latchctl.hold(&["b"]).await;
    let both = [
        "lock",
        "a",
        "b",
        "--try",
        "--",
        "sh",
        "-c",
        "echo \"$LATCHD_LOCK_NAME\"",
    ];
    assert_eq!(
        fixture.latchctl.output(&both).await.status.code(),
        Some(121)
    );
    assert!(fixture.keys("a").await.is_empty());
    one.end(Signal::SIGTERM).await;
    assert_eq!(fixture.latchctl.ok(&both).await, "a\nb\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_command_it_is_held_until_a_signal() {
    let fixture = Fixture::start().await;
    let (mut holder, line) = fixture.latchctl.running(&["lock", "job"]).await;
    assert!(line.starts_with("job: held with the token "), "{line}");
    assert_eq!(fixture.keys("job").await.len(), 1);
    assert_eq!(holder.end(Signal::SIGINT).await, Some(0));
    assert!(fixture.keys("job").await.is_empty());
    let mut holder = fixture.latchctl.start(&["lock", "job", "-o", "json"]);
    let told = holder.json_line().await;
    assert_eq!(told["name"], "job");
    assert_eq!(told["key"], fixture.keys("job").await[0].as_str());
    fixture.delete(told["key"].as_str().unwrap()).await;
    assert_eq!(holder.exit().await.code(), Some(120));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_is_ended_when_the_lease_is_revoked() {
    let fixture = Fixture::start().await;
    // A process of the group that the command does not wait for is ended as well.
    let script = "sleep 1000 & echo $LATCHD_LOCK_KEY; exec sleep 1000";
    let arguments = ["lock", "job", "--", "sh", "-c", script];
    let (mut latchctl, key) = fixture.latchctl.running(&arguments).await;
    fixture.revoke_lease_of(&key).await;
    assert_eq!(latchctl.exit().await.code(), Some(120));
    latchctl.rest().await;
    assert!(latchctl.errors().await.contains("lost"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_is_ended_when_the_key_is_deleted() {
    let fixture = Fixture::start().await;
    let mut latchctl = fixture.latchctl.hold(&["job"]).await;
    fixture.delete(&fixture.keys("job").await[0]).await;
    assert_eq!(latchctl.exit().await.code(), Some(120));
    latchctl.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_does_not_listen_is_killed() {
    let fixture = Fixture::start().await;
    let script = "trap '' TERM; echo $LATCHD_LOCK_KEY; while :; do sleep 1000; done";
    let arguments = [
        "lock",
        "job",
        "--kill-after",
        "200ms",
        "--",
        "sh",
        "-c",
        script,
    ];
    let (mut latchctl, key) = fixture.latchctl.running(&arguments).await;
    fixture.revoke_lease_of(&key).await;
    assert_eq!(latchctl.exit().await.code(), Some(120));
    latchctl.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_is_ended_when_the_server_is_gone() {
    let mut fixture = Fixture::start().await;
    let script = "trap '' TERM; echo up; while :; do sleep 1000; done";
    let arguments = ["lock", "job", "--ttl", "5", "--", "sh", "-c", script];
    let (mut latchctl, _) = fixture.latchctl.running(&arguments).await;
    // Whatever was renewed, was renewed before this.
    let stopped = Instant::now();
    fixture.stop().await;
    latchctl.rest().await;
    assert!(
        stopped.elapsed() < Duration::from_secs(5),
        "it is gone before the TTL is over"
    );
    assert_eq!(latchctl.exit().await.code(), Some(120));
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_are_passed_on_and_the_lock_is_released() {
    let fixture = Fixture::start().await;
    for (signal, name, code) in [(Signal::SIGTERM, "TERM", 7), (Signal::SIGINT, "INT", 8)] {
        let script =
            format!("trap 'echo heard; exit {code}' {name}; echo up; while :; do sleep 0.02; done");
        let arguments = ["lock", "job", "--", "sh", "-c", &script];
        let (mut latchctl, _) = fixture.latchctl.running(&arguments).await;
        latchctl.send(signal);
        assert_eq!(latchctl.rest().await, "heard\n");
        assert_eq!(latchctl.exit().await.code(), Some(code), "{name}");
        assert!(fixture.keys("job").await.is_empty(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_while_waiting_leaves_no_key() {
    let fixture = Fixture::start().await;
    let _holder = fixture.latchctl.hold(&["job"]).await;
    let mut waiter = fixture
        .latchctl
        .start(&["lock", "job", "--", "echo", "ran"]);
    fixture.wait_for_keys("job", 2).await;
    assert_eq!(waiter.end(Signal::SIGINT).await, Some(130));
    assert_eq!(fixture.keys("job").await.len(), 1);
    assert_eq!(waiter.rest().await, "");
}

/// Only Linux can do it.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn the_command_dies_with_latchctl() {
    let fixture = Fixture::start().await;
    let mut latchctl = fixture.latchctl.hold(&["job"]).await;
    latchctl.end(Signal::SIGKILL).await;
    latchctl.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_is_ignored_stays_so() {
    let fixture = Fixture::start().await;
    let job = "kill -HUP $$; kill -HUP $PPID; echo alive";
    let mut nohup = Command::new("sh");
    nohup.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]);
    nohup.arg(env!("CARGO_BIN_EXE_latchctl"));
    nohup.args(["lock", "--endpoints", &fixture.latchctl.endpoint]);
    nohup.args(["job", "--", "sh", "-c", job]);
    let output = soon(nohup.output()).await.expect("sh runs");
    assert_eq!(output.stdout, b"alive\n", "{}", stderr(&output));
    assert!(output.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_excludes_the_lock_service() {
    let fixture = Fixture::start().await;
    let mut locks = fixture.etcd.lock_client();
    let held = locks.lock("job", None).await.expect("the lock");
    let trying = ["lock", "job", "--try", "--", "true"];
    assert_eq!(
        fixture.latchctl.output(&trying).await.status.code(),
        Some(121)
    );
    let mut waiter = fixture
        .latchctl
        .start(&["lock", "job", "--", "echo", "ran"]);
    fixture.wait_for_keys("job", 2).await;
    locks.unlock(held.key()).await.expect("released");
    assert_eq!(waiter.rest().await, "ran\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_under_a_lock_is_its_holders_and_a_deadlock_is_refused() {
    let fixture = Fixture::start().await;
    let inner = format!(
        "{} lock a --owner bob -- echo ran",
        env!("CARGO_BIN_EXE_latchctl")
    );
    // bob waits for a under b; ann, who has a, then asks for b.
    let _ann = fixture.latchctl.hold(&["a", "--owner", "ann"]).await;
    let mut bob = fixture
        .latchctl
        .start(&["lock", "b", "--owner", "bob", "--", "sh", "-c", &inner]);
    fixture.wait_for_keys("a", 2).await;
    let ann = ["lock", "b", "--owner", "ann", "--", "echo", "ran"];
    let refused = fixture.latchctl.output(&ann).await;
    assert_eq!(refused.status.code(), Some(121), "{refused:?}");
    let told = stderr(&refused);
    assert!(told.contains("deadlock") && told.contains("bob"), "{told}");
    let history = fixture.latchctl.json(&["history"]).await;
    assert_eq!(history["deadlocks"][0]["resolved"], true, "{history}");
    bob.end(Signal::SIGTERM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_may_release_its_lock_and_go_on() {
    let fixture = Fixture::start().await;
    let script = format!(
        "echo up; {} release job; echo released; read line; exit 7",
        env!("CARGO_BIN_EXE_latchctl")
    );
    let mut command = fixture
        .latchctl
        .command(&["lock", "job", "--", "sh", "-c", &script]);
    let mut first = command.stdin(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines();
    let mut told = Vec::new();
    while told.last().is_none_or(|line| line != "released") {
        told.push(soon(lines.next_line()).await.unwrap().expect("a line"));
    }
    // Another one has it while the first one's command goes on.
    let next = ["lock", "job", "--try", "--", "echo", "mine"];
    assert_eq!(fixture.latchctl.ok(&next).await, "mine\n");
    drop(first.stdin.take());
    let output = soon(first.wait_with_output()).await.expect("an exit code");
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert_eq!(stderr(&output), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there() {
    let mut fixture = Fixture::start().await;
    fixture.stop().await;
    let arguments = [
        "lock",
        "job",
        "--command-timeout",
        "1s",
        "--",
        "echo",
        "ran",
    ];
    let output = fixture.latchctl.output(&arguments).await;
    assert_eq!(output.status.code(), Some(123), "{output:?}");
    assert_eq!(stdout(&output), "");
    let told = stderr(&output);
    assert!(told.contains(&fixture.latchctl.endpoint), "{told}");
    assert!(told.contains("--endpoints"), "{told}");
}

/// In a terminal of its own, made by script(1), and what was typed there once it was `ready`.
async fn typed(fixture: &Fixture, command: &str, typed: &str) -> String {
    typed_after(fixture, command, &["ready"], typed).await
}

/// The same, once all of these were shown.
async fn typed_after(fixture: &Fixture, command: &str, parts: &[&str], typed: &str) -> String {
    let latchctl = env!("CARGO_BIN_EXE_latchctl");
    let endpoint = &fixture.latchctl.endpoint;
    let line = format!("{latchctl} lock --endpoints {endpoint} job -- {command}; echo left=$?");
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).kill_on_drop(true);
    let mut script = script
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script(1)");
    let mut keyboard = script.stdin.take().expect("a pipe");
    let mut screen = BufReader::new(script.stdout.take().expect("a pipe"));
    let mut shown = Vec::new();
    let text = |shown: &[u8]| String::from_utf8_lossy(shown).into_owned();
    while !parts.iter().all(|part| text(&shown).contains(part)) {
        let read = soon(screen.read_buf(&mut shown)).await.expect("a piece");
        assert_ne!(read, 0, "{}", text(&shown));
    }
    keyboard.write_all(typed.as_bytes()).await.expect("typed");
    soon(screen.read_to_end(&mut shown)).await.expect("the end");
    text(&shown)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_may_read_from_the_terminal() {
    let fixture = Fixture::start().await;
    let command =
        "sh -c 'echo ready; read answer; echo it is $answer'; read answer; echo then $answer";
    let shown = typed(&fixture, command, "yes\nno\n").await;
    assert!(
        shown.contains("it is yes") && shown.contains("then no"),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_from_the_terminal_ends_the_command() {
    let fixture = Fixture::start().await;
    let shown = typed(&fixture, "sh -c 'echo ready; exec sleep 1000'", "\x03").await;
    assert!(shown.contains("left=130"), "{shown}");
    assert!(fixture.keys("job").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_not_suspended() {
    let fixture = Fixture::start().await;
    let command = "sh -c 'echo ready; read answer; echo it is $answer'";
    let shown = typed(&fixture, command, "\x1ayes\n").await;
    assert!(
        shown.contains("is not suspended") && shown.contains("it is yes"),
        "{shown}"
    );
}

#[tokio::test]
async fn what_waits_shows_it_only_to_a_terminal() {
    let fixture = Fixture::start().await;
    let _holder = fixture.latchctl.hold(&["job", "--owner", "ann"]).await;
    let arguments = ["lock", "job", "--timeout", "1s", "--", "true"];
    let output = fixture.latchctl.output(&arguments).await;
    assert!(!stderr(&output).contains("waiting for"), "{output:?}");
    // It returns once both are shown.
    let parts = ["waiting for job", "held by ann"];
    typed_after(&fixture, "true", &parts, "\x03").await;
}

#[tokio::test]
async fn a_name_that_is_no_text_is_refused() {
    let output = bare(&["lock", "--hex", "\\xff", "--", "true"]).output();
    let output = soon(output).await.expect("latchctl runs");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stderr(&output).contains("UTF-8"), "{output:?}");
}
