//! Random programs on the server under test, on a real etcd and on the model, in lockstep.
//!
//! `LATCHD_RANDOM_SEED` chooses other programs, `LATCHD_RANDOM_OPS` more or fewer operations.
#![allow(missing_docs)]

use std::{env, path::Path};

use anyhow::{Context, Result, ensure};
use latchd_conformance::{
    model::{Request, Response},
    random::{
        self, Failed, PATIENCE, Plan,
        op::{Op, listing},
        regression::Regression,
        servers::{Lane, Source},
        side::Fault,
    },
    target::Kind,
};
use latchd_proto::mvccpb::event::EventType;

/// Programs that run beside one another; each has servers of its own. Part of a program's time is
/// spent waiting for etcd, which looks after watches that start in the past every 100 ms.
const LANES: usize = 4;

/// Some are left out where they stand, and 50,000 are to be compared.
const OPERATIONS: u64 = 53_000;
const COMPARED: usize = 50_000;

const REGRESSIONS: &str = "tests/regressions";

fn number(variable: &str, default: u64) -> Result<u64> {
    match env::var(variable) {
        Ok(text) => text
            .parse()
            .with_context(|| format!("{variable} is `{text}`")),
        Err(_) => Ok(default),
    }
}

async fn lane(fault: Fault) -> Result<Lane> {
    let tested = Source::Start(Kind::from_env()?);
    Lane::open(&tested, &Source::Start(Kind::Etcd), fault, PATIENCE).await
}

// On one thread, where a call costs the fewest wake-ups: the clients are most of the work.
#[tokio::test]
async fn random_programs_do_the_same_everywhere() -> Result<()> {
    let ops = number("LATCHD_RANDOM_OPS", OPERATIONS)?;
    let plan = Plan {
        seed: number("LATCHD_RANDOM_SEED", 1)?,
        ops: usize::try_from(ops)?,
        save_in: Some(REGRESSIONS.into()),
        ..Plan::default()
    };
    println!("seed {}", plan.seed);
    let lanes = (0..LANES).map(|_| lane(Fault::default()));
    let mut lanes = futures::future::try_join_all(lanes).await?;
    let outcome = random::run(&plan, &mut lanes, |_| {}).await?;
    println!("{outcome}");
    ensure!(outcome.failure.is_none(), "they do not, see above");
    if ops == OPERATIONS {
        ensure!(
            outcome.tally.compared() >= COMPARED,
            "too few were compared"
        );
        ensure!(
            is_varied(&outcome.tally),
            "some operations always go the same way"
        );
    }
    Ok(())
}

/// Whether every operation was often carried out, and those that can be refused were.
fn is_varied(tally: &random::tally::Tally) -> bool {
    let often = [
        "range",
        "range_stream",
        "put",
        "delete",
        "txn",
        "compact",
        "grant",
        "revoke",
        "lock",
        "unlock",
        "campaign",
        "give_up",
        "proclaim",
        "resign",
        "leader",
        "watch",
        "cancel",
    ];
    let refused = [
        "range", "put", "txn", "compact", "grant", "revoke", "lock", "watch",
    ];
    often.iter().all(|kind| tally.fine(kind) >= 20)
        && refused.iter().all(|kind| tally.refused(kind) >= 100)
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_failed_once_do_not_fail_again() -> Result<()> {
    let mut lane = lane(Fault::default()).await?;
    let regressions = Regression::load_all(Path::new(REGRESSIONS))?;
    ensure!(!regressions.is_empty(), "there are none");
    for (path, regression) in regressions {
        let mismatch = random::replay(&regression.program, &mut lane).await?;
        ensure!(mismatch.is_none(), "{}: {mismatch:?}", path.display());
    }
    Ok(())
}

/// What a broken server is found out by.
async fn found_out(fault: Fault) -> Result<Failed> {
    let plan = Plan {
        ops: 4000,
        ..Plan::default()
    };
    let outcome = random::run(&plan, &mut [lane(fault).await?], |_| {}).await?;
    let failed = outcome.failure.context("nobody noticed")?;
    println!("{failed}");
    Ok(failed)
}

fn kinds(program: &[Op]) -> Vec<&'static str> {
    program.iter().map(Op::kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_count_is_found_out() -> Result<()> {
    let one_too_many = Fault {
        answer: |_, answer| {
            if let Ok(Response::Range(range)) = answer
                && range.count == 2
            {
                range.count = 3;
            }
        },
        ..Fault::default()
    };
    let program = found_out(one_too_many).await?.program;
    // Two keys, and a look at both.
    ensure!(program.len() <= 3, "{}", listing(&program));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_event_is_found_out() -> Result<()> {
    let no_deletes = Fault {
        watch: |response| {
            let is_put = |kind: i32| kind == EventType::Put as i32;
            response.events.retain(|event| is_put(event.r#type));
        },
        ..Fault::default()
    };
    let program = found_out(no_deletes).await?.program;
    ensure!(program.len() <= 3, "{}", listing(&program));
    ensure!(kinds(&program).contains(&"watch"), "{}", listing(&program));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_keys_do_not_get_is_found_out() -> Result<()> {
    let without_lease = Fault {
        request: |request| {
            if let Request::Put(put) = request {
                put.lease = 0;
            }
        },
        ..Fault::default()
    };
    let program = found_out(without_lease).await?.program;
    // A Put on a lease that is not there is enough.
    ensure!(program.len() <= 3, "{}", listing(&program));
    ensure!(kinds(&program).contains(&"put"), "{}", listing(&program));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_past_that_is_wrong_is_found_out() -> Result<()> {
    let a_revision_late = Fault {
        request: |request| {
            if let Request::Range(range) = request
                && range.revision > 1
                && range.revision < i64::MAX
            {
                range.revision += 1;
            }
        },
        ..Fault::default()
    };
    let program = found_out(a_revision_late).await?.program;
    ensure!(program.len() <= 2, "{}", listing(&program));
    ensure!(kinds(&program).contains(&"range"), "{}", listing(&program));
    Ok(())
}
