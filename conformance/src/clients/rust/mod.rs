//! The Rust program of the table: Lock and Election services, leases and watches
//! through `etcd-client`. `latchd-conformance rust-client` runs it, in a process of
//! its own like the programs of `clients/`; `clients/README.md` describes what it is
//! asked and what it prints.

mod elections;
mod locks;
mod watches;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use etcd_client::{Client, KeyValue};
use serde_json::{Value, json};

use super::scenario::Scenario;

/// Seconds, of leases that nobody keeps alive: longer than a slow machine takes.
const LONG: i64 = 600;

/// What every program takes.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The server's client URL
    #[arg(long, default_value = "http://127.0.0.1:2379")]
    endpoint: String,

    /// What the names of locks begin with
    #[arg(long, default_value = "rust")]
    name: String,

    /// The key that is counted in; by default NAME-counter.count
    #[arg(long)]
    counter: Option<String>,

    /// How many clients, each with a connection of its own
    #[arg(long, default_value_t = 4)]
    clients: usize,

    /// How often each client takes the lock
    #[arg(long, default_value_t = 5)]
    turns: usize,

    /// TTL in seconds of the lease that expires
    #[arg(long, default_value_t = 3)]
    ttl: i64,

    /// What to play, one after the other
    #[arg(required = true)]
    scenarios: Vec<Scenario>,
}

/// What one scenario takes.
struct Task {
    options: Options,
    /// The lock's name.
    name: String,
    counter: String,
}

impl Task {
    fn new(options: &Options, scenario: Scenario) -> Self {
        let name = format!("{}-{scenario}", options.name);
        let counter = options.counter.clone();
        Self {
            counter: counter.unwrap_or_else(|| format!("{name}.count")),
            options: options.clone(),
            name,
        }
    }

    async fn connect(&self) -> Result<Client> {
        Ok(Client::connect([&self.options.endpoint], None).await?)
    }

    async fn connect_all(&self) -> Result<Vec<Client>> {
        let mut all = Vec::new();
        for _ in 0..self.options.clients {
            all.push(self.connect().await?);
        }
        Ok(all)
    }
}

/// Plays what is asked for, and prints a line for each; fails if one did.
pub async fn run(options: Options) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for scenario in &options.scenarios {
        let outcome = play(*scenario, Task::new(&options, *scenario)).await;
        say(&match outcome {
            Ok(saw) => json!({ "scenario": scenario, "saw": saw }),
            Err(error) => {
                code = ExitCode::FAILURE;
                json!({ "scenario": scenario, "error": format!("{error:#}") })
            }
        });
    }
    code
}

async fn play(scenario: Scenario, task: Task) -> Result<Value> {
    match scenario {
        Scenario::Lock => locks::lock(&task).await,
        Scenario::Contend => locks::contend(&task).await,
        Scenario::Expire => locks::expire(&task).await,
        Scenario::Elect => elections::elect(&task).await,
        Scenario::Watch => watches::watch(&task).await,
        Scenario::Counter => locks::counter(&task).await,
        other => bail!("it has no {other}"),
    }
}

fn say(line: &Value) {
    println!("{line}");
}

async fn get(client: &Client, key: &str) -> Result<Option<KeyValue>> {
    let mut found = client.kv_client().get(key, None).await?;
    Ok(found.take_kvs().pop())
}

fn revision(header: Option<&etcd_client::ResponseHeader>) -> Result<i64> {
    Ok(header.context("no header")?.revision())
}
