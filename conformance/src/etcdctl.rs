//! The real etcdctl, pointed at a server.

use std::path::PathBuf;

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::{
    process::{self, Exit, Process},
    target,
    wait::SOON,
};

/// etcdctl with a server's address.
#[derive(Clone)]
pub struct Etcdctl {
    binary: PathBuf,
    address: String,
}

impl Etcdctl {
    /// For the server at `address`, a `host:port`.
    ///
    /// # Errors
    /// When etcdctl has not been built.
    pub fn new(address: impl Into<String>) -> Result<Self> {
        Ok(Self {
            binary: target::etcdctl()?,
            address: address.into(),
        })
    }

    /// The command for `arguments`.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = process::command(&self.binary);
        command.arg("--endpoints").arg(&self.address);
        command.args(arguments);
        command
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn run(&self, arguments: &[&str]) -> Result<Exit> {
        self.start(arguments)?.exit(SOON).await
    }

    /// Runs it to its end, which must be a success; returns its stdout.
    ///
    /// # Errors
    /// When it fails.
    pub async fn output(&self, arguments: &[&str]) -> Result<String> {
        let exit = self.run(arguments).await?;
        exit.ok().with_context(|| format!("etcdctl {arguments:?}"))
    }

    /// As [`Self::output`], with `input` on its stdin.
    ///
    /// # Errors
    /// When it fails.
    pub async fn output_of_input(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut process = Process::start_with_input(self.command(arguments), input).await?;
        process.exit(SOON).await?.ok()
    }

    /// Starts it and leaves it running.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, arguments: &[&str]) -> Result<Process> {
        Process::start(self.command(arguments))
    }

    /// Starts `etcdctl lock` without a command; it waits for the lock or holds it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn lock(&self, name: &str, ttl_seconds: u32) -> Result<Process> {
        self.start(&["lock", "--ttl", &ttl_seconds.to_string(), name])
    }

    /// Starts `etcdctl lock` and waits until it holds the lock.
    ///
    /// # Errors
    /// When it does not get it.
    pub async fn hold(&self, name: &str, ttl_seconds: u32) -> Result<(Process, String)> {
        let mut holder = self.lock(name, ttl_seconds)?;
        let key = granted_key(&mut holder).await?;
        Ok((holder, key))
    }
}

/// Waits until an `etcdctl lock` holds the lock: then it prints the key.
///
/// # Errors
/// When it ends, or does not get the lock within [`SOON`].
pub async fn granted_key(lock: &mut Process) -> Result<String> {
    let printed = lock.stdout_until(SOON, |out| out.contains('\n')).await?;
    let key = printed.lines().next().context("no key printed")?;
    Ok(key.to_owned())
}
