//! What people see while latchctl waits for a lock: who holds it, and how many are ahead.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, interval, sleep};

use crate::bytes;
use crate::duration;
use crate::model::{Contender, Lock};
use crate::source::Source;

/// What a lock that is free takes is not worth telling.
const PATIENCE: Duration = Duration::from_millis(400);
/// How often to look again.
const LOOK: Duration = Duration::from_secs(1);
/// How fast the spinner turns.
const TURN: Duration = Duration::from_millis(120);

/// A line on the terminal; none if stderr is no terminal.
pub struct Waiting<'a> {
    source: &'a Source,
    name: &'a [u8],
    /// How many names beside this one.
    others: usize,
    owner: &'a str,
    quiet: bool,
}

impl<'a> Waiting<'a> {
    pub fn new(
        source: &'a Source,
        names: &'a [String],
        owner: &'a str,
        quiet: bool,
    ) -> Waiting<'a> {
        Waiting {
            source,
            name: names.first().map(String::as_bytes).unwrap_or_default(),
            others: names.len().saturating_sub(1),
            owner,
            quiet,
        }
    }

    /// Does `work`, and shows meanwhile what it waits for.
    pub async fn shown_while<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = work => done,
            never = self.show() => match never {},
        }
    }

    async fn show(&self) -> std::convert::Infallible {
        let since = Instant::now();
        sleep(PATIENCE).await;
        // Cleared when it is dropped. On anything but a terminal it draws nothing.
        let spinner = Spinner(ProgressBar::new_spinner());
        if self.quiet || spinner.0.is_hidden() {
            std::future::pending::<()>().await;
        }
        spinner.0.set_style(style());
        spinner.0.enable_steady_tick(TURN);
        let mut looks = interval(LOOK);
        loop {
            looks.tick().await;
            // A server that does not answer now is the lock's trouble, not this line's.
            let lock = self.source.show(self.name).await.ok().flatten();
            spinner
                .0
                .set_message(self.told(lock.as_ref(), since.elapsed()));
        }
    }

    fn told(&self, lock: Option<&Lock>, waited: Duration) -> String {
        let name = bytes::show(self.name);
        let mut text = format!("waiting for {name}");
        if self.others > 0 {
            text += &format!(" and {} more", self.others);
        }
        text += &format!(", {}", duration::show(waited));
        let Some(lock) = lock else {
            return text;
        };
        let own = |contender: &Contender| contender.owner.as_deref() == Some(self.owner);
        match lock.waiting.iter().position(own) {
            Some(0) => text += ": next in line",
            Some(ahead) => text += &format!(": {ahead} ahead in line"),
            None => (),
        }
        if let Some(holder) = lock.holders.first() {
            let for_how_long = holder.lasting.map(duration::show);
            let for_how_long = for_how_long.map(|held| format!(" for {held}"));
            let for_how_long = for_how_long.unwrap_or_default();
            text += &format!(", held by {}{for_how_long}", holder.who());
        }
        text
    }
}

struct Spinner(ProgressBar);

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::default_spinner()
}
