//! A latchd in this process, and a plain etcd client to look at its keys with.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::time::Duration;

use etcd_client::{EventType, GetOptions, WatchOptions, WatchStream};
use latchd_client::{Client, Guard, Options, Session};
use tempfile::TempDir;
use url::Url;

/// Longer than anything here takes; a test that runs into it has hung.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Outlives every test: what is freed was freed by something else.
pub const LONG_TTL: Duration = Duration::from_secs(120);

pub struct Fixture {
    pub server: latchd::Server,
    pub dir: TempDir,
    pub client: Client,
    pub etcd: etcd_client::Client,
}

impl Fixture {
    pub async fn start() -> Fixture {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let config = latchd::Config::local(dir.path().to_owned());
        let server = latchd::Server::start(config)
            .await
            .expect("the server starts");
        let endpoint = endpoint(&server);
        let options = Options::default().with_request_timeout(PATIENCE);
        let client = Client::connect([&endpoint], options)
            .await
            .expect("a client");
        let etcd = etcd_client::Client::connect([&endpoint], None)
            .await
            .expect("a plain client");
        Fixture {
            server,
            dir,
            client,
            etcd,
        }
    }

    pub async fn session(&self) -> Session {
        self.client.session(LONG_TTL).await.expect("a session")
    }

    /// The lock, on a session of its own that lives as long as the guard.
    pub async fn lock(&self, name: &str) -> Guard {
        let mutex = self.session().await.mutex(name);
        soon(mutex.lock()).await.expect("the lock")
    }

    /// The keys under `name/`.
    pub async fn keys(&self, name: &str) -> Vec<String> {
        let options = GetOptions::new().with_prefix().with_keys_only();
        let found = self
            .etcd
            .kv_client()
            .get(format!("{name}/"), Some(options))
            .await;
        let found = found.expect("a range");
        found
            .kvs()
            .iter()
            .map(|kv| kv.key_str().expect("UTF-8").to_owned())
            .collect()
    }

    /// What happens under `name/` from here on.
    pub async fn changes(&self, name: &str) -> Changes {
        let options = WatchOptions::new().with_prefix();
        let mut watch = self.etcd.watch_client();
        let mut stream = watch
            .watch(format!("{name}/"), Some(options))
            .await
            .expect("a watch");
        let created = stream
            .message()
            .await
            .expect("an answer")
            .expect("an answer");
        assert!(created.created());
        Changes(stream)
    }

    pub async fn revoke(&self, session: &Session) {
        let mut leases = self.etcd.lease_client();
        leases
            .revoke(session.lease().0)
            .await
            .expect("the lease is revoked");
    }
}

pub struct Changes(WatchStream);

impl Changes {
    /// Waits for the next change to be of this kind, and to `key`.
    pub async fn expect(&mut self, kind: EventType, key: &str) {
        let response = soon(self.0.message())
            .await
            .expect("no error")
            .expect("a change");
        let [event] = response.events() else {
            panic!("one change was expected: {response:?}");
        };
        assert_eq!(event.event_type(), kind);
        assert_eq!(event.kv().expect("a key").key_str().expect("UTF-8"), key);
    }

    pub async fn expect_put(&mut self, key: &str) {
        self.expect(EventType::Put, key).await;
    }

    pub async fn expect_delete(&mut self, key: &str) {
        self.expect(EventType::Delete, key).await;
    }
}

pub fn endpoint(server: &latchd::Server) -> String {
    format!("http://{}", server.addresses()[0])
}

/// A server over the same directory and on the same address as one that was stopped.
pub async fn restart(dir: &TempDir, endpoint: &str) -> latchd::Server {
    let mut config = latchd::Config::local(dir.path().to_owned());
    config.listen_client_urls = vec![Url::parse(endpoint).expect("a URL")];
    latchd::Server::start(config)
        .await
        .expect("the server starts again")
}

/// Fails the test instead of hanging.
pub async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work)
        .await
        .expect("it hangs")
}
