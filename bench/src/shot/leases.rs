//! What many leases cost: renewing one, and granting and revoking one more.

use anyhow::Result;

use super::Turn;
use crate::{
    crowd,
    figures::{Figures, Metric},
    load,
    proc::Usage,
    scenario::{Client, Work},
};

/// In seconds: longer than it takes.
const TTL: i64 = 3600;

/// Grants the leases, and has one client do each of the two.
pub async fn fire(turn: Turn<'_>) -> Result<Figures> {
    crowd::grant(&turn.wires, turn.size, TTL).await?;
    let pid = turn.server.pid();
    let rss = Usage::of(pid)?.rss_mib();
    let alone = async |work| {
        let client = Client::prepare(work, turn.wires[0].clone(), 0).await?;
        let figures = load::measure(vec![client], pid, turn.timing).await?;
        anyhow::Ok(figures.get(Metric::P50))
    };
    Ok(Figures::of([
        (Metric::KeepaliveP50, alone(Work::Keepalive).await?),
        (Metric::GrantRevokeP50, alone(Work::GrantRevoke).await?),
        (Metric::Rss, rss),
    ]))
}
