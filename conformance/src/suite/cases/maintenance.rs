//! Maintenance: status, alarms, hashes, and what a server of its own makes of the
//! rest.

use anyhow::{Context, Result};
use latchd_proto::etcdserverpb::{
    AlarmRequest, DefragmentRequest, DowngradeRequest, HashKvRequest, HashRequest,
    MoveLeaderRequest, StatusRequest,
};

use crate::suite::{Case, Session, compact, delete, everything, get, grant, put, put_leased};

const GET: i32 = 0;
const ACTIVATE: i32 = 1;
const DEACTIVATE: i32 = 2;
const NONE: i32 = 0;
const NOSPACE: i32 = 1;
const CORRUPT: i32 = 2;

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "status: fresh and after a write",
            async |s: &mut Session| {
                s.call(StatusRequest {}).await;
                s.call(put("k", "1")).await;
                s.call(StatusRequest {}).await;
                Ok(())
            },
        ),
        Case::new(
            "defragment: answers, and nothing is lost",
            async |s: &mut Session| {
                for value in ["1", "2"] {
                    s.call(put("k", value)).await;
                }
                s.call(compact(s.revision(2))).await;
                s.call(DefragmentRequest {}).await;
                s.call(everything()).await;
                s.call(put("k", "3")).await;
                Ok(())
            },
        ),
        Case::new("hash: is there", async |s: &mut Session| {
            s.call(put("k", "1")).await;
            s.call(HashRequest {}).await;
            Ok(())
        }),
    ];
    cases.extend(hashes());
    cases.extend(alarms());
    cases.extend(leaders());
    cases.extend(downgrades());
    cases
}

fn hash_kv(revision: i64) -> HashKvRequest {
    HashKvRequest { revision }
}

fn hashes() -> Vec<Case> {
    vec![
        Case::new(
            "hashkv: stays while nothing is written",
            async |s: &mut Session| {
                s.call(put("k", "1")).await;
                s.call(hash_kv(0)).await;
                s.call(get("k")).await;
                s.call(grant(60, 7)).await;
                s.call(hash_kv(0)).await;
                Ok(())
            },
        ),
        Case::new(
            "hashkv: of a revision stays when more is written",
            async |s: &mut Session| {
                s.call(put("k", "1")).await;
                s.call(hash_kv(s.revision(1))).await;
                s.call(put("k", "2")).await;
                s.call(hash_kv(s.revision(1))).await;
                s.call(hash_kv(s.revision(2))).await;
                s.call(hash_kv(0)).await;
                Ok(())
            },
        ),
        Case::new(
            "hashkv: changes with each write",
            async |s: &mut Session| {
                s.call(hash_kv(0)).await;
                s.call(put("k", "1")).await;
                s.call(hash_kv(0)).await;
                s.call(put("k", "1")).await;
                s.call(hash_kv(0)).await;
                s.call(delete("k")).await;
                s.call(hash_kv(0)).await;
                Ok(())
            },
        ),
        Case::new("hashkv: knows a key's lease", async |s: &mut Session| {
            s.call(grant(60, 7)).await;
            s.call(put("k", "1")).await;
            s.call(hash_kv(0)).await;
            s.call(put_leased("k", "1", 7)).await;
            s.call(hash_kv(0)).await;
            Ok(())
        }),
        Case::new(
            "hashkv: of revisions that are not there",
            async |s: &mut Session| {
                for value in ["1", "2", "3"] {
                    s.call(put("k", value)).await;
                }
                s.call(compact(s.revision(2))).await;
                for writes in [1, 4, 1_000] {
                    s.call(hash_kv(s.revision(writes))).await;
                }
                s.call(hash_kv(-1)).await;
                s.call(hash_kv(i64::MAX)).await;
                Ok(())
            },
        ),
        Case::new("hashkv: after a compaction", async |s: &mut Session| {
            for value in ["1", "2", "3"] {
                s.call(put("k", value)).await;
            }
            s.call(compact(s.revision(2))).await;
            s.call(hash_kv(s.revision(3))).await;
            s.call(hash_kv(0)).await;
            Ok(())
        }),
    ]
}

fn alarm(action: i32, member_id: u64, alarm: i32) -> AlarmRequest {
    AlarmRequest {
        action,
        member_id,
        alarm,
    }
}

/// Takes every alarm back, whatever the case has found.
async fn quiet(s: &mut Session) -> Result<()> {
    for kind in [NOSPACE, CORRUPT] {
        let raised = s.quietly(alarm(GET, 0, kind)).await?.alarms;
        for it in raised {
            s.quietly(alarm(DEACTIVATE, it.member_id, kind)).await?;
        }
    }
    Ok(())
}

async fn this_member(s: &mut Session) -> Result<u64> {
    let header = s.quietly(StatusRequest {}).await?.header;
    Ok(header.context("no header")?.member_id)
}

