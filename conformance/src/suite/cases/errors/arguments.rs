//! Errors about what a request says.

use latchd_proto::{
    etcdserverpb::{
        AuthenticateRequest, Compare, DowngradeRequest, MoveLeaderRequest, PutRequest,
        RangeRequest, downgrade_request::DowngradeAction,
    },
    v3electionpb::{CampaignRequest, LeaderRequest, ProclaimRequest, ResignRequest},
    v3lockpb::{LockRequest, UnlockRequest},
};

use crate::suite::{
    Case, IntoOp, Session, all_of, compact, delete, delete_range, get, grant, put, put_leased,
    range, revoke, txn,
};

pub fn cases() -> Vec<Case> {
    let mut cases = kv();
    cases.extend(revisions_and_leases());
    cases.extend(locks());
    cases.extend(the_rest());
    cases
}

fn kv() -> Vec<Case> {
    vec![
        Case::new("key is not provided", async |s: &mut Session| {
            s.call(get("")).await;
            s.call(range("", "z")).await;
            s.range_stream(get("")).await?;
            s.call(put("", "v")).await;
            s.call(delete("")).await;
            s.call(delete_range("", "z")).await;
            s.call(txn(vec![Compare::default()], vec![], vec![])).await;
            s.call(all_of(vec![put("", "v").op()])).await;
            Ok(())
        }),
        Case::new("key not found", async |s: &mut Session| {
            s.call(PutRequest {
                ignore_value: true,
                ..put("k", "")
            })
            .await;
            s.call(PutRequest {
                ignore_lease: true,
                ..put("k", "v")
            })
            .await;
            s.call(all_of(vec![Default::default()])).await;
            Ok(())
        }),
        Case::new("value is provided", async |s: &mut Session| {
            let request = PutRequest {
                ignore_value: true,
                ..put("k", "v")
            };
            s.call(request.clone()).await;
            s.call(put("k", "v")).await;
            s.call(request.clone()).await;
            s.call(all_of(vec![request.op()])).await;
            Ok(())
        }),
        Case::new("lease is provided", async |s: &mut Session| {
            let request = PutRequest {
                ignore_lease: true,
                ..put_leased("k", "v", 99)
            };
            s.call(request.clone()).await;
            s.call(all_of(vec![request.op()])).await;
            // Both are wrong: the value is looked at first.
            let both = PutRequest {
                ignore_value: true,
                ignore_lease: true,
                ..put_leased("k", "v", 99)
            };
            s.call(both).await;
            Ok(())
        }),
        Case::new(
            "too many operations in txn request",
            async |s: &mut Session| {
                s.call(all_of(vec![get("k").op(); 129])).await;
                // Before the operations themselves are looked at.
                s.call(all_of(vec![get("").op(); 129])).await;
                s.call(all_of(vec![put("k", "v").op(); 129])).await;
                Ok(())
            },
        ),
        Case::new(
            "duplicate key given in txn request",
            async |s: &mut Session| {
                s.call(all_of(vec![put("k", "1").op(), put("k", "2").op()]))
                    .await;
                // After the operations themselves are looked at.
                s.call(all_of(vec![
                    put("k", "1").op(),
                    put("k", "2").op(),
                    get("").op(),
                ]))
                .await;
                Ok(())
            },
        ),
        Case::new("invalid sort option", async |s: &mut Session| {
            for (sort_order, sort_target) in [(3, 0), (0, 5), (-1, 0), (0, -1), (99, 99)] {
                let request = RangeRequest {
                    sort_order,
                    sort_target,
                    ..get("k")
                };
                s.call(request.clone()).await;
                s.call(all_of(vec![request.op()])).await;
            }
            Ok(())
        }),
    ]
}

