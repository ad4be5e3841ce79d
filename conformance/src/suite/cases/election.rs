//! Election: who leads, what it says, and who hears of it.

use anyhow::{Context, Result};
use bytes::Bytes;
use latchd_proto::v3electionpb::{
    CampaignRequest, LeaderKey, LeaderRequest, ProclaimRequest, ResignRequest,
};

use crate::suite::{
    Case, Session, delete, everything, get, grant, pending::Pending, prefix, put, put_leased,
    revoke,
};

pub fn cases() -> Vec<Case> {
    let parts = [
        campaigns(),
        waits(),
        proclamations(),
        resignations(),
        observers(),
    ];
    parts.into_iter().flatten().collect()
}

fn campaign(name: impl Into<Bytes>, lease: i64, value: impl Into<Bytes>) -> CampaignRequest {
    CampaignRequest {
        name: name.into(),
        lease,
        value: value.into(),
    }
}

fn leader(name: impl Into<Bytes>) -> LeaderRequest {
    LeaderRequest { name: name.into() }
}

fn proclaim(leader: Option<LeaderKey>, value: impl Into<Bytes>) -> ProclaimRequest {
    let value = value.into();
    ProclaimRequest { leader, value }
}

fn resign(leader: Option<LeaderKey>) -> ResignRequest {
    ResignRequest { leader }
}

/// Leases 1 to n, the first of which leads `e` with the value `one`.
async fn led(s: &mut Session, leases: i64) -> Result<LeaderKey> {
    for lease in 1..=leases {
        s.quietly(grant(60, lease)).await?;
    }
    let led = s.call(campaign("e", 1, "one")).await.ok()?;
    led.leader.context("no leader")
}

/// A campaign that has to wait; its key is there when this returns.
async fn waiting(s: &mut Session, lease: i64) -> Result<Pending<CampaignRequest>> {
    let request = campaign("e", lease, format!("value of {lease}"));
    let pending = s.start(&format!("lease {lease}"), request);
    s.until("its key", get(format!("e/{lease:x}")), |found| {
        found.count == 1
    })
    .await?;
    Ok(pending)
}

fn campaigns() -> Vec<Case> {
    let names: [(&str, &[u8], &[u8]); 5] = [
        ("simple", b"e", b"value"),
        ("an empty name", b"", b"value"),
        ("an empty value", b"e", b""),
        ("a name with a slash", b"a/b/", b"value"),
        ("bytes that are no text", b"\xff", b"\xfe\0"),
    ];
    let case = |(name, bytes, value): (&str, &'static [u8], &'static [u8])| {
        Case::new(format!("campaign: {name}"), async move |s: &mut Session| {
            s.call(grant(60, 0xbeef)).await;
            s.call(campaign(bytes, 0xbeef, value)).await;
            s.call(leader(bytes)).await;
            s.call(everything()).await;
            Ok(())
        })
    };
    let mut cases: Vec<Case> = names.into_iter().map(case).collect();
    cases.extend([
        Case::new("campaign: without a lease", async |s: &mut Session| {
            s.call(campaign("e", 0, "value")).await;
            s.call(leader("e")).await;
            Ok(())
        }),
        Case::new(
            "campaign: with a lease that is not there",
            async |s: &mut Session| {
                s.call(campaign("e", 404, "value")).await;
                s.call(leader("e")).await;
                Ok(())
            },
        ),
        Case::new(
            "campaign: again with another value",
            async |s: &mut Session| {
                led(s, 1).await?;
                s.call(campaign("e", 1, "another")).await;
                s.call(everything()).await;
                Ok(())
            },
        ),
        Case::new(
            "campaign: again with the same value",
            async |s: &mut Session| {
                led(s, 1).await?;
                s.call(campaign("e", 1, "one")).await;
                s.call(everything()).await;
                Ok(())
            },
        ),
        Case::new(
            "campaign: one lease in two elections",
            async |s: &mut Session| {
                led(s, 1).await?;
                s.call(campaign("f", 1, "both")).await;
                s.call(everything()).await;
                Ok(())
            },
        ),
        Case::new("leader: nobody", async |s: &mut Session| {
            for name in ["e", "", "/"] {
                s.call(leader(name)).await;
            }
            Ok(())
        }),
        Case::new(
            "leader: a key that was put by hand leads",
            async |s: &mut Session| {
                s.call(put("e/by hand", "x")).await;
                s.call(put("e", "not this one")).await;
                s.call(leader("e")).await;
                Ok(())
            },
        ),
        Case::new(
            "leader: the eldest key, not the first by name",
            async |s: &mut Session| {
                s.call(put("e/b", "eldest")).await;
                s.call(put("e/a", "younger")).await;
                s.call(put("e/b", "written again")).await;
                s.call(leader("e")).await;
                Ok(())
            },
        ),
        Case::new(
            "leader: names of which one begins with the other",
            async |s: &mut Session| {
                s.quietly(grant(60, 1)).await?;
                s.call(campaign("a/b", 1, "deep")).await;
                s.call(leader("a")).await;
                s.call(leader("a/b")).await;
                Ok(())
            },
        ),
    ]);
    cases
}

