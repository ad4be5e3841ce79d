//! Assembles the server, listens, and drains.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use thiserror::Error as ThisError;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use url::Url;

use crate::applier::Applier;
use crate::backend::{Backend, Embedded, trim};
use crate::clock;
use crate::compactor::Compactor;
use crate::config::{Config, plain};
use crate::grpc::{GrpcRouter, Services};
use crate::http::HttpRouter;
use crate::http::distlock::Distlock;
use crate::http::gateway::Gateway;
use crate::lessor::Lessor;
use crate::line::tls::{self, TlsError};
use crate::line::{self, LineDoor};
use crate::listener::{self, Door, Lifecycle, Routes};
use crate::mvcc::open::{DirectoryLock, OpenError, open, open_unsynced};
use crate::proposer::{Proposer, QueueLimits};
use crate::service::contenders::Contenders;
use crate::service::guest::DoorName;
use crate::service::locks::Keeper;
use crate::service::member::{About, ThisMember};
use crate::service::watch::WatchOptions;
use crate::socket::Listener;
use crate::watch::Hub;

/// How long connections may take to end once the server drains.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the server could not start.
#[derive(Debug, ThisError)]
pub enum StartError {
    /// An address to listen on is taken.
    #[error(
        "{url}: the address is in use, perhaps by another latchd or etcd; \
         stop that one, or give another --{flag}"
    )]
    AddressInUse {
        /// As it was given.
        url: String,
        /// Where it was given.
        flag: &'static str,
    },
    /// An address to listen on is not ours, not allowed, or not known.
    #[error("{url}: cannot listen there: {error}; give another --{flag}")]
    Listen {
        /// As it was given.
        url: String,
        /// Where it was given.
        flag: &'static str,
        /// What the operating system said.
        error: io::Error,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The line doors cannot speak TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A thread could not be started.
    #[error("the writer's thread cannot be started: {0}")]
    Thread(io::Error),
}

/// A server that serves.
pub struct Server {
    bound: Bound,
    backend: Backend,
    contenders: Contenders,
    keeper: Keeper,
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
        let tls = config.doors.tls.as_ref().map(tls::acceptor).transpose()?;
        let doors = Doors::open(&config).await?;
        let data_dir = config.data_dir.clone();
        let open = if config.unsafe_no_fsync {
            warn!("--unsafe-no-fsync: what is locked is lost if the machine loses power");
            open_unsynced
        } else {
            open
        };
        let opened = tokio::task::spawn_blocking(move || open(&data_dir))
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let store = Arc::new(opened.store);
        let (hub, lessor) = (Hub::new(store.revision()), Lessor::default());
        let proposer = Proposer::queued(QueueLimits::default());
        let applier = Applier::new(store.clone(), opened.state, hub.clone(), lessor.clone());
        let applier = proposer.employ(applier).map_err(StartError::Thread)?;
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
            keeper: Keeper::new(backend.clone()),
            backend,
            lifecycle: Lifecycle::default(),
            tasks: TaskTracker::new(),
            workers: vec![
                tokio::spawn(lessor.run(proposer.clone())),
                tokio::spawn(compactor.run()),
            ],
            lock: opened.lock,
            bound: doors.bound(),
            proposer,
            applier,
        };
        // What a crash kept an earlier compaction from freeing.
        server.tasks.spawn(trim(server.proposer.clone()));
        server
            .workers
            .push(tokio::spawn(server.keeper.clone().mind_etcds_clients()));
        server.serve(doors, tls, &config);
        Ok(server)
    }

    fn serve(&mut self, doors: Doors, tls: Option<TlsAcceptor>, config: &Config) {
        let routes = self.routes(config);
        for (name, listener) in doors.line {
            let lifecycle = self.lifecycle.clone();
            let (keeper, settings) = (self.keeper.clone(), config.doors.clone());
            let door = LineDoor::new(name, keeper, settings, tls.clone(), lifecycle);
            self.tasks
                .spawn(line::serve(listener, door, self.proposer.clone()));
        }
        for (door, listener) in doors.http {
            let routes = Routes {
                door,
                ..routes.clone()
            };
            let lifecycle = self.lifecycle.clone();
            self.tasks
                .spawn(listener::serve(listener, routes, lifecycle));
        }
    }

    fn routes(&self, config: &Config) -> Routes {
        let about = About {
            name: config.name.clone(),
            client_urls: self.client_urls(config),
            peer_urls: config.peer_urls.clone(),
            quota: config.limits.told_quota(),
        };
        let member = ThisMember::new(self.backend.clone(), about);
        let services = Services {
            backend: self.backend.clone(),
            limits: config.limits,
            watch: watch_options(config),
            slow_call: config.slow_call,
            member: member.clone(),
            contenders: self.contenders.clone(),
            keeper: self.keeper.clone(),
            stopping: self.lifecycle.stopping.clone(),
        };
        let grpc = GrpcRouter::new(services);
        let gateway = config.grpc_gateway.then(|| {
            let lifecycle = self.lifecycle.clone();
            Gateway::new(grpc.clone(), config.limits, config.connections, lifecycle)
        });
        let distlock = Distlock::new(
            self.keeper.clone(),
            config.doors.clone(),
            config.connections,
            self.lifecycle.clone(),
        );
        Routes {
            grpc,
            http: HttpRouter::new(member, gateway, distlock, config.cors.clone()),
            proposer: self.proposer.clone(),
            door: Door::Client,
            settings: config.connections,
        }
    }

    /// What is advertised: as configured, else where the server really listens.
    fn client_urls(&self, config: &Config) -> Vec<String> {
        if !config.advertise_client_urls.is_empty() {
            let mut urls: Vec<String> = config.advertise_client_urls.iter().map(plain).collect();
            // As etcd tells them.
            urls.sort();
            return urls;
        }
        self.bound.client_urls.clone()
    }

    /// The TCP addresses of `--listen-client-urls`, in its order.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.bound.client
    }

    /// The TCP addresses of `--listen-client-http-urls`, in its order.
    #[must_use]
    pub fn http_addresses(&self) -> &[SocketAddr] {
        &self.bound.http
    }

    /// The TCP addresses of `--listen-metrics-urls`, in its order.
    #[must_use]
    pub fn metrics_addresses(&self) -> &[SocketAddr] {
        &self.bound.metrics
    }

    /// The address of `--listen-elock`.
    #[must_use]
    pub fn elock_address(&self) -> Option<SocketAddr> {
        self.bound.elock
    }

    /// The address of `--listen-dreadlock`.
    #[must_use]
    pub fn dreadlock_address(&self) -> Option<SocketAddr> {
        self.bound.dreadlock
    }

    /// Where clients really reach the server, socket files included.
    #[must_use]
    pub fn listens_at(&self) -> &[String] {
        &self.bound.client_urls
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
        self.keeper.settled().await;
        for worker in self.workers {
            worker.abort();
            // Ended, not only told to: the compactor has a handle to the store.
            let _ = worker.await;
        }
        self.proposer.close();
        self.tasks.close();
        self.tasks.wait().await;
        let applier = self.applier;
        // The applier exits the process rather than panic.
        let _ = tokio::task::spawn_blocking(move || applier.join()).await;
        drop((self.backend, self.contenders, self.keeper));
        drop(self.lock);
    }
}

