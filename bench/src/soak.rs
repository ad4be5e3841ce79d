//! Lock cycles without end: whether the data file and the memory stay bounded, and how soon the
//! server serves again afterwards.

use std::{
    path::PathBuf,
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::wire::Wire;
use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    ground::{Ground, GroundOptions},
    json,
    proc::{self, Usage},
    scenario::lock::Locker,
    servers::Server,
    system::System,
};

const MIB: f64 = 1024.0 * 1024.0;
/// HTTP/2 connections for the clients.
const CONNECTIONS: usize = 4;
/// The leases' TTL in seconds, as lockers have it: latchd keeps as much history as the longest
/// lease may need, but no less than five minutes.
const TTL: i64 = 60;
/// When a client takes a new lease, and lets the old one run out.
const NEW_LEASE: Duration = Duration::from_secs(20);

/// The flags of `latchd-bench soak`.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    ground: GroundOptions,

    /// How many times a lock is taken and let go, all clients together.
    #[arg(long, value_name = "N", default_value_t = 1_000_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    cycles: u64,

    /// How many clients do it, each on a name of its own.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    clients: u16,

    /// How often the file and the memory are looked at, in seconds.
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,

    /// Who is soaked.
    #[arg(long, value_name = "NAME", value_enum, default_value_t = System::Latchd)]
    system: System,

    /// Where to write the figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The server at one moment.
struct Look {
    at: Duration,
    cycles: u64,
    disk_bytes: u64,
    rss_bytes: u64,
}

/// One start on the data that are there.
struct Restart {
    signal: Signal,
    took: Duration,
    rss_bytes: u64,
}

/// What was seen.
pub struct Soaked {
    clients: usize,
    looks: Vec<Look>,
    restarts: Vec<Restart>,
}

/// Soaks the server, restarts it, and prints what was seen.
///
/// # Errors
/// When it refuses a cycle, or does not start again.
pub async fn run(options: Options) -> Result<()> {
    json::check(options.json.as_deref())?;
    let systems = [options.system];
    let ground = Ground::find(options.ground, &systems)?;
    let machine = ground.machine(&systems).await?;
    println!(
        "{}\n{} CPUs, data on {}",
        machine.versions[0].1, machine.cpus, machine.filesystem
    );
    let soak = Soak {
        cycles: options.cycles,
        clients: options.clients.into(),
        every: Duration::from_secs(options.every),
    };
    let mut document = soak.whole(&ground, options.system).await?.value();
    document["machine"] = json!({ "cpus": machine.cpus, "filesystem": machine.filesystem });
    document["versions"] = json::versions(&machine).into();
    json::write(options.json.as_deref(), &document)
}

/// How much, by how many, and how often somebody looks.
#[derive(Clone, Copy)]
pub struct Soak {
    cycles: u64,
    clients: usize,
    every: Duration,
}

impl Soak {
    /// A million cycles.
    pub const USUAL: Soak = Soak {
        cycles: 1_000_000,
        clients: 64,
        every: Duration::from_secs(10),
    };

    /// The cycles and the restarts; prints what is seen.
    ///
    /// # Errors
    /// As [`run`].
    pub async fn whole(self, ground: &Ground, system: System) -> Result<Soaked> {
        let mut server = ground.start(system).await?;
        println!(
            "\n{:>9}{:>11}{:>11}{:>11}",
            "seconds", "cycles", "disk MiB", "RSS MiB"
        );
        let looks = self.run(&server).await?;
        print!("{}", summary(&looks));
        let mut restarts = Vec::new();
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            let restart = restart(ground, &mut server, signal).await?;
            print!("{}", restart.text());
            restarts.push(restart);
            // So that the next end finds something written.
            let load = Soak {
                cycles: self.cycles.div_ceil(100),
                ..self
            };
            load.quietly(&server).await?;
        }
        server.stop().await?;
        Ok(Soaked {
            clients: self.clients,
            looks,
            restarts,
        })
    }

    /// All cycles; what was seen meanwhile.
    async fn run(self, server: &Server) -> Result<Vec<Look>> {
        let began = Instant::now();
        let done = Arc::new(AtomicU64::new(0));
        let look = || Look::at(server, began.elapsed(), done.load(Ordering::Relaxed));
        let mut looks = vec![look()?];
        let cycles = self.cycle(server, done.clone());
        tokio::pin!(cycles);
        loop {
            let over = tokio::select! {
                outcome = &mut cycles => { outcome?; true }
                () = sleep(self.every) => false,
            };
            let seen = look()?;
            print!("{}", seen.row());
            looks.push(seen);
            if over {
                return Ok(looks);
            }
        }
    }

    /// All cycles, unseen.
    async fn quietly(self, server: &Server) -> Result<()> {
        self.cycle(server, Arc::default()).await
    }

    async fn cycle(self, server: &Server, done: Arc<AtomicU64>) -> Result<()> {
        let channels = server.connections(CONNECTIONS).await?;
        let channels = channels.iter().cycle().take(self.clients).enumerate();
        let begun = Arc::new(AtomicU64::new(0));
        let mut loops = JoinSet::new();
        for (index, channel) in channels {
            let name = format!("soak/{index}");
            loops.spawn(self.turns(channel.clone(), name, begun.clone(), done.clone()));
        }
        while let Some(ended) = loops.join_next().await {
            ended.context("a client panicked")??;
        }
        Ok(())
    }
}

