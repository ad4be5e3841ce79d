//! `latchctl lock`, the real program, against a latchd in this process. What a test waits for, it
//! is told: by what the command prints, by an exit, or by a watch on the keys.

use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use etcd_client::{GetOptions, WatchOptions};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::Instant;

/// Longer than anything here takes; a test that runs into it has hung.
const PATIENCE: Duration = Duration::from_secs(60);

struct Fixture {
    server: latchd::Server,
    endpoint: String,
    etcd: etcd_client::Client,
    dir: TempDir,
}

impl Fixture {
    async fn start() -> Fixture {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let config = latchd::Config::local(dir.path().join("data"));
        let server = latchd::Server::start(config)
            .await
            .expect("the server starts");
        let endpoint = format!("http://{}", server.addresses()[0]);
        let etcd = etcd_client::Client::connect([&endpoint], None)
            .await
            .expect("a client");
        Fixture {
            server,
            endpoint,
            etcd,
            dir,
        }
    }

    /// `latchctl lock` with these arguments.
    fn lock(&self, arguments: &[&str]) -> Command {
        latchctl_lock(&self.endpoint, arguments)
    }

    async fn output(&self, arguments: &[&str]) -> Output {
        soon(self.lock(arguments).output())
            .await
            .expect("latchctl runs")
    }

    /// Starts it with a command that prints a line once it is up; that line.
    async fn running(&self, arguments: &[&str]) -> (Child, BufReader<ChildStdout>, String) {
        let mut latchctl = self.lock(arguments).spawn().expect("latchctl runs");
        let mut stdout = BufReader::new(latchctl.stdout.take().expect("a pipe"));
        let mut line = String::new();
        soon(stdout.read_line(&mut line)).await.expect("a line");
        (latchctl, stdout, line.trim().to_owned())
    }

    async fn keys(&self, name: &str) -> Vec<String> {
        let options = GetOptions::new().with_prefix().with_keys_only();
        let mut kv = self.etcd.kv_client();
        let found = kv
            .get(format!("{name}/"), Some(options))
            .await
            .expect("a range");
        found
            .kvs()
            .iter()
            .map(|kv| kv.key_str().expect("UTF-8").to_owned())
            .collect()
    }

    /// Waits until `name` has this many keys.
    async fn wait_for_keys(&self, name: &str, count: usize) {
        let options = WatchOptions::new().with_prefix();
        let mut watch = self.etcd.watch_client();
        let mut changes = watch
            .watch(format!("{name}/"), Some(options))
            .await
            .expect("a watch");
        soon(changes.message()).await.expect("it is created");
        while self.keys(name).await.len() != count {
            soon(changes.message()).await.expect("a change");
        }
    }

    /// Revokes the lease of a lock's key, which is `NAME/~x.<lease>.<attempt>`.
    async fn revoke_lease_of(&self, key: &str) {
        let lease = key.rsplit('.').nth(1).expect("a lease");
        let lease = i64::from_str_radix(lease, 16).expect("hex");
        self.etcd
            .lease_client()
            .revoke(lease)
            .await
            .expect("revoked");
    }
}

fn latchctl_lock(endpoint: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchctl"));
    command
        .args(["lock", "--endpoints", endpoint])
        .args(arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.kill_on_drop(true);
    command
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work)
        .await
        .expect("it hangs")
}

fn send(latchctl: &Child, signal: Signal) {
    let id = latchctl
        .id()
        .expect("it runs")
        .try_into()
        .expect("a process ID");
    kill(Pid::from_raw(id), signal).expect("it is sent");
}

async fn end(latchctl: &mut Child) -> ExitStatus {
    soon(latchctl.wait()).await.expect("an exit code")
}

