//! Compares: every target with every result, on keys and on ranges.

use anyhow::Result;
use bytes::Bytes;
use latchd_proto::etcdserverpb::{
    Compare, PutRequest,
    compare::{CompareResult, CompareTarget, TargetUnion},
};

use crate::suite::{Case, IntoOp, Session, delete, get, grant, prefix_end, put, put_leased, txn};

const TARGETS: [(&str, CompareTarget); 5] = [
    ("version", CompareTarget::Version),
    ("create revision", CompareTarget::Create),
    ("mod revision", CompareTarget::Mod),
    ("value", CompareTarget::Value),
    ("lease", CompareTarget::Lease),
];

const RESULTS: [(&str, CompareResult); 4] = [
    ("is", CompareResult::Equal),
    ("is not", CompareResult::NotEqual),
    ("is greater than", CompareResult::Greater),
    ("is less than", CompareResult::Less),
];

/// Where the three leases of the scene are; the one in the middle is compared with.
const LEASES: [i64; 3] = [11, 12, 13];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (target_name, target) in TARGETS {
        for (result_name, result) in RESULTS {
            let name = format!("compare: {target_name} {result_name} it");
            cases.push(Case::new(name, async move |s: &mut Session| {
                scene(s).await?;
                keys(s, target, result).await;
                Ok(())
            }));
            let name = format!("compare: {target_name} {result_name} it, of all in a range");
            cases.push(Case::new(name, async move |s: &mut Session| {
                scene(s).await?;
                ranges(s, target, result).await;
                Ok(())
            }));
        }
    }
    cases
}

/// Three keys that are less, equal and greater in every respect; one is deleted.
async fn scene(s: &mut Session) -> Result<()> {
    for lease in LEASES {
        s.call(grant(60, lease)).await.ok()?;
    }
    s.call(put("r/gone", "m")).await.ok()?;
    s.call(delete("r/gone")).await.ok()?;
    for (key, value, lease) in [("r/1", "a", 11), ("r/2", "m", 12), ("r/3", "z", 13)] {
        s.call(put_leased(key, value, lease)).await.ok()?;
    }
    // Versions 1, 2, 3; their last revisions in the same order.
    for (key, times) in [("r/2", 1), ("r/3", 2)] {
        for _ in 0..times {
            let again = PutRequest {
                ignore_value: true,
                ignore_lease: true,
                ..put(key, "")
            };
            s.call(again).await.ok()?;
        }
    }
    Ok(())
}

/// What the key in the middle has.
fn middle(s: &Session, target: CompareTarget) -> TargetUnion {
    match target {
        CompareTarget::Version => TargetUnion::Version(2),
        CompareTarget::Create => TargetUnion::CreateRevision(s.revision(4)),
        CompareTarget::Mod => TargetUnion::ModRevision(s.revision(6)),
        CompareTarget::Value => TargetUnion::Value("m".into()),
        CompareTarget::Lease => TargetUnion::Lease(12),
    }
}

/// What a key that is not there has.
fn nothing(target: CompareTarget) -> TargetUnion {
    match target {
        CompareTarget::Version => TargetUnion::Version(0),
        CompareTarget::Create => TargetUnion::CreateRevision(0),
        CompareTarget::Mod => TargetUnion::ModRevision(0),
        CompareTarget::Value => TargetUnion::Value(Bytes::new()),
        CompareTarget::Lease => TargetUnion::Lease(0),
    }
}

async fn keys(s: &mut Session, target: CompareTarget, result: CompareResult) {
    for key in ["r/1", "r/2", "r/3", "r/gone", "r/never"] {
        for with in [middle(s, target), nothing(target)] {
            ask(s, key, "", target, result, with).await;
        }
    }
}

async fn ranges(s: &mut Session, target: CompareTarget, result: CompareResult) {
    let all = prefix_end(b"r/");
    let ranges: [(&str, &[u8]); 7] = [
        ("r/", &all),
        ("r/1", b"r/3"),
        ("r/2", b"r/3"),
        ("r/2", b"r/4"),
        ("r/3", b"\0"),
        ("r/3", b"r/1"),
        ("nothing/", b"nothing0"),
    ];
    for (key, end) in ranges {
        for with in [middle(s, target), nothing(target)] {
            ask(s, key, Bytes::copy_from_slice(end), target, result, with).await;
        }
    }
}

/// One compare alone; the answer says whether it held.
async fn ask(
    s: &mut Session,
    key: &str,
    end: impl Into<Bytes>,
    target: CompareTarget,
    result: CompareResult,
    with: TargetUnion,
) {
    let compare = Compare {
        result: result.into(),
        target: target.into(),
        key: key.to_owned().into(),
        range_end: end.into(),
        target_union: Some(with),
    };
    s.call(txn(vec![compare], Vec::new(), vec![get("r/1").op()]))
        .await;
}
