//! Every differential case, on the tested server and on a real etcd.
#![allow(missing_docs)]

use anyhow::{Result, ensure};
use latchd_conformance::{
    suite::{cases, pair::Source, report, runner::Plan},
    target::Kind,
};

#[tokio::test]
async fn every_case_is_equal_or_explained() -> Result<()> {
    let plan = Plan {
        tested: Source::Start(Kind::from_env()?),
        ..Plan::default()
    };
    let outcome = plan.run(&cases::families(), |_| {}).await?;
    let report = report::table(&outcome);
    println!("{report}");
    ensure!(outcome.is_good(), "{report}");
    ensure!(
        outcome.cases.len() >= 400,
        "only {} cases",
        outcome.cases.len()
    );
    Ok(())
}
