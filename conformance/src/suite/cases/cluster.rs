//! Cluster: what a server of its own says of its members, and what it refuses.

use anyhow::{Context, Result};
use latchd_proto::etcdserverpb::{
    MemberAddRequest, MemberListRequest, MemberPromoteRequest, MemberRemoveRequest,
    MemberUpdateRequest,
};

use crate::suite::{Case, Session};

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("list: linearizable", list(true)),
        Case::new("list: serializable", list(false)),
        Case::new("list: after writes", async |s: &mut Session| {
            s.call(crate::suite::put("k", "1")).await;
            s.call(MemberListRequest { linearizable: true }).await;
            Ok(())
        }),
        Case::new("remove: the only member", async |s: &mut Session| {
            let id = only_member(s).await?;
            s.call(MemberRemoveRequest { id }).await;
            s.call(MemberListRequest { linearizable: true }).await;
            Ok(())
        }),
        Case::new("promote: one who votes already", async |s: &mut Session| {
            let id = only_member(s).await?;
            s.call(MemberPromoteRequest { id }).await;
            Ok(())
        }),
        Case::new("members that are not there", async |s: &mut Session| {
            for id in [0, 404, u64::MAX] {
                s.call(MemberRemoveRequest { id }).await;
                s.call(MemberPromoteRequest { id }).await;
                s.call(update(id, &["http://127.0.0.1:1"])).await;
            }
            Ok(())
        }),
        Case::new("update: its own URLs", async |s: &mut Session| {
            let id = only_member(s).await?;
            for urls in [
                &["http://127.0.0.1:1", "http://127.0.0.1:2"][..],
                &["nonsense"],
                &[],
            ] {
                s.call(update(id, urls)).await;
                s.call(MemberListRequest { linearizable: true }).await;
            }
            Ok(())
        })
        .on_own_servers(&[]),
    ];
    cases.extend(additions());
    cases
}

fn list(linearizable: bool) -> impl AsyncFn(&mut Session) -> Result<()> + 'static {
    async move |s: &mut Session| {
        s.call(MemberListRequest { linearizable }).await;
        Ok(())
    }
}

async fn only_member(s: &mut Session) -> Result<u64> {
    let list = s
        .call(MemberListRequest { linearizable: true })
        .await
        .ok()?;
    Ok(list.members.first().context("no member")?.id)
}

fn update(id: u64, urls: &[&str]) -> MemberUpdateRequest {
    MemberUpdateRequest {
        id,
        peer_ur_ls: urls.iter().map(|&url| url.to_owned()).collect(),
    }
}

/// Additions that no server takes.
fn additions() -> Vec<Case> {
    let all: [(&str, &[&str]); 8] = [
        ("without a URL", &[]),
        ("an empty URL", &[""]),
        ("what is no URL", &["nonsense"]),
        ("another scheme", &["ftp://127.0.0.1:1"]),
        ("no port", &["http://127.0.0.1"]),
        ("a path", &["http://127.0.0.1:1/path"]),
        ("no scheme", &["127.0.0.1:1"]),
        ("one good and one bad", &["http://127.0.0.1:1", "nonsense"]),
    ];
    let case = |(name, urls): (&str, &'static [&'static str])| {
        Case::new(format!("add: {name}"), async move |s: &mut Session| {
            for is_learner in [false, true] {
                s.call(MemberAddRequest {
                    peer_ur_ls: urls.iter().map(|&url| url.to_owned()).collect(),
                    is_learner,
                })
                .await;
            }
            s.call(MemberListRequest { linearizable: true }).await;
            Ok(())
        })
    };
    all.into_iter().map(case).collect()
}
