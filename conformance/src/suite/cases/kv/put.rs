//! Put and its options.

use anyhow::Result;
use latchd_proto::etcdserverpb::PutRequest;

use crate::suite::{
    Case, IntoOp, Session, all_of, delete, everything, get, grant, put, put_leased, revoke,
    time_to_live,
};

/// A lease that the cases grant themselves.
const LEASE: i64 = 71;
const OTHER: i64 = 72;

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        on_both("plain", |_| {}),
        on_both("prev_kv", |request| request.prev_kv = true),
        on_both("an empty value", |request| request.value.clear()),
        on_both("an empty key", |request| request.key.clear()),
        on_both("ignore_value", |request| {
            request.value.clear();
            request.ignore_value = true;
        }),
        on_both("ignore_value with a value", |request| {
            request.ignore_value = true
        }),
        on_both("ignore_value and prev_kv", |request| {
            request.value.clear();
            request.ignore_value = true;
            request.prev_kv = true;
        }),
        on_both("ignore_lease", |request| request.ignore_lease = true),
        on_both("ignore_lease with a lease", |request| {
            request.ignore_lease = true;
            request.lease = LEASE;
        }),
        on_both("ignore_lease and prev_kv", |request| {
            request.ignore_lease = true;
            request.prev_kv = true;
        }),
        on_both("ignore_value and ignore_lease", |request| {
            request.value.clear();
            request.ignore_value = true;
            request.ignore_lease = true;
        }),
        on_both("ignore_value under a lease", |request| {
            request.value.clear();
            request.ignore_value = true;
            request.lease = OTHER;
        }),
        on_both("to another lease", |request| request.lease = OTHER),
        on_both("to another lease, with prev_kv", |request| {
            request.lease = OTHER;
            request.prev_kv = true;
        }),
        on_both("under the lease that it has", |request| {
            request.lease = LEASE
        }),
        on_both("under a lease that is not there", |request| {
            request.lease = 99
        }),
        on_both("under a negative lease that is not there", |request| {
            request.lease = -99
        }),
        on_both("ignore_value under a lease that is not there", |request| {
            request.value.clear();
            request.ignore_value = true;
            request.lease = 99;
        }),
        on_both("an empty key under a lease that is not there", |request| {
            request.key.clear();
            request.lease = 99;
        }),
    ];
    cases.extend(sequences());
    cases
}

fn sequences() -> Vec<Case> {
    vec![
        Case::new("put: ignore_value keeps what is there", keeps_value),
        Case::new("put: ignore_lease keeps what is there", keeps_lease),
        Case::new("put: lease 0 takes the key off its lease", takes_off),
        Case::new(
            "put: a deleted key is a new one",
            async |s: &mut Session| {
                s.call(put("k", "1")).await;
                s.call(put("k", "2")).await;
                s.call(delete("k")).await;
                s.call(PutRequest {
                    prev_kv: true,
                    ..put("k", "3")
                })
                .await;
                s.call(get("k")).await;
                Ok(())
            },
        ),
        Case::new(
            "put: ignore_value on a deleted key",
            async |s: &mut Session| {
                s.call(put("k", "1")).await;
                s.call(delete("k")).await;
                s.call(PutRequest {
                    ignore_value: true,
                    ..put("k", "")
                })
                .await;
                s.call(PutRequest {
                    ignore_lease: true,
                    ..put("k", "2")
                })
                .await;
                s.call(everything()).await;
                Ok(())
            },
        ),
        Case::new(
            "put: the same value is a new version",
            async |s: &mut Session| {
                for _ in 0..3 {
                    s.call(PutRequest {
                        prev_kv: true,
                        ..put("k", "same")
                    })
                    .await;
                }
                s.call(get("k")).await;
                Ok(())
            },
        ),
        Case::new("put: bytes that are no text", async |s: &mut Session| {
            let key: Vec<u8> = (0..=255).collect();
            let value: Vec<u8> = (0..=255).rev().collect();
            s.call(put(key.clone(), value)).await;
            s.call(PutRequest {
                prev_kv: true,
                ..put(key, "")
            })
            .await;
            s.call(everything()).await;
            Ok(())
        }),
        Case::new("put: a key of one zero byte", async |s: &mut Session| {
            s.call(put(&b"\0"[..], "zero")).await;
            s.call(get(&b"\0"[..])).await;
            s.call(everything()).await;
            Ok(())
        }),
        Case::new(
            "put: after its lease was revoked",
            async |s: &mut Session| {
                s.call(grant(60, LEASE)).await;
                s.call(put_leased("k", "1", LEASE)).await;
                s.call(revoke(LEASE)).await;
                s.call(put_leased("k", "2", LEASE)).await;
                s.call(PutRequest {
                    ignore_lease: true,
                    ..put("k", "2")
                })
                .await;
                s.call(put("k", "3")).await;
                s.call(get("k")).await;
                Ok(())
            },
        ),
    ]
}

/// The request on a key that is there, under a lease, and on one that is not.
fn on_both(name: &str, set: impl Fn(&mut PutRequest) + 'static) -> Case {
    Case::new(format!("put: {name}"), async move |s: &mut Session| {
        for lease in [LEASE, OTHER] {
            s.call(grant(60, lease)).await.ok()?;
        }
        s.call(put_leased("there", "old", LEASE)).await.ok()?;
        for key in ["there", "missing"] {
            let mut request = put(key, "new");
            set(&mut request);
            s.call(request).await;
            s.call(everything()).await;
        }
        for lease in [LEASE, OTHER] {
            s.call(time_to_live(lease)).await;
        }
        Ok(())
    })
}

async fn keeps_value(s: &mut Session) -> Result<()> {
    s.call(grant(60, LEASE)).await;
    s.call(put("k", "kept")).await;
    let touch = PutRequest {
        ignore_value: true,
        ..put_leased("k", "", LEASE)
    };
    s.call(touch).await;
    s.call(get("k")).await;
    // Without ignore_lease the lease is taken off again.
    s.call(PutRequest {
        ignore_value: true,
        ..put("k", "")
    })
    .await;
    s.call(get("k")).await;
    s.call(time_to_live(LEASE)).await;
    Ok(())
}

async fn keeps_lease(s: &mut Session) -> Result<()> {
    s.call(grant(60, LEASE)).await;
    s.call(put_leased("k", "1", LEASE)).await;
    s.call(PutRequest {
        ignore_lease: true,
        ..put("k", "2")
    })
    .await;
    s.call(get("k")).await;
    s.call(time_to_live(LEASE)).await;
    s.call(revoke(LEASE)).await;
    s.call(get("k")).await;
    Ok(())
}

async fn takes_off(s: &mut Session) -> Result<()> {
    s.call(grant(60, LEASE)).await;
    let both = all_of(vec![
        put_leased("k", "1", LEASE).op(),
        put_leased("l", "1", LEASE).op(),
    ]);
    s.call(both).await;
    s.call(put("k", "2")).await;
    s.call(time_to_live(LEASE)).await;
    s.call(revoke(LEASE)).await;
    s.call(everything()).await;
    Ok(())
}
