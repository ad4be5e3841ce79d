//! What many watchers of other keys cost a Put.

use anyhow::Result;

use super::Turn;
use crate::{
    crowd,
    figures::Figures,
    load,
    scenario::{Client, Work},
};

/// Watchers on one stream.
const ON_A_STREAM: usize = 100;

/// Puts of one client.
pub async fn fire(turn: Turn<'_>) -> Result<Figures> {
    let keys: Vec<String> = (0..turn.size).map(|n| format!("elsewhere/{n}")).collect();
    let watches = crowd::watches(&turn.wires, &keys, ON_A_STREAM).await?;
    let client = Client::prepare(Work::Put, turn.wires[0].clone(), 0).await?;
    let figures = load::measure(vec![client], turn.server.pid(), turn.timing).await?;
    drop(watches);
    Ok(figures)
}
