//! Assembles the server, listens, and drains.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use thiserror::Error as ThisError;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use url::Url;

use crate::applier::Applier;
use crate::backend::{Backend, Embedded, Limits, trim};
use crate::clock;
use crate::compactor::Compactor;
use crate::config::Config;
use crate::grpc::{GrpcRouter, Services};
use crate::http::HttpRouter;
use crate::lessor::Lessor;
use crate::listener::{self, Lifecycle, Routes};
use crate::mvcc::open::{DirectoryLock, OpenError, open};
use crate::proposer::{Proposer, QueueLimits};
use crate::service::contenders::Contenders;
use crate::service::member::{About, ThisMember};
use crate::service::watch::WatchOptions;
use crate::watch::Hub;

/// How long connections may take to end once the server drains.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// etcd's progress interval for watches that asked for it.
const WATCH_PROGRESS_INTERVAL: Duration = Duration::from_secs(600);

/// Why the server could not start.
#[derive(Debug, ThisError)]
pub enum StartError {
    /// An address to listen on is taken.
    #[error(
        "{url}: the address is in use, perhaps by another latchd or etcd; \
         stop that one, or give another --listen-client-urls"
    )]
    AddressInUse {
        /// As it was given.
        url: Url,
    },
    /// An address to listen on is not ours, not allowed, or not known.
    #[error("{url}: cannot listen there: {error}; give another --listen-client-urls")]
    Listen {
        /// As it was given.
        url: Url,
        /// What the operating system said.
        error: io::Error,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A thread could not be started.
    #[error("the writer's thread cannot be started: {0}")]
    Thread(io::Error),
}

/// A server that serves.
pub struct Server {
    addresses: Vec<SocketAddr>,
    backend: Backend,
    contenders: Contenders,
    lifecycle: Lifecycle,
    tasks: TaskTracker,
    /// The lessor and the compactor, who work for ever.
    workers: Vec<JoinHandle<()>>,
    proposer: Proposer,
    applier: thread::JoinHandle<()>,
    /// Last, so that the directory is free only when the store is closed.
    lock: DirectoryLock,
}

impl Server {
    /// Listens, opens the store and serves. Nothing is changed on disk if the addresses are taken.
    pub async fn start(config: Config) -> Result<Server, StartError> {
        let listeners = bind_all(&config.listen_client_urls).await?;
        let addresses: Vec<SocketAddr> = listeners
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .collect();
        let data_dir = config.data_dir.clone();
        let opened = tokio::task::spawn_blocking(move || open(&data_dir))
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let store = Arc::new(opened.store);
        let (hub, lessor) = (Hub::new(store.revision()), Lessor::default());
        let proposer = Proposer::queued(QueueLimits::default());
        let applier = Applier::new(store.clone(), opened.state, hub.clone(), lessor.clone());
        let applier = applier
            .spawn(proposer.clone())
            .map_err(StartError::Thread)?;
        let compactor = Compactor::new(
            config.auto_compaction,
            store.clone(),
            lessor.clone(),
            proposer.clone(),
        );
        let embedded = Embedded::new(store, hub, lessor.clone(), proposer.clone(), config.limits);
        let backend = Backend::Embedded(embedded);
        let mut server = Server {
            contenders: Contenders::new(backend.clone()),
            backend,
            lifecycle: Lifecycle::default(),
            tasks: TaskTracker::new(),
            workers: vec![
                tokio::spawn(lessor.run(proposer.clone())),
                tokio::spawn(compactor.run()),
            ],
            lock: opened.lock,
            addresses,
            proposer,
            applier,
        };
        // What a crash kept an earlier compaction from freeing.
        server.tasks.spawn(trim(server.proposer.clone()));
        server.serve(listeners, &config);
        Ok(server)
    }

    fn serve(&mut self, listeners: Vec<TcpListener>, config: &Config) {
        let routes = self.routes(config);
        for listener in listeners {
            let lifecycle = self.lifecycle.clone();
            self.tasks
                .spawn(listener::serve(listener, routes.clone(), lifecycle));
        }
    }

