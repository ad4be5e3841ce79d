//! A late writer, and two kinds of stores that refuse it: one that remembers the highest token, and the
//! lock's own store. See `docs/fencing.md`.
//!
//! ```sh
//! cargo run -p latchd-client --example fencing
//! ```

use std::time::Duration;

use etcd_client::{Compare, CompareOp, Txn, TxnOp};
use latchd_client::{Client, Guard, Options, Revision};

/// A store of its own: a database, a file server.
#[derive(Default)]
struct Account {
    balance: i64,
    highest: Option<Revision>,
}

impl Account {
    /// Refuses a token lower than the highest that it has seen.
    fn write(&mut self, balance: i64, token: Revision) -> Result<(), String> {
        if self.highest > Some(token) {
            return Err(format!("token {token} is too late"));
        }
        (self.balance, self.highest) = (balance, Some(token));
        Ok(())
    }
}

/// Data beside the lock: written only while the lock's key is the one that was granted.
async fn write_beside(
    client: &Client,
    guard: &Guard,
    balance: &str,
) -> latchd_client::Result<bool> {
    let token = guard.fencing_token().0;
    let still_mine = Compare::create_revision(guard.key(), CompareOp::Equal, token);
    let write =
        Txn::new()
            .when([still_mine])
            .and_then([TxnOp::put("examples/balance", balance, None)]);
    Ok(client.etcd().txn(write).await?.succeeded())
}

#[tokio::main]
async fn main() -> latchd_client::Result<()> {
    let client = Client::connect(["http://127.0.0.1:2379"], Options::default()).await?;
    let (ann, ben) = (
        client.session(Duration::from_secs(10)).await?,
        client.session(Duration::from_secs(10)).await?,
    );
    let mut account = Account::default();

    let late = ann.mutex("examples/account").lock().await?;
    println!("ann has token {}, and is paused", late.fencing_token());
    // Her time is over; here by force, in life by a TTL.
    client
        .force_release("examples/account", late.fencing_token())
        .await?;

    let guard = ben.mutex("examples/account").lock().await?;
    println!("ben has token {}, and writes", guard.fencing_token());
    println!(
        "  his own store: {:?}",
        account.write(70, guard.fencing_token())
    );
    println!(
        "  beside the lock: {}",
        write_beside(&client, &guard, "70").await?
    );

    println!("ann wakes up, and writes");
    println!(
        "  her own store: {:?}",
        account.write(30, late.fencing_token())
    );
    println!(
        "  beside the lock: {}",
        write_beside(&client, &late, "30").await?
    );
    println!("the balance is {}", account.balance);
    guard.unlock().await
}
