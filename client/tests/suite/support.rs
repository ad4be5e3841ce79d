//! A server, a client of it, and a plain etcd client to look at its keys with.

use std::collections::VecDeque;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex as StdMutex, Weak};
use std::time::Duration;

use etcd_client::{Event, EventType, GetOptions, WatchOptions, WatchStream};
use latchd::StartError;
use latchd::mvcc::open::OpenError;
use latchd_client::{Client, Guard, Options, ServerKind, Session};
use latchd_conformance::ports;
use latchd_conformance::target::Kind;
use tempfile::TempDir;
use tokio::time::Instant;
use url::Url;

/// Longer than anything here takes; a test that runs into it has hung.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Outlives every test: what is freed was freed by something else.
pub const LONG_TTL: Duration = Duration::from_secs(180);
/// Long enough for a machine that stands still for a moment between two heartbeats.
pub const SHORT_TTL: Duration = Duration::from_secs(6);

/// Runs each case on a latchd and on an etcd.
macro_rules! on_both {
    ($($case:ident),+ $(,)?) => { $(
        mod $case {
            use crate::support::Stage;

            #[tokio::test(flavor = "multi_thread")]
            async fn latchd() {
                super::$case(Stage::latchd().await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn etcd() {
                super::$case(Stage::etcd().await).await;
            }
        }
    )+ };
}

/// What a case plays on.
pub struct Stage {
    pub client: Client,
    pub etcd: etcd_client::Client,
    pub endpoint: String,
    /// Cases share the etcd, so each has names of its own.
    prefix: String,
    server: Server,
}

enum Server {
    Latchd(Box<latchd::Server>, TempDir),
    Etcd(#[expect(dead_code, reason = "it runs for as long as somebody has it")] Arc<Etcd>),
}

impl Stage {
    pub async fn latchd() -> Stage {
        let dir = tempfile::tempdir().expect("a temporary directory");
        // One that no connection is given while the server restarts.
        let port = ports::free().expect("a port");
        let endpoint = format!("http://127.0.0.1:{port}");
        let server = start_latchd(config(&dir, &endpoint)).await;
        let stage = Stage::at(endpoint, Server::Latchd(Box::new(server), dir)).await;
        assert_eq!(stage.client.server(), ServerKind::Latchd);
        stage
    }

    pub async fn etcd() -> Stage {
        let etcd = Etcd::shared();
        let stage = Stage::at(etcd.endpoint.clone(), Server::Etcd(etcd)).await;
        assert_eq!(stage.client.server(), ServerKind::Etcd);
        stage
    }

    async fn at(endpoint: String, server: Server) -> Stage {
        static CASES: AtomicU32 = AtomicU32::new(0);
        let options = Options::default().with_request_timeout(PATIENCE);
        let client = Client::connect([&endpoint], options)
            .await
            .expect("a client");
        Stage {
            etcd: client.etcd(),
            client,
            endpoint,
            prefix: format!("case{}", CASES.fetch_add(1, Relaxed)),
            server,
        }
    }

    /// A name that only this case uses.
    pub fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    pub async fn session(&self) -> Session {
        self.client.session(LONG_TTL).await.expect("a session")
    }

    /// The lock, on a session of its own that lives as long as the guard.
    pub async fn lock(&self, name: &str) -> Guard {
        let mutex = self.session().await.mutex(self.name(name));
        soon(mutex.lock()).await.expect("the lock")
    }

    /// The keys under `name/`.
    pub async fn keys(&self, name: &str) -> Vec<String> {
        let options = GetOptions::new().with_prefix().with_keys_only();
        let mut kv = self.etcd.kv_client();
        let found = kv.get(format!("{}/", self.name(name)), Some(options)).await;
        let found = found.expect("a range");
        let keys = found.kvs().iter();
        keys.map(|kv| kv.key_str().expect("UTF-8").to_owned())
            .collect()
    }

    /// What happens under `name/` from here on.
    pub async fn changes(&self, name: &str) -> Changes {
        let options = WatchOptions::new().with_prefix();
        let mut watch = self.etcd.watch_client();
        let directory = format!("{}/", self.name(name));
        let mut stream = watch
            .watch(directory, Some(options))
            .await
            .expect("a watch");
        let created = stream.message().await.expect("an answer");
        assert!(created.expect("an answer").created());
        Changes {
            stream,
            told: VecDeque::new(),
        }
    }

    pub async fn revoke(&self, session: &Session) {
        let mut leases = self.etcd.lease_client();
        let revoked = leases.revoke(session.lease().0).await;
        revoked.expect("the lease is revoked");
    }

    /// Deletes a key behind its owner's back.
    pub async fn delete(&self, key: &str) {
        let deleted = self.etcd.kv_client().delete(key, None).await;
        assert_eq!(deleted.expect("an answer").deleted(), 1, "{key}");
    }

    /// Stops the latchd, and starts another one on its data and its address.
    pub async fn restart(self) -> Stage {
        let Stage {
            server, endpoint, ..
        } = self;
        let Server::Latchd(running, dir) = server else {
            panic!("the etcd is everybody's");
        };
        running.stop().await;
        let server = start_latchd(config(&dir, &endpoint)).await;
        Stage {
            server: Server::Latchd(Box::new(server), dir),
            endpoint,
            ..self
        }
    }

    /// Stops the latchd for good.
    pub async fn stop(self) {
        if let Server::Latchd(server, _) = self.server {
            server.stop().await;
        }
    }
}

fn config(dir: &TempDir, endpoint: &str) -> latchd::Config {
    let mut config = latchd::Config::local(dir.path().to_owned());
    config.listen_client_urls = vec![Url::parse(endpoint).expect("a URL")];
    config
}

pub async fn start_latchd(config: latchd::Config) -> latchd::Server {
    let begun = Instant::now();
    loop {
        match latchd::Server::start(config.clone()).await {
            // A child that another test just forked has our files, locks and ports included, until
            // its exec.
            Err(StartError::Open(OpenError::InUse(_)) | StartError::AddressInUse { .. })
                if begun.elapsed() < PATIENCE => {}
            started => return started.expect("the server starts"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A real etcd, for as long as somebody uses it.
pub struct Etcd {
    pub endpoint: String,
    process: Child,
    _home: TempDir,
}

impl Etcd {
    /// The one that all cases share that run now.
    fn shared() -> Arc<Etcd> {
        static SHARED: StdMutex<Weak<Etcd>> = StdMutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(|poison| poison.into_inner());
        shared.upgrade().unwrap_or_else(|| {
            let etcd = Arc::new(Etcd::start("http", &[]));
            *shared = Arc::downgrade(&etcd);
            etcd
        })
    }

    /// One with more flags. It answers soon.
    pub fn start(scheme: &str, flags: &[String]) -> Etcd {
        let home = TempDir::with_prefix("latchd-client-").expect("a temporary directory");
        let port = || ports::free().expect("a port");
        let endpoint = format!("{scheme}://127.0.0.1:{}", port());
        let peer = format!("http://127.0.0.1:{}", port());
        let process = Command::new(Kind::Etcd.binary().expect("an etcd"))
            .arg(format!("--data-dir={}", home.path().display()))
            .arg(format!("--listen-client-urls={endpoint}"))
            .arg(format!("--advertise-client-urls={endpoint}"))
            .arg(format!("--listen-peer-urls={peer}"))
            .arg(format!("--initial-advertise-peer-urls={peer}"))
            .arg(format!("--initial-cluster=default={peer}"))
            .args(["--unsafe-no-fsync", "--log-level=fatal"])
            .args(flags)
            .stderr(Stdio::null())
            .spawn();
        Etcd {
            endpoint,
            process: process.expect("an etcd"),
            _home: home,
        }
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Changes as they come, one after the other.
pub struct Changes {
    stream: WatchStream,
    told: VecDeque<Event>,
}

impl Changes {
    /// The next change, which must be of this kind: its key.
    async fn next(&mut self, kind: EventType) -> String {
        // A slow reader may be told of several at once.
        while self.told.is_empty() {
            let response = soon(self.stream.message()).await.expect("no error");
            let response = response.expect("a change");
            self.told.extend(response.events().iter().cloned());
        }
        let event = self.told.pop_front().expect("a change");
        assert_eq!(event.event_type(), kind);
        let key = event.kv().expect("a key").key_str().expect("UTF-8");
        key.to_owned()
    }

    pub async fn put(&mut self) -> String {
        self.next(EventType::Put).await
    }

    pub async fn deleted(&mut self, key: &str) {
        assert_eq!(self.next(EventType::Delete).await, key);
    }

    pub async fn deleted_any(&mut self) {
        self.next(EventType::Delete).await;
    }
}

/// Fails the test instead of hanging.
pub async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work)
        .await
        .expect("it hangs")
}

/// What a task answered; its panic is the test's.
pub async fn joined<T>(task: tokio::task::JoinHandle<T>) -> T {
    soon(task).await.expect("no panic")
}

/// Checks that a result is an error of this kind.
macro_rules! assert_refused {
    ($result:expr, $pattern:pat) => {
        let result = $result;
        assert!(matches!(result, Err($pattern)), "{result:?}");
    };
}
