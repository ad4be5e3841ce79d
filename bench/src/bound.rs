//! What a lock that goes from client to client can't beat.
//!
//! A hand-over is one round trip, the holder's Unlock out and the next holder's Lock back, and one
//! commit between them. So one lock changes hands at most 1 ÷ (one RPC + one fsync) times a second,
//! however many want it. Both are measured in each round, on the same machine and file system.

use std::{fs::File, io::Write, path::Path, time::Duration};

use anyhow::{Context, Result};
use tempfile::tempfile_in;
use tokio::{task::spawn_blocking, time::Instant};

use crate::{
    figures::{Metric, median},
    ground::Ground,
    load,
    plan::Timing,
    scenario::{Client, Work},
    system::System,
};

/// The page that a commit writes at least.
const PAGE: [u8; 4096] = [0x5a; 4096];
/// How long each of the two is measured, at most.
const WINDOW: Duration = Duration::from_millis(500);
/// How many appends go before those that count.
const WARM_UP: usize = 20;

/// The two things that a hand-over waits for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// One RPC at the floor with one client, in us: the median.
    pub rpc: f64,
    /// 4 KiB appended and fdatasync, in us: the median.
    pub fsync: f64,
}

impl Bound {
    /// Measures both.
    ///
    /// # Errors
    /// When the floor does not start, or the disk refuses.
    pub async fn measure(ground: &Ground, timing: Timing) -> Result<Self> {
        let window = timing.window.min(WINDOW);
        let directory = ground.data_dir().to_owned();
        let fsync = spawn_blocking(move || fsync(&directory, window));
        let fsync = fsync.await.context("the appends panicked")??;
        let rpc = rpc(ground, Timing::of(window)).await.context("floor")?;
        Ok(Self { rpc, fsync })
    }

    /// The medians of the rounds; none without a round.
    pub fn median(rounds: &[Bound]) -> Option<Self> {
        let of = |part: fn(&Bound) -> f64| median(&rounds.iter().map(part).collect::<Vec<_>>());
        (!rounds.is_empty()).then(|| Self {
            rpc: of(|bound| bound.rpc),
            fsync: of(|bound| bound.fsync),
        })
    }

    /// How often one lock can change hands, a second.
    pub fn per_second(&self) -> f64 {
        1e6 / (self.rpc + self.fsync)
    }
}

async fn rpc(ground: &Ground, timing: Timing) -> Result<f64> {
    let server = ground.start(System::Floor).await?;
    let channel = server.connections(1).await?.remove(0);
    let client = Client::prepare(Work::Put, channel, 0).await?;
    let figures = load::measure(vec![client], server.pid(), timing).await?;
    server.stop().await?;
    Ok(figures.get(Metric::P50))
}

fn fsync(directory: &Path, window: Duration) -> Result<f64> {
    let mut file = tempfile_in(directory).context("a file for the appends")?;
    for _ in 0..WARM_UP {
        append(&mut file)?;
    }
    let (mut took, began) = (Vec::new(), Instant::now());
    while began.elapsed() < window {
        let start = Instant::now();
        append(&mut file)?;
        took.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(&took))
}

fn append(file: &mut File) -> Result<()> {
    file.write_all(&PAGE)?;
    file.sync_data().context("fdatasync")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hand_over_takes_both() {
        let bound = |rpc, fsync| Bound { rpc, fsync };
        assert_eq!(bound(60.0, 190.0).per_second(), 4000.0);
        let rounds = [bound(50.0, 300.0), bound(70.0, 200.0), bound(60.0, 100.0)];
        assert_eq!(Bound::median(&rounds), Some(bound(60.0, 200.0)));
        assert_eq!(Bound::median(&[]), None);
    }

    #[test]
    fn an_append_takes_time() {
        let directory = tempfile::tempdir().unwrap();
        let took = fsync(directory.path(), Duration::from_millis(5)).unwrap();
        assert!(took > 0.0, "{took}");
    }
}
