//! Compact: which revisions it takes, and what can be read afterwards.

use anyhow::Result;
use latchd_proto::etcdserverpb::{CompactionRequest, RangeRequest};

use crate::suite::{Case, Session, compact, delete, everything, get, put};

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
