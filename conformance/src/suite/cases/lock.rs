//! Lock: keys, order, hand-offs, and every way to let go.

use anyhow::Result;
use bytes::Bytes;
use latchd_proto::v3lockpb::{LockRequest, UnlockRequest};

use crate::suite::{
    Case, Session, delete, everything, get, grant, pending::Pending, prefix, put, put_leased,
    revoke,
};

pub fn cases() -> Vec<Case> {
    let mut cases = names();
    cases.extend(waits());
    cases.extend(prefixes());
    cases.extend([
        Case::new("the same lease again", async |s: &mut Session| {
            s.call(grant(60, 7)).await;
            let first = s.call(lock("job", 7)).await.ok()?;
            s.call(lock("job", 7)).await;
            s.call(everything()).await;
            s.call(unlock(first.key)).await;
            s.call(everything()).await;
            Ok(())
        }),
        Case::new(
            "a lease that put its key by hand",
            async |s: &mut Session| {
                s.call(grant(60, 7)).await;
                s.call(put_leased("job/7", "mine", 7)).await;
                s.call(lock("job", 7)).await;
                s.call(everything()).await;
                Ok(())
            },
        ),
        Case::new("two names under one lease", async |s: &mut Session| {
            s.call(grant(60, 7)).await;
            s.call(lock("a", 7)).await;
            s.call(lock("b", 7)).await;
            s.call(revoke(7)).await;
            s.call(everything()).await;
            Ok(())
        }),
        Case::new("without a lease", async |s: &mut Session| {
            let held = s.call(lock("job", 0)).await.ok()?;
            s.call(everything()).await;
            s.call(latchd_proto::etcdserverpb::LeaseLeasesRequest {})
                .await;
            s.call(unlock(held.key)).await;
            s.call(everything()).await;
            Ok(())
        }),
        Case::new("with a lease that is not there", async |s: &mut Session| {
            for lease in [404, -1, i64::MAX] {
                s.call(lock("job", lease)).await;
            }
            s.call(everything()).await;
            Ok(())
        }),
        Case::new("with a lease that was revoked", async |s: &mut Session| {
            s.call(grant(60, 7)).await;
            s.call(revoke(7)).await;
            s.call(lock("job", 7)).await;
            s.call(everything()).await;
            Ok(())
        }),
        Case::new("unlock: what nobody holds", async |s: &mut Session| {
            for key in ["", "absent", "job/7", "/"] {
                s.call(unlock(key)).await;
            }
            Ok(())
        }),
        Case::new("unlock: twice", async |s: &mut Session| {
            s.call(grant(60, 7)).await;
            let held = s.call(lock("job", 7)).await.ok()?;
            s.call(unlock(held.key.clone())).await;
            s.call(unlock(held.key)).await;
            Ok(())
        }),
        Case::new(
            "unlock: any key at all is deleted",
            async |s: &mut Session| {
                s.call(put("plain", "1")).await;
                s.call(unlock("plain")).await;
                s.call(get("plain")).await;
                Ok(())
            },
        ),
        Case::new(
            "unlock: the name alone frees nothing",
            async |s: &mut Session| {
                s.call(grant(60, 7)).await;
                s.call(lock("job", 7)).await;
                s.call(unlock("job")).await;
                s.call(unlock("job/")).await;
                s.call(everything()).await;
                Ok(())
            },
        ),
        Case::new(
            "a held lock's lease ends, and it is free",
            async |s: &mut Session| {
                s.call(grant(60, 7)).await;
                s.call(grant(60, 8)).await;
                s.call(lock("job", 7)).await;
                s.call(revoke(7)).await;
                s.call(lock("job", 8)).await;
                s.call(everything()).await;
                Ok(())
            },
        ),
    ]);
    cases
}

fn lock(name: impl Into<Bytes>, lease: i64) -> LockRequest {
    let name = name.into();
    LockRequest { name, lease }
}

fn unlock(key: impl Into<Bytes>) -> UnlockRequest {
    UnlockRequest { key: key.into() }
}

