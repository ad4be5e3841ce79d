//! Concurrent histories: many clients on one server, all that they saw recorded
//! and checked. `src/history` says what is checked.
#![allow(missing_docs)]

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use latchd_conformance::{
    files,
    history::{
        check,
        live::{
            pause,
            run::{Options, Where, run, start_clients},
            stage::{Length, Stage},
        },
        violation::Rule,
    },
    target::Kind,
};

fn options() -> Result<Options> {
    Ok(Options {
        server: Where::Own(Kind::from_env()?),
        length: Length::Ops(4000),
        ..Options::default()
    })
}

async fn run_and_check(options: Options) -> Result<()> {
    println!("{options:?}");
    let report = run(&options).await?;
    println!("{report}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_see_one_sequence() -> Result<()> {
    run_and_check(options()?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn they_see_it_across_kill_9() -> Result<()> {
    run_and_check(Options {
        kills: 5,
        ..options()?
    })
    .await
}

/// A server that comes back with the data of an earlier moment, as one would that
/// answers before it syncs: what it gives out then, it has given out before.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgets_is_found_out() -> Result<()> {
    let length = Length::Ops(900);
    let mut stage = Stage::own(Kind::from_env()?).await?;
    // Who locks would wait for the leases of keys that come back.
    let clients = Options {
        lockers: 0,
        ..options()?
    };
    start_clients(&mut stage, &clients)?;
    let mut data = BTreeMap::new();
    stage.reach(length, 1, 3).await?;
    let keep = stage.kill_and(|directory| {
        data = files::contents(directory)?;
        Ok(())
    });
    keep.await?;
    stage.reach(length, 2, 3).await?;
    stage
        .kill_and(|directory| files::restore(directory, &data))
        .await?;
    stage.reach(length, 1, 1).await?;
    let Err(violation) = check::check(&stage.finish().await?) else {
        anyhow::bail!("it was not found out");
    };
    println!("{violation}");
    ensure!(violation.rule == Rule::RevisionGivenTwice, "{violation}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_holder_loses_the_lock_and_writes_nothing() -> Result<()> {
    stop_a_holder(false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_holder_has_its_ttl_again_after_kill_9() -> Result<()> {
    stop_a_holder(true).await
}

async fn stop_a_holder(kill: bool) -> Result<()> {
    let options = pause::Options {
        program: env!("CARGO_BIN_EXE_latchd-conformance").into(),
        server: Kind::from_env()?,
        kill,
        save: None,
    };
    println!("{}", pause::run(&options).await?);
    Ok(())
}
