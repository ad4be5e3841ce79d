//! Where the programs are, where they keep their data, and what machine that is.

use std::{
    path::{Path, PathBuf},
    thread::available_parallelism,
};

use anyhow::Result;

use crate::{
    proc,
    results::Machine,
    servers::{self, Server},
    system::{self, Binaries, System},
};

/// The flags that all modes share.
#[derive(clap::Args)]
pub struct GroundOptions {
    /// The etcd binary; by default $ETCD_BIN, or else .cache/bin/etcd in the workspace.
    #[arg(long, value_name = "PATH")]
    etcd: Option<PathBuf>,

    /// The latchd binary; by default target/release/latchd.
    #[arg(long, value_name = "PATH")]
    latchd: Option<PathBuf>,

    /// The redis-server binary; by default the one in PATH, and without one Redis takes no part.
    #[arg(long, value_name = "PATH")]
    redis: Option<PathBuf>,

    /// Where the servers keep their data, each in a fresh directory that is removed afterwards; by
    /// default target/bench/data.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl GroundOptions {
    /// All systems that are there: Redis takes part where it is installed.
    pub fn present(&self) -> Vec<System> {
        let mut all = System::ALL.to_vec();
        let redis = self.redis.is_some() || system::find_redis(None).is_some();
        all.retain(|system| *system != System::Redis || redis);
        all
    }
}

/// What servers are started from.
pub struct Ground {
    binaries: Binaries,
    data_dir: PathBuf,
}

impl Ground {
    /// For the systems that take part.
    ///
    /// # Errors
    /// When a program is missing, or the data would lie in memory.
    pub fn find(options: GroundOptions, systems: &[System]) -> Result<Self> {
        Ok(Self {
            binaries: Binaries::find(systems, options.latchd, options.etcd, options.redis)?,
            data_dir: servers::data_dir(options.data_dir)?,
        })
    }

    /// Starts a system with an empty directory, and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn start(&self, system: System) -> Result<Server> {
        Server::start(system, &self.binaries, &self.data_dir).await
    }

    /// Starts a stopped server on its data again, and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn restart(&self, server: &mut Server) -> Result<()> {
        server.restart(&self.binaries).await
    }

    /// Where the servers keep their data.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// What the figures depend on.
    ///
    /// # Errors
    /// When a binary does not tell its version.
    pub async fn machine(&self, systems: &[System]) -> Result<Machine> {
        let mut versions = Vec::new();
        for system in systems {
            versions.push((*system, self.binaries.version(*system).await?));
        }
        Ok(Machine {
            cpus: available_parallelism()?.get(),
            filesystem: proc::filesystem(&self.data_dir)?,
            versions,
        })
    }
}
