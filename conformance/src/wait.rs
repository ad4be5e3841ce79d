//! Deadlines. Nothing here sleeps for a fixed time: a test waits for something
//! to become true, and fails with its name when it does not.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{sleep, timeout};

/// How long a test waits for what should come almost at once, on a busy machine.
pub const SOON: Duration = Duration::from_secs(60);

/// How often [`until`] looks again.
const LOOK: Duration = Duration::from_millis(10);

/// Runs `work`; an error naming `what` if it takes longer than `limit`.
pub async fn within<T>(
    limit: Duration,
    what: &str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    timeout(limit, work)
        .await
        .with_context(|| format!("waited {limit:?} for {what}"))?
        .with_context(|| format!("while waiting for {what}"))
}

/// Asks `look` again and again until it answers true, for at most [`SOON`].
pub async fn until(what: &str, mut look: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    within(SOON, what, async {
        while !look().await? {
            sleep(LOOK).await;
        }
        Ok(())
    })
    .await
}