fn revisions_and_leases() -> Vec<Case> {
    vec![
        Case::new(
            "required revision has been compacted",
            async |s: &mut Session| {
                s.call(put("k", "1")).await;
                s.call(put("k", "2")).await;
                s.call(compact(s.revision(2))).await;
                let old = RangeRequest {
                    revision: s.revision(1),
                    ..get("k")
                };
                s.call(old.clone()).await;
                s.call(RangeRequest {
                    revision: 1,
                    ..get("k")
                })
                .await;
                s.call(all_of(vec![old.clone().op()])).await;
                s.range_stream(old).await?;
                s.call(compact(s.revision(1))).await;
                s.call(compact(s.revision(2))).await;
                Ok(())
            },
        ),
        Case::new(
            "required revision is a future revision",
            async |s: &mut Session| {
                let future = RangeRequest {
                    revision: s.revision(1),
                    ..get("k")
                };
                s.call(future.clone()).await;
                s.call(all_of(vec![future.clone().op()])).await;
                s.range_stream(future).await?;
                s.call(compact(s.revision(1))).await;
                Ok(())
            },
        ),
        Case::new("too large lease TTL", async |s: &mut Session| {
            s.call(grant(9_000_000_001, 7)).await;
            s.call(grant(i64::MAX, 0)).await;
            Ok(())
        }),
        Case::new("requested lease not found", async |s: &mut Session| {
            s.call(revoke(99)).await;
            s.call(put_leased("k", "v", 99)).await;
            s.call(all_of(vec![put_leased("k", "v", 99).op()])).await;
            s.call(grant(60, 7)).await;
            s.call(revoke(7)).await;
            s.call(put_leased("k", "v", 7)).await;
            Ok(())
        }),
        Case::new("lease already exists", async |s: &mut Session| {
            s.call(grant(60, 7)).await;
            s.call(grant(60, 7)).await;
            Ok(())
        }),
    ]
}

/// etcd's Lock and Election services lose the code of what went wrong inside.
fn locks() -> Vec<Case> {
    vec![
        Case::new(
            "in Lock: requested lease not found",
            async |s: &mut Session| {
                s.call(LockRequest {
                    name: "l".into(),
                    lease: 99,
                })
                .await;
                Ok(())
            },
        ),
        Case::new("in Lock: key is not provided", async |s: &mut Session| {
            s.call(UnlockRequest { key: "".into() }).await;
            Ok(())
        }),
        Case::new(
            "in Election: requested lease not found",
            async |s: &mut Session| {
                let (name, value) = ("e".into(), "v".into());
                s.call(CampaignRequest {
                    name,
                    value,
                    lease: 99,
                })
                .await;
                Ok(())
            },
        ),
        Case::new("election: no leader", async |s: &mut Session| {
            s.call(LeaderRequest { name: "e".into() }).await;
            Ok(())
        }),
        Case::new(
            "\"leader\" field must be provided",
            async |s: &mut Session| {
                s.call(ProclaimRequest::default()).await;
                s.call(ResignRequest::default()).await;
                Ok(())
            },
        ),
        Case::new("election: not leader", async |s: &mut Session| {
            let name = || "e".into();
            s.call(grant(60, 7)).await;
            let campaign = CampaignRequest {
                name: name(),
                lease: 7,
                value: "v".into(),
            };
            let leader = s.call(campaign).await.ok()?.leader;
            s.call(ResignRequest {
                leader: leader.clone(),
            })
            .await;
            s.call(ProclaimRequest {
                leader,
                value: "w".into(),
            })
            .await;
            Ok(())
        }),
    ]
}

fn the_rest() -> Vec<Case> {
    vec![
        Case::new("authentication is not enabled", async |s: &mut Session| {
            let (name, password) = ("root".to_owned(), "x".to_owned());
            s.call(AuthenticateRequest { name, password }).await;
            Ok(())
        }),
        Case::new("bad leader transferee", async |s: &mut Session| {
            s.call(MoveLeaderRequest { target_id: 99 }).await;
            Ok(())
        }),
        Case::new(
            "wrong downgrade target version format",
            async |s: &mut Session| {
                for version in ["", "three", "3"] {
                    let action = DowngradeAction::Validate.into();
                    s.call(DowngradeRequest {
                        action,
                        version: version.to_owned(),
                    })
                    .await;
                }
                Ok(())
            },
        ),
        Case::new(
            "invalid downgrade target version",
            async |s: &mut Session| {
                for version in ["3.8.0", "3.5.0", "4.0.0", "2.3.0"] {
                    let action = DowngradeAction::Validate.into();
                    s.call(DowngradeRequest {
                        action,
                        version: version.to_owned(),
                    })
                    .await;
                }
                Ok(())
            },
        ),
        Case::new("no inflight downgrade job", async |s: &mut Session| {
            let action = DowngradeAction::Cancel.into();
            s.call(DowngradeRequest {
                action,
                version: String::new(),
            })
            .await;
            Ok(())
        }),
        Case::new("unknown method", async |s: &mut Session| {
            s.call(DowngradeRequest {
                action: 9,
                version: "3.6.0".to_owned(),
            })
            .await;
            Ok(())
        }),
    ]
}
