//! What a watch leaves out of its events, and what it adds to them.

use anyhow::Result;
use latchd_proto::etcdserverpb::WatchCreateRequest;

use super::watching;
use crate::suite::{
    Case, IntoOp, Session, all_of, compact, delete, delete_range, put, watch_key, watch_prefix,
};

pub fn cases() -> Vec<Case> {
    const PUT: i32 = 0;
    const DELETE: i32 = 1;
    let filters: [(&str, &[i32]); 6] = [
        ("no filter", &[]),
        ("no puts", &[PUT]),
        ("no deletions", &[DELETE]),
        ("nothing at all", &[PUT, DELETE]),
        ("the same filter twice", &[PUT, PUT]),
        ("a filter that is unknown", &[5]),
    ];
    let mut cases = Vec::new();
    for (name, filters) in filters {
        for prev_kv in [false, true] {
            let also = if prev_kv { ", with what was there" } else { "" };
            let run = async move |s: &mut Session| both_ways(s, filters, prev_kv).await;
            cases.push(Case::new(format!("filter: {name}{also}"), run));
        }
    }
    cases.extend([
        Case::new("prev_kv: compacted away", compacted_away),
        Case::new("prev_kv: a deletion in a Txn", in_a_txn),
        Case::new("prev_kv: each watch its own way", each_its_own),
        Case::new(
            "prev_kv: after a deletion there is none",
            async |s: &mut Session| {
                let mut w = watching(s, [with_prev(watch_key("k"))]).await?;
                s.quietly(put("k", "1")).await?;
                s.quietly(delete("k")).await?;
                s.quietly(put("k", "2")).await?;
                s.drain(&mut w).await
            },
        ),
    ]);
    cases
}

fn with_prev(request: WatchCreateRequest) -> WatchCreateRequest {
    WatchCreateRequest {
        prev_kv: true,
        ..request
    }
}

/// Events as they come, and then in replay.
async fn both_ways(s: &mut Session, filters: &[i32], prev_kv: bool) -> Result<()> {
    let request = WatchCreateRequest {
        filters: filters.to_vec(),
        prev_kv,
        ..watch_prefix("k")
    };
    let mut live = watching(s, [request.clone()]).await?;
    s.quietly(put("k/1", "1")).await?;
    s.quietly(put("k/1", "2")).await?;
    s.quietly(delete("k/1")).await?;
    s.quietly(delete("k/1")).await?;
    s.quietly(put("k/2", "1")).await?;
    let mixed = vec![
        put("k/1", "again").op(),
        delete("k/2").op(),
        put("k/3", "1").op(),
    ];
    s.quietly(all_of(mixed)).await?;
    s.drain(&mut live).await?;
    let start_revision = s.revision(1);
    let replayed = WatchCreateRequest {
        start_revision,
        ..request
    };
    let mut w = watching(s, [replayed]).await?;
    s.drain(&mut w).await
}

async fn compacted_away(s: &mut Session) -> Result<()> {
    for value in ["1", "2", "3"] {
        s.quietly(put("k", value)).await?;
    }
    s.quietly(delete("k")).await?;
    s.call(compact(s.revision(3))).await;
    let request = WatchCreateRequest {
        start_revision: s.revision(3),
        ..with_prev(watch_key("k"))
    };
    let mut w = watching(s, [request]).await?;
    s.drain(&mut w).await
}

async fn in_a_txn(s: &mut Session) -> Result<()> {
    let mut w = watching(s, [with_prev(watch_prefix("k"))]).await?;
    for key in ["k/1", "k/2", "k/3"] {
        s.quietly(put(key, "old")).await?;
    }
    s.call(all_of(vec![
        delete_range("k/1", "k/3").op(),
        put("k/3", "new").op(),
    ]))
    .await;
    s.drain(&mut w).await
}

async fn each_its_own(s: &mut Session) -> Result<()> {
    let no_put = WatchCreateRequest {
        filters: vec![0],
        ..watch_key("k")
    };
    let mut w = watching(s, [watch_key("k"), with_prev(watch_key("k")), no_put]).await?;
    s.quietly(put("k", "1")).await?;
    s.quietly(put("k", "2")).await?;
    s.quietly(delete("k")).await?;
    s.gather(&mut w, |all| all.len() == 7).await?;
    s.drain(&mut w).await
}
