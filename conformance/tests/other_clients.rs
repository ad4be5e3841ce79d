//! Unmodified clients of other languages lock, contend, expire, elect and watch, on
//! latchd and on a real etcd: one small program for each in `clients/`, and one table
//! of what it must see.
#![allow(missing_docs)]

use anyhow::{Result, ensure};
use latchd_conformance::{
    clients::{Launcher, Play, Program, play::Verdict},
    server::Spec,
    target::{self, Kind},
};

/// Plays all scenarios of a program on a fresh server of each kind.
async fn plays(program: Program) -> Result<()> {
    let launcher = Launcher::new(env!("CARGO_BIN_EXE_latchd-conformance"));
    if let Err(missing) = launcher.command(program) {
        return target::skip(&missing.to_string());
    }
    for kind in Kind::both_from_env()? {
        // The watch scenario compacts, so each program has a server of its own.
        let mut server = Spec::of(kind)?.start().await?;
        let play = Play::new(&launcher, program, server.spec().url());
        for (scenario, verdict) in play.all().await {
            if let Verdict::Failed(why) = verdict {
                anyhow::bail!("{program} {scenario} on {kind:?}: {why}");
            }
        }
        ensure!(!server.process().has_ended()?, "{kind:?} has ended");
    }
    Ok(())
}

#[tokio::test]
async fn go() -> Result<()> {
    plays(Program::Go).await
}

#[tokio::test]
async fn rust_etcd_client() -> Result<()> {
    plays(Program::Rust).await
}

#[tokio::test]
async fn java_jetcd() -> Result<()> {
    plays(Program::Java).await
}

#[tokio::test]
async fn etcdctl_in_a_shell() -> Result<()> {
    plays(Program::Etcdctl).await
}

#[tokio::test]
async fn python_etcd3() -> Result<()> {
    plays(Program::PythonEtcd3).await
}

#[tokio::test]
async fn node_etcd3() -> Result<()> {
    plays(Program::Node).await
}

#[tokio::test]
async fn plain_json_over_the_gateway() -> Result<()> {
    plays(Program::Json).await
}

#[tokio::test]
async fn python_etcd3gw_over_the_gateway() -> Result<()> {
    plays(Program::PythonEtcd3gw).await
}
