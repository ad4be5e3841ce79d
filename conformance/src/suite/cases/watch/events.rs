//! What an event says, and which events come together.

use anyhow::Result;
use latchd_proto::etcdserverpb::{PutRequest, WatchCreateRequest};

use super::watching;
use crate::suite::{
    Case, IntoOp, Session, all_of, delete, delete_range, everything, get, grant, put, put_leased,
    revoke, watch_key, watch_prefix,
};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("events: versions count from each creation", versions),
        Case::new(
            "events: a deletion has key and revision only",
            async |s: &mut Session| {
                s.quietly(grant(60, 7)).await?;
                let mut w = watching(s, [watch_key("k")]).await?;
                s.quietly(put_leased("k", "value", 7)).await?;
                s.call(delete("k")).await;
                s.drain(&mut w).await
            },
        ),
        Case::new("events: a lease, and its end by another put", lease_moves),
        Case::new("events: a put that keeps value or lease", kept),
        Case::new("events: the same value again", async |s: &mut Session| {
            let mut w = watching(s, [watch_key("k")]).await?;
            s.call(put("k", "1")).await;
            s.call(put("k", "1")).await;
            s.drain(&mut w).await
        }),
        Case::new("events: an empty value", async |s: &mut Session| {
            let mut w = watching(s, [watch_key("k")]).await?;
            s.call(put("k", "")).await;
            s.drain(&mut w).await
        }),
        Case::new("events: none for what does not write", without_writing),
        Case::new("events: a Txn's all at once", async |s: &mut Session| {
            let mut w = watching(s, [watch_prefix("k")]).await?;
            let puts = (0..100).map(|n| put(format!("k/{n:03}"), "1").op());
            s.quietly(all_of(puts.collect())).await?;
            s.drain(&mut w).await
        }),
        Case::new(
            "events: a Txn's in its order, not the keys'",
            async |s: &mut Session| {
                let mut w = watching(s, [watch_prefix("k")]).await?;
                s.quietly(put("k/2", "old")).await?;
                let keys = ["k/3", "k/1"].map(|key| put(key, "1").op());
                let nested = all_of(vec![put("k/0", "nested").op()]).op();
                let mut operations = keys.to_vec();
                operations.extend([delete("k/2").op(), nested, put("k/9", "1").op()]);
                s.call(all_of(operations)).await;
                s.drain(&mut w).await
            },
        ),
        Case::new(
            "events: of a Txn, only those in the range",
            async |s: &mut Session| {
                let mut w = watching(s, [watch_key("a"), watch_prefix("b")]).await?;
                let keys = ["a", "b/1", "c", "b/2"].map(|key| put(key, "1").op());
                s.call(all_of(keys.to_vec())).await;
                s.gather(&mut w, |all| all.len() == 2).await?;
                s.drain(&mut w).await
            },
        ),
        Case::new(
            "events: a DeleteRange's all at once",
            async |s: &mut Session| {
                for n in 0..20 {
                    s.quietly(put(format!("k/{n:02}"), "1")).await?;
                }
                let mut w = watching(s, [watch_prefix("k")]).await?;
                s.call(delete_range("k/05", "k/15")).await;
                s.drain(&mut w).await
            },
        ),
        Case::new("events: a lease's end all at once, by key", lease_revoked),
        Case::new("events: a lease that runs out", lease_expires),
        Case::new("events: replay of revisions with many", replayed_whole),
    ]
}

async fn versions(s: &mut Session) -> Result<()> {
    let mut w = watching(s, [watch_key("k")]).await?;
    for _ in 0..2 {
        s.call(put("k", "1")).await;
        s.call(put("k", "2")).await;
        s.call(delete("k")).await;
    }
    s.drain(&mut w).await
}

async fn lease_moves(s: &mut Session) -> Result<()> {
    s.quietly(grant(60, 7)).await?;
    s.quietly(grant(60, 8)).await?;
    let mut w = watching(s, [watch_key("k")]).await?;
    for lease in [7, 8, 0] {
        s.call(put_leased("k", "1", lease)).await;
    }
    s.drain(&mut w).await
}

async fn kept(s: &mut Session) -> Result<()> {
    s.quietly(grant(60, 7)).await?;
    let mut w = watching(s, [watch_key("k")]).await?;
    s.call(put_leased("k", "1", 7)).await;
    s.call(PutRequest {
        ignore_lease: true,
        ..put("k", "2")
    })
    .await;
    s.call(PutRequest {
        ignore_value: true,
        ..put("k", "")
    })
    .await;
    s.drain(&mut w).await
}

async fn without_writing(s: &mut Session) -> Result<()> {
    let mut w = watching(s, [watch_prefix("k")]).await?;
    s.call(delete("k")).await;
    s.call(get("k")).await;
    s.call(all_of(vec![get("k").op(), delete("k").op()])).await;
    s.call(put_leased("k", "1", 404)).await;
    s.call(grant(60, 7)).await;
    s.call(revoke(7)).await;
    s.drain(&mut w).await
}

async fn lease_revoked(s: &mut Session) -> Result<()> {
    s.quietly(grant(60, 7)).await?;
    for n in [3, 1, 4, 15, 9, 2, 6] {
        s.quietly(put_leased(format!("k/{n}"), "1", 7)).await?;
    }
    s.quietly(put("k/free", "1")).await?;
    let request = WatchCreateRequest {
        prev_kv: true,
        ..watch_prefix("k")
    };
    let mut w = watching(s, [request]).await?;
    s.call(revoke(7)).await;
    s.drain(&mut w).await
}

async fn lease_expires(s: &mut Session) -> Result<()> {
    let mut w = watching(s, [watch_prefix("k")]).await?;
    s.quietly(grant(5, 7)).await?;
    for key in ["k/2", "k/1", "other"] {
        s.quietly(put_leased(key, "1", 7)).await?;
    }
    s.take(&mut w, 3).await?;
    s.call(everything()).await;
    s.drain(&mut w).await
}

async fn replayed_whole(s: &mut Session) -> Result<()> {
    for value in ["1", "2", "3"] {
        let puts = (0..10).map(|n| put(format!("k/{n}"), value).op());
        s.quietly(all_of(puts.collect())).await?;
    }
    s.quietly(delete_range("k", "l")).await?;
    let request = WatchCreateRequest {
        start_revision: s.revision(2),
        ..watch_prefix("k")
    };
    let mut w = watching(s, [request]).await?;
    s.drain(&mut w).await
}
