//! The programs, and how each is started.

use std::{
    env, fmt,
    path::{Path, PathBuf},
};

use anyhow::{Result, anyhow};
use tokio::process::Command;

use crate::{process, target};

/// A program on one library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Go, `clientv3/concurrency`.
    Go,
    /// Rust, `etcd-client`.
    Rust,
    /// Java, jetcd.
    Java,
    /// etcdctl from a shell.
    Etcdctl,
    /// Plain HTTP to the JSON gateway, from Python's standard library.
    Json,
    /// Python, python-etcd3.
    PythonEtcd3,
    /// Python, etcd3gw on the JSON gateway.
    PythonEtcd3gw,
    /// JavaScript, npm's etcd3.
    Node,
}

/// How a program names the keys of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// `NAME/LEASE`, one for each contender: they queue.
    Queue,
    /// This prefix and the name, one key for all: they try again.
    Bare(&'static str),
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Go,
        Self::Rust,
        Self::Java,
        Self::Etcdctl,
        Self::Json,
        Self::PythonEtcd3,
        Self::PythonEtcd3gw,
        Self::Node,
    ];

    /// Its name in tables and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Rust => "rust",
            Self::Java => "java",
            Self::Etcdctl => "etcdctl",
            Self::Json => "json",
            Self::PythonEtcd3 => "python-etcd3",
            Self::PythonEtcd3gw => "python-etcd3gw",
            Self::Node => "node",
        }
    }

    /// The library that it is on.
    #[must_use]
    pub fn library(self) -> &'static str {
        match self {
            Self::Go => "go.etcd.io/etcd/client/v3/concurrency",
            Self::Rust => "etcd-client (Lock and Election services)",
            Self::Java => "jetcd (Lock and Election services)",
            Self::Etcdctl => "etcdctl lock, elect, lease, watch and txn",
            Self::Json => "none: the JSON gateway's Lock and Election services",
            Self::PythonEtcd3 => "etcd3 of PyPI",
            Self::PythonEtcd3gw => "etcd3gw of PyPI, on the JSON gateway",
            Self::Node => "etcd3 of npm",
        }
    }

    /// How it names the keys of a lock: programs that do it alike exclude one another.
    #[must_use]
    pub fn keys(self) -> Keys {
        match self {
            Self::PythonEtcd3 | Self::PythonEtcd3gw => Keys::Bare("/locks/"),
            Self::Node => Keys::Bare(""),
            _ => Keys::Queue,
        }
    }

    fn directory(self) -> &'static str {
        match self {
            Self::Json | Self::PythonEtcd3 | Self::PythonEtcd3gw => "python",
            other => other.name(),
        }
    }

    fn packages(self) -> &'static str {
        match self.directory() {
            "python" => "python3 python3-venv",
            "node" => "nodejs npm",
            _ => "default-jdk-headless maven",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Starts programs.
#[derive(Clone, Debug)]
pub struct Launcher {
    conformance: PathBuf,
}

impl Launcher {
    /// With this package's own binary, which is the Rust program, too.
    #[must_use]
    pub fn new(conformance: impl Into<PathBuf>) -> Self {
        Self {
            conformance: conformance.into(),
        }
    }

    /// The command that starts a program, without its arguments.
    ///
    /// # Errors
    /// When it is not installed: how it can be.
    pub fn command(&self, program: Program) -> Result<Command> {
        match program {
            Program::Go => Ok(process::command(&target::locker()?)),
            Program::Rust => {
                let mut command = process::command(&self.conformance);
                command.arg("rust-client");
                Ok(command)
            }
            Program::Java => java(),
            Program::Etcdctl => etcdctl(),
            Program::Json => python("json_gateway.py"),
            Program::PythonEtcd3 => python("python_etcd3.py"),
            Program::PythonEtcd3gw => python("python_etcd3gw.py"),
            Program::Node => node(),
        }
    }
}

fn source(path: &str) -> PathBuf {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
    clients.join(path)
}

fn python(script: &str) -> Result<Command> {
    let python = target::client("python").join("bin/python");
    must_be_there(Program::PythonEtcd3, &python)?;
    let mut command = process::command(&python);
    // No caches beside the sources.
    command.arg("-B").arg(source("python").join(script));
    Ok(command)
}

fn node() -> Result<Command> {
    let modules = target::client("node").join("node_modules");
    must_be_there(Program::Node, &modules.join("etcd3"))?;
    let mut command = process::command(&in_path(Program::Node, "node")?);
    command
        .env("NODE_PATH", modules)
        .arg(source("node/main.js"));
    Ok(command)
}

fn java() -> Result<Command> {
    let compiled = target::client("java").join("target");
    let jars = compiled.join("classpath");
    must_be_there(Program::Java, &jars)?;
    let jars = std::fs::read_to_string(jars)?;
    let mut command = process::command(&in_path(Program::Java, "java")?);
    command
        // It does not live long enough for more to be worth it.
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"])
        .arg(format!("{}:{jars}", compiled.join("classes").display()))
        .arg("Main");
    Ok(command)
}

fn etcdctl() -> Result<Command> {
    let mut command = process::command(&in_path(Program::Etcdctl, "bash")?);
    command
        .env("ETCDCTL", target::etcdctl()?)
        .arg(source("etcdctl/main.sh"));
    Ok(command)
}

fn must_be_there(program: Program, path: &Path) -> Result<()> {
    path.exists().then_some(()).ok_or_else(|| missing(program))
}

fn in_path(program: Program, binary: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|dir| dir.join(binary))
        .find(|file| file.is_file())
        .ok_or_else(|| missing(program))
}

fn missing(program: Program) -> anyhow::Error {
    anyhow!(
        "the {} client is not installed: `apt-get install {}` (as root), then `./test --only outside`",
        program.directory(),
        program.packages()
    )
}
