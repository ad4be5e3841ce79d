//! Programs in all languages contend for one lock together, each incrementing one
//! counter by a read and a write: no turn is lost, on latchd and on a real etcd.
#![allow(missing_docs)]

use anyhow::{Result, ensure};
use latchd_conformance::{
    clients::{
        Launcher, Play, Program, Scale, Scenario,
        together::{Group, count_together},
    },
    server::{Server, Spec},
    target::{self, Kind},
};
use tokio::try_join;

/// Few, because on etcd each hand-over takes up to 100 ms.
const SCALE: Scale = Scale {
    clients: 2,
    turns: 10,
    ttl: 5,
};

/// Those that are not installed have their test in other_clients.rs skipped.
async fn count(group: Group) -> Result<()> {
    let launcher = Launcher::new(env!("CARGO_BIN_EXE_latchd-conformance"));
    let installed = |program: &Program| launcher.command(*program).is_ok();
    let programs: Vec<Program> = group.programs().filter(installed).collect();
    if programs.len() < 2 {
        return target::skip("fewer than two of its programs are installed");
    }
    for kind in Kind::both_from_env()? {
        let server = Spec::of(kind)?.start().await?;
        let url = server.spec().url();
        let counted = count_together(&launcher, &programs, &url, SCALE).await?;
        let turns = programs.len() * SCALE.clients * SCALE.turns;
        ensure!(counted.counter == turns, "{programs:?}: {counted:?}");
        println!("{kind:?}: {programs:?} counted to {turns}");
    }
    Ok(())
}

#[tokio::test]
async fn those_who_queue_under_one_name_count_together() -> Result<()> {
    count(Group::Queue).await
}

#[tokio::test]
async fn those_who_lock_one_key_count_together() -> Result<()> {
    count(Group::Bare).await
}

/// That the counts above can go wrong at all: without a lock in common they do.
#[tokio::test]
async fn under_a_lock_of_its_own_each_spoils_the_others_count() -> Result<()> {
    let launcher = Launcher::new(env!("CARGO_BIN_EXE_latchd-conformance"));
    let server = Server::start().await?;
    let scale = Scale {
        clients: 1,
        turns: 300,
        ..SCALE
    };
    let client = server.client().await?;
    // On a busy machine one may be done before the other begins.
    for attempt in 0..10 {
        let key = format!("count-{attempt}");
        let counts = |program, name| {
            let play = Play::new(&launcher, program, server.spec().url());
            play.at(scale).named(name, &key)
        };
        let (one, other) = (counts(Program::Go, "one"), counts(Program::Rust, "other"));
        let asked = [Scenario::Counter];
        try_join!(one.seen(&asked), other.seen(&asked))?;
        let found = client.kv_client().get(key, None).await?;
        let counter: usize = found.kvs()[0].value_str()?.parse()?;
        if counter < 600 {
            return Ok(());
        }
    }
    anyhow::bail!("no turn was lost")
}
