//! Answers for people: tables as wide as the terminal, and lines where there is no end.

use std::fmt::Write;
use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table};
use crossterm::style::Stylize;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Output;
use crate::bytes::show;
use crate::duration;
use crate::model::{
    Contender, Deadlock, Event, History, Lock, Mode, PastHold, SessionInfo, Told, What,
};

/// What the server does not know.
const UNKNOWN: &str = "?";
/// The least width, in columns, that a table is fitted into. Some terminals say that they have none.
const NARROWEST: u16 = 50;

impl Output {
    /// `latchctl ls`.
    pub fn lock_table(&self, locks: &[Lock]) -> String {
        let columns = ["NAME", "MODE", "HELD BY", "FOR", "WAITING", "LONGEST"];
        let mut table = self.table(&columns, &[3, 4, 5]);
        for lock in locks {
            let waiting = lock.waiting.len();
            let longest = match waiting {
                0 => String::new(),
                _ => age(lock.longest_wait()),
            };
            table.add_row([
                Cell::new(self.bytes(&lock.name)),
                Cell::new(mode_of(lock)),
                Cell::new(holders_of(lock)),
                Cell::new(age(lock.held_for())),
                self.warning(waiting, waiting > 0),
                Cell::new(longest),
            ]);
        }
        table.trim_fmt()
    }

    /// `latchctl show`.
    pub fn lock_page(&self, lock: &Lock) -> String {
        let columns = ["", "WHO", "MODE", "FOR", "TOKEN", "SESSION", "BY", "LABELS"];
        let mut table = self.table(&columns, &[0, 3, 4]);
        for holder in &lock.holders {
            table.add_row(self.contender_row("holds".to_owned(), holder));
        }
        for (ahead, waiter) in lock.waiting.iter().enumerate() {
            table.add_row(self.contender_row((ahead + 1).to_string(), waiter));
        }
        format!("{}\n\n{}", self.title(lock), table.trim_fmt())
    }

    /// The lock in one line.
    pub fn title(&self, lock: &Lock) -> String {
        let mut text = format!("{}: {}", self.bytes(&lock.name), mode_of(lock));
        if let Some(held) = lock.held_for() {
            // Writing to memory does not fail.
            let _ = write!(text, ", held for {}", duration::show(held));
        }
        let _ = match (lock.waiting.len(), lock.longest_wait()) {
            (0, _) => write!(text, ", nobody waits"),
            (1, Some(longest)) => write!(text, ", 1 waits, for {}", duration::show(longest)),
            (n, Some(longest)) => {
                write!(text, ", {n} wait, up to {}", duration::show(longest))
            }
            (1, None) => write!(text, ", 1 waits"),
            (n, None) => write!(text, ", {n} wait"),
        };
        text
    }

    fn contender_row(&self, place: String, contender: &Contender) -> Vec<Cell> {
        let holds = place == "holds";
        let place = Cell::new(place);
        let place = match holds && self.has_colours() {
            true => place.fg(Color::Green),
            false => place,
        };
        vec![
            place,
            Cell::new(contender.who()),
            Cell::new(contender.mode),
            Cell::new(age(contender.lasting)),
            Cell::new(contender.token),
            Cell::new(contender.session),
            Cell::new(contender.door.as_deref().unwrap_or(UNKNOWN)),
            Cell::new(labels(contender)),
        ]
    }

    /// `latchctl history`.
    pub fn history_table(&self, history: &History) -> String {
        let columns = ["ENDED", "NAME", "HOW", "WHO", "WAITED", "HELD", "TOKEN"];
        let mut table = self.table(&columns, &[4, 5, 6]);
        for hold in &history.holds {
            table.add_row(self.past_row(hold));
        }
        table.trim_fmt()
    }

    fn past_row(&self, hold: &PastHold) -> Vec<Cell> {
        vec![
            Cell::new(local(hold.ended, "%Y-%m-%d %H:%M:%S")),
            Cell::new(self.bytes(&hold.name)),
            self.warning(hold.how.word(), hold.how != What::Released),
            Cell::new(hold.contender.who()),
            Cell::new(age(hold.waited)),
            Cell::new(age(hold.held)),
            Cell::new(hold.contender.token),
        ]
    }

