//! `etcdctl check perf`, which takes a minute whatever the server does.
#![allow(missing_docs)]

use anyhow::Result;
use latchd_conformance::{etcdctl::Etcdctl, server::Server, wait::SOON};

#[tokio::test]
async fn check_perf_runs_to_its_verdict() -> Result<()> {
    let server = Server::start().await?;
    let etcdctl = Etcdctl::new(server.spec().address())?;
    let arguments = ["check", "perf", "--load", "s", "--auto-compact"];
    let exit = etcdctl.start(&arguments)?.exit(SOON * 6).await?;
    println!("{}", exit.stdout);
    // Which verdict it is depends on the machine.
    for judged in ["Throughput", "Slowest request", "Stddev"] {
        assert!(exit.stdout.contains(judged), "{judged}: {exit:#?}");
    }
    assert!(
        exit.stdout.contains("Compacting with revision"),
        "{exit:#?}"
    );
    assert_eq!(etcdctl.output(&["get", "", "--prefix"]).await?, "");
    Ok(())
}