fn waits() -> Vec<Case> {
    vec![
        Case::new("wait: until the leader resigns", async |s: &mut Session| {
            let one = led(s, 2).await?;
            let two = waiting(s, 2).await?;
            s.call(leader("e")).await;
            s.call(resign(Some(one))).await;
            s.finish(two).await;
            s.call(leader("e")).await;
            s.call(everything()).await;
            Ok(())
        }),
        Case::new(
            "wait: until the leader's lease is revoked",
            async |s: &mut Session| {
                led(s, 2).await?;
                let two = waiting(s, 2).await?;
                s.call(revoke(1)).await;
                s.finish(two).await;
                Ok(())
            },
        ),
        Case::new("wait: its own lease is revoked", async |s: &mut Session| {
            let one = led(s, 2).await?;
            let two = waiting(s, 2).await?;
            s.call(revoke(2)).await;
            s.call(resign(Some(one))).await;
            s.finish(two).await;
            s.call(leader("e")).await;
            Ok(())
        }),
        Case::new("wait: giving up leaves no key", async |s: &mut Session| {
            led(s, 2).await?;
            let two = waiting(s, 2).await?;
            drop(two);
            s.until("its key to go", prefix("e/"), |found| found.count == 1)
                .await?;
            s.call(everything()).await;
            Ok(())
        }),
        Case::new(
            "wait: a deadline of the caller's",
            async |s: &mut Session| {
                led(s, 2).await?;
                s.call_until("300m", campaign("e", 2, "two")).await?;
                s.until("its key to go", prefix("e/"), |found| found.count == 1)
                    .await?;
                s.call(everything()).await;
                Ok(())
            },
        ),
        Case::new(
            "wait: three lead in the order in which they came",
            async |s: &mut Session| {
                let mut key = Some(led(s, 4).await?);
                let mut queue = Vec::new();
                for lease in 2..=4 {
                    queue.push(waiting(s, lease).await?);
                }
                for waiter in queue {
                    s.call(resign(key)).await;
                    key = s.finish(waiter).await.ok()?.leader;
                    s.call(leader("e")).await;
                }
                Ok(())
            },
        ),
    ]
}

/// Makes a leader's key one that does not lead.
type Falsify = fn(&mut LeaderKey);

fn proclamations() -> Vec<Case> {
    let stale: [(&str, Falsify); 4] = [
        ("an older revision", |key| key.rev -= 1),
        ("another key", |key| key.key = "e/9".into()),
        ("another lease", |key| key.lease = 9),
        ("another name", |key| key.name = "f".into()),
    ];
    let case = |(name, change): (&str, Falsify)| {
        Case::new(
            format!("proclaim: with {name}"),
            async move |s: &mut Session| {
                let mut key = led(s, 1).await?;
                change(&mut key);
                s.call(proclaim(Some(key), "new")).await;
                s.call(leader("e")).await;
                Ok(())
            },
        )
    };
    let mut cases: Vec<Case> = stale.into_iter().map(case).collect();
    cases.extend([
        Case::new("proclaim: a new value", async |s: &mut Session| {
            let key = led(s, 1).await?;
            s.call(proclaim(Some(key.clone()), "new")).await;
            s.call(leader("e")).await;
            s.call(proclaim(Some(key), "newer")).await;
            s.call(everything()).await;
            Ok(())
        }),
        Case::new("proclaim: nothing", async |s: &mut Session| {
            let key = led(s, 1).await?;
            s.call(proclaim(Some(key), "")).await;
            s.call(leader("e")).await;
            Ok(())
        }),
        Case::new("proclaim: by nobody", async |s: &mut Session| {
            s.call(proclaim(None, "new")).await;
            s.call(proclaim(Some(LeaderKey::default()), "new")).await;
            Ok(())
        }),
        Case::new(
            "proclaim: after having resigned",
            async |s: &mut Session| {
                let key = led(s, 1).await?;
                s.call(resign(Some(key.clone()))).await;
                s.call(proclaim(Some(key), "new")).await;
                s.call(everything()).await;
                Ok(())
            },
        ),
        Case::new(
            "proclaim: after the lease has ended",
            async |s: &mut Session| {
                let key = led(s, 1).await?;
                s.call(revoke(1)).await;
                s.call(proclaim(Some(key), "new")).await;
                Ok(())
            },
        ),
        Case::new(
            "proclaim: by one who only waits",
            async |s: &mut Session| {
                led(s, 2).await?;
                let two = waiting(s, 2).await?;
                let found = s.call(get("e/2")).await.ok()?;
                let rev = found.kvs.first().context("no key")?.create_revision;
                let key = LeaderKey {
                    name: "e".into(),
                    key: "e/2".into(),
                    rev,
                    lease: 2,
                };
                s.call(proclaim(Some(key), "new")).await;
                s.call(everything()).await;
                drop(two);
                Ok(())
            },
        ),
    ]);
    cases
}

