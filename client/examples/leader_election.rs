//! Campaigns, leads for a while, says what it does, and resigns; tells meanwhile who leads. Start it
//! several times.
//!
//! ```sh
//! cargo run -p latchd-client --example leader_election -- alice
//! ```

use std::time::Duration;

use latchd_client::{Client, Options};

#[tokio::main]
async fn main() -> latchd_client::Result<()> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "somebody".into());
    let client = Client::connect(["http://127.0.0.1:2379"], Options::default()).await?;
    let election = client.election("examples/election");

    let mut observer = election.observe().await?;
    let observing = tokio::spawn(async move {
        while let Ok(leader) = observer.next().await {
            println!("leader: {}", String::from_utf8_lossy(&leader.value));
        }
    });

    let session = client.session(Duration::from_secs(5)).await?;
    let leadership = election.campaign(&session, name.as_str()).await?;
    leadership.proclaim(format!("{name}, at work")).await?;
    tokio::select! {
        loss = leadership.lost() => println!("{name} leads no more: {loss}"),
        () = tokio::time::sleep(Duration::from_secs(3)) => println!("{name} has led enough"),
    }
    leadership.resign().await?;
    observing.abort();
    session.close().await
}
