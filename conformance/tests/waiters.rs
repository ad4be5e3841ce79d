//! Many waiters on one lock over a single HTTP/2 connection, through the Lock
//! service. In a file of its own, so that no other test runs beside it.
#![allow(missing_docs)]

use std::time::Duration;

use anyhow::{Result, ensure};
use latchd_conformance::{queue::Queue, server::Server};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_waiters_are_served_in_order_over_one_connection() -> Result<()> {
    let mut server = Server::start().await?;
    let client = server.client().await?;
    let queue = Queue::form(&client, &client, "many", 1000).await?;
    let times = queue.drain().await?;
    // Of the same run, which has the same neighbours on the machine.
    let [many, few] = [&times[..100], &times[900..]].map(a_good_one);
    println!(
        "a hand-off takes {many:?} before a thousand waiters, {few:?} before the last hundred"
    );
    // The same cost, with room for the noise of a busy machine.
    ensure!(
        many <= few * 3 + Duration::from_millis(5),
        "a hand-off takes {many:?} with many waiters, {few:?} with few"
    );
    server.must_be_well()
}

/// The lower quartile: what it takes when nothing comes in between.
fn a_good_one(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times[times.len() / 4]
}