fn resignations() -> Vec<Case> {
    vec![
        Case::new("resign: twice", async |s: &mut Session| {
            let key = led(s, 1).await?;
            s.call(resign(Some(key.clone()))).await;
            s.call(resign(Some(key))).await;
            s.call(leader("e")).await;
            Ok(())
        }),
        Case::new("resign: nobody", async |s: &mut Session| {
            s.call(resign(None)).await;
            s.call(resign(Some(LeaderKey::default()))).await;
            Ok(())
        }),
        Case::new("resign: with an older revision", async |s: &mut Session| {
            let mut key = led(s, 1).await?;
            key.rev -= 1;
            s.call(resign(Some(key))).await;
            s.call(leader("e")).await;
            Ok(())
        }),
        Case::new(
            "resign: a key that is not there",
            async |s: &mut Session| {
                let mut key = led(s, 1).await?;
                key.key = "e/9".into();
                s.call(resign(Some(key))).await;
                s.call(leader("e")).await;
                Ok(())
            },
        ),
        Case::new(
            "resign: after another took over",
            async |s: &mut Session| {
                let one = led(s, 2).await?;
                let two = waiting(s, 2).await?;
                s.call(resign(Some(one.clone()))).await;
                s.finish(two).await;
                s.call(resign(Some(one))).await;
                s.call(leader("e")).await;
                Ok(())
            },
        ),
    ]
}

fn observers() -> Vec<Case> {
    vec![
        Case::new(
            "observe: the leader, then what it proclaims",
            async |s: &mut Session| {
                let key = led(s, 1).await?;
                let mut seen = s.observe("o", leader("e"));
                s.next(&mut seen).await?;
                for value in ["two", "three"] {
                    s.call(proclaim(Some(key.clone()), value)).await;
                    s.next(&mut seen).await?;
                }
                Ok(())
            },
        ),
        Case::new(
            "observe: nobody, until somebody leads",
            async |s: &mut Session| {
                s.quietly(grant(60, 1)).await?;
                let mut seen = s.observe("o", leader("e"));
                s.call(campaign("e", 1, "at last")).await;
                s.next(&mut seen).await?;
                Ok(())
            },
        ),
        Case::new("observe: the next leader", async |s: &mut Session| {
            let one = led(s, 2).await?;
            let mut seen = s.observe("o", leader("e"));
            s.next(&mut seen).await?;
            let two = waiting(s, 2).await?;
            s.call(resign(Some(one))).await;
            s.finish(two).await;
            s.next(&mut seen).await?;
            Ok(())
        }),
        Case::new("observe: nobody in between", async |s: &mut Session| {
            let one = led(s, 2).await?;
            let mut seen = s.observe("o", leader("e"));
            s.next(&mut seen).await?;
            s.call(resign(Some(one))).await;
            s.call(leader("e")).await;
            s.call(campaign("e", 2, "two")).await;
            s.next(&mut seen).await?;
            Ok(())
        }),
        Case::new(
            "observe: a leader whose lease is revoked",
            async |s: &mut Session| {
                led(s, 2).await?;
                let mut seen = s.observe("o", leader("e"));
                s.next(&mut seen).await?;
                let two = waiting(s, 2).await?;
                s.call(revoke(1)).await;
                s.finish(two).await;
                s.next(&mut seen).await?;
                Ok(())
            },
        ),
        Case::new("observe: not who waits", async |s: &mut Session| {
            let one = led(s, 2).await?;
            let mut seen = s.observe("o", leader("e"));
            s.next(&mut seen).await?;
            let two = waiting(s, 2).await?;
            s.call(put_leased("e/2", "impatient", 2)).await;
            s.call(proclaim(Some(one), "still here")).await;
            s.next(&mut seen).await?;
            drop(two);
            Ok(())
        }),
        Case::new(
            "observe: keys that were put by hand",
            async |s: &mut Session| {
                s.call(put("e/by hand", "1")).await;
                let mut seen = s.observe("o", leader("e"));
                s.next(&mut seen).await?;
                s.call(put("e/by hand", "2")).await;
                s.next(&mut seen).await?;
                s.call(delete("e/by hand")).await;
                s.call(put("e/other", "3")).await;
                s.next(&mut seen).await?;
                Ok(())
            },
        ),
        Case::new("observe: two at once", async |s: &mut Session| {
            let key = led(s, 1).await?;
            let mut one = s.observe("one", leader("e"));
            let mut other = s.observe("other", leader("e"));
            s.next(&mut one).await?;
            s.next(&mut other).await?;
            s.call(proclaim(Some(key), "two")).await;
            s.next(&mut one).await?;
            s.next(&mut other).await?;
            Ok(())
        }),
    ]
}
