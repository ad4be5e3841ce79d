//! Ten tasks, at most three at a time; also across several of these processes.
//!
//! ```sh
//! cargo run -p latchd-client --example semaphore
//! ```

use std::time::Duration;

use latchd_client::{Client, Options};

#[tokio::main]
async fn main() -> latchd_client::Result<()> {
    let client = Client::connect(["http://127.0.0.1:2379"], Options::default()).await?;
    let session = client.session(Duration::from_secs(10)).await?;
    let slots = session.semaphore("examples/slots", 3);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..10 {
        let slots = slots.clone();
        tasks.spawn(async move {
            let permit = slots.acquire().await?;
            println!("task {n} works");
            tokio::time::sleep(Duration::from_millis(500)).await;
            permit.unlock().await
        });
    }
    for done in tasks.join_all().await {
        done?;
    }
    session.close().await
}
