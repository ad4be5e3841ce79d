//! Range: revisions that are not there, options that do not exist, large values.

use anyhow::Result;
use latchd_proto::etcdserverpb::RangeRequest;

use crate::suite::{Case, Session, compact, delete, everything, get, prefix, put};

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        one("range: an empty key", |_, request| request.key.clear()),
        one("range: an empty key with an end", |_, request| {
            request.key.clear();
            request.range_end = "z".into();
        }),
        one("range: the revision of a deletion", |s, request| {
            request.revision = s.revision(3)
        }),
        one("range: the revision before the key came", |s, request| {
            request.revision = s.revision(0)
        }),
        one("range: the next revision", |s, request| {
            request.revision = s.revision(5)
        }),
        one("range: the greatest revision", |_, request| {
            request.revision = i64::MAX
        }),
        one("range: a negative revision", |_, request| {
            request.revision = -1
        }),
        one("range: the least revision", |_, request| {
            request.revision = i64::MIN
        }),
        one("range: a future revision, only counted", |s, request| {
            request.revision = s.revision(50);
            request.count_only = true;
        }),
        one("range: an unknown order", |_, request| {
            request.sort_order = 3
        }),
        one("range: a negative order", |_, request| {
            request.sort_order = -1
        }),
        one("range: an unknown target", |_, request| {
            request.sort_target = 5
        }),
        one("range: a negative target", |_, request| {
            request.sort_target = -1
        }),
        one("range: an empty key and an unknown target", |_, request| {
            request.key.clear();
            request.sort_target = 17;
        }),
    ];
    cases.extend([
        Case::new("range: a revision that is compacted", compacted),
        Case::new("range: a key of 2,000 bytes", long_key),
        Case::new("range: a value of 1 MiB", large_value),
        Case::new("range: nothing at all is there", async |s: &mut Session| {
            s.call(everything()).await;
            s.call(get("k")).await;
            s.range_stream(everything()).await
        }),
        Case::new("range: more than 4 MiB in all", much),
    ]);
    cases
}

fn one(name: &str, set: impl Fn(&Session, &mut RangeRequest) + 'static) -> Case {
    Case::new(name, async move |s: &mut Session| {
        s.call(put("k", "1")).await.ok()?;
        s.call(put("k", "2")).await.ok()?;
        s.call(delete("k")).await.ok()?;
        s.call(put("k", "3")).await.ok()?;
        let mut request = get("k");
        set(s, &mut request);
        s.call(request.clone()).await;
        s.range_stream(request).await
    })
}

async fn compacted(s: &mut Session) -> Result<()> {
    for value in ["1", "2", "3"] {
        s.call(put("k", value)).await.ok()?;
    }
    s.call(compact(s.revision(2))).await.ok()?;
    for writes in [0, 1, 2, 3] {
        let request = RangeRequest {
            revision: s.revision(writes),
            ..get("k")
        };
        s.call(request.clone()).await;
        s.call(RangeRequest {
            count_only: true,
            ..request.clone()
        })
        .await;
        s.call(RangeRequest {
            serializable: true,
            ..request.clone()
        })
        .await;
        s.range_stream(request).await?;
    }
    Ok(())
}

async fn long_key(s: &mut Session) -> Result<()> {
    let key = "k".repeat(2_000);
    s.call(put(key.clone(), "v")).await;
    s.call(get(key.clone())).await;
    s.call(prefix("kkk")).await;
    s.call(delete(key)).await;
    Ok(())
}

async fn large_value(s: &mut Session) -> Result<()> {
    s.call(put("k", vec![b'v'; 1 << 20])).await;
    s.call(get("k")).await;
    s.range_stream(get("k")).await
}

/// More than a client takes in one message by default; the server sends it.
async fn much(s: &mut Session) -> Result<()> {
    for at in 0..6 {
        s.call(put(format!("k{at}"), vec![b'a' + at; 1 << 20]))
            .await;
    }
    s.call(RangeRequest {
        keys_only: true,
        ..prefix("k")
    })
    .await;
    s.call(prefix("k")).await;
    Ok(())
}
