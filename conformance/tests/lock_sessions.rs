//! Sessions of `latchd.v1` whose client is killed, and whose server is: with real processes. In a file
//! of its own, so that no other test runs beside it.
#![allow(missing_docs)]

use std::time::Duration;

use anyhow::Result;
use latchd_conformance::{locks, server::Server, talk::Talk, target::skip_on_etcd, v1};
use serde_json::Value;
use tokio::time::Instant;

const PROGRAM: &str = env!("CARGO_BIN_EXE_latchd-conformance");
const WHY_NOT_ETCD: &str = "latchd.v1 is latchd's";

/// "Promise: process death on a direct connection <= 50 ms" is printed; what is asserted has room for
/// a machine that does other things, and none for a TTL.
const ALLOWED: Duration = Duration::from_millis(50 * 20);

/// "Instant release on disconnect is an explicit choice, for direct connections."
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_of_a_holder_bound_to_its_connection_frees_at_once() -> Result<()> {
    if skip_on_etcd(WHY_NOT_ETCD)? {
        return Ok(());
    }
    let server = Server::start().await?;
    let (client, keeper) = (
        server.client().await?,
        v1::connect(&server.spec().url()).await?,
    );
    let lease = locks::lease(&client, 60, 0).await?;
    let mut took = Vec::new();
    for round in 0..11 {
        let name = format!("job-{round}");
        let mut holder = Talk::latchd(PROGRAM, &server, &["--bound"]).await?;
        let held = holder.ask(&format!("acquire {name}")).await?;
        assert!(held.get("hold").is_some(), "{held}");
        let next = v1::begin(&keeper, v1::waiting(v1::exclusive(&name, lease)));
        locks::await_count(&client, &name, 2).await?;
        let killed = Instant::now();
        holder.process().kill().await?;
        v1::granted(next).await?;
        took.push(killed.elapsed());
    }
    took.sort();
    println!("after kill -9, the next holder has it in {took:?}");
    assert!(took[took.len() / 2] <= ALLOWED, "{took:?}");
    Ok(())
}

/// The token of what a client said it holds.
fn token(said: &Value) -> &Value {
    &said["token"]
}

/// "One with a grace resumes within it and still holds, also across a server restart, and its old
/// connection can do nothing any more."
#[tokio::test(flavor = "multi_thread")]
async fn a_session_with_a_grace_outlives_its_client_and_its_server() -> Result<()> {
    if skip_on_etcd(WHY_NOT_ETCD)? {
        return Ok(());
    }
    let mut server = Server::start().await?;
    let client = server.client().await?;
    let mut first = Talk::latchd(PROGRAM, &server, &[]).await?;
    let held = first.ask("acquire job").await?["hold"].take();
    let told = first.introduction.to_string();
    let keeper = v1::connect(&server.spec().url()).await?;
    let lease = locks::lease(&client, 60, 0).await?;
    let next = v1::begin(&keeper, v1::waiting(v1::exclusive("job", lease)));
    locks::await_count(&client, "job", 2).await?;
    first.process().kill().await?;

    // Another process goes on with it.
    let mut second = Talk::latchd(PROGRAM, &server, &["--resume", &told]).await?;
    assert_eq!(second.introduction["epoch"], "2");
    assert_eq!(token(&second.introduction["holds"][0]), token(&held));
    assert!(!next.is_finished(), "the session was not freed");

    // The server dies with what it has in memory; a third process goes on, while the second lives.
    server.kill().await?;
    let broken = second.notice().await?;
    assert!(broken.is_string(), "its stream ended with {broken}");
    assert!(next.await?.is_err());
    server.start_again().await?;
    // The killed server could not take the waiter's key away; its lease does.
    let client = server.client().await?;
    client.lease_client().revoke(lease).await?;
    let mut third = Talk::latchd(PROGRAM, &server, &["--resume", &told]).await?;
    assert_eq!(third.introduction["epoch"], "3");
    assert_eq!(token(&third.introduction["holds"][0]), token(&held));
    for line in ["release job", "acquire another"] {
        assert_eq!(second.ask(line).await?["refused"], "fenced", "{line}");
    }

    // On the same server, a resume also ends the stream that it takes the session from.
    let mut fourth = Talk::latchd(PROGRAM, &server, &["--resume", &told]).await?;
    assert_eq!(third.notice().await?["ended"]["reason"], "RESUMED");
    assert_eq!(third.ask("release job").await?["refused"], "fenced");
    assert_eq!(locks::count(&client, "job").await?, 1);
    let released = fourth.ask("release job").await?;
    assert_eq!(token(&released["hold"]), token(&held));
    assert_eq!(locks::count(&client, "job").await?, 0);
    Ok(())
}
