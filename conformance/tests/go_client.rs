//! Go's `clientv3/concurrency`, through the program in `clients/go`.
#![allow(missing_docs)]

use anyhow::Result;
use latchd_conformance::{
    process::{self, Process},
    server::Server,
    target,
    wait::SOON,
};
use serde_json::{Value, json};

/// Runs one of its subcommands on a fresh server; returns what it reports.
async fn locker(arguments: &[&str]) -> Result<Value> {
    let server = Server::start().await?;
    let mut command = process::command(&target::locker()?);
    command
        .args(arguments)
        .arg("--endpoint")
        .arg(server.spec().url());
    let report = Process::start(command)?.exit(SOON * 6).await?.ok()?;
    println!("{arguments:?}: {report}");
    Ok(serde_json::from_str(&report)?)
}

#[tokio::test]
async fn twenty_clients_count_to_a_thousand_without_losing_one() -> Result<()> {
    let report = locker(&["counter", "--clients", "20", "--turns", "50"]).await?;
    assert_eq!(report["counter"], 1000, "{report}");
    Ok(())
}

#[tokio::test]
async fn trylock_is_refused_while_held_and_leaves_no_key() -> Result<()> {
    let report = locker(&["trylock"]).await?;
    let expected = json!({
        "refused_while_held": true,
        "keys_while_held": 1,
        "taken_after_unlock": true,
    });
    assert_eq!(report, expected);
    Ok(())
}

#[tokio::test]
async fn contenders_hold_it_one_at_a_time_in_the_order_they_came() -> Result<()> {
    let report = locker(&["contend", "--clients", "15"]).await?;
    let expected = json!({
        "order": (0..15).collect::<Vec<_>>(),
        "overlaps": 0,
        "keys_left": 0,
    });
    assert_eq!(report, expected);
    Ok(())
}

#[tokio::test]
async fn a_revoked_session_sees_done_and_a_waiter_is_told() -> Result<()> {
    let report = locker(&["session-expiry", "--ttl", "3"]).await?;
    assert_eq!(report["waiter_error"], "mutex: session is expired");
    assert_eq!(report["keys_left"], 0);
    // The next keepalive tells it: one third of the TTL, and some room.
    let seconds = report["done_seconds"].as_f64();
    assert!(seconds < Some(2.0), "{report}");
    Ok(())
}

#[tokio::test]
async fn a_lock_given_up_leaves_no_key() -> Result<()> {
    let report = locker(&["lost-waiter"]).await?;
    let expected = json!({
        "error": "context canceled",
        "keys_left": 1,
        "holder_is_left": true,
    });
    assert_eq!(report, expected);
    Ok(())
}

#[tokio::test]
async fn an_election_is_observed_and_handed_over() -> Result<()> {
    let report = locker(&["election"]).await?;
    let expected = json!({
        "observed": ["one", "eins", "two"],
        "overtaken": "election: not leader",
        "left": "election: no leader",
    });
    assert_eq!(report, expected);
    Ok(())
}

#[tokio::test]
async fn transactional_memory_keeps_the_sum() -> Result<()> {
    let report = locker(&["stm", "--clients", "8", "--turns", "25"]).await?;
    assert_eq!(report, json!({"sum": 300}));
    Ok(())
}
