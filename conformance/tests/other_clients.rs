//! Unmodified clients of other languages lock, elect, lease and watch: one small
//! program for each in `clients/`, which prints what it saw.
#![allow(missing_docs)]

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use latchd_conformance::{
    process::{self, Process},
    server::Server,
    target,
    wait::SOON,
};
use serde_json::{Value, json};
use tokio::process::Command;

/// Runs a program on a fresh server, whose address it gets; returns what it prints.
async fn report(server: &Server, mut command: Command, address: &[&str]) -> Result<Value> {
    command.args(address);
    let exit = Process::start(command)?.exit(SOON * 4).await?;
    let printed = exit.ok()?;
    server.client().await.context("it answers afterwards")?;
    serde_json::from_str(&printed).with_context(|| printed)
}

/// False, and the test counts as skipped, unless this file of a client is there.
fn is_there(file: &Path) -> Result<bool> {
    if file.exists() {
        return Ok(true);
    }
    target::skip(&format!(
        "no {}: `./test --only outside` installs it, if it can",
        file.display()
    ))?;
    Ok(false)
}

/// Whether a program is in PATH; the test counts as skipped otherwise.
async fn is_installed(program: &str) -> Result<bool> {
    let asked = Command::new(program).arg("--version").output().await;
    if asked.is_err() {
        target::skip(&format!("no {program} is installed"))?;
    }
    Ok(asked.is_ok())
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("clients")
        .join(path)
}

#[tokio::test]
async fn python_etcd3_locks_leases_and_watches() -> Result<()> {
    let python = target::client("python").join("bin/python");
    if !is_there(&python)? {
        return Ok(());
    }
    let server = Server::start().await?;
    let address = server.spec().address();
    let (host, port) = address.split_once(':').context("no port")?;
    let mut command = process::command(&python);
    command.arg(source("python/smoke.py"));
    let expected = json!({
        "lock": {
            "got": { "holder": true, "hasty": false, "patient": true },
            "held": true,
            "released": true,
            "released_again": false,
            "refreshed_ttl": 30,
            "patient_released": true,
            "keys_left": 0,
        },
        "lease": {
            "granted_ttl": 100,
            "remains": true,
            "keys": ["leased"],
            "refreshed_ttl": 100,
            "key_is_gone": true,
            "ttl_when_gone": -1,
        },
        "watch": ["PutEvent watched 1", "PutEvent watched 2", "DeleteEvent watched "],
    });
    assert_eq!(report(&server, command, &[host, port]).await?, expected);
    Ok(())
}

#[tokio::test]
async fn node_etcd3_locks_and_elects() -> Result<()> {
    let modules = target::client("node").join("node_modules");
    if !is_there(&modules.join("etcd3"))? || !is_installed("node").await? {
        return Ok(());
    }
    let server = Server::start().await?;
    let mut command = process::command(Path::new("node"));
    command
        .env("NODE_PATH", modules)
        .arg(source("node/smoke.js"));
    let expected = json!({
        "lock": {
            "refused_with": "EtcdLockFailedError",
            "free_after_release": true,
            "counter": 5,
            "overlaps": 0,
            "keys_left": 0,
        },
        "election": {
            "seen": ["one", "one again", "two"],
            "second_waited": true,
            "leader_left": 0,
        },
    });
    let url = server.spec().url();
    assert_eq!(report(&server, command, &[&url]).await?, expected);
    Ok(())
}

#[tokio::test]
async fn jetcd_locks_and_elects_by_the_services() -> Result<()> {
    let compiled = target::client("java").join("target");
    let jars = compiled.join("classpath");
    if !is_there(&jars)? || !is_installed("java").await? {
        return Ok(());
    }
    let server = Server::start().await?;
    let classes = compiled.join("classes");
    let jars = std::fs::read_to_string(jars)?;
    let mut command = process::command(Path::new("java"));
    command
        .arg("-cp")
        .arg(format!("{}:{jars}", classes.display()))
        .arg("Smoke");
    let expected = json!({
        "lock": {
            "key_names_the_lease": true,
            "same_key_again": true,
            "waited": true,
            "waiters_key": true,
            "unknown_lease": "UNKNOWN: etcdserver: requested lease not found",
            "keys_left": 0,
        },
        "election": {
            "without_a_leader": "NoLeaderException",
            "leader": "one again",
            "waited": true,
            "observed": "one,one again,two",
            "late_proclaim": "NotLeaderException",
            "keys_left": 0,
        },
    });
    let url = server.spec().url();
    assert_eq!(report(&server, command, &[&url]).await?, expected);
    Ok(())
}
