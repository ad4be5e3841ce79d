//! Several programs, each in its own language, on one lock: they increment one
//! counter by a read and a write, with nothing but the lock between them.

use anyhow::{Context, Result, ensure};
use etcd_client::{Client, Compare, CompareOp, PutOptions, Txn, TxnOp};
use futures::future::try_join_all;

use super::{Launcher, Play, Program, Scale, Scenario, program::Keys};
use crate::{locks, process::Process, wait::SOON};

/// Seconds; until all are there.
const GATE_TTL: i64 = 600;

/// Programs that name the keys of a lock alike, and so exclude one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// `NAME/LEASE`: they queue.
    Queue,
    /// One key: they try again.
    Bare,
}

impl Group {
    /// Its programs.
    pub fn programs(self) -> impl Iterator<Item = Program> {
        Program::ALL.into_iter().filter(move |program| {
            let queues = program.keys() == Keys::Queue;
            queues == (self == Self::Queue)
        })
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// How often the programs incremented the counter.
    pub turns: usize,
    /// What it says.
    pub counter: usize,
}

/// The programs hold one lock by turns. None has its first turn before all want it.
///
/// # Errors
/// When one of them fails.
pub async fn count_together(
    launcher: &Launcher,
    programs: &[Program],
    endpoint: &str,
    scale: Scale,
) -> Result<Counted> {
    let client = Client::connect([endpoint], None).await?;
    let names = Names::new();
    let gate = Gate::shut(&client, &names, programs).await?;
    let mut running = Vec::new();
    for program in programs {
        let play = Play::new(launcher, *program, endpoint).at(scale);
        let play = play.named(&names.of(*program), &names.counter);
        running.push((*program, play.start(&[Scenario::Counter])?));
    }
    try_join_all(running.iter_mut().map(ready)).await?;
    let opened = gate.open(programs.len() * scale.clients).await;
    opened.with_context(|| stories(&running))?;
    for (program, mut process) in running {
        let exit = process.exit(SOON * 9).await?;
        exit.ok().with_context(|| program.name())?;
    }
    let found = client.kv_client().get(&*names.counter, None).await?;
    let counter = found.kvs().first().context("nobody counted")?;
    Ok(Counted {
        turns: programs.len() * scale.clients * scale.turns,
        counter: counter.value_str()?.parse()?,
    })
}

fn stories(running: &[(Program, Process)]) -> String {
    let story =
        |(program, process): &(Program, Process)| format!("{program}: {}", process.stderr());
    running.iter().map(story).collect::<Vec<_>>().join("\n")
}

async fn ready((program, process): &mut (Program, Process)) -> Result<()> {
    let says = |out: &String| out.contains("ready");
    let said = process.stdout_until(SOON * 3, says).await;
    said.map(|_| ()).with_context(|| program.name())
}

/// What one lock and its counter are called.
struct Names {
    /// The lock's, for those who queue under it.
    prefix: String,
    /// The lock's key, for those who have but one.
    key: String,
    counter: String,
}

impl Names {
    fn new() -> Self {
        let prefix = format!("together-{:08x}", rand::random::<u32>());
        Self {
            key: format!("/locks/{prefix}"),
            counter: format!("count-of-{prefix}"),
            prefix,
        }
    }

    /// What a program is given, so that it comes to the same keys.
    fn of(&self, program: Program) -> String {
        match program.keys() {
            Keys::Queue => self.prefix.clone(),
            Keys::Bare(own) => self.key.trim_start_matches(own).to_owned(),
        }
    }
}

/// The first holder of the lock, until all others want it.
enum Gate<'a> {
    Queue {
        client: &'a Client,
        name: String,
        key: Vec<u8>,
    },
    Bare {
        client: &'a Client,
        key: String,
    },
}

impl<'a> Gate<'a> {
    async fn shut(client: &'a Client, names: &Names, programs: &[Program]) -> Result<Self> {
        // Programs add the scenario's name.
        let scenario = Scenario::Counter;
        let lease = locks::lease(client, GATE_TTL, 0).await?;
        if programs.iter().all(|program| program.keys() == Keys::Queue) {
            let name = format!("{}-{scenario}", names.prefix);
            let key = locks::take(client, &name, lease).await?;
            return Ok(Self::Queue { client, name, key });
        }
        let key = format!("{}-{scenario}", names.key);
        let put = TxnOp::put(&*key, "gate", Some(PutOptions::new().with_lease(lease)));
        let free = Compare::create_revision(&*key, CompareOp::Equal, 0);
        let txn = Txn::new().when([free]).and_then([put]);
        let taken = client.kv_client().txn(txn).await?;
        ensure!(taken.succeeded(), "{key} is there already");
        Ok(Self::Bare { client, key })
    }

    /// Lets them in; those who queue, once so many do.
    async fn open(self, contenders: usize) -> Result<()> {
        match self {
            Self::Queue { client, name, key } => {
                locks::await_count(client, &name, i64::try_from(contenders)? + 1).await?;
                client.lock_client().unlock(key).await?;
            }
            Self::Bare { client, key } => {
                client.kv_client().delete(key, None).await?;
            }
        }
        Ok(())
    }
}
