//! One connection of a door: a line, an answer, within the door's limits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prometheus::{IntCounter, IntGauge};
use tracing::warn;

use super::LineDoor;
use super::dreadlock;
use super::elock::Elock;
use super::framing::{Heard, Lines, Wire};
use super::tls;
use crate::clock;
use crate::metrics::METRICS;
use crate::service::guest::{DoorName, Guest};
use crate::socket::Connection;

/// How many commands in a row a connection has answered before others of its door have their turn.
const IN_A_ROW: usize = 8;

/// What is past a limit, and how each protocol says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Connections,
    Line,
    Idle,
}

impl Limit {
    fn reason(self) -> &'static str {
        match self {
            Limit::Connections => "connections",
            Limit::Line => "line",
            Limit::Idle => "idle",
        }
    }

    fn said(self, door: DoorName) -> &'static str {
        match (door, self) {
            (DoorName::Elock, Limit::Connections) => "503 Too many connections",
            (DoorName::Elock, Limit::Line) => "400 Line too long",
            (DoorName::Elock, Limit::Idle) => "408 No command came",
            (_, Limit::Connections) => "e too many connections",
            (_, Limit::Line) => "e line too long",
            (_, Limit::Idle) => "e no command came",
        }
    }
}

/// A connection that is open, and counted.
pub struct Visit {
    door: Arc<LineDoor>,
    peer: String,
    /// Whether there were as many as there may be.
    crowded: bool,
    commands: IntCounter,
}

impl Visit {
    /// One more.
    #[must_use]
    pub fn begin(door: Arc<LineDoor>, peer: String) -> Visit {
        gauge(&door).inc();
        let name = door.name().as_str();
        let others = door.admitted.load(Ordering::Relaxed);
        let crowded = others >= door.settings.most_connections;
        if !crowded {
            door.admitted.fetch_add(1, Ordering::Relaxed);
        }
        Visit {
            crowded,
            commands: METRICS.doors.commands.with_label_values(&[name]),
            door,
            peer,
        }
    }

    fn refuse(&self, reason: &str) {
        let labels = [self.door.name().as_str(), reason];
        METRICS.doors.refused.with_label_values(&labels).inc();
        warn!(
            door = %self.door.name(),
            peer = self.peer,
            reason,
            "a connection was refused"
        );
    }
}

fn gauge(door: &LineDoor) -> IntGauge {
    let name = door.name().as_str();
    METRICS.doors.connections.with_label_values(&[name])
}

impl Drop for Visit {
    fn drop(&mut self) {
        gauge(&self.door).dec();
        if !self.crowded {
            self.door.admitted.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// What a protocol does with a line.
pub enum Answer {
    /// It says this; another line may come.
    Say(String),
    /// It says this, and closes.
    Close(String),
    /// It drops the connection, for that reason.
    Drop(&'static str),
}

/// The protocol of a connection, and its client.
enum Speaker {
    Dreadlock(Guest),
    Elock(Elock),
}

impl Speaker {
    fn new(visit: &Visit) -> Speaker {
        match &visit.door.desk {
            Some(desk) => Speaker::Elock(Elock::new(desk.clone(), &visit.peer)),
            None => Speaker::Dreadlock(visit.door.host.welcome(&visit.peer)),
        }
    }

    async fn answer(&mut self, line: &[u8]) -> Answer {
        match self {
            Speaker::Dreadlock(guest) => dreadlock::answer(guest, line).await,
            Speaker::Elock(elock) => elock.answer(line).await,
        }
    }

    /// Resolves when the session is over although the client is here.
    async fn expelled(&self) {
        match self {
            Speaker::Dreadlock(guest) => guest.expelled().await,
            Speaker::Elock(elock) => elock.expelled().await,
        }
    }
}

/// Serves a connection to its end, through TLS if that is the door's way.
pub async fn serve_wire(wire: Connection, visit: Visit) {
    match visit.door.tls.clone() {
        None => serve_connection(wire, visit).await,
        // To agree on keys first would be more work than there is room for.
        Some(_) if visit.crowded => visit.refuse(Limit::Connections.reason()),
        Some(acceptor) => match tls::agree(acceptor, wire).await {
            // In a place of its own, so that who speaks plainly does not take as much.
            Some(wire) => Box::pin(serve_connection(wire, visit)).await,
            None => visit.refuse("tls"),
        },
    }
}

async fn serve_connection<W: Wire>(wire: W, visit: Visit) {
    let mut lines = Lines::new(wire, visit.door.settings.most_line);
    if visit.crowded {
        visit.refuse(Limit::Connections.reason());
        lines.answer(Limit::Connections.said(visit.door.name()));
        return lines.close_at_once().await;
    }
    let mut speaker = Speaker::new(&visit);
    let stopping = visit.door.lifecycle.stopping.clone();
    let mut patience = visit.door.settings.first_command;
    let mut in_a_row = 0;
    loop {
        let heard = tokio::select! {
            biased;
            () = stopping.cancelled() => {
                drop(speaker);
                return lines.close().await;
            }
            () = speaker.expelled() => return visit.refuse("session"),
            heard = hear(&mut lines, patience) => heard,
        };
        patience = None;
        let line = match heard {
            Ok(Heard::Line(line)) => line,
            Ok(Heard::Gone) => return,
            Ok(Heard::TooLong) => return turn_away(lines, speaker, &visit, Limit::Line).await,
            Err(limit) => return turn_away(lines, speaker, &visit, limit).await,
        };
        // Whoever has to wait now shall not keep earlier answers waiting.
        if !lines.flush().await {
            return;
        }
        let answered = tokio::select! {
            biased;
            // In a place of its own, which idle connections do without.
            answered = Box::pin(speaker.answer(&line)) => answered,
            () = lines.gone() => return,
            () = stopping.cancelled() => return,
        };
        visit.commands.inc();
        match answered {
            Answer::Say(text) => {
                lines.answer(&text);
                in_a_row += 1;
                if in_a_row == IN_A_ROW {
                    in_a_row = 0;
                    // A share of them is one task with one budget: who floods it would take all of that.
                    tokio::task::yield_now().await;
                }
            }
            Answer::Close(text) => {
                lines.answer(&text);
                drop(speaker);
                return lines.close().await;
            }
            Answer::Drop(reason) => return visit.refuse(reason),
        }
    }
}

/// The next line, if it comes in time.
async fn hear<W: Wire>(lines: &mut Lines<W>, patience: Option<Duration>) -> Result<Heard, Limit> {
    match patience {
        Some(time) => clock::timeout(time, lines.next())
            .await
            .map_err(|_| Limit::Idle),
        None => Ok(lines.next().await),
    }
}

/// Says which limit was passed, and closes. What the client held is free before it knows.
async fn turn_away<W: Wire>(mut lines: Lines<W>, speaker: Speaker, visit: &Visit, limit: Limit) {
    drop(speaker);
    visit.refuse(limit.reason());
    lines.answer(limit.said(visit.door.name()));
    lines.close().await;
}
