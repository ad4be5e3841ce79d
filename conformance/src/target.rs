//! Which binaries the tests run, and against which server.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `LATCHD_TEST_SERVER` | `latchd` or `etcd` | `latchd` |
//! | `LATCHD_BIN` | the latchd to test | the newest build in the target directory |
//! | `ETCD_BIN`, `ETCDCTL_BIN`, `LOCKER_BIN` | the real etcd and etcdctl, the Go program | `.cache/bin/…`, where `./test` builds them |
//! | `LATCHD_TEST_CLIENTS` | the clients of other languages | `.cache/clients`, where `./test` installs them |

use std::{
    env,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// The server that the tests run against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The server of this workspace.
    Latchd,
    /// A real etcd, to see that a test asks for what etcd does.
    Etcd,
}

impl Kind {
    /// The server that `LATCHD_TEST_SERVER` names.
    ///
    /// # Errors
    /// When it names neither latchd nor etcd.
    pub fn from_env() -> Result<Self> {
        match env::var("LATCHD_TEST_SERVER").as_deref() {
            Err(_) | Ok("" | "latchd") => Ok(Self::Latchd),
            Ok("etcd") => Ok(Self::Etcd),
            Ok(other) => bail!("LATCHD_TEST_SERVER is `{other}`: it must be latchd or etcd"),
        }
    }

    /// Both of them, for tests that have the same of each: etcd alone where
    /// `LATCHD_TEST_SERVER` names it.
    ///
    /// # Errors
    /// As [`Self::from_env`].
    pub fn both_from_env() -> Result<Vec<Self>> {
        Ok(match Self::from_env()? {
            Self::Latchd => vec![Self::Latchd, Self::Etcd],
            Self::Etcd => vec![Self::Etcd],
        })
    }

    /// The server's binary.
    ///
    /// # Errors
    /// When there is none.
    pub fn binary(self) -> Result<PathBuf> {
        match self {
            Self::Latchd => latchd(),
            Self::Etcd => built("ETCD_BIN", "etcd"),
        }
    }
}

/// The real etcdctl.
///
/// # Errors
/// When it has not been built.
pub fn etcdctl() -> Result<PathBuf> {
    built("ETCDCTL_BIN", "etcdctl")
}

/// The Go program of `conformance/clients/go`.
///
/// # Errors
/// When it has not been built.
pub fn locker() -> Result<PathBuf> {
    built("LOCKER_BIN", "locker")
}

/// Where the client of a language is installed with all that it needs.
#[must_use]
pub fn client(language: &str) -> PathBuf {
    env::var_os("LATCHD_TEST_CLIENTS")
        .map_or_else(|| workspace().join(".cache/clients"), PathBuf::from)
        .join(language)
}

/// True when the tests run against a real etcd; then the running test is counted
/// as skipped.
///
/// # Errors
/// As [`Kind::from_env`].
pub fn skip_on_etcd(reason: &str) -> Result<bool> {
    if Kind::from_env()? == Kind::Latchd {
        return Ok(false);
    }
    skip(reason)?;
    Ok(true)
}

/// Says that the running test is skipped. The line goes past the test harness,
/// which would swallow it, and `./test` counts such lines.
///
/// # Errors
/// When stderr is closed.
pub fn skip(reason: &str) -> Result<()> {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // A line of its own, also after a `test name ... ` that has no newline yet.
    Ok(writeln!(std::io::stderr(), "\nSKIPPED {test}: {reason}")?)
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn latchd() -> Result<PathBuf> {
    if let Some(path) = env::var_os("LATCHD_BIN") {
        return existing(path.into(), "LATCHD_BIN");
    }
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    ["release", "debug"]
        .map(|profile| target.join(profile).join("latchd"))
        .into_iter()
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .max()
        .map(|(_, path)| path)
        .with_context(|| {
            format!(
                "no latchd in {}: run `cargo build --release`",
                target.display()
            )
        })
}

fn built(variable: &str, name: &str) -> Result<PathBuf> {
    let path = env::var_os(variable)
        .map_or_else(|| workspace().join(".cache/bin").join(name), PathBuf::from);
    existing(path, variable)
}

fn existing(path: PathBuf, variable: &str) -> Result<PathBuf> {
    path.canonicalize().with_context(|| {
        format!(
            "no {}: run `./test --only outside` once, or set {variable}",
            path.display()
        )
    })
}
