//! Compact: which revisions it takes, and what can be read afterwards.

use anyhow::Result;
use latchd_proto::etcdserverpb::{
    CompactionRequest, Compare, PutRequest, RangeRequest,
    compare::{CompareTarget, TargetUnion},
};

use crate::suite::{
    Case, IntoOp, Session, compact, delete, everything, get, grant, put, put_leased, revoke,
    time_to_live, txn,
};

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("keeps what is alive at its revision", keeps_the_living),
        Case::new("takes a deleted key whole", takes_the_deleted),
        Case::new(
            "a second time at the same revision",
            async |s: &mut Session| {
                three_versions(s).await?;
                s.call(compact(s.revision(2))).await;
                s.call(compact(s.revision(2))).await;
                Ok(())
            },
        ),
        Case::new(
            "at an older revision than before",
            async |s: &mut Session| {
                three_versions(s).await?;
                s.call(compact(s.revision(3))).await;
                s.call(compact(s.revision(2))).await;
                Ok(())
            },
        ),
        Case::new("physical", async |s: &mut Session| {
            three_versions(s).await?;
            let request = compact(s.revision(2));
            s.call(CompactionRequest {
                physical: true,
                ..request
            })
            .await;
            read_all_versions(s).await;
            Ok(())
        }),
        Case::new("again after another write", async |s: &mut Session| {
            three_versions(s).await?;
            s.call(compact(s.revision(3))).await;
            s.call(put("k", "4")).await;
            s.call(compact(s.revision(4))).await;
            read_all_versions(s).await;
            Ok(())
        }),
        Case::new("at the revision of a deletion", async |s: &mut Session| {
            s.call(put("k", "1")).await;
            s.call(delete("k")).await;
            s.call(compact(s.revision(2))).await;
            read_all_versions(s).await;
            Ok(())
        }),
        Case::new("before a deletion", async |s: &mut Session| {
            s.call(put("k", "1")).await;
            s.call(delete("k")).await;
            s.call(compact(s.revision(1))).await;
            read_all_versions(s).await;
            Ok(())
        }),
        Case::new(
            "no new revision, and versions go on",
            async |s: &mut Session| {
                three_versions(s).await?;
                s.call(compact(s.revision(3))).await;
                let prev_kv = PutRequest {
                    prev_kv: true,
                    ..put("k", "4")
                };
                s.call(prev_kv).await;
                s.call(get("k")).await;
                Ok(())
            },
        ),
        Case::new("filters by compacted revisions", filters),
        Case::new(
            "a Txn compares with a compacted revision",
            async |s: &mut Session| {
                three_versions(s).await?;
                s.call(compact(s.revision(3))).await;
                for writes in [1, 3] {
                    let with = TargetUnion::ModRevision(s.revision(writes));
                    let compare = Compare {
                        target: CompareTarget::Mod.into(),
                        key: "k".into(),
                        target_union: Some(with),
                        ..Compare::default()
                    };
                    s.call(txn(vec![compare], vec![get("k").op()], Vec::new()))
                        .await;
                }
                Ok(())
            },
        ),
        Case::new("keys keep their leases", async |s: &mut Session| {
            s.call(grant(60, 7)).await;
            s.call(put_leased("k", "1", 7)).await;
            s.call(put_leased("k", "2", 7)).await;
            s.call(compact(s.revision(2))).await;
            s.call(time_to_live(7)).await;
            s.call(revoke(7)).await;
            s.call(everything()).await;
            Ok(())
        }),
        Case::new("a thousand revisions, physical", async |s: &mut Session| {
            for at in 0..1_000 {
                s.quietly(put(format!("k{}", at % 10), format!("{at}")))
                    .await?;
            }
            let request = compact(s.revision(990));
            s.call(CompactionRequest {
                physical: true,
                ..request
            })
            .await;
            for writes in [989, 990, 995, 1_000] {
                let revision = s.revision(writes);
                s.call(RangeRequest {
                    revision,
                    ..everything()
                })
                .await;
            }
            Ok(())
        }),
    ];
    cases.extend(revisions());
    cases
}

/// Compact at revisions of which some cannot be, then reads at all of them.
fn revisions() -> Vec<Case> {
    let all = [
        ("the first write", 1),
        ("the last but one", 2),
        ("the last", 3),
        ("one to come", 4),
        ("far ahead", 1_000),
    ];
    let near = all.map(|(name, writes)| {
        Case::new(format!("at {name}"), async move |s: &mut Session| {
            three_versions(s).await?;
            s.call(compact(s.revision(writes))).await;
            read_all_versions(s).await;
            Ok(())
        })
    });
    let absolute = [
        ("zero", 0),
        ("a negative revision", -1),
        ("the greatest number", i64::MAX),
    ];
    let absolute = absolute.map(|(name, revision)| {
        Case::new(format!("at {name}"), async move |s: &mut Session| {
            three_versions(s).await?;
            s.call(compact(revision)).await;
            read_all_versions(s).await;
            Ok(())
        })
    });
    near.into_iter().chain(absolute).collect()
}

async fn three_versions(s: &mut Session) -> Result<()> {
    for value in ["1", "2", "3"] {
        s.call(put("k", value)).await.ok()?;
    }
    Ok(())
}

async fn read_all_versions(s: &mut Session) {
    for writes in 0..5 {
        let revision = s.revision(writes);
        s.call(RangeRequest {
            revision,
            ..get("k")
        })
        .await;
    }
    s.call(everything()).await;
}

async fn keeps_the_living(s: &mut Session) -> Result<()> {
    s.call(put("old", "1")).await;
    s.call(put("new", "2")).await;
    s.call(put("new", "3")).await;
    s.call(compact(s.revision(3))).await;
    s.call(everything()).await;
    let revision = s.revision(3);
    s.call(RangeRequest {
        revision,
        ..everything()
    })
    .await;
    Ok(())
}

async fn filters(s: &mut Session) -> Result<()> {
    s.call(put("a", "1")).await;
    s.call(put("b", "1")).await;
    s.call(put("a", "2")).await;
    s.call(compact(s.revision(3))).await;
    let min_mod_revision = s.revision(1);
    s.call(RangeRequest {
        min_mod_revision,
        ..everything()
    })
    .await;
    let max_create_revision = s.revision(1);
    s.call(RangeRequest {
        max_create_revision,
        ..everything()
    })
    .await;
    Ok(())
}

async fn takes_the_deleted(s: &mut Session) -> Result<()> {
    s.call(put("k", "1")).await;
    s.call(delete("k")).await;
    s.call(put("other", "1")).await;
    s.call(compact(s.revision(2))).await;
    read_all_versions(s).await;
    s.call(put("k", "again")).await;
    s.call(get("k")).await;
    Ok(())
}
