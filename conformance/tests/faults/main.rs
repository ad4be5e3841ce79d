//! A server that lies in one thing is caught by the family of cases that is about
//! it; through the same proxy without the lie, the same cases are equal.
#![allow(missing_docs)]

mod fault;
mod lies;
mod proxy;

use std::{collections::BTreeSet, sync::Arc};

use anyhow::{Result, ensure};
use fault::{Fault, Lie};
use latchd_conformance::{
    server::{Server, Spec},
    suite::{
        case::Selection,
        cases,
        pair::Source,
        report,
        runner::{Outcome, Plan, Verdict},
    },
    target::Kind,
};
use proxy::Proxy;

/// The tested server behind a proxy, and a real etcd.
struct Bench {
    tested: Server,
    reference: Server,
}

impl Bench {
    async fn start() -> Result<Self> {
        let start = async |kind| {
            let spec = Spec::of(kind)?.flag("--auto-compaction-retention=0");
            spec.flag("--unsafe-no-fsync").start().await
        };
        let tested = start(Kind::from_env()?);
        let (tested, reference) = tokio::try_join!(tested, start(Kind::Etcd))?;
        Ok(Self { tested, reference })
    }

    async fn run(&self, cases: &str, lie: Arc<Lie>) -> Result<Outcome> {
        let proxy = Proxy::start(self.tested.spec().address(), lie).await?;
        let plan = Plan {
            tested: Source::Given(proxy.url.clone()),
            reference: Source::Given(self.reference.spec().url()),
            jobs: 1,
            selection: Selection::new(&[cases.to_owned()]),
            ..Plan::default()
        };
        plan.run(&cases::families(), |_| {}).await
    }

    /// Without the lie the cases are equal, with it one differs.
    async fn catches(&self, fault: Fault) -> Result<()> {
        let Fault { name, cases, lie } = fault;
        let honest = self.run(cases, Arc::new(Lie::None)).await?;
        let report = report::table(&honest);
        ensure!(!honest.cases.is_empty(), "{cases}: there is no such case");
        ensure!(honest.is_good(), "{name}: without the lie:\n{report}");
        let lying = self.run(cases, Arc::new(lie)).await?;
        let caught = |judged: &_| matches!(judged, Verdict::Different);
        ensure!(
            lying.cases.iter().any(|judged| caught(&judged.verdict)),
            "{name}: no case of {cases} notices:\n{}",
            report::table(&lying)
        );
        Ok(())
    }
}

#[tokio::test]
async fn each_lie_is_caught() -> Result<()> {
    let bench = Bench::start().await?;
    for fault in lies::all() {
        bench.catches(fault).await?;
    }
    Ok(())
}

#[test]
fn each_family_has_a_lie_to_catch() {
    let families = cases::families();
    let there = families.iter().filter(|family| !family.is_pending());
    let there: BTreeSet<&str> = there.map(|family| family.name).collect();
    let caught: BTreeSet<&str> = lies::all().iter().map(Fault::family).collect();
    assert_eq!(there, caught);
}
