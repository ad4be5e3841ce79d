//! Takes a lock, works, and lets it go. Start it twice: the second one waits for the first.
//!
//! ```sh
//! cargo run -p latchd-client --example mutex            # on http://127.0.0.1:2379
//! cargo run -p latchd-client --example mutex -- http://10.0.0.7:2379
//! ```

use std::time::Duration;

use latchd_client::{Client, Error, Options};

#[tokio::main]
async fn main() -> latchd_client::Result<()> {
    let endpoint = std::env::args().nth(1);
    let endpoint = endpoint.unwrap_or_else(|| "http://127.0.0.1:2379".into());
    let client = Client::connect([endpoint], Options::default()).await?;
    println!("connected to a server of kind {}", client.server());

    let session = client.session(Duration::from_secs(10)).await?;
    let mutex = session.mutex("examples/mutex").with_owner("example");
    let guard = match mutex.try_lock().await {
        Ok(guard) => guard,
        Err(Error::Busy { .. }) => {
            println!("somebody else has it; waiting");
            mutex.lock().await?
        }
        Err(error) => return Err(error),
    };
    println!("mine alone; fencing token {}", guard.fencing_token());
    tokio::time::sleep(Duration::from_secs(3)).await;
    guard.unlock().await?;
    session.close().await
}
