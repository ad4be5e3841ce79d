//! Works for as long as the lock lasts. Stop the server meanwhile, and the work ends before the lock's
//! deadline.
//!
//! ```sh
//! cargo run -p latchd-client --example run_exclusive
//! ```

use std::time::Duration;

use latchd_client::{Client, Error, Options};

#[tokio::main]
async fn main() -> latchd_client::Result<()> {
    let client = Client::connect(["http://127.0.0.1:2379"], Options::default()).await?;
    let session = client.session(Duration::from_secs(5)).await?;
    let work = async {
        for second in 1..=30 {
            println!("second {second} of the work");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        "done"
    };
    match session.run_exclusive("examples/work", work).await {
        Ok(result) => println!("{result}"),
        Err(Error::LockLost { loss, .. }) => println!("stopped in the middle: {loss}"),
        Err(error) => return Err(error),
    }
    Ok(())
}