    fn routes(&self, config: &Config) -> Routes {
        let about = About {
            name: config.name.clone(),
            client_urls: self.client_urls(config),
            peer_urls: config.peer_urls.clone(),
            quota: config
                .limits
                .quota
                .map_or(-1, |quota| i64::try_from(quota).unwrap_or(i64::MAX)),
        };
        let member = ThisMember::new(self.backend.clone(), about);
        let services = Services {
            backend: self.backend.clone(),
            limits: config.limits,
            watch: watch_options(config.limits),
            member: member.clone(),
            contenders: self.contenders.clone(),
            stopping: self.lifecycle.stopping.clone(),
        };
        Routes {
            grpc: GrpcRouter::new(services),
            http: HttpRouter::new(member),
        }
    }

    /// What is advertised: as configured, else where the server really listens.
    fn client_urls(&self, config: &Config) -> Vec<String> {
        if !config.advertise_client_urls.is_empty() {
            let urls = config.advertise_client_urls.iter();
            return urls
                .map(|url| url.as_str().trim_end_matches('/').to_owned())
                .collect();
        }
        let (listens, addresses) = (config.listen_client_urls.iter(), self.addresses.iter());
        let named = listens.zip(addresses).map(|(url, address)| {
            let host = url.host_str().unwrap_or_default();
            format!("{}://{host}:{}", url.scheme(), address.port())
        });
        named.collect()
    }

    /// Where the server listens, in the order of `--listen-client-urls`.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The backend, for whoever runs the server in-process.
    #[must_use]
    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    /// Drains: no new connections, streams end, waiters are sent away and leave no key; then the
    /// queue is written out and the store closed.
    pub async fn stop(self) {
        let Lifecycle {
            stopping,
            cut,
            connections,
        } = self.lifecycle;
        stopping.cancel();
        connections.close();
        if clock::timeout(DRAIN_TIMEOUT, connections.wait())
            .await
            .is_err()
        {
            warn!(
                open = connections.len(),
                "connections did not end in time, and are cut"
            );
            cut.cancel();
            connections.wait().await;
        }
        // What waiters leave behind must be queued before the queue is closed.
        self.contenders.settled().await;
        self.workers.iter().for_each(JoinHandle::abort);
        self.proposer.close();
        self.tasks.close();
        self.tasks.wait().await;
        let applier = self.applier;
        // The applier exits the process rather than panic.
        let _ = tokio::task::spawn_blocking(move || applier.join()).await;
        drop((self.backend, self.contenders));
        drop(self.lock);
    }
}

/// Runs the server until `shutdown` resolves, then drains it.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
    let name = config.name.clone();
    let data_dir = config.data_dir.display().to_string();
    let server = Server::start(config).await?;
    for address in server.addresses() {
        info!(%name, %address, %data_dir, "ready to serve client requests");
    }
    shutdown.await;
    info!("stopping: no new connections, waiters are sent away");
    server.stop().await;
    info!("stopped");
    Ok(())
}

fn watch_options(limits: Limits) -> WatchOptions {
    WatchOptions {
        progress_interval: WATCH_PROGRESS_INTERVAL,
        fragment_bytes: limits.request_bytes + (512 << 10),
    }
}

async fn bind_all(urls: &[Url]) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners = Vec::with_capacity(urls.len());
    for url in urls {
        listeners.push(bind(url).await?);
    }
    Ok(listeners)
}

async fn bind(url: &Url) -> Result<TcpListener, StartError> {
    // The brackets of an IPv6 address belong to the URL.
    let host = match url.host_str().unwrap_or_default().trim_matches(['[', ']']) {
        // Go listens on the IPv4 address of that name, which is what clients then dial.
        "localhost" => "127.0.0.1",
        host => host,
    };
    let port = url.port_or_known_default().unwrap_or_default();
    TcpListener::bind((host, port)).await.map_err(|error| {
        let url = url.clone();
        match error.kind() {
            io::ErrorKind::AddrInUse => StartError::AddressInUse { url },
            _ => StartError::Listen { url, error },
        }
    })
}
