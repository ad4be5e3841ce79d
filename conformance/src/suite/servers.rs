//! The binaries of both servers, built when they are not there.

use std::{env, path::Path, process::Stdio};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

/// As `./test` does it, with its own functions: into `.cache/bin`, unless that was
/// built from the same files already.
const BUILD_ETCD: &str = r#"
    set -uo pipefail
    cd "$1" && root=$PWD
    source scripts/test/report.sh && source scripts/test/prepare.sh
    mkdir -p "$logs"
    begin conformance
    build_go etcd conformance/etcd go.etcd.io/etcd/server/v3
"#;

/// Builds the real etcd, unless it is there or `ETCD_BIN` names one.
///
/// # Errors
/// When it cannot be built.
pub async fn build_etcd() -> Result<()> {
    if env::var_os("ETCD_BIN").is_some() {
        return Ok(());
    }
    let mut bash = Command::new("bash");
    bash.args(["-c", BUILD_ETCD, "bash"]).arg(root());
    let built = run(bash, "bash").await;
    built.context(
        "etcd 3.7.1 is built with Go 1.26 or newer (https://go.dev/doc/install); or set ETCD_BIN",
    )
}

/// Brings the release build of latchd up to date, unless `LATCHD_BIN` names one.
///
/// # Errors
/// When it cannot be built.
pub async fn build_latchd() -> Result<()> {
    if env::var_os("LATCHD_BIN").is_some() {
        return Ok(());
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build
        .current_dir(root())
        .args(["build", "--release", "--quiet", "-p", "latchd"]);
    run(build, "cargo build --release -p latchd").await
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs it; what it says goes to stderr, for stdout may be a report.
async fn run(mut command: Command, name: &str) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .kill_on_drop(true)
        .status()
        .await
        .with_context(|| format!("cannot start {name}"))?;
    ensure!(status.success(), "{name} failed");
    Ok(())
}
