//! Servers: started on free ports with fresh data, waited for, stopped.

use std::{
    fs::{self, File},
    net::{TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use latchd_proto::etcdserverpb::{RangeRequest, kv_client::KvClient};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use redis::AsyncConnectionConfig;
use tempfile::TempDir;
use tokio::{
    process::Child,
    time::{Instant, sleep, timeout},
};

use crate::{
    proc,
    scenario::RedisConnection,
    system::{self, Binaries, Place, System},
    wire::Wire,
};

/// How long a server may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How often it is asked until then.
const ASK_EVERY: Duration = Duration::from_millis(1);
/// The folder for the data in a server's home.
const DATA: &str = "data";
/// File systems that keep nothing, where an fsync is free.
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

/// The directory for the servers' data, made if it is not there.
///
/// # Errors
/// When it cannot be made, or lies in memory, where durability costs nothing.
pub fn data_dir(given: Option<PathBuf>) -> Result<PathBuf> {
    let path = match given {
        Some(path) => path,
        None => system::target_dir()?.join("bench/data"),
    };
    fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
    let kind = proc::filesystem(&path)?;
    ensure!(
        !IN_MEMORY.contains(&kind.as_str()),
        "{} is on {kind}, where an fsync costs nothing; give --data-dir on a disk",
        path.display()
    );
    Ok(path)
}

/// A running server. Dropping it kills it and removes its data.
pub struct Server {
    system: System,
    child: Child,
    pid: u32,
    client_port: u16,
    line_port: u16,
    peer_port: u16,
    /// Its ports' marks.
    _marks: [UdpSocket; 3],
    home: TempDir,
    started_within: Duration,
}

impl Server {
    /// Starts a system in a fresh directory under `data_dir` and waits until it answers.
    ///
    /// # Errors
    /// When it ends, or does not answer within a minute; with the end of its log.
    pub async fn start(system: System, binaries: &Binaries, data_dir: &Path) -> Result<Self> {
        let home = TempDir::with_prefix_in(format!("{}-", system.name()), data_dir)?;
        let ports = [free_port()?, free_port()?, free_port()?];
        let [client_port, line_port, peer_port] = ports.each_ref().map(|(port, _)| *port);
        let place = Place {
            data_dir: &home.path().join(DATA),
            client_port,
            line_port,
            peer_port,
        };
        let start = Instant::now();
        let child = spawn(system, binaries, &place, &home)?;
        let mut server = Self {
            system,
            pid: child.id().context("it has ended")?,
            child,
            client_port,
            line_port,
            peer_port,
            _marks: ports.map(|(_, mark)| mark),
            home,
            started_within: Duration::ZERO,
        };
        server.answers(start).await?;
        Ok(server)
    }

    /// Starts it again on its data, after [`Server::end`], and waits until it answers.
    ///
    /// # Errors
    /// As those of [`Server::start`].
    pub async fn restart(&mut self, binaries: &Binaries) -> Result<()> {
        let place = Place {
            data_dir: &self.data(),
            client_port: self.client_port,
            line_port: self.line_port,
            peer_port: self.peer_port,
        };
        let start = Instant::now();
        self.child = spawn(self.system, binaries, &place, &self.home)?;
        self.pid = self.child.id().context("it has ended")?;
        self.answers(start).await
    }

    /// Sends a signal and waits until the process is gone; its data stay.
    ///
    /// # Errors
    /// When it does not end within a minute.
    pub async fn end(&mut self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid)?);
        kill(pid, signal).with_context(|| format!("sending {signal}"))?;
        let ended = timeout(START_LIMIT, self.child.wait()).await;
        ended.with_context(|| format!("it does not end on {signal}"))??;
        Ok(())
    }

    /// Where its data are.
    pub fn data(&self) -> PathBuf {
        self.home.path().join(DATA)
    }

    /// What it is.
    pub fn system(&self) -> System {
        self.system
    }

    /// How long its last start took, from exec to the answer to a linearizable read.
    pub fn started_within(&self) -> Duration {
        self.started_within
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Where it takes lines.
    pub fn line_port(&self) -> u16 {
        self.line_port
    }

    /// As many connections to it.
    ///
    /// # Errors
    /// When it does not accept one.
    pub async fn connections(&self, count: usize) -> Result<Vec<Wire>> {
        try_join_all((0..count).map(|_| Wire::connect(self.client_port))).await
    }

    /// As many connections to it, if it is Redis.
    ///
    /// # Errors
    /// When it does not accept one.
    pub async fn redis_connections(&self, count: usize) -> Result<Vec<RedisConnection>> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.client_port))?;
        let patient = AsyncConnectionConfig::new().set_response_timeout(None);
        let connect = || client.get_multiplexed_async_connection_with_config(&patient);
        Ok(try_join_all((0..count).map(|_| connect())).await?)
    }

    /// Kills it with SIGKILL, waits until it is gone, and removes its data.
    ///
    /// # Errors
    /// When something of that fails.
    pub async fn stop(mut self) -> Result<()> {
        self.child.kill().await?;
        self.home.close()?;
        Ok(())
    }

    async fn answers(&mut self, start: Instant) -> Result<()> {
        let answered = timeout(START_LIMIT, self.first_answer()).await;
        self.started_within = start.elapsed();
        answered.unwrap_or_else(|_| bail!("it does not answer: {}", self.last_words()))
    }

    /// A linearizable read succeeds only once there is somebody to vouch for it.
    async fn first_answer(&mut self) -> Result<()> {
        while self.ask().await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}: {}", self.last_words());
            }
            sleep(ASK_EVERY).await;
        }
        Ok(())
    }

    async fn ask(&self) -> Result<()> {
        match self.system {
            System::Redis => {
                let mut connection = self.redis_connections(1).await?.remove(0);
                let get = redis::cmd("GET").arg("bench").clone();
                Ok(get.query_async::<()>(&mut connection).await?)
            }
            _ => ask(self.client_port).await,
        }
    }

    /// The end of its log.
    fn last_words(&self) -> String {
        let log = fs::read_to_string(log(&self.home)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}

fn spawn(system: System, binaries: &Binaries, place: &Place<'_>, home: &TempDir) -> Result<Child> {
    if system == System::Redis {
        // The others make theirs themselves.
        fs::create_dir_all(place.data_dir)?;
    }
    binaries
        .command(system, place)?
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(log(home))?)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("starting {}", system.name()))
}