/// Runs the server until `shutdown` resolves, then drains it.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
    let name = config.name.clone();
    let data_dir = config.data_dir.display().to_string();
    let server = Server::start(config).await?;
    for address in server.listens_at() {
        info!(
            name,
            address,
            "data-dir" = data_dir,
            "ready to serve client requests"
        );
    }
    shutdown.await;
    info!("stopping: no new connections, waiters are sent away");
    server.stop().await;
    info!("stopped");
    Ok(())
}

fn watch_options(config: &Config) -> WatchOptions {
    WatchOptions {
        progress_interval: config.watch_progress_interval,
        fragment_bytes: config.limits.message_bytes(),
    }
}

/// What is listened on.
struct Doors {
    http: Vec<(Door, Listener)>,
    line: Vec<(DoorName, Listener)>,
}

/// Where that is.
#[derive(Default)]
struct Bound {
    client_urls: Vec<String>,
    client: Vec<SocketAddr>,
    http: Vec<SocketAddr>,
    metrics: Vec<SocketAddr>,
    elock: Option<SocketAddr>,
    dreadlock: Option<SocketAddr>,
}

impl Doors {
    async fn open(config: &Config) -> Result<Doors, StartError> {
        let client = if config.listen_client_http_urls.is_empty() {
            Door::Client
        } else {
            Door::GrpcOnly
        };
        let mut doors = Doors {
            http: Vec::new(),
            line: Vec::new(),
        };
        for (door, flag, urls) in [
            (client, "listen-client-urls", &config.listen_client_urls),
            (
                Door::HttpOnly,
                "listen-client-http-urls",
                &config.listen_client_http_urls,
            ),
            (
                Door::Monitoring,
                "listen-metrics-urls",
                &config.listen_metrics_urls,
            ),
        ] {
            for url in urls {
                doors.http.push((door, bind(url, flag, config).await?));
            }
        }
        for (door, flag, url) in [
            (DoorName::Elock, "listen-elock", &config.doors.elock),
            (
                DoorName::Dreadlock,
                "listen-dreadlock",
                &config.doors.dreadlock,
            ),
        ] {
            if let Some(url) = url {
                doors.line.push((door, bind(url, flag, config).await?));
            }
        }
        Ok(doors)
    }

    fn bound(&self) -> Bound {
        let mut bound = Bound::default();
        for (door, listener) in &self.http {
            let addresses = match door {
                Door::Client | Door::GrpcOnly => {
                    bound.client_urls.push(listener.url());
                    &mut bound.client
                }
                Door::HttpOnly => &mut bound.http,
                Door::Monitoring => &mut bound.metrics,
            };
            addresses.extend(listener.address());
        }
        for (door, listener) in &self.line {
            match door {
                DoorName::Elock => bound.elock = listener.address(),
                _ => bound.dreadlock = listener.address(),
            }
        }
        bound
    }
}

async fn bind(url: &Url, flag: &'static str, config: &Config) -> Result<Listener, StartError> {
    let bound = Listener::bind(url, config.connections.reuse_port).await;
    bound.map_err(|error| {
        let url = plain(url);
        match error.kind() {
            io::ErrorKind::AddrInUse => StartError::AddressInUse { url, flag },
            _ => StartError::Listen { url, flag, error },
        }
    })
}
