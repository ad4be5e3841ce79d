//! Many waiters on one lock over a single HTTP/2 connection, through the Lock
//! service. In a file of its own, so that no other test runs beside it.
#![allow(missing_docs)]

use std::time::Duration;

use anyhow::{Result, ensure};
use etcd_client::Client;
use latchd_conformance::{queue::Queue, server::Server};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_waiters_are_served_in_order_over_one_connection() -> Result<()> {
    let mut server = Server::start().await?;
    let client = server.client().await?;
    let few = median_hand_off(&client, "few", 10).await?;
    let many = median_hand_off(&client, "many", 1000).await?;
    // The same cost, with room for the noise of a busy machine.
    ensure!(
        many <= few * 3 + Duration::from_millis(2),
        "a hand-off takes {many:?} with many waiters, {few:?} with ten"
    );
    server.must_be_well()
}

/// Hand-offs among `n` waiters; returns the median of their times.
async fn median_hand_off(client: &Client, name: &'static str, n: usize) -> Result<Duration> {
    let queue = Queue::form(client, client, name, n).await?;
    let times = queue.drain().await?;
    let (median, longest) = (times[n / 2], times[n - 1]);
    println!("{n} waiters: median hand-off {median:?}, longest {longest:?}");
    Ok(median)
}
