//! A whole server in this process, on a free port of loopback.

#![allow(dead_code, reason = "not every test file uses all of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

pub mod json;
pub mod socket;

use std::collections::HashSet;
use std::time::Duration;

use etcd_client::{Client, Error, EventType, GetOptions, WatchOptions, WatchStream};
use latchd::mvcc::open::OpenError;
use latchd::{Config, Server, StartError};
use tempfile::TempDir;
use tonic::Code;

/// How long anything awaited may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A server and its data directory.
pub struct Fixture {
    server: Option<Server>,
    pub dir: TempDir,
}

impl Fixture {
    pub async fn start() -> Fixture {
        Fixture::start_with(|_| ()).await
    }

    /// Starts with something of the configuration changed; a restart forgets the change.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::local(dir.path().to_owned());
        change(&mut config);
        Fixture {
            server: Some(Server::start(config).await.unwrap()),
            dir,
        }
    }

    pub fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server().addresses()[0])
    }

    pub async fn client(&self) -> Client {
        Client::connect([self.endpoint()], None).await.unwrap()
    }

    /// Stops the server and starts it again on the same data.
    pub async fn restart(&mut self) {
        self.restart_with(|_| ()).await;
    }

    /// The same, with something of the configuration changed.
    pub async fn restart_with(&mut self, change: impl Fn(&mut Config)) {
        self.stop().await;
        self.server = Some(serve(&self.dir, change).await);
    }

    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }
}

async fn serve(dir: &TempDir, change: impl Fn(&mut Config)) -> Server {
    let begun = tokio::time::Instant::now();
    loop {
        let mut config = Config::local(dir.path().to_owned());
        change(&mut config);
        match Server::start(config).await {
            // A child that another test just forked has our files, locks included, until its exec.
            Err(StartError::Open(OpenError::InUse(_))) if begun.elapsed() < PATIENCE => {}
            started => return started.unwrap(),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The code and text of a refusal.
pub fn status(error: Error) -> (Code, String) {
    match error {
        Error::GRpcStatus(status) => (status.code(), status.message().to_owned()),
        other => panic!("{other}"),
    }
}

/// Fails the test if `work` takes too long.
pub async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work)
        .await
        .expect("it takes too long")
}

/// The keys under a prefix.
pub async fn keys_under(client: &mut Client, prefix: &str) -> Vec<String> {
    let options = GetOptions::new().with_prefix().with_keys_only();
    let response = client.get(prefix, Some(options)).await.unwrap();
    response
        .kvs()
        .iter()
        .map(|kv| kv.key_str().unwrap().to_owned())
        .collect()
}

/// A watch that is in place: what comes from here on is told.
pub async fn watching(client: &mut Client, key: &str, options: WatchOptions) -> WatchStream {
    let mut stream = client.watch(key, Some(options)).await.unwrap();
    let created = soon(stream.message()).await.unwrap().unwrap();
    assert!(created.created() && !created.canceled(), "{created:?}");
    stream
}

/// Waits until a prefix has this many keys, following the changes below it.
pub async fn until_count(client: &mut Client, prefix: &str, count: usize) {
    let listed = client
        .get(prefix, Some(GetOptions::new().with_prefix()))
        .await
        .unwrap();
    let seen = listed.header().unwrap().revision();
    let mut keys: HashSet<Vec<u8>> = listed.kvs().iter().map(|kv| kv.key().to_vec()).collect();
    let options = WatchOptions::new()
        .with_prefix()
        .with_start_revision(seen + 1);
    let mut stream = client.watch(prefix, Some(options)).await.unwrap();
    soon(async {
        while keys.len() != count {
            let response = stream.message().await.unwrap().unwrap();
            for event in response.events() {
                let key = event.kv().unwrap().key();
                match event.event_type() {
                    EventType::Put => keys.insert(key.to_vec()),
                    EventType::Delete => keys.remove(key),
                };
            }
        }
    })
    .await;
}
