//! Programs in all languages contend for one lock together, each incrementing one
//! counter by a read and a write: no turn is lost, on latchd and on a real etcd.
#![allow(missing_docs)]

use anyhow::{Result, ensure};
use latchd_conformance::{
    clients::{
        Launcher, Program, Scale,
        together::{Group, count_together},
    },
    server::Spec,
    target::Kind,
};

/// Few, because on etcd each hand-over takes up to 100 ms.
const SCALE: Scale = Scale {
    clients: 2,
    turns: 10,
    ttl: 2,
};

/// Those that are not installed have their test in other_clients.rs skipped.
async fn count(group: Group) -> Result<()> {
    let launcher = Launcher::new(env!("CARGO_BIN_EXE_latchd-conformance"));
    let installed = |program: &Program| launcher.command(*program).is_ok();
    let all: Vec<Program> = group.programs().filter(installed).collect();
    for kind in Kind::both_from_env()? {
        // latchd has no JSON gateway yet.
        let gateway = [Program::Json, Program::PythonEtcd3gw];
        let can = |program: &&Program| kind == Kind::Etcd || !gateway.contains(program);
        let programs: Vec<Program> = all.iter().filter(can).copied().collect();
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