fn names() -> Vec<Case> {
    let all: [(&str, &[u8]); 8] = [
        ("simple", b"job"),
        ("empty", b""),
        ("with a slash", b"a/b"),
        ("that ends with a slash", b"a/"),
        ("a slash", b"/"),
        ("bytes that are no text", b"\xff\xfe"),
        ("a zero byte", b"\0"),
        ("long", &[b'n'; 3_000]),
    ];
    let case = |(name, bytes): (&str, &'static [u8])| {
        Case::new(format!("name: {name}"), async move |s: &mut Session| {
            s.call(grant(60, 0xbeef)).await;
            let held = s.call(lock(bytes, 0xbeef)).await;
            s.call(everything()).await;
            if let Ok(held) = held.ok() {
                s.call(unlock(held.key)).await;
            }
            s.call(everything()).await;
            Ok(())
        })
    };
    all.into_iter().map(case).collect()
}

/// Starts a lock that has to wait; its key is there when this returns. Leases below
/// ten: the key's end is the lease in hex.
async fn waiting(s: &mut Session, name: &str, lease: i64) -> Result<Pending<LockRequest>> {
    let pending = s.start(&format!("lease {lease}"), lock(name.to_owned(), lease));
    let key = format!("{name}/{lease:x}");
    s.until("the waiter's key", get(key), |found| found.count == 1)
        .await?;
    Ok(pending)
}

/// Leases 1 to n, the first of which holds `job`.
async fn held(s: &mut Session, leases: i64) -> Result<()> {
    for lease in 1..=leases {
        s.quietly(grant(60, lease)).await?;
    }
    s.call(lock("job", 1)).await.ok()?;
    Ok(())
}

fn waits() -> Vec<Case> {
    vec![
        Case::new("wait: until it is unlocked", async |s: &mut Session| {
            held(s, 2).await?;
            let two = waiting(s, "job", 2).await?;
            s.call(everything()).await;
            s.call(unlock("job/1")).await;
            s.finish(two).await;
            s.call(everything()).await;
            Ok(())
        }),
        Case::new(
            "wait: until the holder's lease is revoked",
            async |s: &mut Session| {
                held(s, 2).await?;
                let two = waiting(s, "job", 2).await?;
                s.call(revoke(1)).await;
                s.finish(two).await;
                Ok(())
            },
        ),
        Case::new(
            "wait: until the holder's key is deleted",
            async |s: &mut Session| {
                held(s, 2).await?;
                let two = waiting(s, "job", 2).await?;
                s.call(delete("job/1")).await;
                s.finish(two).await;
                Ok(())
            },
        ),
        Case::new(
            "wait: until the holder's lease runs out",
            async |s: &mut Session| {
                s.quietly(grant(60, 2)).await?;
                s.quietly(grant(5, 1)).await?;
                s.call(lock("job", 1)).await.ok()?;
                let two = waiting(s, "job", 2).await?;
                s.finish(two).await;
                s.call(everything()).await;
                Ok(())
            },
        ),
        Case::new(
            "wait: five take turns in the order in which they came",
            in_turns,
        ),
        Case::new(
            "wait: one in the midst gives up",
            async |s: &mut Session| {
                held(s, 3).await?;
                let two = waiting(s, "job", 2).await?;
                let three = waiting(s, "job", 3).await?;
                drop(two);
                s.until("its key to go", prefix("job/"), |found| found.count == 2)
                    .await?;
                s.call(unlock("job/1")).await;
                s.finish(three).await;
                s.call(everything()).await;
                Ok(())
            },
        ),
        Case::new("wait: giving up leaves no key", async |s: &mut Session| {
            held(s, 2).await?;
            let two = waiting(s, "job", 2).await?;
            drop(two);
            s.until("its key to go", prefix("job/"), |found| found.count == 1)
                .await?;
            s.call(everything()).await;
            s.call(lock("job", 1)).await;
            Ok(())
        }),
        Case::new(
            "wait: giving up without a lease of one's own",
            async |s: &mut Session| {
                held(s, 1).await?;
                let other = s.start("no lease", lock("job", 0));
                s.until("its key", prefix("job/"), |found| found.count == 2)
                    .await?;
                drop(other);
                s.until("its key to go", prefix("job/"), |found| found.count == 1)
                    .await?;
                s.call(everything()).await;
                Ok(())
            },
        ),
        Case::new(
            "wait: a deadline of the caller's",
            async |s: &mut Session| {
                held(s, 2).await?;
                s.call_until("300m", lock("job", 2)).await?;
                s.until("its key to go", prefix("job/"), |found| found.count == 1)
                    .await?;
                s.call(everything()).await;
                Ok(())
            },
        ),
        Case::new("wait: its own lease is revoked", async |s: &mut Session| {
            held(s, 2).await?;
            let two = waiting(s, "job", 2).await?;
            s.call(revoke(2)).await;
            s.call(unlock("job/1")).await;
            s.finish(two).await;
            s.call(everything()).await;
            Ok(())
        }),
        Case::new("wait: its own lease runs out", async |s: &mut Session| {
            s.quietly(grant(60, 1)).await?;
            s.quietly(grant(5, 2)).await?;
            s.call(lock("job", 1)).await.ok()?;
            let two = waiting(s, "job", 2).await?;
            s.until("its key to go", get("job/2"), |found| found.count == 0)
                .await?;
            s.call(unlock("job/1")).await;
            s.finish(two).await;
            Ok(())
        }),
        Case::new("wait: its own key is deleted", async |s: &mut Session| {
            held(s, 2).await?;
            let two = waiting(s, "job", 2).await?;
            s.call(unlock("job/2")).await;
            s.call(unlock("job/1")).await;
            s.finish(two).await;
            s.call(everything()).await;
            Ok(())
        }),
        Case::new(
            "wait: its own key is written again",
            async |s: &mut Session| {
                held(s, 2).await?;
                let two = waiting(s, "job", 2).await?;
                s.call(put_leased("job/2", "touched", 2)).await;
                s.call(unlock("job/1")).await;
                s.finish(two).await;
                s.call(everything()).await;
                Ok(())
            },
        ),
        Case::new(
            "wait: the holder's key is written again",
            async |s: &mut Session| {
                held(s, 2).await?;
                let two = waiting(s, "job", 2).await?;
                s.call(put_leased("job/1", "touched", 1)).await;
                s.call(unlock("job/1")).await;
                s.finish(two).await;
                Ok(())
            },
        ),
        Case::new(
            "wait: two under one lease share a key and a turn",
            async |s: &mut Session| {
                held(s, 2).await?;
                let one = waiting(s, "job", 2).await?;
                let other = waiting(s, "job", 2).await?;
                s.call(unlock("job/1")).await;
                s.finish(one).await;
                s.finish(other).await;
                s.call(everything()).await;
                Ok(())
            },
        ),
        Case::new(
            "wait: for keys that were put by hand",
            async |s: &mut Session| {
                s.quietly(grant(60, 2)).await?;
                s.call(put("job/by hand", "1")).await;
                let two = waiting(s, "job", 2).await?;
                s.call(delete("job/by hand")).await;
                s.finish(two).await;
                Ok(())
            },
        ),
    ]
}

