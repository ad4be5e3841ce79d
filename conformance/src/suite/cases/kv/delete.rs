//! DeleteRange.

use anyhow::Result;
use bytes::Bytes;
use latchd_proto::etcdserverpb::{DeleteRangeRequest, RangeRequest};

use crate::suite::{
    Case, Session, delete, delete_range, everything, get, grant, put, put_leased, time_to_live,
};

/// Name, key, range end.
type Ends = (&'static str, &'static [u8], &'static [u8]);

const ENDS: [Ends; 13] = [
    ("a key that is there", b"b", b""),
    ("a key that is not", b"x", b""),
    ("an empty key", b"", b""),
    ("an empty key with an end", b"", b"z"),
    ("an end after the key", b"a", b"c"),
    ("an end that is the key", b"b", b"b"),
    ("an end before the key", b"c", b"a"),
    ("a prefix", b"b/", b"b0"),
    ("a prefix of nothing", b"y", b"z"),
    ("everything from a key", b"b/1", b"\0"),
    ("everything", b"\0", b"\0"),
    ("only the zero byte", b"\0", b""),
    ("all of 0xff", b"\xff", b"\0"),
];

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = ENDS.into_iter().map(ends).collect();
    cases.extend([
        Case::new("delete: twice", async |s: &mut Session| {
            s.call(put("k", "1")).await;
            s.call(delete("k")).await;
            s.call(delete("k")).await;
            s.call(put("l", "1")).await;
            Ok(())
        }),
        Case::new("delete: what was there can be read before", reads_before),
        Case::new("delete: takes keys off their leases", off_the_lease),
        Case::new(
            "delete: prev_kvs of many versions and leases",
            async |s: &mut Session| {
                s.call(grant(60, 7)).await;
                s.call(put("a", "1")).await;
                s.call(put("a", "2")).await;
                s.call(put_leased("b", "", 7)).await;
                let request = delete_range("a", "z");
                s.call(DeleteRangeRequest {
                    prev_kv: true,
                    ..request
                })
                .await;
                Ok(())
            },
        ),
        Case::new("delete: a thousand at once", async |s: &mut Session| {
            for at in 0..1_000 {
                s.quietly(put(format!("k{at:03}"), "v")).await?;
            }
            s.call(delete_range("k1", "k6")).await;
            s.call(RangeRequest {
                count_only: true,
                ..everything()
            })
            .await;
            let rest = delete_range("k", "l");
            s.call(DeleteRangeRequest {
                prev_kv: true,
                ..rest
            })
            .await;
            Ok(())
        }),
    ]);
    cases
}

/// Once with what was there, once without.
fn ends((name, key, end): Ends) -> Case {
    Case::new(format!("delete: {name}"), async move |s: &mut Session| {
        for prev_kv in [true, false] {
            let keys: [&[u8]; 7] = [b"a", b"b", b"b/1", b"b/2", b"c", b"\0", b"\xff\x01"];
            for key in keys {
                s.call(put(Bytes::from_static(key), "v")).await.ok()?;
            }
            let request = delete_range(key, end);
            s.call(DeleteRangeRequest { prev_kv, ..request }).await;
            s.call(everything()).await;
        }
        Ok(())
    })
}

async fn reads_before(s: &mut Session) -> Result<()> {
    s.call(put("k", "1")).await;
    s.call(delete("k")).await;
    for writes in [0, 1, 2] {
        let revision = s.revision(writes);
        s.call(RangeRequest {
            revision,
            ..get("k")
        })
        .await;
    }
    Ok(())
}

async fn off_the_lease(s: &mut Session) -> Result<()> {
    s.call(grant(60, 7)).await;
    for key in ["a", "b", "c"] {
        s.call(put_leased(key, "1", 7)).await;
    }
    s.call(delete("b")).await;
    s.call(time_to_live(7)).await;
    s.call(delete_range("a", "z")).await;
    s.call(time_to_live(7)).await;
    Ok(())
}
