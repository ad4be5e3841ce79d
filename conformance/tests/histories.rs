//! Concurrent histories: many clients on one server, all that they saw recorded
//! and checked. `src/history` says what is checked.
#![allow(missing_docs)]

use anyhow::Result;
use latchd_conformance::{
    history::live::run::{Length, Options, Where, run},
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
        length: Length::Ops(6000),
        ..options()?
    })
    .await
}
