//! Errors of a server that has raised an alarm.

use anyhow::Result;
use latchd_proto::etcdserverpb::{
    AlarmRequest, AlarmType, LeaseLeasesRequest, StatusRequest, alarm_request::AlarmAction,
};

use crate::suite::{
    Case, IntoOp, Session, all_of, compact, delete, everything, get, grant, ping, put, put_leased,
    revoke, time_to_live,
};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("database space exceeded", async |s: &mut Session| {
            under(s, AlarmType::Nospace).await
        })
        .on_own_servers(&[]),
        Case::new("corrupt cluster", async |s: &mut Session| {
            under(s, AlarmType::Corrupt).await
        })
        .on_own_servers(&[]),
        Case::new("database space exceeded, by --quota-backend-bytes", quota)
            .on_own_servers(&["--quota-backend-bytes=1"]),
    ]
}

fn alarm(action: AlarmAction, alarm: AlarmType) -> AlarmRequest {
    AlarmRequest {
        action: action.into(),
        member_id: 0,
        alarm: alarm.into(),
    }
}

/// Everything, while the alarm is raised, and after it.
async fn under(s: &mut Session, kind: AlarmType) -> Result<()> {
    s.call(put("k", "1")).await;
    s.call(grant(60, 7)).await;
    s.call(put_leased("leased", "1", 7)).await;
    s.call(alarm(AlarmAction::Activate, kind)).await;
    s.call(alarm(AlarmAction::Get, kind)).await;
    s.call(StatusRequest {}).await;
    all_calls(s).await?;
    s.call(alarm(AlarmAction::Deactivate, kind)).await;
    s.call(alarm(AlarmAction::Get, AlarmType::None)).await;
    s.call(put("k", "3")).await;
    s.call(everything()).await;
    Ok(())
}

async fn all_calls(s: &mut Session) -> Result<()> {
    s.call(get("k")).await;
    s.range_stream(get("k")).await?;
    s.call(put("k", "2")).await;
    s.call(put("", "2")).await;
    s.call(all_of(vec![put("k", "2").op()])).await;
    s.call(all_of(vec![get("k").op()])).await;
    s.call(all_of(vec![delete("k").op()])).await;
    s.call(delete("k")).await;
    s.call(grant(60, 8)).await;
    s.call(time_to_live(7)).await;
    s.call(LeaseLeasesRequest {}).await;
    let mut stream = s.keep_alive("a");
    s.send(&mut stream, ping(7));
    s.next(&mut stream).await?;
    s.call(compact(s.revision(1))).await;
    s.call(revoke(7)).await;
    Ok(())
}

/// A backend that is full from the start.
async fn quota(s: &mut Session) -> Result<()> {
    s.call(put("k", "1")).await;
    s.call(put("k", "2")).await;
    s.call(grant(60, 7)).await;
    s.call(all_of(vec![put("k", "2").op()])).await;
    s.call(all_of(vec![get("k").op(), delete("k").op()])).await;
    s.call(delete("k")).await;
    s.call(alarm(AlarmAction::Get, AlarmType::None)).await;
    Ok(())
}