/// Each is followed by the alarms that are left, and by their end.
fn alarms() -> Vec<Case> {
    let alone: [(&str, &[(i32, i32)]); 8] = [
        ("none", &[(GET, NONE)]),
        (
            "of each kind, when there is none",
            &[(GET, NOSPACE), (GET, CORRUPT)],
        ),
        ("of an unknown kind", &[(GET, 9), (GET, NONE)]),
        ("activate nothing", &[(ACTIVATE, NONE), (GET, NONE)]),
        (
            "deactivate what is not there",
            &[(DEACTIVATE, NOSPACE), (DEACTIVATE, NONE)],
        ),
        (
            "NOSPACE and its end",
            &[(ACTIVATE, NOSPACE), (GET, NONE), (DEACTIVATE, NOSPACE)],
        ),
        (
            "the same twice",
            &[(ACTIVATE, NOSPACE), (ACTIVATE, NOSPACE)],
        ),
        (
            "both kinds, one ended",
            &[
                (ACTIVATE, NOSPACE),
                (ACTIVATE, CORRUPT),
                (GET, CORRUPT),
                (DEACTIVATE, NOSPACE),
            ],
        ),
    ];
    let case = |(name, requests): (&str, &'static [(i32, i32)])| {
        Case::new(format!("alarm: {name}"), async move |s: &mut Session| {
            let member = this_member(s).await?;
            for (action, kind) in requests {
                s.call(alarm(*action, member, *kind)).await;
            }
            s.call(alarm(GET, 0, NONE)).await;
            quiet(s).await
        })
    };
    let mut cases: Vec<Case> = alone.into_iter().map(case).collect();
    cases.extend([
        Case::new("alarm: of all members at once", async |s: &mut Session| {
            let member = this_member(s).await?;
            s.call(alarm(ACTIVATE, member, NOSPACE)).await;
            s.call(alarm(DEACTIVATE, 0, NOSPACE)).await;
            s.call(alarm(GET, 0, NONE)).await;
            quiet(s).await
        }),
        Case::new(
            "alarm: of a member that is not there",
            async |s: &mut Session| {
                s.call(alarm(ACTIVATE, 404, NOSPACE)).await;
                s.call(alarm(GET, 404, NONE)).await;
                s.call(StatusRequest {}).await;
                s.call(alarm(DEACTIVATE, 404, NOSPACE)).await;
                quiet(s).await
            },
        ),
        Case::new(
            "alarm: NOSPACE stops what writes",
            async |s: &mut Session| {
                let member = this_member(s).await?;
                s.quietly(grant(60, 7)).await?;
                s.quietly(put("k", "1")).await?;
                s.call(alarm(ACTIVATE, member, NOSPACE)).await;
                s.call(put("k", "2")).await;
                s.call(grant(60, 8)).await;
                s.call(get("k")).await;
                s.call(delete("k")).await;
                s.call(crate::suite::revoke(7)).await;
                s.call(StatusRequest {}).await;
                s.call(alarm(DEACTIVATE, member, NOSPACE)).await;
                s.call(put("k", "3")).await;
                quiet(s).await
            },
        ),
        Case::new(
            "alarm: CORRUPT stops everything",
            async |s: &mut Session| {
                let member = this_member(s).await?;
                s.quietly(put("k", "1")).await?;
                s.call(alarm(ACTIVATE, member, CORRUPT)).await;
                s.call(put("k", "2")).await;
                s.call(get("k")).await;
                s.call(grant(60, 8)).await;
                s.call(delete("k")).await;
                s.call(alarm(DEACTIVATE, member, CORRUPT)).await;
                s.call(get("k")).await;
                quiet(s).await
            },
        ),
    ]);
    cases
}

fn leaders() -> Vec<Case> {
    vec![
        Case::new("move leader: to itself", async |s: &mut Session| {
            let target_id = this_member(s).await?;
            s.call(MoveLeaderRequest { target_id }).await;
            Ok(())
        }),
        Case::new("move leader: to nobody", async |s: &mut Session| {
            for target_id in [0, 404, u64::MAX] {
                s.call(MoveLeaderRequest { target_id }).await;
            }
            Ok(())
        }),
    ]
}

fn downgrades() -> Vec<Case> {
    const VALIDATE: i32 = 0;
    const ENABLE: i32 = 1;
    const CANCEL: i32 = 2;
    let all: [(&str, i32, &[&str]); 5] = [
        (
            "validate",
            VALIDATE,
            &["3.6.0", "3.6", "3.5.0", "3.7.0", "3.8.0", "4.0.0", "2.6.0"],
        ),
        (
            "validate what is no version",
            VALIDATE,
            &["", "x", "3", "3.6.x", "v3.6.0", "3.6.0-rc.1", "-1.2"],
        ),
        (
            "enable what cannot be",
            ENABLE,
            &["", "x", "3.5.0", "3.7.0", "3.8.0"],
        ),
        ("cancel when there is none", CANCEL, &["", "3.6.0", "x"]),
        ("an unknown action", 9, &["3.6.0"]),
    ];
    let case = |(name, action, versions): (&str, i32, &'static [&'static str])| {
        Case::new(
            format!("downgrade: {name}"),
            async move |s: &mut Session| {
                for version in versions {
                    let version = (*version).to_owned();
                    s.call(DowngradeRequest { action, version }).await;
                }
                s.call(StatusRequest {}).await;
                Ok(())
            },
        )
    };
    all.into_iter().map(case).collect()
}
