//! The systems that are compared: their binaries and the flags that start them.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use tokio::process::Command;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum System {
    /// latchd
    Latchd,
    /// A real etcd, one member
    Etcd,
    /// A tonic server that answers at once and stores nothing
    Floor,
    /// Redis with appendfsync always
    Redis,
}

impl System {
    /// All, in the order of the table's rows.
    pub const ALL: [System; 4] = [System::Latchd, System::Etcd, System::Floor, System::Redis];

    /// Its name, as the flag has it.
    pub fn name(self) -> &'static str {
        match self {
            System::Latchd => "latchd",
            System::Etcd => "etcd",
            System::Floor => "floor",
            System::Redis => "redis",
        }
    }
}

/// Where a server listens and keeps its data.
pub struct Place<'a> {
    /// A directory for the server alone; it does not exist yet.
    pub data_dir: &'a Path,
    /// The loopback port for clients.
    pub client_port: u16,
    /// The loopback port for clients that speak in lines; etcd and Redis have none.
    pub line_port: u16,
    /// The loopback port for peers; only etcd has any use for it.
    pub peer_port: u16,
}

/// The programs of the systems that take part.
pub struct Binaries(Vec<(System, PathBuf)>);

impl Binaries {
    /// The given ones, or those at their default places. The floor, which is this program, is
    /// always among them: bounds are measured on it.
    ///
    /// # Errors
    /// When one that is needed is not there; the text says how to get it.
    pub fn find(
        systems: &[System],
        latchd: Option<PathBuf>,
        etcd: Option<PathBuf>,
        redis: Option<PathBuf>,
    ) -> Result<Self> {
        let find = |system: System| {
            let path = match system {
                System::Latchd => find_latchd(latchd.clone())?,
                System::Etcd => find_etcd(etcd.clone())?,
                System::Floor => env::current_exe()?,
                System::Redis => find_redis(redis.as_deref()).context(NO_REDIS)?,
            };
            Ok((system, path))
        };
        let mut systems = systems.to_vec();
        if !systems.contains(&System::Floor) {
            systems.push(System::Floor);
        }
        let found: Result<Vec<_>> = systems.into_iter().map(find).collect();
        Ok(Self(found?))
    }

    /// The command that starts a system, logging errors only.
    ///
    /// # Errors
    /// When the system does not take part.
    pub fn command(&self, system: System, place: &Place) -> Result<Command> {
        let mut command = self.plain(system)?;
        match system {
            System::Latchd => command
                .args(latchd_flags(place))
                .arg(format!("--listen-dreadlock=127.0.0.1:{}", place.line_port)),
            System::Etcd => command.args(latchd_flags(place)).args(etcd_flags(place)),
            System::Floor => command.args(floor_arguments(place)),
            System::Redis => command.args(redis_arguments(place)),
        };
        Ok(command)
    }

    /// The first line of what `--version` prints.
    ///
    /// # Errors
    /// When the binary cannot be run.
    pub async fn version(&self, system: System) -> Result<String> {
        let mut command = self.plain(system)?;
        let output = command.arg("--version").output().await;
        let output = output.with_context(|| format!("{} --version", system.name()))?;
        ensure!(
            output.status.success(),
            "{} --version failed: {}",
            system.name(),
            output.status
        );
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().next().unwrap_or_default();
        // Redis goes on about its build.
        let line = line
            .split_once(" sha=")
            .map_or(line, |(version, _)| version);
        Ok(line.to_owned())
    }

    /// The binary without arguments, and without variables that would configure it behind the
    /// flags' back.
    fn plain(&self, system: System) -> Result<Command> {
        let found = self.0.iter().find(|(of, _)| *of == system);
        let (_, path) = found.with_context(|| format!("{} does not take part", system.name()))?;
        let mut command = Command::new(path);
        let configures = |name: &str| name.starts_with("ETCD_") || name.starts_with("LATCHD_");
        let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        for name in names.filter(|name| configures(name)) {
            command.env_remove(name);
        }
        Ok(command)
    }
}

