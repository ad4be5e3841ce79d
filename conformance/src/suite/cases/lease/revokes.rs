//! LeaseRevoke: all keys at one revision, or nothing.

use crate::suite::{
    Case, Session, create, everything, grant, put, put_leased, revoke, time_to_live, watch_prefix,
};

pub fn cases() -> Vec<Case> {
    vec![
        unknown("a lease that is not there", 99),
        unknown("ID 0", 0),
        unknown("a negative ID", -1),
        Case::new("revoke: twice", async |s: &mut Session| {
            s.call(grant(60, 7)).await;
            s.call(revoke(7)).await;
            s.call(revoke(7)).await;
            s.call(time_to_live(7)).await;
            Ok(())
        }),
        Case::new(
            "revoke: without keys, no new revision",
            async |s: &mut Session| {
                s.call(grant(60, 7)).await;
                s.call(revoke(7)).await;
                s.call(put("k", "1")).await;
                Ok(())
            },
        ),
        Case::new(
            "revoke: many keys are one revision, in order",
            async |s: &mut Session| {
                let mut watch = s.watch("all");
                s.send(&mut watch, create(watch_prefix("k")));
                s.next(&mut watch).await?;
                s.call(grant(60, 7)).await;
                for at in [5, 1, 9, 3, 7] {
                    s.call(put_leased(format!("k{at}"), "1", 7)).await;
                    s.next(&mut watch).await?;
                }
                s.call(revoke(7)).await;
                s.next(&mut watch).await?;
                s.call(everything()).await;
                Ok(())
            },
        ),
        Case::new(
            "revoke: other leases' keys stay",
            async |s: &mut Session| {
                for id in [7, 8] {
                    s.call(grant(60, id)).await;
                    s.call(put_leased(format!("k{id}"), "1", id)).await;
                }
                s.call(revoke(7)).await;
                s.call(everything()).await;
                s.call(time_to_live(8)).await;
                Ok(())
            },
        ),
        Case::new("revoke: five hundred keys", async |s: &mut Session| {
            s.call(grant(60, 7)).await;
            for at in 0..500 {
                s.quietly(put_leased(format!("k{at:03}"), "1", 7)).await?;
            }
            s.call(revoke(7)).await;
            s.call(everything()).await;
            Ok(())
        }),
    ]
}

fn unknown(name: &str, id: i64) -> Case {
    Case::new(format!("revoke: {name}"), async move |s: &mut Session| {
        s.call(revoke(id)).await;
        Ok(())
    })
}
