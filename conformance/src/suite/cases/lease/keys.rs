//! Which keys a lease holds, and how they come and go.

use anyhow::Result;
use latchd_proto::etcdserverpb::{LeaseTimeToLiveRequest, PutRequest};

use crate::suite::{
    Case, IntoOp, Session, all_of, delete, delete_range, everything, grant, put, put_leased,
    revoke, time_to_live,
};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("keys: none", on_leases(async |_| Ok(()))),
        Case::new(
            "keys: one",
            on_leases(async |s| {
                s.call(put_leased("k", "1", 7)).await;
                Ok(())
            }),
        ),
        Case::new(
            "keys: three, one of them no text",
            on_leases(async |s| {
                for key in [&b"b"[..], b"\xff\0", b"a"] {
                    s.call(put_leased(key, "1", 7)).await;
                }
                Ok(())
            }),
        ),
        Case::new(
            "keys: one twice",
            on_leases(async |s| {
                s.call(put_leased("k", "1", 7)).await;
                s.call(put_leased("k", "2", 7)).await;
                Ok(())
            }),
        ),
        Case::new(
            "keys: one moves to another lease",
            on_leases(async |s| {
                s.call(put_leased("k", "1", 7)).await;
                s.call(put_leased("k", "1", 8)).await;
                Ok(())
            }),
        ),
        Case::new(
            "keys: one moves and comes back",
            on_leases(async |s| {
                for lease in [7, 8, 7] {
                    s.call(put_leased("k", "1", lease)).await;
                }
                Ok(())
            }),
        ),
        Case::new(
            "keys: one is taken off",
            on_leases(async |s| {
                s.call(put_leased("k", "1", 7)).await;
                s.call(put("k", "2")).await;
                Ok(())
            }),
        ),
        Case::new(
            "keys: one that had no lease",
            on_leases(async |s| {
                s.call(put("k", "1")).await;
                s.call(put_leased("k", "2", 7)).await;
                Ok(())
            }),
        ),
        Case::new(
            "keys: one is deleted",
            on_leases(async |s| {
                s.call(put_leased("k", "1", 7)).await;
                s.call(put_leased("l", "1", 7)).await;
                s.call(delete("k")).await;
                Ok(())
            }),
        ),
        Case::new(
            "keys: one is deleted and put again without",
            on_leases(async |s| {
                s.call(put_leased("k", "1", 7)).await;
                s.call(delete("k")).await;
                s.call(put("k", "2")).await;
                Ok(())
            }),
        ),
        Case::new(
            "keys: all are deleted as a range",
            on_leases(async |s| {
                s.call(put_leased("k", "1", 7)).await;
                s.call(put_leased("l", "1", 8)).await;
                s.call(delete_range("a", "z")).await;
                Ok(())
            }),
        ),
        Case::new(
            "keys: two of a Txn",
            on_leases(async |s| {
                let both = vec![put_leased("k", "1", 7).op(), put_leased("l", "1", 8).op()];
                s.call(all_of(both)).await;
                Ok(())
            }),
        ),
        Case::new(
            "keys: a Txn moves one and deletes one",
            on_leases(async |s| {
                s.call(put_leased("k", "1", 7)).await;
                s.call(put_leased("l", "1", 7)).await;
                s.call(all_of(vec![put_leased("k", "2", 8).op(), delete("l").op()]))
                    .await;
                Ok(())
            }),
        ),
        Case::new(
            "keys: ignore_lease keeps one",
            on_leases(async |s| {
                s.call(put_leased("k", "1", 7)).await;
                s.call(PutRequest {
                    ignore_lease: true,
                    ..put("k", "2")
                })
                .await;
                Ok(())
            }),
        ),
        Case::new(
            "keys: a put that fails moves none",
            on_leases(async |s| {
                s.call(put_leased("k", "1", 7)).await;
                s.call(put_leased("k", "1", 99)).await;
                Ok(())
            }),
        ),
    ]
}

/// Two leases, what is done, then what each holds, and what their ends leave.
fn on_leases(
    done: impl AsyncFn(&mut Session) -> Result<()> + 'static,
) -> impl AsyncFn(&mut Session) -> Result<()> + 'static {
    async move |s: &mut Session| {
        s.call(grant(60, 7)).await.ok()?;
        s.call(grant(90, 8)).await.ok()?;
        done(s).await?;
        s.call(everything()).await;
        for id in [7, 8] {
            s.call(time_to_live(id)).await;
            s.call(LeaseTimeToLiveRequest { id, keys: false }).await;
        }
        for id in [7, 8] {
            s.call(revoke(id)).await;
            s.call(everything()).await;
        }
        Ok(())
    }
}
