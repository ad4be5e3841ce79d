//! What the server tells: everything there is now and then, and between the looks how often each
//! lock was acquired.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::exit::Failure;
use crate::model::{Deadlock, Lock, Told, What};
use crate::source::Source;

/// How long to leave a server alone that did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// News for [`super::state::Top`].
#[derive(Debug)]
pub enum Update {
    Look(Look),
    /// The server does not answer, because of this.
    Lost(String),
}

/// What there is, and what became of it since the look before.
#[derive(Debug, Default)]
pub struct Look {
    pub locks: Vec<Lock>,
    pub deadlocks: Vec<Deadlock>,
    /// How often each lock was acquired.
    pub acquired: HashMap<Vec<u8>, u64>,
}

/// Looks again and again, also after the server was away, until nobody listens.
pub async fn follow(
    source: Source,
    prefix: Vec<u8>,
    every: Duration,
    updates: mpsc::Sender<Update>,
) {
    loop {
        let Err(lost) = look(&source, &prefix, every, &updates).await;
        let is_heard = updates.send(Update::Lost(lost.to_string())).await.is_ok();
        if !is_heard {
            return;
        }
        sleep(PAUSE).await;
    }
}

async fn look(
    source: &Source,
    prefix: &[u8],
    every: Duration,
    updates: &mpsc::Sender<Update>,
) -> Result<Infallible, Failure> {
    let mut watch = source.watch(prefix).await?;
    let mut looks = interval(every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut acquired = HashMap::new();
    loop {
        tokio::select! {
            told = watch.next() => count(told?, &mut acquired),
            _ = looks.tick() => {
                let deadlocks = match source.is_latchd() {
                    true => source.deadlocks().await?,
                    false => Vec::new(),
                };
                let look = Look {
                    locks: source.list(prefix).await?,
                    deadlocks,
                    acquired: std::mem::take(&mut acquired),
                };
                let gone = |_| Failure::No("nobody looks any more".into());
                updates.send(Update::Look(look)).await.map_err(gone)?;
            }
        }
    }
}

fn count(told: Told, acquired: &mut HashMap<Vec<u8>, u64>) {
    if let Told::Event(event) = told
        && event.what == What::Acquired
    {
        *acquired.entry(event.name).or_default() += 1;
    }
}
