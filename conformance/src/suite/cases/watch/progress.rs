//! How a stream tells how far it is.

use anyhow::Result;
use latchd_proto::etcdserverpb::WatchCreateRequest;

use super::{add, watching};
use crate::suite::{Case, Session, cancel, progress, put, watch_key};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("progress: of no watch", async |s: &mut Session| {
            let mut w = s.watch("w");
            s.send(&mut w, progress());
            add(s, &mut w, watch_key("k")).await?;
            s.drain(&mut w).await
        }),
        Case::new("progress: of one watch", async |s: &mut Session| {
            let mut w = watching(s, [watch_key("k")]).await?;
            s.send(&mut w, progress());
            s.next(&mut w).await?;
            s.drain(&mut w).await
        }),
        Case::new("progress: of several watches", async |s: &mut Session| {
            let mut w = watching(s, ["a", "b", "c"].map(watch_key)).await?;
            s.send(&mut w, progress());
            s.next(&mut w).await?;
            s.drain(&mut w).await
        }),
        Case::new(
            "progress: follows writes of other keys",
            async |s: &mut Session| {
                let mut w = watching(s, [watch_key("k")]).await?;
                for value in ["1", "2", "3"] {
                    s.call(put("other", value)).await;
                    s.send(&mut w, progress());
                    s.next(&mut w).await?;
                }
                Ok(())
            },
        ),
        Case::new(
            "progress: comes after the events so far",
            async |s: &mut Session| {
                let mut w = watching(s, [watch_key("k")]).await?;
                for value in 0..20 {
                    s.quietly(put("k", value.to_string())).await?;
                }
                s.send(&mut w, progress());
                s.take(&mut w, 21).await?;
                Ok(())
            },
        ),
        Case::new("progress: asked for thrice", async |s: &mut Session| {
            let mut w = watching(s, [watch_key("k")]).await?;
            for _ in 0..3 {
                s.send(&mut w, progress());
            }
            s.take(&mut w, 3).await?;
            Ok(())
        }),
        Case::new(
            "progress: after the last watch is cancelled",
            async |s: &mut Session| {
                let mut w = watching(s, [watch_key("k")]).await?;
                s.send(&mut w, cancel(0));
                s.next(&mut w).await?;
                s.send(&mut w, progress());
                s.finish_by_an_event(&mut w).await
            },
        ),
        Case::new(
            "progress: of a watch that begins later",
            async |s: &mut Session| {
                let request = WatchCreateRequest {
                    start_revision: s.revision(100),
                    ..watch_key("k")
                };
                let mut w = watching(s, [request]).await?;
                s.send(&mut w, progress());
                s.finish_by_an_event(&mut w).await
            },
        ),
        Case::new("progress: once a watch has caught up", caught_up),
        Case::new("progress: by itself, at an interval", by_itself)
            .on_own_servers(&["--watch-progress-notify-interval=500ms"]),
    ]
}

async fn caught_up(s: &mut Session) -> Result<()> {
    for value in 0..50 {
        s.quietly(put("k", value.to_string())).await?;
    }
    let request = WatchCreateRequest {
        start_revision: s.revision(1),
        ..watch_key("k")
    };
    let mut w = watching(s, [request]).await?;
    s.next(&mut w).await?;
    add(s, &mut w, watch_key("other")).await?;
    s.drain(&mut w).await
}

/// Only watches that asked for it are told, each for itself.
async fn by_itself(s: &mut Session) -> Result<()> {
    let asked = |key| WatchCreateRequest {
        progress_notify: true,
        ..watch_key(key)
    };
    let mut w = watching(s, [watch_key("k"), asked("k"), watch_key("other")]).await?;
    s.call(put("far", "1")).await;
    s.take(&mut w, 2).await?;
    Ok(())
}
