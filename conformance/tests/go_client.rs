//! Go's `clientv3/concurrency` under more load than the table of clients gives it.
#![allow(missing_docs)]

use anyhow::{Context, Error, Result};
use latchd_conformance::{
    clients::{Launcher, Play, Program, Scale, Scenario},
    server::Server,
};
use serde_json::{Value, json};

/// What the program saw in a scenario on a fresh server.
async fn locker(scenario: Scenario, clients: usize, turns: usize) -> Result<Value> {
    let server = Server::start().await?;
    let launcher = Launcher::new(env!("CARGO_BIN_EXE_latchd-conformance"));
    let scale = Scale {
        clients,
        turns,
        ..Scale::default()
    };
    let play = Play::new(&launcher, Program::Go, server.spec().url()).at(scale);
    let seen = play.seen(&[scenario]).await?.remove(&scenario);
    let saw = seen.context("nothing")?.map_err(Error::msg)?;
    println!("{scenario}: {saw}");
    Ok(saw)
}

#[tokio::test]
async fn twenty_clients_count_to_a_thousand_without_losing_one() -> Result<()> {
    let saw = locker(Scenario::Counter, 20, 50).await?;
    assert_eq!(saw["counter"], 1000, "{saw}");
    Ok(())
}

#[tokio::test]
async fn fifteen_contenders_hold_it_one_at_a_time_in_the_order_they_came() -> Result<()> {
    let expected = json!({
        "order": (0..15).collect::<Vec<_>>(),
        "turns": 15,
        "overlaps": 0,
        "keys_left": 0,
    });
    assert_eq!(locker(Scenario::Contend, 15, 1).await?, expected);
    Ok(())
}

#[tokio::test]
async fn transactional_memory_keeps_the_sum_among_eight_clients() -> Result<()> {
    assert_eq!(locker(Scenario::Stm, 8, 25).await?, json!({ "sum": 300 }));
    Ok(())
}