    /// `latchctl session ls`.
    pub fn session_table(&self, sessions: &[SessionInfo]) -> String {
        let columns = [
            "SESSION",
            "TTL",
            "LIVES",
            "CONNECTION",
            "HOLDS",
            "WAITS FOR",
            "EPOCH",
        ];
        let mut table = self.table(&columns, &[1, 2, 4, 5, 6]);
        for session in sessions {
            let connection = match (session.connected, session.bound) {
                (true, true) => "open, bound to it",
                (true, false) => "open",
                (false, _) => "lost",
            };
            table.add_row([
                Cell::new(session.id),
                Cell::new(duration::show(session.ttl)),
                Cell::new(duration::show(session.valid_for)),
                self.warning(connection, !session.connected),
                Cell::new(session.holding),
                Cell::new(session.waiting),
                Cell::new(session.epoch),
            ]);
        }
        table.trim_fmt()
    }

    /// One deadlock: its waits, one a line.
    pub fn deadlock_page(&self, deadlock: &Deadlock) -> String {
        let found = local(deadlock.found, "%Y-%m-%d %H:%M:%S");
        let mut text = match deadlock.is_resolved() {
            true => format!("deadlock, found and resolved at {found}:"),
            false => format!("deadlock since {found}, to be resolved by hand:"),
        };
        for wait in &deadlock.waits {
            let session = wait.session.to_string();
            let who = match wait.owner.as_str() {
                "" => format!("session {session}"),
                // So is called who gave no name.
                owner if owner == session => format!("session {session}"),
                owner => format!("{} (session {session})", show(owner.as_bytes())),
            };
            let end = if wait.aborted { "  (was refused)" } else { "" };
            let _ = write!(text, "\n  {who} waits for {}{end}", self.bytes(&wait.name));
        }
        text
    }

    /// What a watch tells, a line for each thing.
    pub fn told_lines(&self, told: &Told) -> Vec<String> {
        match told {
            Told::Snapshot(locks) => locks
                .iter()
                .flat_map(|lock| self.state_lines(lock))
                .collect(),
            Told::Event(event) => vec![self.event_line(event)],
            Told::Deadlock(deadlock) => vec![self.deadlock_page(deadlock)],
        }
    }

    fn state_lines(&self, lock: &Lock) -> Vec<String> {
        let line = |word, contender: &Contender| {
            let lasting = contender.lasting.map(duration::show);
            let lasting = lasting.map(|lasting| format!("  for {lasting}"));
            let lasting = lasting.unwrap_or_default();
            self.watch_line("now", word, &lock.name, contender) + &lasting
        };
        let holders = lock.holders.iter().map(|holder| line("holds", holder));
        let waiting = lock.waiting.iter().map(|waiter| line("waits", waiter));
        holders.chain(waiting).collect()
    }

    fn event_line(&self, event: &Event) -> String {
        let now = local(Timestamp::now(), "%H:%M:%S%.3f");
        let line = self.watch_line(&now, event.what.word(), &event.name, &event.contender);
        let after = match (event.what, event.contender.lasting) {
            (What::Queued, _) | (_, None) => String::new(),
            (What::Acquired, Some(waited)) if waited.is_zero() => String::new(),
            (What::Acquired, Some(waited)) => format!("  waited {}", duration::show(waited)),
            (What::Left, Some(waited)) => format!("  after {}", duration::show(waited)),
            (_, Some(held)) => format!("  held {}", duration::show(held)),
        };
        line + &after
    }

    fn watch_line(&self, when: &str, word: &str, name: &[u8], contender: &Contender) -> String {
        let word = format!("{word:<8}");
        let word = match word.trim_end() {
            _ if !self.has_colours() => word,
            "acquired" | "holds" => word.green().to_string(),
            "expired" | "forced" => word.red().to_string(),
            _ => word,
        };
        let (name, who) = (self.bytes(name), contender.who());
        let mode = match contender.mode {
            Mode::Exclusive => String::new(),
            other => format!("  {other}"),
        };
        format!(
            "{when:<12}  {word}  {name}  {who}  token {}{mode}",
            contender.token
        )
    }

