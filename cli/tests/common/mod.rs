//! A latchd in this process, and the real latchctl that is pointed at it. What a test waits for, it
//! is told: by what a command prints, by an exit, or by a watch on the keys.

#![allow(dead_code, reason = "not every test file uses all of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use etcd_client::{GetOptions, WatchOptions};
use latchd_conformance::{ports, process};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

/// Longer than anything here takes; a test that runs into it has hung.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A command for `latchctl lock` that tells when it has started, and does not end by itself.
pub const HOLD: [&str; 4] = ["--", "sh", "-c", "echo up; exec sleep 1000"];

/// The real program, pointed at a server.
pub struct Latchctl {
    pub endpoint: String,
}

/// One that runs.
pub struct Running {
    pub child: Child,
    pub stdout: BufReader<ChildStdout>,
}

/// A server in this process.
pub struct Fixture {
    pub server: Option<latchd::Server>,
    pub latchctl: Latchctl,
    pub etcd: etcd_client::Client,
    pub dir: TempDir,
}

impl Fixture {
    pub async fn start() -> Fixture {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut config = latchd::Config::local(dir.path().join("data"));
        // One that no connection is given once the server has stopped.
        let port = ports::free().expect("a port");
        let url = format!("http://127.0.0.1:{port}");
        config.listen_client_urls = vec![url.parse().expect("a URL")];
        let server = latchd::Server::start(config)
            .await
            .expect("the server starts");
        let endpoint = format!("http://{}", server.addresses()[0]);
        let etcd = etcd_client::Client::connect([&endpoint], None)
            .await
            .expect("a client");
        Fixture {
            server: Some(server),
            latchctl: Latchctl { endpoint },
            etcd,
            dir,
        }
    }

    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    pub async fn keys(&self, name: &str) -> Vec<String> {
        keys(&self.etcd, name).await
    }

    /// Waits until `name` has this many keys.
    pub async fn wait_for_keys(&self, name: &str, count: usize) {
        wait_for_keys(&self.etcd, name, count).await;
    }

    /// Revokes the lease of a lock's key.
    pub async fn revoke_lease_of(&self, key: &str) {
        let lease = lease_of(&self.etcd, key).await;
        let mut leases = self.etcd.lease_client();
        leases.revoke(lease).await.expect("revoked");
    }

    pub async fn delete(&self, key: &str) {
        let mut kv = self.etcd.kv_client();
        kv.delete(key, None).await.expect("deleted");
    }
}

/// The keys of a lock.
pub async fn keys(etcd: &etcd_client::Client, name: &str) -> Vec<String> {
    let options = GetOptions::new().with_prefix().with_keys_only();
    let mut kv = etcd.kv_client();
    let found = kv.get(format!("{name}/"), Some(options)).await;
    let found = found.expect("a range");
    let key = |kv: &etcd_client::KeyValue| kv.key_str().expect("UTF-8").to_owned();
    found.kvs().iter().map(key).collect()
}

pub async fn wait_for_keys(etcd: &etcd_client::Client, name: &str, count: usize) {
    let options = WatchOptions::new().with_prefix();
    let mut watch = etcd.watch_client();
    let changes = watch.watch(format!("{name}/"), Some(options)).await;
    let mut changes = changes.expect("a watch");
    soon(changes.message()).await.expect("it is created");
    while keys(etcd, name).await.len() != count {
        soon(changes.message()).await.expect("a change");
    }
}

async fn lease_of(etcd: &etcd_client::Client, key: &str) -> i64 {
    let found = etcd.kv_client().get(key, None).await.expect("a range");
    found.kvs()[0].lease()
}

impl Latchctl {
    /// With these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare(arguments);
        command.env("LATCHD_ENDPOINTS", &self.endpoint);
        command
    }

    /// Runs it to its end.
    pub async fn output(&self, arguments: &[&str]) -> Output {
        let output = soon(self.command(arguments).output()).await;
        output.expect("latchctl runs")
    }

    /// Runs it to its end, which must be a success, and returns its stdout.
    pub async fn ok(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// The same, for programs.
    pub async fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["-o", "json"]].concat();
        let text = self.ok(&arguments).await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Starts it.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let child = self.command(arguments).spawn();
        let mut child = child.expect("latchctl runs");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Running { child, stdout }
    }

    /// Starts it, and waits for a line.
    pub async fn running(&self, arguments: &[&str]) -> (Running, String) {
        let mut running = self.start(arguments);
        let line = running.line().await;
        (running, line)
    }

    /// `latchctl lock` that holds the lock, with these arguments before its command.
    pub async fn hold(&self, arguments: &[&str]) -> Running {
        let arguments = [&["lock"], arguments, &HOLD[..]].concat();
        let (running, line) = self.running(&arguments).await;
        assert_eq!(line, "up", "{arguments:?}");
        running
    }
}

/// Without an endpoint, and without what the environment of the test says.
pub fn bare(arguments: &[&str]) -> Command {
    let mut command = process::command(Path::new(env!("CARGO_BIN_EXE_latchctl")));
    command.args(arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

impl Running {
    /// The next line that it prints.
    pub async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = soon(self.stdout.read_line(&mut line)).await;
        read.expect("a line");
        line.trim_end().to_owned()
    }

    /// The next line as a value.
    pub async fn json_line(&mut self) -> Value {
        let line = self.line().await;
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    pub fn send(&self, signal: Signal) {
        let id = self.child.id().expect("it runs");
        let id = id.try_into().expect("a process ID");
        kill(Pid::from_raw(id), signal).expect("it is sent");
    }

    pub async fn exit(&mut self) -> ExitStatus {
        soon(self.child.wait()).await.expect("an exit code")
    }

    /// Ends it by a signal, and returns its exit code.
    pub async fn end(&mut self, signal: Signal) -> Option<i32> {
        self.send(signal);
        self.exit().await.code()
    }

    /// Waits until every process that had its stdout is gone; what they still wrote.
    pub async fn rest(&mut self) -> String {
        let mut rest = String::new();
        let read = soon(self.stdout.read_to_string(&mut rest)).await;
        read.expect("the end");
        rest
    }

    /// What it wrote to stderr, once that is closed.
    pub async fn errors(&mut self) -> String {
        let mut stderr = self.child.stderr.take().expect("a pipe");
        let mut text = String::new();
        soon(stderr.read_to_string(&mut text))
            .await
            .expect("the end");
        text
    }
}

pub async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work)
        .await
        .expect("it hangs")
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