async fn in_turns(s: &mut Session) -> Result<()> {
    held(s, 5).await?;
    let mut queue = Vec::new();
    for lease in 2..=5 {
        queue.push(waiting(s, "job", lease).await?);
    }
    s.call(everything()).await;
    let mut holder = "job/1".to_owned();
    for waiter in queue {
        s.call(unlock(holder)).await;
        let next = s.finish(waiter).await.ok()?;
        holder = String::from_utf8(next.key.to_vec())?;
        s.call(everything()).await;
    }
    Ok(())
}

/// Names of which one begins with the other.
fn prefixes() -> Vec<Case> {
    vec![
        Case::new(
            "names: a waits for a holder of a/b",
            async |s: &mut Session| {
                s.quietly(grant(60, 1)).await?;
                s.quietly(grant(60, 2)).await?;
                s.call(lock("a/b", 1)).await;
                let two = waiting(s, "a", 2).await?;
                s.call(unlock("a/b/1")).await;
                s.finish(two).await;
                Ok(())
            },
        ),
        Case::new(
            "names: a/b does not wait for a holder of a",
            async |s: &mut Session| {
                s.quietly(grant(60, 1)).await?;
                s.quietly(grant(60, 2)).await?;
                s.call(lock("a", 1)).await;
                s.call(lock("a/b", 2)).await;
                s.call(everything()).await;
                Ok(())
            },
        ),
        Case::new(
            "names: ab and a have nothing in common",
            async |s: &mut Session| {
                s.quietly(grant(60, 1)).await?;
                s.quietly(grant(60, 2)).await?;
                s.call(lock("ab", 1)).await;
                s.call(lock("a", 2)).await;
                s.call(put("a", "a key of the same name")).await;
                s.call(everything()).await;
                Ok(())
            },
        ),
    ]
}
