//! What the doors of older lock servers count.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::Register;

/// Counters and gauges by door.
pub struct Doors {
    /// `latchd_door_connections`: connections that are open.
    pub connections: IntGaugeVec,
    /// `latchd_door_commands_total`: commands that were answered.
    pub commands: IntCounterVec,
    /// `latchd_door_refused_total`: what was past a limit or made no sense, by reason.
    pub refused: IntCounterVec,
}

impl Doors {
    pub(super) fn new(r: &Register) -> Doors {
        Doors {
            connections: r.gauges(
                "latchd_door_connections",
                "Open connections of each door.",
                "door",
            ),
            commands: r.counters(
                "latchd_door_commands_total",
                "Commands that came through each door.",
                &["door"],
            ),
            refused: r.counters(
                "latchd_door_refused_total",
                "What each door refused, by reason.",
                &["door", "reason"],
            ),
        }
    }
}
