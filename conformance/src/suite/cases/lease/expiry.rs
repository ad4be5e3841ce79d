//! The end of a lease that nobody renews.

use std::time::Duration;

use anyhow::{Result, anyhow};
use latchd_proto::etcdserverpb::{
    LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseLeasesRequest, RangeRequest,
};
use prost::Message;

use crate::suite::{
    Case, Session, create, everything, get, grant, ping, put, put_leased, revoke, stream::Stream,
    time_to_live, watch_key, watch_prefix,
};

/// Seconds; long enough for a machine that stands still for a moment before a key is put.
const SHORT: i64 = 5;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("expiry: its keys go at one revision", keys_go),
        Case::new("expiry: nothing is left of the lease", nothing_is_left),
        Case::new("expiry: without keys, no new revision", without_keys),
        Case::new("expiry: a key that moved to another lease stays", moved),
        Case::new(
            "expiry: a key that was taken off stays",
            async |s: &mut Session| {
                s.call(grant(SHORT, 7)).await;
                s.call(put_leased("k", "1", 7)).await;
                s.call(put("k", "2")).await;
                gone(s, 7).await?;
                s.call(get("k")).await;
                Ok(())
            },
        ),
        Case::new("expiry: not while it is kept alive", kept_alive),
        Case::new(
            "expiry: not by a question for its time",
            async |s: &mut Session| {
                s.call(grant(SHORT, 7)).await;
                // Asking again and again renews nothing.
                gone(s, 7).await?;
                s.call(time_to_live(7)).await;
                Ok(())
            },
        ),
        Case::new(
            "expiry: its ID can be granted again",
            async |s: &mut Session| {
                s.call(grant(SHORT, 7)).await;
                s.call(put_leased("k", "1", 7)).await;
                gone(s, 7).await?;
                s.call(grant(60, 7)).await;
                s.call(time_to_live(7)).await;
                s.call(put_leased("k", "2", 7)).await;
                s.call(get("k")).await;
                Ok(())
            },
        ),
        Case::new(
            "expiry: history keeps what it took",
            async |s: &mut Session| {
                s.call(grant(SHORT, 7)).await;
                s.call(put_leased("k", "1", 7)).await;
                gone(s, 7).await?;
                for writes in [1, 2] {
                    let revision = s.revision(writes);
                    s.call(RangeRequest {
                        revision,
                        ..get("k")
                    })
                    .await;
                }
                Ok(())
            },
        ),
    ]
}

/// Waits until the lease is no more.
async fn gone(s: &mut Session, id: i64) -> Result<()> {
    s.until("the end of the lease", time_to_live(id), |answer| {
        answer.ttl == -1
    })
    .await
}

async fn keys_go(s: &mut Session) -> Result<()> {
    let mut watch = s.watch("all");
    s.send(&mut watch, create(watch_prefix("k")));
    s.next(&mut watch).await?;
    s.call(grant(SHORT, 7)).await;
    for key in ["k2", "k1", "k3"] {
        s.call(put_leased(key, "1", 7)).await;
        s.next(&mut watch).await?;
    }
    s.next(&mut watch).await?;
    s.call(everything()).await;
    Ok(())
}

async fn nothing_is_left(s: &mut Session) -> Result<()> {
    s.call(grant(SHORT, 7)).await;
    s.call(put_leased("k", "1", 7)).await;
    gone(s, 7).await?;
    s.call(time_to_live(7)).await;
    s.call(LeaseLeasesRequest {}).await;
    let mut stream = s.keep_alive("late");
    s.send(&mut stream, ping(7));
    s.next(&mut stream).await?;
    s.call(put_leased("k", "2", 7)).await;
    s.call(revoke(7)).await;
    s.call(everything()).await;
    Ok(())
}

async fn without_keys(s: &mut Session) -> Result<()> {
    s.call(grant(SHORT, 7)).await;
    gone(s, 7).await?;
    s.call(put("k", "1")).await;
    Ok(())
}

async fn moved(s: &mut Session) -> Result<()> {
    s.call(grant(SHORT, 7)).await;
    s.call(grant(60, 8)).await;
    s.call(put_leased("k", "1", 7)).await;
    s.call(put_leased("k", "2", 8)).await;
    gone(s, 7).await?;
    s.call(get("k")).await;
    s.call(time_to_live(8)).await;
    Ok(())
}

/// One lease is renewed until another, a longer one, has ended.
async fn kept_alive(s: &mut Session) -> Result<()> {
    let mut watch = s.watch("the other");
    s.send(&mut watch, create(watch_key("other")));
    s.next(&mut watch).await?;
    // Long enough for a machine that stands still for a moment between two beats.
    for (id, key, ttl) in [(7, "kept", 5), (8, "other", 8)] {
        s.call(grant(ttl, id)).await;
        s.call(put_leased(key, "1", id)).await;
    }
    s.next(&mut watch).await?;
    let mut stream = s.keep_alive("kept");
    let ended = s.next(&mut watch);
    tokio::select! {
        error = renewed(&mut stream) => return Err(error),
        event = ended => drop(event?),
    }
    s.call(everything()).await;
    s.call(time_to_live(7)).await;
    Ok(())
}

/// Renews until there is no answer any more, which it returns.
async fn renewed(
    stream: &mut Stream<LeaseKeepAliveRequest, LeaseKeepAliveResponse>,
) -> anyhow::Error {
    let mut beats = tokio::time::interval(Duration::from_millis(300));
    loop {
        beats.tick().await;
        stream.send_raw(ping(7).encode_to_vec().into());
        match stream.next_raw().await {
            Ok(Some(_)) => {}
            Ok(None) => return anyhow!("the keepalives ended"),
            Err(status) => return status.into(),
        }
    }
}