fn latchd_flags(place: &Place) -> [String; 3] {
    [
        format!("--data-dir={}", place.data_dir.display()),
        format!("--listen-client-urls={}", url(place.client_port)),
        "--log-level=error".to_owned(),
    ]
}

/// What etcd needs besides.
fn etcd_flags(place: &Place) -> [String; 4] {
    let peer = url(place.peer_port);
    [
        format!("--advertise-client-urls={}", url(place.client_port)),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
    ]
}

fn floor_arguments(place: &Place) -> [String; 3] {
    [
        "floor".to_owned(),
        format!("--listen=127.0.0.1:{}", place.client_port),
        format!("--listen-line=127.0.0.1:{}", place.line_port),
    ]
}

/// Every write is on the disk before it is answered, as with the others; no snapshots beside.
fn redis_arguments(place: &Place) -> Vec<String> {
    let port = place.client_port.to_string();
    let directory = place.data_dir.display().to_string();
    let pairs = [
        ["--bind", "127.0.0.1"],
        ["--port", &port],
        ["--dir", &directory],
        ["--appendonly", "yes"],
        ["--appendfsync", "always"],
        ["--save", ""],
        ["--daemonize", "no"],
    ];
    pairs.concat().iter().map(|&text| text.to_owned()).collect()
}

/// What is said when it is asked for and not there.
pub const NO_REDIS: &str = "no redis-server in PATH: install it (Debian: apt-get install redis-server), or give --redis PATH";

/// The given redis-server, or the one in PATH.
pub fn find_redis(given: Option<&Path>) -> Option<PathBuf> {
    if let Some(path) = given {
        return path.is_file().then(|| path.to_owned());
    }
    let path = env::var_os("PATH")?;
    let mut candidates = env::split_paths(&path).map(|folder| folder.join("redis-server"));
    candidates.find(|candidate| candidate.is_file())
}

/// The URL of a loopback port.
pub fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn find_latchd(given: Option<PathBuf>) -> Result<PathBuf> {
    let path = given.map_or_else(|| Ok(target_dir()?.join("release/latchd")), anyhow::Ok)?;
    ensure!(
        path.is_file(),
        "no latchd at {}: build it with `cargo build --release`, or give --latchd PATH",
        path.display()
    );
    Ok(path)
}

fn find_etcd(given: Option<PathBuf>) -> Result<PathBuf> {
    let given = given.or_else(|| env::var_os("ETCD_BIN").map(PathBuf::from));
    let path = given.unwrap_or_else(|| workspace().join(".cache/bin/etcd"));
    if path.is_file() {
        return Ok(path);
    }
    bail!(
        "no etcd at {}: `./test` builds one into .cache/bin of the workspace; or give --etcd PATH \
         or ETCD_BIN, or do without it: --system latchd,floor",
        path.display()
    )
}

/// The folder that cargo builds into: this program lies in `target/PROFILE/`.
///
/// # Errors
/// When the program's own path cannot be told.
pub fn target_dir() -> Result<PathBuf> {
    let exe = env::current_exe().context("the path of this program")?;
    let target = exe.ancestors().nth(2);
    Ok(target
        .context("this program is in no target folder")?
        .into())
}

fn workspace() -> PathBuf {
    let this_crate = Path::new(env!("CARGO_MANIFEST_DIR"));
    this_crate.parent().unwrap_or(this_crate).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_flag() {
        for system in System::ALL {
            assert_eq!(System::from_str(system.name(), false), Ok(system));
        }
    }

    #[test]
    fn a_missing_binary_is_an_error_that_says_what_to_do() {
        let nowhere = || Some(PathBuf::from("/nowhere"));
        let text = |system| match Binaries::find(&[system], nowhere(), nowhere(), nowhere()) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        assert!(text(System::Latchd).contains("cargo build --release"));
        assert!(text(System::Etcd).contains("./test"));
        assert!(text(System::Redis).contains("redis-server"));
    }

    #[test]
    fn a_binary_that_is_not_needed_may_be_missing() {
        let nowhere = Some(PathBuf::from("/nowhere"));
        assert!(Binaries::find(&[System::Floor], nowhere.clone(), nowhere, None).is_ok());
    }
}
