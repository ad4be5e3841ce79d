//! Calls that answer with a stream: a line a message, or a message of a websocket.

use anyhow::Result;

use crate::suite::{
    Case, Session, cancel, create, delete, grant, put, put_leased, revoke, watch_key,
};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("watch: lines as events come", async |s: &mut Session| {
            let mut lines = s
                .lines("/v3/watch", r#"{"create_request":{"key":"<k>"}}"#)
                .await?;
            s.line(&mut lines).await?;
            s.call(put("k", "1")).await;
            s.line(&mut lines).await?;
            s.call(delete("k")).await;
            s.line(&mut lines).await?;
            Ok(())
        }),
        Case::new("watch: replays a history", async |s: &mut Session| {
            s.call(put("k", "1")).await;
            s.call(delete("k")).await;
            let body = r#"{"create_request":{"key":"<k>","start_revision":"$1","prev_kv":true}}"#;
            let mut lines = s.lines("/v3/watch", body).await?;
            s.line(&mut lines).await?;
            s.line(&mut lines).await?;
            Ok(())
        }),
        Case::new(
            "watch: filters by name and by number",
            async |s: &mut Session| {
                let body = r#"{"create_request":{"key":"<k>","filters":["NOPUT",0]}}"#;
                let mut lines = s.lines("/v3/watch", body).await?;
                s.line(&mut lines).await?;
                s.call(put("k", "1")).await;
                s.call(delete("k")).await;
                s.line(&mut lines).await?;
                Ok(())
            },
        ),
        Case::new("watch: two in one body", async |s: &mut Session| {
            let body = r#"{"create_request":{"key":"<k>"}}{"create_request":{"key":"<l>"}}"#;
            let mut lines = s.lines("/v3/watch", body).await?;
            s.line(&mut lines).await?;
            s.line(&mut lines).await?;
            s.call(put("l", "1")).await;
            s.line(&mut lines).await?;
            Ok(())
        }),
        Case::new(
            "watch: created and cancelled in one body",
            async |s: &mut Session| {
                let body = r#"{"create_request":{"key":"<k>"}}
                {"cancel_request":{"watch_id":"0"}}"#;
                let mut lines = s.lines("/v3/watch", body).await?;
                s.line(&mut lines).await?;
                s.line(&mut lines).await?;
                Ok(())
            },
        ),
        Case::new("watch: a range that is empty", async |s: &mut Session| {
            let body = r#"{"create_request":{"key":"<k>","range_end":"<a>"}}"#;
            let mut lines = s.lines("/v3/watch", body).await?;
            s.line(&mut lines).await?;
            Ok(())
        }),
        Case::new("watch: names in camel case", async |s: &mut Session| {
            let body = r#"{"createRequest":{"key":"<k>","rangeEnd":"<l>","watchId":7}}"#;
            let mut lines = s.lines("/v3/watch", body).await?;
            s.line(&mut lines).await?;
            s.call(put("k/1", "1")).await;
            s.line(&mut lines).await?;
            Ok(())
        }),
        Case::new("keepalive: a line, and the end", async |s: &mut Session| {
            s.call(grant(60, 7)).await;
            let mut lines = s.lines("/v3/lease/keepalive", r#"{"ID":7}"#).await?;
            while s.line(&mut lines).await?.is_some() {}
            Ok(())
        }),
        Case::new("keepalive: several in one body", async |s: &mut Session| {
            s.call(grant(60, 7)).await;
            let body = r#"{"ID":7}{"ID":"404"} {"ID":"7"}"#;
            let mut lines = s.lines("/v3/lease/keepalive", body).await?;
            while s.line(&mut lines).await?.is_some() {}
            Ok(())
        }),
        Case::new("keepalive: of nothing", async |s: &mut Session| {
            let mut lines = s.lines("/v3/lease/keepalive", "").await?;
            while s.line(&mut lines).await?.is_some() {}
            Ok(())
        }),
        Case::new(
            "keepalive: with nonsense after one",
            async |s: &mut Session| {
                s.call(grant(60, 7)).await;
                let mut lines = s.lines("/v3/lease/keepalive", r#"{"ID":7}x"#).await?;
                while s.line(&mut lines).await?.is_some() {}
                Ok(())
            },
        ),
        Case::new("observe: leaders line by line", async |s: &mut Session| {
            s.quietly(grant(60, 7)).await?;
            s.call(put_leased("e/7", "one", 7)).await;
            let mut lines = s.lines("/v3/election/observe", r#"{"name":"<e>"}"#).await?;
            s.line(&mut lines).await?;
            s.call(put_leased("e/7", "two", 7)).await;
            s.line(&mut lines).await?;
            s.call(revoke(7)).await;
            s.call(put("e/other", "three")).await;
            s.line(&mut lines).await?;
            Ok(())
        }),
        Case::new("websocket: a watch", websocket_watch),
        Case::new("websocket: keepalives", async |s: &mut Session| {
            s.call(grant(60, 7)).await;
            let mut socket = s.websocket("/v3/lease/keepalive").await?;
            for id in [7, 404, 7] {
                s.say(&mut socket, &format!(r#"{{"ID":{id}}}"#)).await?;
                s.hear(&mut socket).await?;
            }
            Ok(())
        }),
    ]
}

/// What came over the socket is also what gRPC says.
async fn websocket_watch(s: &mut Session) -> Result<()> {
    let mut socket = s.websocket("/v3/watch").await?;
    s.say(&mut socket, r#"{"create_request":{"key":"<k>"}}"#)
        .await?;
    s.hear(&mut socket).await?;
    s.call(put("k", "1")).await;
    s.hear(&mut socket).await?;
    s.say(&mut socket, r#"{"create_request":{"key":"<l>"}}"#)
        .await?;
    s.hear(&mut socket).await?;
    s.say(&mut socket, r#"{"cancel_request":{"watch_id":0}}"#)
        .await?;
    s.hear(&mut socket).await?;
    let mut watches = s.watch("w");
    s.send(&mut watches, create(watch_key("k")));
    s.next(&mut watches).await?;
    s.send(&mut watches, cancel(0));
    s.next(&mut watches).await?;
    Ok(())
}