    /// An empty table; `right` are the columns of numbers.
    fn table(&self, columns: &[&str], right: &[usize]) -> Table {
        let mut table = Table::new();
        // A terminal that is too narrow for any arrangement breaks the lines itself.
        if table.width().is_some_and(|width| width >= NARROWEST) {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        table
            .load_style(NOTHING)
            .set_header(columns.iter().map(|title| self.strong(title)));
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if right.contains(&index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }

    fn strong(&self, text: &str) -> Cell {
        let cell = Cell::new(text);
        match self.has_colours() {
            true => cell.add_attribute(Attribute::Bold),
            false => cell,
        }
    }

    fn warning(&self, text: impl ToString, is_worth_it: bool) -> Cell {
        let cell = Cell::new(text);
        match is_worth_it && self.has_colours() {
            true => cell.fg(Color::Yellow),
            false => cell,
        }
    }
}

/// How it is held, and for permits how many are taken.
pub fn mode_of(lock: &Lock) -> String {
    match lock.mode() {
        Mode::Exclusive => "exclusive".to_owned(),
        Mode::Shared => "shared".to_owned(),
        Mode::Semaphore(permits) => format!("{} of {permits}", lock.holders.len()),
    }
}

/// The first holder, and how many there are beside it.
pub fn holders_of(lock: &Lock) -> String {
    match &lock.holders[..] {
        [] => "-".to_owned(),
        [one] => one.who(),
        [first, others @ ..] => format!("{} and {} more", first.who(), others.len()),
    }
}

pub fn labels(contender: &Contender) -> String {
    let each = contender
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"));
    show(each.collect::<Vec<_>>().join(" ").as_bytes())
}

pub fn age(lasting: Option<Duration>) -> String {
    lasting.map_or_else(|| UNKNOWN.to_owned(), duration::show)
}

/// In this machine's time zone.
pub fn local(time: Timestamp, format: &str) -> String {
    time.to_zoned(TimeZone::system())
        .strftime(format)
        .to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::args::OutputSettings;
    use crate::model::SessionId;

    fn contender(owner: &str, mode: Mode, seconds: u64) -> Contender {
        Contender {
            token: 42,
            session: SessionId(0x1f),
            mode,
            owner: (!owner.is_empty()).then(|| owner.to_owned()),
            door: Some("latchd.v1".into()),
            lasting: Some(Duration::from_secs(seconds)),
            ..Contender::default()
        }
    }

    fn locks() -> Vec<Lock> {
        let permit = Mode::Semaphore(3);
        vec![
            Lock {
                name: b"job".to_vec(),
                holders: vec![contender("ann", Mode::Exclusive, 75)],
                waiting: vec![
                    contender("bob", Mode::Exclusive, 10),
                    contender("", Mode::Shared, 5),
                ],
            },
            Lock {
                name: b"gpu\x1b".to_vec(),
                holders: vec![contender("cy", permit, 1), contender("di", permit, 2)],
                waiting: vec![],
            },
        ]
    }

    fn output() -> Output {
        Output::new(OutputSettings::default())
    }

    #[test]
    fn locks_in_a_table() {
        let shown = output().lock_table(&locks());
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines,
            [
                "NAME     MODE       HELD BY          FOR  WAITING  LONGEST",
                "job      exclusive  ann            1m15s        2      10s",
                "gpu\\x1b  2 of 3     cy and 1 more   2.0s        0",
            ]
        );
    }

    #[test]
    fn a_lock_with_its_queue() {
        let shown = output().lock_page(&locks()[0]);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines[0],
            "job: exclusive, held for 1m15s, 2 wait, up to 10s"
        );
        let words = |line: usize| lines[line].split_whitespace().collect::<Vec<_>>();
        assert_eq!(words(3)[..3], ["holds", "ann", "exclusive"]);
        assert_eq!(words(4)[..3], ["1", "bob", "exclusive"]);
        // Who gave no owner is told by the session.
        assert_eq!(words(5)[..3], ["2", "1f", "shared"]);
    }

    #[test]
    fn events_in_lines() {
        let event = Event {
            what: What::Acquired,
            name: b"job".to_vec(),
            contender: contender("ann", Mode::Semaphore(3), 2),
            revision: 42,
        };
        let lines = output().told_lines(&Told::Event(event));
        let [line] = &lines[..] else {
            panic!("{lines:?}");
        };
        assert!(
            line.ends_with("acquired  job  ann  token 42  1 of 3  waited 2.0s"),
            "{line}"
        );
    }

    #[test]
    fn a_deadlock_tells_who_waits_for_what() {
        let wait = |owner: &str, name: &[u8], aborted| crate::model::Wait {
            name: name.to_vec(),
            owner: owner.to_owned(),
            session: SessionId(1),
            key: vec![],
            aborted,
        };
        let deadlock = Deadlock {
            waits: vec![wait("ann", b"a", false), wait("", b"b", true)],
            found: Timestamp::UNIX_EPOCH,
        };
        let shown = output().deadlock_page(&deadlock);
        assert!(shown.contains("resolved"), "{shown}");
        assert!(
            shown.contains("\n  ann (session 1) waits for a\n"),
            "{shown}"
        );
        assert!(
            shown.ends_with("\n  session 1 waits for b  (was refused)"),
            "{shown}"
        );
    }
}
