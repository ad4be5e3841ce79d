//! `etcdctl make-mirror` between latchd and a real etcd, in either direction.
#![allow(missing_docs)]

use anyhow::Result;
use latchd_conformance::{
    etcdctl::Etcdctl,
    server::{Server, Spec},
    target::Kind,
    wait::{SOON, until},
};

const ALL: &[&str] = &["get", "", "--prefix"];

async fn start(kind: Kind) -> Result<(Server, Etcdctl)> {
    let server = Spec::of(kind)?.start().await?;
    let etcdctl = Etcdctl::new(server.spec().address())?;
    Ok((server, etcdctl))
}

async fn await_contents(etcdctl: &Etcdctl, expected: &str) -> Result<()> {
    let what = format!("the mirror to hold {expected:?}");
    until(&what, async || Ok(etcdctl.output(ALL).await? == expected)).await
}

/// What is there is copied, and then what changes, deletes included.
async fn mirror(from: Kind, to: Kind) -> Result<()> {
    let (_source, source) = start(from).await?;
    let (copy, to) = start(to).await?;
    for (key, value) in [("a/1", "x"), ("a/2", "y"), ("b", "z")] {
        source.output(&["put", key, value]).await?;
    }
    let destination = copy.spec().address();
    let mut running = source.start(&[
        "make-mirror",
        "--prefix",
        "a/",
        "--dest-prefix",
        "m/",
        &destination,
    ])?;
    await_contents(&to, "m/1\nx\nm/2\ny\n").await?;
    source.output(&["put", "a/3", "new"]).await?;
    source.output(&["put", "b", "elsewhere"]).await?;
    source.output(&["del", "a/1"]).await?;
    await_contents(&to, "m/2\ny\nm/3\nnew\n").await?;
    running.signal("INT").await?;
    running.exit(SOON).await?;
    Ok(())
}

#[tokio::test]
async fn a_real_etcd_mirrors_the_tested_server() -> Result<()> {
    mirror(Kind::from_env()?, Kind::Etcd).await
}

#[tokio::test]
async fn the_tested_server_mirrors_a_real_etcd() -> Result<()> {
    mirror(Kind::Etcd, Kind::from_env()?).await
}
