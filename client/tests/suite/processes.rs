//! Clients that are stopped or killed: processes that do what `examples/worker.rs` does.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use latchd_client::{Client, Options};
use latchd_conformance::ports;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::{LONG_TTL, PATIENCE, SHORT_TTL, Stage, joined, soon, start_latchd};

#[path = "../../examples/worker.rs"]
#[allow(dead_code, reason = "its main is not ours")]
mod worker;

/// The command line of a process that is to be a worker.
const ORDERS: &str = "LATCHD_CLIENT_WORKER";

/// The URL and the directory of a process that is to be a server.
const SERVES: &str = "LATCHD_CLIENT_SERVES";

/// What is asserted is only that it was not the TTL; what is printed is how long it took.
const AT_ONCE: Duration = Duration::from_secs(10);

/// A process that writes a line to a file whenever it works, for as long as it holds the lock.
struct Worker {
    process: Child,
    output: PathBuf,
    _dir: TempDir,
}

impl Worker {
    fn start(stage: &Stage, name: &str, ttl: Duration, more: &[&str]) -> Worker {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let output = dir.path().join("output");
        let (name, ttl) = (stage.name(name), ttl.as_millis().to_string());
        let orders = [
            ["--endpoint", &stage.endpoint],
            ["--name", &name],
            ["--ttl-ms", &ttl],
            ["--output", output.to_str().expect("UTF-8")],
        ];
        let orders = [orders.concat().as_slice(), more].concat().join(" ");
        Worker {
            process: again("a_worker_has_orders_or_nothing_to_do", ORDERS, &orders),
            output,
            _dir: dir,
        }
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.output).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    async fn until_it_works(&self) {
        until(|| self.lines().iter().any(|line| line.starts_with("work"))).await;
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// Stops it, and waits until it stands still.
    async fn stop(&self) {
        kill_process(self.pid(), Signal::STOP).expect("it is there");
        let stat = format!("/proc/{}/stat", self.process.id());
        let state = || fs::read_to_string(&stat).expect("it is there");
        until(|| {
            state()
                .rsplit(") ")
                .next()
                .is_some_and(|rest| rest.starts_with('T'))
        })
        .await;
    }

    fn go_on(&self) {
        kill_process(self.pid(), Signal::CONT).expect("it is there");
    }

    async fn ended(&mut self) {
        until(|| self.process.try_wait().expect("a child").is_some()).await;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The worker itself, in a process that the tests below start.
#[tokio::test]
async fn a_worker_has_orders_or_nothing_to_do() {
    let Ok(orders) = std::env::var(ORDERS) else {
        assert!(worker::args(["--do".to_owned()].into_iter()).is_err());
        return;
    };
    let orders = worker::args(orders.split(' ').map(str::to_owned));
    worker::run(orders.expect("orders")).await.expect("an end");
}

/// A latchd in a process of its own, to be killed.
struct Server(Child);

impl Server {
    fn start(url: &str, dir: &TempDir) -> Server {
        let orders = format!("{url} {}", dir.path().display());
        Server(again(
            "a_server_has_orders_or_nothing_to_do",
            SERVES,
            &orders,
        ))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The server itself, in a process that the test below starts.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_has_orders_or_nothing_to_do() {
    let Ok(orders) = std::env::var(SERVES) else {
        return;
    };
    let (url, dir) = orders.split_once(' ').expect("a URL and a directory");
    let mut config = latchd::Config::local(dir.into());
    config.listen_client_urls = vec![url.parse().expect("a URL")];
    let _server = start_latchd(config).await;
    std::future::pending().await
}

/// This program again, as one of the processes above.
fn again(role: &str, variable: &str, orders: &str) -> Child {
    let started = Command::new(std::env::current_exe().expect("this program"))
        .args([&format!("processes::{role}"), "--exact"])
        .env(variable, orders)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    started.expect("it starts")
}

/// Looks again and again.
async fn until(mut condition: impl FnMut() -> bool) {
    soon(async {
        let mut looks = tokio::time::interval(Duration::from_millis(2));
        while !condition() {
            looks.tick().await;
        }
    })
    .await;
}

/// lock-rules, "Sessions and time": the client counts its own deadline, and looks at the clock before
/// it does anything else.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_stopped_past_its_deadline_does_nothing_more() {
    for stage in [Stage::latchd().await, Stage::etcd().await] {
        let mut worker = Worker::start(&stage, "job", SHORT_TTL, &[]);
        worker.until_it_works().await;
        worker.stop().await;
        let before = worker.lines();
        assert!(
            before.iter().all(|line| line.starts_with("work")),
            "{before:?}"
        );
        // Somebody else has the lock only when the worker's deadline has passed.
        drop(stage.lock("job").await);
        assert_eq!(worker.lines(), before);
        worker.go_on();
        worker.ended().await;
        let after = worker.lines()[before.len()..].to_vec();
        assert_eq!(after, ["lost"], "the first thing that it did");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_of_a_killed_process_bound_to_its_connection_is_free_at_once() {
    let stage = Stage::latchd().await;
    let mut took = Vec::new();
    for round in 0..5 {
        let name = format!("job{round}");
        let mut worker = Worker::start(&stage, &name, LONG_TTL, &["--bound"]);
        worker.until_it_works().await;
        let next = stage.session().await.mutex(stage.name(&name));
        let mut changes = stage.changes(&name).await;
        let waiting = tokio::spawn(async move {
            let guard = next.lock().await;
            (guard, Instant::now())
        });
        changes.put().await;
        let killed = Instant::now();
        worker.process.kill().expect("it runs");
        let (guard, granted) = joined(waiting).await;
        drop(guard.expect("the lock"));
        took.push(granted - killed);
    }
    took.sort();
    println!("from kill -9 to the next holder: {took:?}");
    assert!(took[0] < AT_ONCE, "{took:?}");
}

/// lock-rules, "Sessions and time": a session with a grace outlives kill -9 of its server. What it holds
/// is held, and who waited has its place.
#[tokio::test(flavor = "multi_thread")]
async fn holders_and_waiters_keep_their_places_when_the_server_is_killed() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let url = format!("http://127.0.0.1:{}", ports::free().expect("a port"));
    let server = Server::start(&url, &dir);
    let options = Options::default().with_request_timeout(PATIENCE);
    let client = soon(Client::connect([&url], options))
        .await
        .expect("a client");
    let session = || async { client.session(LONG_TTL).await.expect("a session") };
    let held = session().await.mutex("job").lock().await.expect("the lock");
    let mut waiting = Vec::new();
    for place in 1..=3 {
        let mutex = session().await.mutex("job");
        waiting.push(tokio::spawn(async move { mutex.lock().await }));
        queue(&client, place).await;
    }
    let before = queue(&client, 3).await;

    drop(server);
    let _server = Server::start(&url, &dir);
    assert!(soon(held.verify()).await.expect("an answer"));
    assert_eq!(queue(&client, 3).await, before);
    assert!(!held.is_lost());
    soon(held.unlock()).await.expect("released");
    for (task, key) in waiting.into_iter().zip(before) {
        let guard = joined(task).await.expect("the lock");
        assert_eq!(guard.key().as_bytes(), key);
        soon(guard.unlock()).await.expect("released");
    }
}

/// The keys of those who wait, once there are so many.
async fn queue(client: &Client, length: usize) -> Vec<Vec<u8>> {
    soon(async {
        loop {
            let lock = client.show("job").await.expect("an answer");
            let waiting = lock.map_or_else(Vec::new, |lock| lock.waiting);
            if waiting.len() == length {
                return waiting.into_iter().map(|each| each.key).collect();
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}
