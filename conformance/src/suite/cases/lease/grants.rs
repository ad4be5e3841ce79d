//! LeaseGrant, LeaseTimeToLive without keys, LeaseLeases.

use latchd_proto::etcdserverpb::{LeaseLeasesRequest, LeaseTimeToLiveRequest};

use crate::suite::{Case, Session, grant, put, revoke, time_to_live};

const TTLS: [(&str, i64); 13] = [
    ("the least number", i64::MIN),
    ("minus one", -1),
    ("zero", 0),
    ("1", 1),
    ("2", 2),
    ("3", 3),
    ("a minute", 60),
    ("a week", 604_800),
    ("the most that may be, less one", 8_999_999_999),
    ("the most that may be", 9_000_000_000),
    ("one more than may be", 9_000_000_001),
    ("nanoseconds that do not fit", 10_000_000_000),
    ("the greatest number", i64::MAX),
];

const IDS: [(&str, i64); 6] = [
    ("of one", 1),
    ("of minus one", -1),
    ("the greatest", i64::MAX),
    ("the least", i64::MIN),
    ("with a byte in each place", 0x0123_4567_89ab_cdef),
    ("that the server chooses", 0),
];

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = TTLS.into_iter().map(with_ttl).collect();
    cases.extend(IDS.into_iter().map(with_id));
    cases.extend(duplicates());
    cases.extend(lists());
    cases
}

fn with_ttl((name, ttl): (&str, i64)) -> Case {
    Case::new(
        format!("grant: a TTL of {name}"),
        async move |s: &mut Session| {
            s.call(grant(ttl, 7)).await;
            s.call(time_to_live(7)).await;
            s.call(LeaseLeasesRequest {}).await;
            Ok(())
        },
    )
}

fn with_id((name, id): (&str, i64)) -> Case {
    Case::new(
        format!("grant: an ID {name}"),
        async move |s: &mut Session| {
            let id = s.call(grant(100, id)).await.ok()?.id;
            s.call(time_to_live(id)).await;
            s.call(LeaseLeasesRequest {}).await;
            s.call(revoke(id)).await;
            Ok(())
        },
    )
}

fn duplicates() -> Vec<Case> {
    vec![
        Case::new("grant: an ID that is taken", async |s: &mut Session| {
            s.call(grant(100, 7)).await;
            s.call(grant(200, 7)).await;
            s.call(time_to_live(7)).await;
            Ok(())
        }),
        Case::new(
            "grant: an ID that is taken, with a TTL that may not be",
            async |s: &mut Session| {
                s.call(grant(100, 7)).await;
                s.call(grant(i64::MAX, 7)).await;
                Ok(())
            },
        ),
        Case::new(
            "grant: an ID again after its revoke",
            async |s: &mut Session| {
                s.call(grant(100, 7)).await;
                s.call(revoke(7)).await;
                s.call(grant(200, 7)).await;
                s.call(time_to_live(7)).await;
                Ok(())
            },
        ),
        Case::new(
            "grant: two IDs that the server chooses",
            async |s: &mut Session| {
                let one = s.call(grant(100, 0)).await.ok()?.id;
                let two = s.call(grant(100, 0)).await.ok()?.id;
                s.call(time_to_live(two)).await;
                s.call(time_to_live(one)).await;
                Ok(())
            },
        ),
        Case::new("grant: no new revision", async |s: &mut Session| {
            s.call(grant(100, 7)).await;
            s.call(put("k", "1")).await;
            s.call(grant(100, 8)).await;
            s.call(revoke(8)).await;
            Ok(())
        }),
    ]
}

fn lists() -> Vec<Case> {
    vec![
        Case::new("list: no leases", async |s: &mut Session| {
            s.call(LeaseLeasesRequest {}).await;
            Ok(())
        }),
        Case::new(
            "list: in the order of their ends",
            async |s: &mut Session| {
                for (ttl, id) in [(300, 7), (100, 9), (200, 8), (400, 1)] {
                    s.call(grant(ttl, id)).await;
                }
                s.call(LeaseLeasesRequest {}).await;
                s.call(revoke(8)).await;
                s.call(LeaseLeasesRequest {}).await;
                Ok(())
            },
        ),
        Case::new(
            "list: a keepalive moves a lease behind others",
            async |s: &mut Session| {
                for (ttl, id) in [(300, 7), (300, 8)] {
                    s.call(grant(ttl, id)).await;
                }
                let mut stream = s.keep_alive("a");
                s.send(&mut stream, crate::suite::ping(7));
                s.next(&mut stream).await?;
                s.call(LeaseLeasesRequest {}).await;
                Ok(())
            },
        ),
        Case::new("time to live: of no lease", async |s: &mut Session| {
            for id in [0, 99, -1] {
                for keys in [true, false] {
                    s.call(LeaseTimeToLiveRequest { id, keys }).await;
                }
            }
            Ok(())
        }),
    ]
}
