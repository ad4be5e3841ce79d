//! How watches of a stream are numbered, and how they are cancelled.

use anyhow::Result;
use latchd_proto::etcdserverpb::{WatchCreateRequest, WatchRequest};
use serde_json::{Value, json};

use super::{add, watching};
use crate::suite::{Case, Session, cancel, create, put, watch_key};

pub fn cases() -> Vec<Case> {
    let mut cases = numbered();
    cases.extend([
        Case::new("cancel: is acknowledged, and nothing follows", cancelled),
        Case::new("cancel: a watch that never was", async |s: &mut Session| {
            let mut w = watching(s, [watch_key("k")]).await?;
            for id in [1, -1, 77, i64::MIN] {
                s.send(&mut w, cancel(id));
            }
            s.call(put("k", "1")).await;
            s.drain(&mut w).await
        }),
        Case::new("cancel: twice", async |s: &mut Session| {
            let mut w = watching(s, [watch_key("k")]).await?;
            s.send(&mut w, cancel(0));
            s.send(&mut w, cancel(0));
            s.next(&mut w).await?;
            add(s, &mut w, watch_key("k")).await?;
            s.drain(&mut w).await
        }),
        Case::new("cancel: one of several", one_of_several),
        Case::new(
            "cancel: before anything is created",
            async |s: &mut Session| {
                let mut w = s.watch("w");
                s.send(&mut w, cancel(0));
                add(s, &mut w, watch_key("k")).await?;
                s.drain(&mut w).await
            },
        ),
        Case::new(
            "cancel: a chosen number is free again",
            async |s: &mut Session| {
                let mut w = watching(s, [numbered_as(7)]).await?;
                s.send(&mut w, cancel(7));
                s.next(&mut w).await?;
                add(s, &mut w, numbered_as(7)).await?;
                s.call(put("k", "1")).await;
                s.next(&mut w).await?;
                s.drain(&mut w).await
            },
        ),
        Case::new(
            "cancel: the only watch, and the stream goes on",
            async |s: &mut Session| {
                let mut w = watching(s, [watch_key("k")]).await?;
                s.send(&mut w, cancel(0));
                s.next(&mut w).await?;
                s.call(put("k", "1")).await;
                add(s, &mut w, watch_key("k")).await?;
                s.call(put("k", "2")).await;
                s.next(&mut w).await?;
                s.drain(&mut w).await
            },
        ),
        Case::new("cancel: while events queue", while_events_queue),
        Case::new(
            "cancel: of another stream's watch",
            async |s: &mut Session| {
                let mut one = watching(s, [watch_key("k")]).await?;
                let mut other = watching(s, [numbered_as(5)]).await?;
                s.send(&mut other, cancel(0));
                s.call(put("k", "1")).await;
                s.next(&mut one).await?;
                s.next(&mut other).await?;
                s.drain(&mut other).await
            },
        ),
        Case::new(
            "a message without meaning is passed over",
            async |s: &mut Session| {
                let mut w = s.watch("w");
                s.send(&mut w, WatchRequest::default());
                add(s, &mut w, watch_key("k")).await?;
                s.send(&mut w, WatchRequest::default());
                s.call(put("k", "1")).await;
                s.next(&mut w).await?;
                s.drain(&mut w).await
            },
        ),
    ]);
    cases
}

fn numbered_as(watch_id: i64) -> WatchCreateRequest {
    WatchCreateRequest {
        watch_id,
        ..watch_key("k")
    }
}

/// Creations with these numbers, 0 leaving the choice to the server; then an event.
fn numbered() -> Vec<Case> {
    let all: [(&str, &[i64]); 9] = [
        ("chosen by the server", &[0, 0, 0]),
        ("chosen by the client", &[7]),
        ("after a chosen one", &[7, 0, 0]),
        ("around chosen ones", &[1, 0, 0, 3, 0, 0]),
        ("chosen twice", &[7, 7]),
        ("chosen after the server's", &[0, 0, 1]),
        ("after one that was taken", &[1, 1, 0, 0]),
        ("below zero", &[-5, -1, 0]),
        ("the greatest", &[i64::MAX, 0]),
    ];
    let case = |(name, ids): (&str, &'static [i64])| {
        Case::new(format!("ids: {name}"), async move |s: &mut Session| {
            let mut w = s.watch("w");
            let mut alive = 0;
            for id in ids {
                let answer = add(s, &mut w, numbered_as(*id)).await?;
                alive += usize::from(!answer.canceled);
            }
            s.call(put("k", "1")).await;
            s.gather(&mut w, |all| all.len() == alive).await?;
            s.drain(&mut w).await
        })
    };
    all.into_iter().map(case).collect()
}

async fn cancelled(s: &mut Session) -> Result<()> {
    let mut w = watching(s, [watch_key("k"), watch_key("k")]).await?;
    s.send(&mut w, cancel(0));
    s.next(&mut w).await?;
    s.call(put("k", "1")).await;
    s.next(&mut w).await?;
    s.drain(&mut w).await
}

async fn one_of_several(s: &mut Session) -> Result<()> {
    let mut w = watching(s, [watch_key("k"), watch_key("k"), watch_key("other")]).await?;
    s.call(put("k", "1")).await;
    s.gather(&mut w, |all| all.len() == 2).await?;
    s.send(&mut w, cancel(1));
    s.next(&mut w).await?;
    s.call(put("k", "2")).await;
    s.call(put("other", "1")).await;
    s.take(&mut w, 2).await?;
    s.drain(&mut w).await
}

/// How many events get through before is a race; that they are the first ones, and
/// that none comes afterwards, is not.
async fn while_events_queue(s: &mut Session) -> Result<()> {
    let mut w = s.watch("w");
    add(s, &mut w, watch_key("k")).await?;
    for value in 0..200 {
        s.quietly(put("k", value.to_string())).await?;
    }
    s.send(&mut w, cancel(0));
    s.send(&mut w, create(watch_key("end")));
    let (mut seen, mut in_order) = (0, true);
    loop {
        let (message, shown) = s.unseen(&mut w).await?;
        for event in &message.events {
            let value = event.kv.as_ref().map(|kv| kv.value.clone());
            in_order &= value == Some(seen.to_string().into());
            seen += 1;
        }
        if message.canceled {
            s.note(
                "the first events",
                Value::Null,
                json!({ "in order": in_order }),
            );
            s.note("then", Value::Null, shown);
            break;
        }
    }
    s.next(&mut w).await?;
    s.call(put("end", "1")).await;
    s.next(&mut w).await?;
    s.drain(&mut w).await
}