impl Soak {
    /// One client's cycles.
    async fn turns(
        self,
        channel: Wire,
        name: String,
        begun: Arc<AtomicU64>,
        done: Arc<AtomicU64>,
    ) -> Result<()> {
        let lease = || Locker::short_lived(channel.clone(), &name, TTL);
        let (mut since, mut locker) = (Instant::now(), lease().await?);
        while begun.fetch_add(1, Ordering::Relaxed) < self.cycles {
            if since.elapsed() > NEW_LEASE {
                (since, locker) = (Instant::now(), lease().await?);
            }
            locker.operate().await?;
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Soaked {
    /// The same for programs.
    pub fn value(&self) -> Value {
        json!({
            "clients": self.clients,
            "looks": self.looks.iter().map(Look::value).collect::<Vec<_>>(),
            "restarts": self.restarts.iter().map(Restart::value).collect::<Vec<_>>(),
        })
    }

    /// After how many cycles how many MiB were on disk and resident.
    pub fn series(&self) -> [Vec<(f64, f64)>; 2] {
        let of = |bytes: fn(&Look) -> u64| {
            let looks = self.looks.iter();
            looks
                .map(|look| (look.cycles as f64, bytes(look) as f64 / MIB))
                .collect()
        };
        [of(|look| look.disk_bytes), of(|look| look.rss_bytes)]
    }
}

/// Ends the server in this way, and starts it again.
async fn restart(ground: &Ground, server: &mut Server, signal: Signal) -> Result<Restart> {
    server.end(signal).await?;
    ground.restart(server).await?;
    Ok(Restart {
        signal,
        took: server.started_within(),
        rss_bytes: Usage::of(server.pid())?.rss_kib * 1024,
    })
}

impl Look {
    fn at(server: &Server, at: Duration, cycles: u64) -> Result<Look> {
        Ok(Look {
            at,
            cycles,
            disk_bytes: proc::disk_bytes(&server.data())?,
            rss_bytes: Usage::of(server.pid())?.rss_kib * 1024,
        })
    }

    fn row(&self) -> String {
        format!(
            "{:>9}{:>11}{:>11.1}{:>11.1}\n",
            self.at.as_secs(),
            self.cycles,
            self.disk_bytes as f64 / MIB,
            self.rss_bytes as f64 / MIB,
        )
    }

    fn value(&self) -> Value {
        json!({
            "seconds": self.at.as_secs_f64(),
            "cycles": self.cycles,
            "disk_bytes": self.disk_bytes,
            "rss_bytes": self.rss_bytes,
        })
    }
}

/// The most that was seen.
fn summary(looks: &[Look]) -> String {
    let most = |of: fn(&Look) -> u64| looks.iter().map(of).max().unwrap_or(0) as f64 / MIB;
    format!(
        "\nat most {:.1} MiB on disk, {:.1} MiB resident\n",
        most(|look| look.disk_bytes),
        most(|look| look.rss_bytes),
    )
}

impl Restart {
    fn text(&self) -> String {
        format!(
            "after {}: serves again within {} ms, {:.1} MiB resident\n",
            self.signal,
            self.took.as_millis(),
            self.rss_bytes as f64 / MIB,
        )
    }

    fn value(&self) -> Value {
        json!({
            "signal": self.signal.as_str(),
            "ms": self.took.as_secs_f64() * 1e3,
            "rss_bytes": self.rss_bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_has_the_most_of_each() {
        let look = |mib: u64, rss: u64| Look {
            at: Duration::ZERO,
            cycles: 0,
            disk_bytes: mib << 20,
            rss_bytes: rss << 20,
        };
        let text = summary(&[look(1, 9), look(5, 2)]);
        assert_eq!(text, "\nat most 5.0 MiB on disk, 9.0 MiB resident\n");
    }
}
