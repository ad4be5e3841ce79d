//! Clients that write and read at random.

use anyhow::{Result, ensure};

use super::client::Client;
use crate::history::{record::Outcome, workload::Workload};

/// Asks what the workload says until the run is over.
///
/// # Errors
/// When the server breaks again and again although it is meant to be up.
pub async fn write(mut client: Client, mut workload: Workload) -> Result<()> {
    let mut broken = 0;
    while !client.around.is_over() {
        let request = workload.ask();
        let outcome = client.ask(request.clone()).await;
        workload.learn(&request, &outcome);
        broken = if let Outcome::Unknown { error } = outcome {
            ensure!(broken < MOST_IN_A_ROW, "it does not answer: {error}");
            broken + 1
        } else {
            0
        };
    }
    Ok(())
}

/// A kill breaks one request of a client, or two.
const MOST_IN_A_ROW: u32 = 10;