/// Waits until every process that had this pipe is gone.
async fn closed(stdout: &mut BufReader<ChildStdout>) {
    let mut rest = Vec::new();
    soon(stdout.read_to_end(&mut rest)).await.expect("the end");
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

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
        let output = fixture.output(&["job", "--", "sh", "-c", script]).await;
        assert_eq!(
            output.status.code(),
            Some(code),
            "{script}: {}",
            stderr(&output)
        );
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
        let output = fixture.output(&["job", "--", command]).await;
        assert_eq!(output.status.code(), Some(code));
        assert!(stderr(&output).contains(command), "{}", stderr(&output));
        assert!(fixture.keys("job").await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_is_told_of_the_lock() {
    let fixture = Fixture::start().await;
    let script = "echo $LATCHD_LOCK_NAME $LATCHD_LOCK_KEY $LATCHD_FENCING_TOKEN $ETCD_LOCK_KEY $ETCD_LOCK_REV";
    let mut last = 0;
    for _ in 0..3 {
        let output = fixture.output(&["my/job", "--", "sh", "-c", script]).await;
        let told = String::from_utf8(output.stdout).expect("UTF-8");
        let [name, key, token, etcd_key, etcd_revision] =
            told.split_whitespace().collect::<Vec<_>>()[..]
        else {
            panic!("five words: {told}");
        };
        assert_eq!(name, "my/job");
        assert!(key.starts_with("my/job/"), "{key}");
        assert_eq!((etcd_key, etcd_revision), (key, token));
        let token: i64 = token.parse().expect("a number");
        assert!(token > last, "tokens rise");
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
    let start = |_| {
        fixture
            .lock(&["counter", "--", "sh", "-c", script, path])
            .spawn()
    };
    let running: Vec<_> = (0..10).map(start).collect();
    for latchctl in running {
        let output = soon(latchctl.expect("latchctl runs").wait_with_output()).await;
        let output = output.expect("an exit code");
        assert!(output.status.success(), "{}", stderr(&output));
    }
    assert_eq!(read(&counter), "10");
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path)
        .expect("it is there")
        .trim()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn try_and_timeout_do_not_run_the_command() {
    let fixture = Fixture::start().await;
    let (mut holder, _stdout, key) = fixture
        .running(&[
            "job",
            "--",
            "sh",
            "-c",
            "echo $LATCHD_LOCK_KEY; exec sleep 1000",
        ])
        .await;
    for (option, code) in [(vec!["--try"], 121), (vec!["--timeout", "50ms"], 124)] {
        let arguments = [&["job"], &option[..], &["--", "echo", "ran"]].concat();
        let output = fixture.output(&arguments).await;
        assert_eq!(
            output.status.code(),
            Some(code),
            "{option:?}: {}",
            stderr(&output)
        );
        assert!(output.stdout.is_empty(), "{option:?}");
        assert!(stderr(&output).contains("job"), "{option:?}");
        assert_eq!(fixture.keys("job").await, [key.as_str()], "{option:?}");
    }
    send(&holder, Signal::SIGTERM);
    assert_eq!(end(&mut holder).await.code(), Some(143));
    for option in [vec!["--try"], vec!["--timeout", "0"]] {
        let arguments = [&["job"], &option[..], &["--", "echo", "ran"]].concat();
        assert_eq!(
            fixture.output(&arguments).await.stdout,
            b"ran\n",
            "{option:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_is_ended_when_the_lease_is_revoked() {
    let fixture = Fixture::start().await;
    // A process of the group that the command does not wait for is ended as well.
    let script = "sleep 1000 & echo $LATCHD_LOCK_KEY; exec sleep 1000";
    let (mut latchctl, mut stdout, key) = fixture.running(&["job", "--", "sh", "-c", script]).await;
    fixture.revoke_lease_of(&key).await;
    assert_eq!(end(&mut latchctl).await.code(), Some(120));
    closed(&mut stdout).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_is_ended_when_the_key_is_deleted() {
    let fixture = Fixture::start().await;
    let script = "echo $LATCHD_LOCK_KEY; exec sleep 1000";
    let (mut latchctl, mut stdout, key) = fixture.running(&["job", "--", "sh", "-c", script]).await;
    fixture
        .etcd
        .kv_client()
        .delete(key, None)
        .await
        .expect("deleted");
    assert_eq!(end(&mut latchctl).await.code(), Some(120));
    closed(&mut stdout).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_does_not_listen_is_killed() {
    let fixture = Fixture::start().await;
    let script = "trap '' TERM; echo $LATCHD_LOCK_KEY; while :; do sleep 1000; done";
    let arguments = ["job", "--kill-after", "200ms", "--", "sh", "-c", script];
    let (mut latchctl, mut stdout, key) = fixture.running(&arguments).await;
    fixture.revoke_lease_of(&key).await;
    assert_eq!(end(&mut latchctl).await.code(), Some(120));
    closed(&mut stdout).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_is_ended_when_the_server_is_gone() {
    let fixture = Fixture::start().await;
    let script = "trap '' TERM; echo up; while :; do sleep 1000; done";
    let arguments = ["job", "--ttl", "2", "--", "sh", "-c", script];
    let (mut latchctl, mut stdout, _) = fixture.running(&arguments).await;
    // Whatever was renewed, was renewed before this.
    let stopped = Instant::now();
    fixture.server.stop().await;
    closed(&mut stdout).await;
    assert!(
        stopped.elapsed() < Duration::from_secs(2),
        "it is gone before the TTL is over"
    );
    assert_eq!(end(&mut latchctl).await.code(), Some(120));
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_are_passed_on_and_the_lock_is_released() {
    let fixture = Fixture::start().await;
    for (signal, name, code) in [(Signal::SIGTERM, "TERM", 7), (Signal::SIGINT, "INT", 8)] {
        let script =
            format!("trap 'echo heard; exit {code}' {name}; echo up; while :; do sleep 0.02; done");
        let (mut latchctl, mut stdout, _) =
            fixture.running(&["job", "--", "sh", "-c", &script]).await;
        send(&latchctl, signal);
        let mut heard = String::new();
        soon(stdout.read_to_string(&mut heard))
            .await
            .expect("the end");
        assert_eq!(heard, "heard\n");
        assert_eq!(end(&mut latchctl).await.code(), Some(code), "{name}");
        assert!(fixture.keys("job").await.is_empty(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_while_waiting_leaves_no_key() {
    let fixture = Fixture::start().await;
    let holder = ["job", "--", "sh", "-c", "echo up; exec sleep 1000"];
    let (mut holder, _stdout, _) = fixture.running(&holder).await;
    let mut waiter = fixture
        .lock(&["job", "--", "echo", "ran"])
        .spawn()
        .expect("latchctl runs");
    fixture.wait_for_keys("job", 2).await;
    send(&waiter, Signal::SIGINT);
    assert_eq!(end(&mut waiter).await.code(), Some(130));
    assert_eq!(fixture.keys("job").await.len(), 1);
    send(&holder, Signal::SIGTERM);
    end(&mut holder).await;
}

/// Only Linux can do it.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn the_command_dies_with_latchctl() {
    let fixture = Fixture::start().await;
    let script = "echo up; exec sleep 1000";
    let (mut latchctl, mut stdout, _) = fixture.running(&["job", "--", "sh", "-c", script]).await;
    send(&latchctl, Signal::SIGKILL);
    end(&mut latchctl).await;
    closed(&mut stdout).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_is_ignored_stays_so() {
    let fixture = Fixture::start().await;
    let latchctl = env!("CARGO_BIN_EXE_latchctl");
    let script = "trap '' HUP; exec \"$@\"";
    let job = "kill -HUP $$; kill -HUP $PPID; echo alive";
    let mut nohup = Command::new("sh");
    nohup.args([
        "-c",
        script,
        "sh",
        latchctl,
        "lock",
        "--endpoints",
        &fixture.endpoint,
    ]);
    nohup.args(["job", "--", "sh", "-c", job]);
    let output = soon(nohup.output()).await.expect("sh runs");
    assert_eq!(output.stdout, b"alive\n", "{}", stderr(&output));
    assert!(output.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_excludes_the_lock_service() {
    let fixture = Fixture::start().await;
    let held = fixture
        .etcd
        .lock_client()
        .lock("job", None)
        .await
        .expect("the lock");
    let output = fixture.output(&["job", "--try", "--", "true"]).await;
    assert_eq!(output.status.code(), Some(121));
    let waiter = fixture
        .lock(&["job", "--", "echo", "ran"])
        .spawn()
        .expect("latchctl runs");
    fixture.wait_for_keys("job", 2).await;
    fixture
        .etcd
        .lock_client()
        .unlock(held.key())
        .await
        .expect("released");
    let output = soon(waiter.wait_with_output()).await.expect("an exit code");
    assert_eq!(output.stdout, b"ran\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there() {
    let fixture = Fixture::start().await;
    fixture.server.stop().await;
    let output = latchctl_lock(&fixture.endpoint, &["job", "--", "echo", "ran"]).output();
    let output = soon(output).await.expect("latchctl runs");
    assert_eq!(output.status.code(), Some(125));
    assert!(output.stdout.is_empty());
    assert!(
        stderr(&output).contains("no server could be reached"),
        "{}",
        stderr(&output)
    );
}

/// In a terminal of its own, made by script(1), and what was typed there.
async fn typed(fixture: &Fixture, command: &str, typed: &str) -> String {
    let latchctl = env!("CARGO_BIN_EXE_latchctl");
    let line = format!(
        "{latchctl} lock --endpoints {} job -- {command}; echo left=$?",
        fixture.endpoint
    );
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).kill_on_drop(true);
    let mut script = script
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script(1)");
    let mut keyboard = script.stdin.take().expect("a pipe");
    let mut screen = BufReader::new(script.stdout.take().expect("a pipe"));
    let mut shown = String::new();
    while !shown.contains("ready") {
        assert_ne!(
            soon(screen.read_line(&mut shown)).await.expect("a line"),
            0,
            "{shown}"
        );
    }
    keyboard.write_all(typed.as_bytes()).await.expect("typed");
    soon(screen.read_to_string(&mut shown))
        .await
        .expect("the end");
    shown
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
async fn usage() {
    let latchctl = || Command::new(env!("CARGO_BIN_EXE_latchctl"));
    let version = latchctl()
        .arg("version")
        .output()
        .await
        .expect("latchctl runs");
    let expected = format!("latchctl version: {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(&version.stdout), expected);
    let help = latchctl()
        .args(["lock", "--help"])
        .output()
        .await
        .expect("latchctl runs");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    for word in [
        "--try",
        "--timeout",
        "--kill-after",
        "120",
        "121",
        "124",
        "LATCHD_FENCING_TOKEN",
    ] {
        assert!(help.contains(word), "{word}");
    }
    let wrong = latchctl()
        .args(["lock", "job"])
        .output()
        .await
        .expect("latchctl runs");
    assert_eq!(wrong.status.code(), Some(2));
}
