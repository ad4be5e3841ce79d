//! LeaseKeepAlive: one answer for each request, in order, whatever it is about.

use anyhow::Result;
use latchd_proto::etcdserverpb::LeaseKeepAliveResponse;

use crate::suite::{Case, Session, grant, ping, put, revoke, time_to_live};

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        pings("a lease", &[7]),
        pings("a lease three times", &[7, 7, 7]),
        pings("two leases in turn", &[7, 8, 7, 8]),
        pings("a lease that is not there", &[99]),
        pings("ID 0", &[0]),
        pings("a negative ID", &[-7]),
        pings("one that is there after one that is not", &[99, 7, 99, 8]),
        pings("nothing, and half-closed", &[]),
        Case::new(
            "keepalive: a lease of the greatest ID",
            async |s: &mut Session| {
                s.call(grant(60, i64::MAX)).await;
                sent_together(s, &[i64::MAX]).await
            },
        ),
        Case::new(
            "keepalive: the effective TTL, not the one asked for",
            async |s: &mut Session| {
                s.call(grant(1, 11)).await;
                sent_together(s, &[11]).await
            },
        ),
        Case::new(
            "keepalive: a lease that is revoked meanwhile",
            revoked_meanwhile,
        ),
        Case::new("keepalive: on two streams", two_streams),
        Case::new(
            "keepalive: the revision is the present one",
            async |s: &mut Session| {
                s.call(grant(60, 7)).await;
                let mut stream = s.keep_alive("a");
                for value in ["1", "2"] {
                    s.call(put("k", value)).await;
                    s.send(&mut stream, ping(7));
                    s.next(&mut stream).await?;
                }
                Ok(())
            },
        ),
        Case::new(
            "keepalive: answers come though the half-close is sent at once",
            async |s: &mut Session| {
                s.call(grant(60, 7)).await;
                let pings = [7_i64; 20];
                sent_together(s, &pings).await
            },
        ),
    ];
    cases.extend(frames());
    cases
}

fn frames() -> Vec<Case> {
    let case = |name: &str, messages: &'static [&'static [u8]]| {
        Case::new(
            format!("keepalive: {name}"),
            async move |s: &mut Session| {
                s.call(grant(60, 7)).await;
                let path = "/etcdserverpb.Lease/LeaseKeepAlive";
                s.raw::<LeaseKeepAliveResponse>(path, messages).await
            },
        )
    };
    vec![
        case("an empty message", &[b""]),
        case("a field that nobody knows", &[b"\x08\x07\x10\x01"]),
        case(
            "an ID of too many bytes",
            &[b"\x08\x87\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"],
        ),
    ]
}

/// All at once, then the end; as clients do that renew once.
async fn sent_together(s: &mut Session, ids: &[i64]) -> Result<()> {
    let mut stream = s.keep_alive("a");
    for id in ids {
        s.send(&mut stream, ping(*id));
    }
    stream.half_close();
    while s.next(&mut stream).await?.is_some() {}
    Ok(())
}

fn pings(name: &str, ids: &'static [i64]) -> Case {
    Case::new(
        format!("keepalive: {name}"),
        async move |s: &mut Session| {
            s.call(grant(60, 7)).await;
            s.call(grant(90, 8)).await;
            sent_together(s, ids).await?;
            for id in [7, 8] {
                s.call(time_to_live(id)).await;
            }
            Ok(())
        },
    )
}

async fn revoked_meanwhile(s: &mut Session) -> Result<()> {
    s.call(grant(60, 7)).await;
    let mut stream = s.keep_alive("a");
    s.send(&mut stream, ping(7));
    s.next(&mut stream).await?;
    s.call(revoke(7)).await;
    s.send(&mut stream, ping(7));
    s.next(&mut stream).await?;
    s.call(grant(90, 7)).await;
    s.send(&mut stream, ping(7));
    stream.half_close();
    while s.next(&mut stream).await?.is_some() {}
    Ok(())
}

async fn two_streams(s: &mut Session) -> Result<()> {
    s.call(grant(60, 7)).await;
    let (mut a, mut b) = (s.keep_alive("a"), s.keep_alive("b"));
    s.send(&mut a, ping(7));
    s.send(&mut b, ping(7));
    s.next(&mut b).await?;
    s.next(&mut a).await?;
    a.half_close();
    s.next(&mut a).await?;
    s.send(&mut b, ping(99));
    s.next(&mut b).await?;
    Ok(())
}
