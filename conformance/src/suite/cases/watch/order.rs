//! Streams, and what comes after what on them.

use anyhow::Result;
use latchd_proto::etcdserverpb::WatchCreateRequest;

use super::{add, watching};
use crate::suite::{Case, Session, cancel, create, put, watch_key, watch_prefix};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "order: creations are answered in theirs",
            async |s: &mut Session| {
                let mut w = s.watch("w");
                let ids = [0, 9, 0, 9, 0];
                for watch_id in ids {
                    s.send(
                        &mut w,
                        create(WatchCreateRequest {
                            watch_id,
                            ..watch_key("k")
                        }),
                    );
                }
                s.take(&mut w, ids.len()).await?;
                s.drain(&mut w).await
            },
        ),
        Case::new("order: created comes before replayed events", created_first),
        Case::new("order: creations and cancels", async |s: &mut Session| {
            let mut w = s.watch("w");
            for message in [create(watch_key("a")), cancel(0), create(watch_key("b"))] {
                s.send(&mut w, message);
            }
            s.take(&mut w, 3).await?;
            s.call(put("a", "1")).await;
            s.call(put("b", "1")).await;
            s.next(&mut w).await?;
            s.drain(&mut w).await
        }),
        Case::new("order: many watches of one key", async |s: &mut Session| {
            let mut w = s.watch("w");
            for _ in 0..100 {
                s.send(&mut w, create(watch_key("k")));
            }
            s.take(&mut w, 100).await?;
            for value in ["1", "2", "3"] {
                s.call(put("k", value)).await;
            }
            s.gather(&mut w, |all| all.len() == 300).await?;
            s.drain(&mut w).await
        }),
        Case::new(
            "order: many watches, one revision of all keys",
            async |s: &mut Session| {
                let keys = (0..50).map(|n| watch_prefix(format!("k/{:02}", n)));
                let mut w = watching(s, keys).await?;
                for n in 0..50 {
                    s.quietly(put(format!("k/{n:02}"), "1")).await?;
                }
                s.call(crate::suite::delete_range("k", "l")).await;
                s.gather(&mut w, |all| all.len() == 100).await?;
                s.drain(&mut w).await
            },
        ),
        Case::new(
            "order: several keys by one watch, a hundred writes",
            async |s: &mut Session| {
                let mut w = watching(s, [watch_prefix("k")]).await?;
                for n in 0..100 {
                    s.quietly(put(format!("k/{}", n % 7), n.to_string()))
                        .await?;
                }
                s.drain(&mut w).await
            },
        ),
        Case::new("streams: two see the same", two_streams),
        Case::new(
            "streams: one ends, the other goes on",
            async |s: &mut Session| {
                let one = watching(s, [watch_key("k")]).await?;
                let mut other = watching(s, [watch_key("k")]).await?;
                drop(one);
                s.call(put("k", "1")).await;
                s.next(&mut other).await?;
                s.drain(&mut other).await
            },
        ),
        Case::new("streams: half-closed, and events still come", half_closed),
        Case::new(
            "streams: half-closed before a watch",
            async |s: &mut Session| {
                let mut w = s.watch("w");
                s.send(&mut w, create(watch_key("k")));
                w.half_close();
                s.next(&mut w).await?;
                s.call(put("k", "1")).await;
                s.next(&mut w).await?;
                Ok(())
            },
        ),
    ]
}

async fn created_first(s: &mut Session) -> Result<()> {
    for value in ["1", "2", "3"] {
        s.quietly(put("k", value)).await?;
    }
    let mut w = s.watch("w");
    for writes in [1, 2, 3] {
        let request = WatchCreateRequest {
            start_revision: s.revision(writes),
            ..watch_key("k")
        };
        s.send(&mut w, create(request));
    }
    s.gather(&mut w, |all| all.len() == 6).await?;
    s.drain(&mut w).await
}

async fn two_streams(s: &mut Session) -> Result<()> {
    let mut one = watching(s, [watch_key("k")]).await?;
    let mut other = watching(s, [watch_key("k"), watch_key("k")]).await?;
    s.call(put("k", "1")).await;
    s.next(&mut one).await?;
    s.gather(&mut other, |all| all.len() == 2).await?;
    s.drain(&mut one).await?;
    s.drain(&mut other).await
}

async fn half_closed(s: &mut Session) -> Result<()> {
    let mut w = watching(s, [watch_key("k")]).await?;
    add(s, &mut w, watch_key("other")).await?;
    w.half_close();
    s.call(put("k", "1")).await;
    s.next(&mut w).await?;
    s.call(put("other", "1")).await;
    s.next(&mut w).await?;
    Ok(())
}