async fn ask(port: u16) -> Result<()> {
    let any_key = RangeRequest {
        key: "bench".into(),
        ..Default::default()
    };
    let wire = Wire::connect(port).await?;
    KvClient::new(wire).range(any_key).await?;
    Ok(())
}

fn log(home: &TempDir) -> PathBuf {
    home.path().join("log")
}

/// The ports from which one is picked lie below those that Linux gives to outgoing connections
/// (32768 and up by default), so that none of ours takes a server's port before it listens.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_000;

/// A loopback port that nobody listens on, never the same one twice, and its mark: UDP's port of the
/// same number, which nobody uses. While it is bound, no other process picks the port, be it before
/// the server listens.
fn free_port() -> Result<(u16, UdpSocket)> {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % u32::from(PORTS)) as u16;
    (0..PORTS)
        .map(|_| start.wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed)))
        .map(|n| FIRST_PORT + n % PORTS)
        .find_map(|port| {
            let mark = UdpSocket::bind(("127.0.0.1", port)).ok()?;
            let free = TcpListener::bind(("127.0.0.1", port)).is_ok();
            free.then_some((port, mark))
        })
        .context("no free port")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once() {
        let ports: Vec<u16> = (0..20).map(|_| free_port().unwrap().0).collect();
        let distinct: std::collections::BTreeSet<&u16> = ports.iter().collect();
        assert_eq!(distinct.len(), ports.len(), "{ports:?}");
    }

    #[test]
    fn a_marked_port_is_nobody_elses() {
        let (port, _mark) = free_port().unwrap();
        assert!(UdpSocket::bind(("127.0.0.1", port)).is_err());
    }

    #[test]
    fn memory_is_no_place_for_data() {
        // Absent from some containers; then there is nothing to refuse.
        let shm = Path::new("/dev/shm");
        if proc::filesystem(shm).is_ok_and(|kind| kind == "tmpfs") {
            assert!(data_dir(Some(shm.into())).is_err());
        }
    }
}
