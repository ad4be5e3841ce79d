//! A server binary, latchd or etcd, started with the same flags.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use etcd_client::Client;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
};

use crate::{
    ports,
    process::{self, Exit, Process},
    target::Kind,
    wait::{SOON, within},
};

/// Both servers log this once they answer.
const READY: &str = "ready to serve client requests";

/// How a server is to be started; it can be started again and again.
#[derive(Clone)]
pub struct Spec {
    kind: Kind,
    binary: PathBuf,
    /// Keeps the temporary directory until the last user is gone.
    _home: Arc<TempDir>,
    data_dir: PathBuf,
    client_port: u16,
    peer_port: u16,
    member: String,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Spec {
    /// The server that the tests run against, with free ports and a data
    /// directory that does not exist yet.
    ///
    /// # Errors
    /// When the binary is missing.
    pub fn new() -> Result<Self> {
        Self::of(Kind::from_env()?)
    }

    /// As [`Self::new`], for a server of this kind.
    ///
    /// # Errors
    /// When the binary is missing.
    pub fn of(kind: Kind) -> Result<Self> {
        let home = TempDir::with_prefix("latchd-conformance-")?;
        Ok(Self {
            kind,
            binary: kind.binary()?,
            data_dir: home.path().join("data"),
            _home: Arc::new(home),
            client_port: ports::free()?,
            peer_port: ports::free()?,
            member: "default".to_owned(),
            flags: Vec::new(),
            variables: Vec::new(),
        })
    }

    /// With one more flag, as `--name=value`.
    #[must_use]
    pub fn flag(mut self, flag: impl Into<String>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// With an environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With the member's name in the initial cluster, which etcd wants to agree
    /// with its own name, however that is given.
    #[must_use]
    pub fn member(mut self, name: &str) -> Self {
        name.clone_into(&mut self.member);
        self
    }

    /// On another spec's client port.
    #[must_use]
    pub fn on_port_of(mut self, other: &Self) -> Self {
        self.client_port = other.client_port;
        self
    }

    /// On another spec's data directory.
    #[must_use]
    pub fn on_data_of(mut self, other: &Self) -> Self {
        other.data_dir.clone_into(&mut self.data_dir);
        self
    }

    /// Where the server keeps its data.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// `host:port` of the client listener.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.client_port)
    }

    /// `host:port` of the peer listener, which latchd does not have.
    #[must_use]
    pub fn peer_address(&self) -> String {
        format!("127.0.0.1:{}", self.peer_port)
    }

    /// The client URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The command that starts it.
    #[must_use]
    pub fn command(&self) -> Command {
        let peer = format!("http://{}", self.peer_address());
        let mut command = process::command(&self.binary);
        command
            .arg(format!("--data-dir={}", self.data_dir.display()))
            .arg(format!("--listen-client-urls={}", self.url()))
            .arg(format!("--advertise-client-urls={}", self.url()))
            .arg(format!("--listen-peer-urls={peer}"))
            .arg(format!("--initial-advertise-peer-urls={peer}"))
            .arg(format!("--initial-cluster={}={peer}", self.member))
            .args(&self.flags)
            .envs(self.variables.iter().cloned());
        command
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When it ends, or is not ready within [`SOON`].
    pub async fn start(&self) -> Result<Server> {
        let mut process = Process::start(self.command())?;
        process
            .stderr_until(SOON, |log| log.contains(READY))
            .await?;
        Ok(Server {
            process,
            spec: self.clone(),
        })
    }

    /// Starts it where it must refuse, and returns what it said.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn refused(&self) -> Result<Exit> {
        refused(self.command()).await
    }
}

/// Runs a command that must end by itself.
///
/// # Errors
/// When it does not.
pub async fn refused(command: Command) -> Result<Exit> {
    Process::start(command)?.exit(SOON).await
}

/// A running server. Dropping it kills it, before its directory goes.
pub struct Server {
    process: Process,
    spec: Spec,
}

impl Server {
    /// A fresh one.
    ///
    /// # Errors
    /// As [`Spec::start`].
    pub async fn start() -> Result<Self> {
        Spec::new()?.start().await
    }

    /// How it was started.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// A client with a connection of its own.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn client(&self) -> Result<Client> {
        let connect = Client::connect([self.spec.url()], None);
        let client = within(SOON, "a connection", async { Ok(connect.await?) }).await?;
        // Connecting is lazy: ask once, so that the connection is there.
        within(SOON, "an answer", async {
            Ok(client.kv_client().get("-", None).await?)
        })
        .await?;
        Ok(client)
    }

    /// A number of its `/metrics`.
    ///
    /// # Errors
    /// When it does not answer, or there is no such number.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let mut stream = TcpStream::connect(self.spec.address()).await?;
        let request = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await?;
        let mut told = String::new();
        within(SOON, "metrics", async {
            Ok(stream.read_to_string(&mut told).await?)
        })
        .await?;
        let of_it = |line: &str| line.strip_prefix(name)?.trim().parse().ok();
        let found = told.lines().find_map(of_it);
        found.with_context(|| format!("no {name} in {told}"))
    }

    /// Kills it with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await
    }

    /// Starts it again on the same data and ports; it must have ended.
    ///
    /// # Errors
    /// As [`Spec::start`].
    pub async fn start_again(&mut self) -> Result<()> {
        ensure!(self.process.has_ended()?, "it still runs");
        *self = self.spec.start().await?;
        Ok(())
    }

    /// Ends it by a signal and waits for its end.
    ///
    /// # Errors
    /// When it does not end within [`SOON`].
    pub async fn stop(&mut self, signal: &str) -> Result<Exit> {
        self.process.signal(signal).await?;
        self.process.exit(SOON).await
    }

    /// Fails when it has ended, or has logged a panic: nothing that comes in
    /// from the network may cause either.
    ///
    /// # Errors
    /// When that is so.
    pub fn must_be_well(&mut self) -> Result<()> {
        let log = self.process.stderr();
        ensure!(!self.process.has_ended()?, "it ended:\n{log}");
        ensure!(!log.contains("panicked at"), "it panicked:\n{log}");
        Ok(())
    }

    /// Whether it is latchd, which keeps tighter times than etcd does.
    #[must_use]
    pub fn is_latchd(&self) -> bool {
        self.spec.kind == Kind::Latchd
    }
}
