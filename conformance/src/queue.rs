//! A queue of waiters behind a holder of one lock, all over one connection,
//! through the Lock service.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use etcd_client::{Client, LockClient, LockOptions};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::JoinSet,
    time::Instant,
};

use crate::{
    locks,
    wait::{SOON, within},
};

/// Seconds; nobody keeps these leases alive.
const TTL: i64 = 600;

/// The queue. Dropping it cancels every wait.
pub struct Queue {
    client: Client,
    name: &'static str,
    holder: Vec<u8>,
    waiting: JoinSet<()>,
    granted: UnboundedReceiver<Result<Vec<u8>>>,
}

impl Queue {
    /// Returns once all are in the queue: a holder, and as many waiters, whose
    /// requests go `through` the given client.
    ///
    /// # Errors
    /// When the server refuses one of them.
    pub async fn form(
        client: &Client,
        through: &Client,
        name: &'static str,
        waiters: usize,
    ) -> Result<Self> {
        let holder = locks::take(client, name, locks::lease(client, TTL, 0).await?).await?;
        let (sender, granted) = mpsc::unbounded_channel();
        let mut waiting = JoinSet::new();
        for lease in leases(client, waiters).await? {
            let wait = wait(through.lock_client(), name, lease, sender.clone());
            waiting.spawn(wait);
        }
        locks::await_count(client, name, i64::try_from(waiters)? + 1).await?;
        let client = client.clone();
        Ok(Self {
            client,
            name,
            holder,
            waiting,
            granted,
        })
    }

    /// Cancels every wait at once; the holder stays.
    pub fn cancel_all(&mut self) {
        self.waiting.abort_all();
    }

    /// The holder's key.
    #[must_use]
    pub fn holder(&self) -> &[u8] {
        &self.holder
    }

    /// Unlocks `key`; returns who has the lock then, and how long that took.
    async fn hand_off(&mut self, key: Vec<u8>) -> Result<(Vec<u8>, Duration)> {
        ensure!(self.granted.is_empty(), "a second holder");
        let start = Instant::now();
        let mut locks = self.client.lock_client();
        let (unlocked, next) = tokio::join!(locks.unlock(key), self.next());
        unlocked?;
        Ok((next?, start.elapsed()))
    }

    async fn next(&mut self) -> Result<Vec<u8>> {
        within(SOON, "the next grant", async {
            self.granted.recv().await.context("no waiter is left")?
        })
        .await
    }

    /// Lets all have their turn; fails when one comes out of turn. Returns the
    /// time of each hand-off, in their order.
    ///
    /// # Errors
    /// When a waiter is overtaken, or two hold the lock at once.
    pub async fn drain(mut self) -> Result<Vec<Duration>> {
        let order = locks::queue(&self.client, self.name).await?;
        ensure!(
            order.first() == Some(&self.holder),
            "the holder is not the oldest"
        );
        let mut times = Vec::new();
        let mut key = self.holder.clone();
        for (turn, expected) in order.into_iter().enumerate().skip(1) {
            let (next, time) = self.hand_off(key).await?;
            ensure!(
                next == expected,
                "turn {turn} went to {next:?}, not {expected:?}"
            );
            times.push(time);
            key = next;
        }
        self.client.lock_client().unlock(key).await?;
        locks::await_count(&self.client, self.name, 0).await?;
        Ok(times)
    }
}

async fn wait(
    mut locks: LockClient,
    name: &'static str,
    lease: i64,
    granted: UnboundedSender<Result<Vec<u8>>>,
) {
    let options = LockOptions::new().with_lease(lease);
    let answer = locks.lock(name, Some(options)).await;
    // The receiver is gone when the test is over.
    let _ = granted.send(answer.map(|a| a.key().to_vec()).map_err(Into::into));
}

/// Leases for so many waiters, granted side by side.
async fn leases(client: &Client, n: usize) -> Result<Vec<i64>> {
    let mut grants = JoinSet::new();
    for _ in 0..n {
        let client = client.clone();
        grants.spawn(async move { locks::lease(&client, TTL, 0).await });
    }
    grants.join_all().await.into_iter().collect()
}
