//! What things take in a server's memory: for each kind of piece a fresh server, its resident memory
//! before and after there are many of them, and the difference divided by their number.

mod pieces;
pub mod report;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use tokio::time::sleep;

use crate::{
    ground::{Ground, GroundOptions},
    json,
    proc::Usage,
    results::Machine,
    sizes::at_least_one,
    system::System,
};
use pieces::Held;
pub use pieces::Piece;

/// How long a server is left alone before its memory is read: garbage is collected, pages go back.
const QUIET: Duration = Duration::from_secs(3);

/// The flags of `latchd-bench footprint`.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    ground: GroundOptions,

    #[command(flatten)]
    counts: Counts,

    /// What is weighed; by default all of it.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_enum)]
    piece: Vec<Piece>,

    /// Who is measured; by default latchd and etcd.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_enum)]
    system: Vec<System>,

    /// Where to write the figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// How many of each piece.
#[derive(clap::Args, Clone, Copy)]
pub struct Counts {
    /// How many idle connections.
    #[arg(long, value_name = "N", default_value_t = Self::USUAL.connections, value_parser = at_least_one())]
    pub connections: usize,

    /// How many watchers, each on a key of its own.
    #[arg(long, value_name = "N", default_value_t = Self::USUAL.watchers, value_parser = at_least_one())]
    pub watchers: usize,

    /// How many leases, without a key and with one each.
    #[arg(long, value_name = "N", default_value_t = Self::USUAL.leases, value_parser = at_least_one())]
    pub leases: usize,

    /// How many calls that wait for one lock.
    #[arg(long, value_name = "N", default_value_t = Self::USUAL.waiters, value_parser = at_least_one())]
    pub waiters: usize,
}

impl Counts {
    /// So many that what is not theirs does not show.
    pub const USUAL: Counts = Counts {
        connections: 1_000,
        watchers: 10_000,
        leases: 100_000,
        waiters: 1_000,
    };

    fn of(&self, piece: Piece) -> usize {
        match piece {
            Piece::Connection => self.connections,
            Piece::Watcher | Piece::WatchStream => self.watchers,
            Piece::Lease | Piece::LeasedKey => self.leases,
            Piece::Waiter => self.waiters,
        }
    }
}

/// What one kind of piece took on one system.
pub struct Weighed {
    /// What was weighed.
    pub piece: Piece,
    /// Where.
    pub system: System,
    count: usize,
    /// Resident bytes before the first piece.
    pub before: u64,
    /// Resident bytes with all of them.
    after: u64,
}

impl Weighed {
    /// Bytes; less than nothing when the server gave back more than the pieces took.
    pub fn per_piece(&self) -> f64 {
        (self.after as f64 - self.before as f64) / self.count as f64
    }
}

/// Measures, and prints the table.
///
/// # Errors
/// When a server does not start, or does not do what is asked of it.
pub async fn run(options: Options) -> Result<()> {
    json::check(options.json.as_deref())?;
    let systems = match &options.system[..] {
        [] => vec![System::Latchd, System::Etcd],
        chosen => chosen.to_vec(),
    };
    let pieces = match &options.piece[..] {
        [] => Piece::ALL.to_vec(),
        chosen => chosen.to_vec(),
    };
    let ground = Ground::find(options.ground, &systems)?;
    let machine = ground.machine(&systems).await?;
    let all = weigh_all(&ground, &machine, &pieces, options.counts).await?;
    json::write(options.json.as_deref(), &report::document(&machine, &all))
}

/// Weighs these pieces on all systems of `machine`, and prints the table.
///
/// # Errors
/// As [`run`].
pub async fn weigh_all(
    ground: &Ground,
    machine: &Machine,
    pieces: &[Piece],
    counts: Counts,
) -> Result<Vec<Weighed>> {
    let systems: Vec<System> = machine.versions.iter().map(|(system, _)| *system).collect();
    print!("{}", report::head(machine, QUIET));
    let mut all = Vec::new();
    for piece in pieces.iter().copied() {
        for system in &systems {
            let weighed = weigh(ground, *system, piece, counts.of(piece)).await;
            all.push(weighed.with_context(|| format!("{}, {}", piece.name(), system.name()))?);
        }
        print!("{}", report::row(&all[all.len() - systems.len()..]));
    }
    print!("{}", report::idle(&all, &systems));
    Ok(all)
}

async fn weigh(ground: &Ground, system: System, piece: Piece, count: usize) -> Result<Weighed> {
    let server = ground.start(system).await?;
    let stand = pieces::prepare(piece, &server, count).await?;
    let before = resident(server.pid()).await?;
    let mut held: Held = stand.hold(&server, count).await?;
    let after = resident(server.pid()).await?;
    held.check().await?;
    server.stop().await?;
    Ok(Weighed {
        piece,
        system,
        count,
        before,
        after,
    })
}

async fn resident(pid: u32) -> Result<u64> {
    sleep(QUIET).await;
    Ok(Usage::of(pid)?.rss_kib * 1024)
}
