//! Concurrent histories: many clients on one server, all that they saw recorded
//! and checked. `src/history` says what is checked.
#![allow(missing_docs)]

use anyhow::Result;
use latchd_conformance::{
    history::live::{
        pause,
        run::{Options, Where, run},
    },
    target::Kind,
};

fn options() -> Result<Options> {
    Ok(Options {
        server: Where::Own(Kind::from_env()?),
        ..Options::default()
    })
}

async fn check(options: Options) -> Result<()> {
    println!("{options:?}");
    let report = run(&options).await?;
    println!("{report}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_see_one_sequence() -> Result<()> {
    check(options()?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn they_see_it_across_kill_9() -> Result<()> {
    check(Options {
        kills: 5,
        ..options()?
    })
    .await
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
