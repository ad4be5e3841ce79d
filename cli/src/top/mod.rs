//! `latchctl top`: locks, live, in the terminal.
//!
//! `follow` asks the server, `state` is what is known and chosen, `rate` counts hand-offs, `keys` is
//! what the keys do, and `render` draws. State and drawing know no clock, no network and no terminal.

mod follow;
mod keys;
mod rate;
mod render;
#[cfg(test)]
mod samples;
mod state;

use std::io::{IsTerminal, stdin, stdout};
use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyEventKind};
use futures::StreamExt;
use ratatui::DefaultTerminal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval};

use crate::args::TopArgs;
use crate::bytes;
use crate::context::Context;
use crate::exit::{Failure, SUCCESS, code_of_signal, system};
use crate::output;
use follow::{Update, follow};
use state::Top;

/// How often ages are drawn anew while nothing else happens.
const REDRAW: Duration = Duration::from_millis(500);

pub async fn run(context: &Context, request: &TopArgs) -> Result<u8, Failure> {
    if !stdin().is_terminal() || !stdout().is_terminal() {
        return Err(Failure::Usage(
            "top needs a terminal; for files and pipes there are `latchctl ls` and `latchctl watch`"
                .into(),
        ));
    }
    let prefix = context.name(&request.prefix)?;
    // Before the screen is taken, so that a server that is not there is told as elsewhere.
    let source = context.source().await?;
    let top = Top::new(
        context.endpoints().join(","),
        bytes::show(&prefix),
        context.out,
    );
    let (updates, told) = mpsc::channel(1);
    let following = tokio::spawn(follow(source, prefix, request.interval, updates));
    let shown = show(top, told).await;
    following.abort();
    shown
}

async fn show(mut top: Top, told: mpsc::Receiver<Update>) -> Result<u8, Failure> {
    top.has_colours = output::colours_wanted();
    let mut terminal = ratatui::try_init().map_err(system("use the terminal"))?;
    let shown = live(&mut terminal, top, told).await;
    ratatui::restore();
    shown
}

/// Draws until it is told to leave.
async fn live(
    terminal: &mut DefaultTerminal,
    mut top: Top,
    mut told: mpsc::Receiver<Update>,
) -> Result<u8, Failure> {
    let start = Instant::now();
    let mut typed = EventStream::new();
    let mut term = signal(SignalKind::terminate()).map_err(system("catch signals"))?;
    let mut redraw = interval(REDRAW);
    while !top.is_over {
        let now = start.elapsed();
        let drawn = terminal.draw(|frame| render::draw(frame, &top, now));
        drawn.map_err(system("draw"))?;
        tokio::select! {
            Some(event) = typed.next() => match event.map_err(system("read keys"))? {
                Event::Key(key) if key.kind != KeyEventKind::Release => top.press(key),
                _ => (),
            },
            Some(update) = told.recv() => top.learn(update, start.elapsed()),
            _ = redraw.tick() => (),
            _ = term.recv() => return Ok(code_of_signal(nix::sys::signal::Signal::SIGTERM)),
        }
    }
    Ok(SUCCESS)
}
