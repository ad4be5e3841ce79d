//! From which revision on a watch sees what.

use anyhow::Result;
use latchd_proto::etcdserverpb::WatchCreateRequest;

use super::{add, watching};
use crate::suite::{Case, Session, compact, delete, put, watch_key, watch_prefix};

pub fn cases() -> Vec<Case> {
    let mut cases = relative();
    cases.extend(absolute());
    cases.extend(compacted());
    cases.extend([
        Case::new("start: a future one skips what comes before", future),
        Case::new(
            "start: what was written before is not seen without one",
            from_now,
        ),
        Case::new(
            "start: a second watch on the stream replays by itself",
            second_watch,
        ),
        Case::new("start: replay goes on with what comes", replay_then_live),
        Case::new(
            "start: the present, where another key was last",
            present_of_another,
        ),
        Case::new(
            "start: replay over a deletion and a new beginning",
            over_a_deletion,
        ),
    ]);
    cases
}

fn from(start_revision: i64, request: WatchCreateRequest) -> WatchCreateRequest {
    WatchCreateRequest {
        start_revision,
        ..request
    }
}

/// Five revisions: three of the key, one of another, a deletion.
async fn history(s: &mut Session) -> Result<()> {
    s.quietly(put("h", "1")).await?;
    s.quietly(put("h", "2")).await?;
    s.quietly(put("other", "1")).await?;
    s.quietly(put("h", "3")).await?;
    s.quietly(delete("h")).await?;
    Ok(())
}

/// Starts near the case's own writes.
fn relative() -> Vec<Case> {
    let all = [
        ("before the first write", 0),
        ("the first write", 1),
        ("in the midst", 2),
        ("where another key changed", 3),
        ("the last write", 5),
        ("the next write", 6),
    ];
    let case = |(name, writes)| {
        Case::new(format!("start: {name}"), async move |s: &mut Session| {
            history(s).await?;
            let mut w = watching(s, [from(s.revision(writes), watch_key("h"))]).await?;
            if writes < 6 {
                s.next(&mut w).await?;
            }
            s.call(put("h", "live")).await;
            s.next(&mut w).await?;
            s.drain(&mut w).await
        })
    };
    all.into_iter().map(case).collect()
}

/// Starts that mean no revision of the case's.
fn absolute() -> Vec<Case> {
    let all = [
        ("minus one", -1),
        ("the least number", i64::MIN),
        ("the greatest number", i64::MAX),
    ];
    let case = |(name, revision)| {
        Case::new(format!("start: {name}"), async move |s: &mut Session| {
            let mut w = watching(s, [from(revision, watch_key("h"))]).await?;
            s.call(put("h", "1")).await;
            add(s, &mut w, watch_key("h")).await?;
            s.call(put("h", "2")).await;
            s.finish_by_an_event(&mut w).await
        })
    };
    all.into_iter().map(case).collect()
}

/// Starts on a history that was compacted at its third write.
fn compacted() -> Vec<Case> {
    let all = [
        ("long compacted", 1, true),
        ("just compacted", 2, true),
        ("the compaction's own", 3, false),
        ("after the compaction's", 4, false),
    ];
    let case = |(name, writes, is_gone): (&str, i64, bool)| {
        Case::new(format!("start: {name}"), async move |s: &mut Session| {
            history(s).await?;
            s.call(compact(s.revision(3))).await;
            let mut w = watching(s, [from(s.revision(writes), watch_key("h"))]).await?;
            s.next(&mut w).await?;
            if !is_gone {
                s.call(put("h", "live")).await;
                s.next(&mut w).await?;
            }
            s.finish_by_an_event(&mut w).await
        })
    };
    let mut cases: Vec<Case> = all.into_iter().map(case).collect();
    cases.push(Case::new(
        "start: one, after a compaction",
        async |s: &mut Session| {
            history(s).await?;
            s.call(compact(s.revision(3))).await;
            let mut w = watching(s, [from(1, watch_key("h"))]).await?;
            s.next(&mut w).await?;
            s.finish_by_an_event(&mut w).await
        },
    ));
    cases.push(Case::new(
        "start: compacted, among watches that go on",
        compacted_among_others,
    ));
    cases
}

async fn compacted_among_others(s: &mut Session) -> Result<()> {
    history(s).await?;
    s.call(compact(s.revision(4))).await;
    let mut w = watching(s, [watch_key("h")]).await?;
    add(s, &mut w, from(s.revision(1), watch_key("h"))).await?;
    s.next(&mut w).await?;
    s.call(put("h", "live")).await;
    s.next(&mut w).await?;
    s.finish_by_an_event(&mut w).await
}

async fn future(s: &mut Session) -> Result<()> {
    let mut w = watching(s, [from(s.revision(3), watch_key("h"))]).await?;
    for value in ["1", "2", "3", "4"] {
        s.call(put("h", value)).await;
    }
    s.take(&mut w, 2).await?;
    s.drain(&mut w).await
}

async fn from_now(s: &mut Session) -> Result<()> {
    history(s).await?;
    let mut w = watching(s, [watch_prefix("h")]).await?;
    s.call(put("h/1", "new")).await;
    s.drain(&mut w).await
}

async fn second_watch(s: &mut Session) -> Result<()> {
    let mut w = watching(s, [watch_key("h")]).await?;
    s.call(put("h", "1")).await;
    s.next(&mut w).await?;
    add(s, &mut w, from(s.revision(1), watch_key("h"))).await?;
    s.next(&mut w).await?;
    s.call(put("h", "2")).await;
    let both = |all: &[_]| all.len() == 2;
    s.gather(&mut w, both).await?;
    s.drain(&mut w).await
}

async fn replay_then_live(s: &mut Session) -> Result<()> {
    history(s).await?;
    let mut w = watching(s, [from(s.revision(1), watch_prefix("h"))]).await?;
    s.next(&mut w).await?;
    for key in ["h/1", "h/2"] {
        s.call(put(key, "live")).await;
        s.next(&mut w).await?;
    }
    s.drain(&mut w).await
}

async fn present_of_another(s: &mut Session) -> Result<()> {
    history(s).await?;
    s.call(put("other", "2")).await;
    let mut w = watching(s, [from(s.revision(6), watch_key("h"))]).await?;
    s.call(put("h", "live")).await;
    s.next(&mut w).await?;
    s.drain(&mut w).await
}

async fn over_a_deletion(s: &mut Session) -> Result<()> {
    history(s).await?;
    s.call(put("h", "again")).await;
    let mut w = watching(s, [from(s.revision(1), watch_key("h"))]).await?;
    s.next(&mut w).await?;
    s.drain(&mut w).await
}
