//! Draws what is known, for a terminal of any size.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{
    Block, Borders, Cell, Clear, Paragraph, Row as TableRow, Sparkline, Table, TableState,
};

use super::state::{Mode, Row, Sort, Top};
use crate::duration;
use crate::model::{Contender, Lock};
use crate::output::table::{holders_of, labels, mode_of};

const KEYS: &str =
    "q leave  \u{2191}\u{2193} select  s sort  r reverse  / filter  space stop  ? help";

const HELP: [&str; 9] = [
    "up, down, page up, page down, home, end, j, k",
    "           select a lock; its queue is below",
    "s          sort by the next column",
    "r          the other way round",
    "/          show only names that contain a text",
    "space      stop, and go on",
    "q, Esc     leave",
    "",
    "Any key goes back.",
];

pub fn draw(frame: &mut Frame<'_>, top: &Top, now: Duration) {
    let rows = top.rows(now);
    let selected = top.selected_in(&rows);
    let chosen = selected
        .and_then(|place| rows.get(place))
        .map(|row| row.lock);
    let [head, locks, queue, foot] = areas(frame.area(), chosen);
    draw_head(frame, head, top, now);
    draw_locks(frame, locks, top, &rows, selected, now);
    if let Some(lock) = chosen {
        draw_queue(frame, queue, top, lock, now);
    }
    draw_foot(frame, foot, top);
    if top.mode == Mode::Help {
        draw_help(frame);
    }
}

/// The queue gets what it needs, up to a half.
fn areas(area: Rect, chosen: Option<&Lock>) -> [Rect; 4] {
    let most = area.height.saturating_sub(4) / 2;
    let lines = chosen.map_or(0, |lock| lock.holders.len() + lock.waiting.len() + 2);
    let queue = u16::try_from(lines).unwrap_or(most).min(most);
    Layout::vertical([
        Constraint::Length(2),
        Constraint::Min(3),
        Constraint::Length(queue),
        Constraint::Length(1),
    ])
    .areas(area)
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, top: &Top, now: Duration) {
    let [text, chart] =
        Layout::horizontal([Constraint::Min(40), Constraint::Percentage(35)]).areas(area);
    let (holders, waiting) = top.counts();
    let mut counts = vec![Span::raw(format!(
        "{} locks  {holders} holders  {waiting} waiting  {:.1} hand-offs/s",
        top.lock_count(),
        top.rate.per_second(now)
    ))];
    if !top.deadlocks.is_empty() {
        let found = format!("  {} DEADLOCKED", top.deadlocks.len());
        counts.push(Span::styled(found, top.style(Color::Red, Modifier::BOLD)));
    }
    let of = match top.prefix.as_str() {
        "" => String::new(),
        prefix => format!("  {prefix}*"),
    };
    let title = Span::styled("latchctl top", top.style(Color::Reset, Modifier::BOLD));
    let first = Line::from(vec![title, Span::raw(format!("  {}{of}", top.endpoint))]);
    frame.render_widget(Paragraph::new(vec![first, Line::from(counts)]), text);
    let history = top.rate.history();
    let width = usize::from(chart.width);
    let latest = &history[history.len().saturating_sub(width)..];
    let line = Sparkline::default().data(latest.iter().copied());
    frame.render_widget(line.style(top.style(Color::Cyan, Modifier::empty())), chart);
}

/// The columns, each with what it is sorted by.
const COLUMNS: [(&str, Option<Sort>, Constraint); 7] = [
    ("NAME", Some(Sort::Name), Constraint::Fill(3)),
    ("MODE", None, Constraint::Length(9)),
    ("HELD BY", None, Constraint::Fill(2)),
    ("FOR", Some(Sort::Held), Constraint::Length(7)),
    ("WAITING", Some(Sort::Waiting), Constraint::Length(8)),
    ("LONGEST", Some(Sort::LongestWait), Constraint::Length(8)),
    ("/S", Some(Sort::HandOffs), Constraint::Length(8)),
];

fn draw_locks(
    frame: &mut Frame<'_>,
    area: Rect,
    top: &Top,
    rows: &[Row<'_>],
    selected: Option<usize>,
    now: Duration,
) {
    let title = |(title, sort, _): &(&str, Option<Sort>, Constraint)| {
        let sorted = *sort == Some(top.sort);
        let arrow = match (sorted, top.is_reversed == (top.sort == Sort::Name)) {
            (false, _) => "",
            (true, true) => "\u{25bc}",
            (true, false) => "\u{25b2}",
        };
        Cell::from(format!("{title}{arrow}"))
    };
    let header = TableRow::new(COLUMNS.iter().map(title))
        .style(top.style(Color::Reset, Modifier::BOLD | Modifier::REVERSED));
    let body = rows.iter().map(|row| lock_row(top, row, now));
    let table = Table::new(body, COLUMNS.map(|(_, _, width)| width))
        .header(header)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new().with_selected(selected);
    frame.render_stateful_widget(table, area, &mut state);
    if rows.is_empty() {
        draw_nothing(frame, area, top);
    }
}

fn draw_nothing(frame: &mut Frame<'_>, area: Rect, top: &Top) {
    let text = match (top.has_looked(), top.filter.is_empty()) {
        (false, _) => "asking the server \u{2026}".to_owned(),
        (true, true) => "nobody holds or awaits a lock".to_owned(),
        (true, false) => format!("no lock's name contains {:?}", top.filter),
    };
    let below = Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(1).min(1),
        ..area
    };
    frame.render_widget(Paragraph::new(text), below);
}

fn lock_row(top: &Top, row: &Row<'_>, now: Duration) -> TableRow<'static> {
    let lock = row.lock;
    let waiting = lock.waiting.len();
    let style = match waiting {
        0 => Style::new(),
        _ => top.style(Color::Yellow, Modifier::empty()),
    };
    let older = |lasting: Option<Duration>| age(top, lasting, now);
    let (held, longest) = match lock.holders.is_empty() {
        true => (String::new(), older(lock.longest_wait())),
        false => (older(lock.held_for()), older(lock.longest_wait())),
    };
    TableRow::new([
        Cell::from(top.out.bytes(&lock.name)),
        Cell::from(mode_of(lock)),
        Cell::from(holders_of(lock)),
        Cell::from(held),
        Cell::from(waiting.to_string()).style(style),
        Cell::from(if waiting == 0 { String::new() } else { longest }),
        Cell::from(format!("{:.1}", row.hand_offs)),
    ])
}

fn draw_queue(frame: &mut Frame<'_>, area: Rect, top: &Top, lock: &Lock, now: Duration) {
    let title = format!(" {} ", top.out.title(lock));
    let holders = lock
        .holders
        .iter()
        .map(|holder| ("holds".to_owned(), holder));
    let places = (1..).map(|place: usize| place.to_string());
    let waiting = places.zip(&lock.waiting);
    let rows = holders.chain(waiting).map(|(place, contender)| {
        let row = contender_row(top, place.clone(), contender, now);
        match place.as_str() {
            "holds" => row.style(top.style(Color::Green, Modifier::empty())),
            _ => row,
        }
    });
    let widths = [
        Constraint::Length(6),
        Constraint::Fill(2),
        Constraint::Length(10),
        Constraint::Length(7),
        Constraint::Length(10),
        Constraint::Fill(1),
    ];
    let table = Table::new(rows, widths).block(Block::new().borders(Borders::TOP).title(title));
    frame.render_widget(table, area);
}

fn contender_row(
    top: &Top,
    place: String,
    contender: &Contender,
    now: Duration,
) -> TableRow<'static> {
    TableRow::new([
        place,
        contender.who(),
        contender.mode.to_string(),
        age(top, contender.lasting, now),
        contender.token.to_string(),
        labels(contender),
    ])
}

/// What was told at the last look, and the time since.
fn age(top: &Top, lasting: Option<Duration>, now: Duration) -> String {
    let now = lasting.map(|lasting| lasting + top.age(now));
    now.map_or_else(|| "?".to_owned(), duration::show)
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, top: &Top) {
    let line = match (&top.lost, top.mode) {
        (Some(why), _) => Line::styled(
            format!("the server does not answer: {why}"),
            top.style(Color::Red, Modifier::BOLD),
        ),
        (None, Mode::Filtering) => Line::from(format!("/{}\u{2588}", top.filter)),
        (None, _) if top.is_stopped => Line::styled(
            "stopped; space goes on",
            top.style(Color::Yellow, Modifier::BOLD),
        ),
        (None, _) if !top.filter.is_empty() => Line::from(format!(
            "only {:?}; / then Esc shows all  {KEYS}",
            top.filter
        )),
        (None, _) => Line::from(KEYS),
    };
    frame.render_widget(Paragraph::new(line), area);
}

fn draw_help(frame: &mut Frame<'_>) {
    let (width, height) = (56, HELP.len() as u16 + 2);
    let whole = frame.area();
    let area = Rect {
        x: whole.width.saturating_sub(width) / 2,
        y: whole.height.saturating_sub(height) / 2,
        width: width.min(whole.width),
        height: height.min(whole.height),
    };
    frame.render_widget(Clear, area);
    let text: Vec<Line<'_>> = HELP.iter().map(|line| Line::from(*line)).collect();
    let block = Block::bordered().title(" keys ");
    frame.render_widget(Paragraph::new(text).block(block), area);
}

impl Top {
    /// Modifiers such as bold are no colours, and stay without them.
    fn style(&self, color: Color, modifier: Modifier) -> Style {
        let style = Style::new().add_modifier(modifier);
        match (self.has_colours, color) {
            (false, _) | (true, Color::Reset) => style,
            (true, color) => style.fg(color),
        }
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::top::follow::{Look, Update};
    use crate::top::samples::{acquired, lock, top};

    const SECOND: Duration = Duration::from_secs(1);

    fn screen(top: &Top, now: Duration, (width, height): (u16, u16)) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        terminal.draw(|frame| draw(frame, top, now)).expect("drawn");
        let buffer = terminal.backend().buffer();
        let line = |y| {
            (0..width)
                .map(|x| buffer[(x, y)].symbol())
                .collect::<String>()
        };
        (0..height).map(|y| line(y).trim_end().to_owned()).collect()
    }

    fn looked(locks: Vec<Lock>) -> Top {
        let mut top = top();
        for seconds in [1, 2] {
            let look = Look {
                locks: locks.clone(),
                acquired: acquired(&[("job", 3)]),
                ..Look::default()
            };
            top.learn(Update::Look(look), seconds * SECOND);
        }
        top
    }

    #[test]
    fn locks_with_the_queue_of_the_selected_one() {
        let top = looked(vec![lock("job", 60, &[5, 2]), lock("other", 1, &[])]);
        let screen = screen(&top, 3 * SECOND, (100, 16));
        assert!(
            screen[0].starts_with("latchctl top  http://test"),
            "{screen:#?}"
        );
        assert!(screen[1].contains("2 locks  2 holders  2 waiting  3.0 hand-offs/s"));
        assert!(screen[2].contains("WAITING\u{25bc}"), "{screen:#?}");
        let words: Vec<&str> = screen[3].split_whitespace().collect();
        // A second older than they were told.
        assert_eq!(
            words,
            ["job", "exclusive", "ann", "1m01s", "2", "6.0s", "3.0"]
        );
        let at = |text: &str| screen.iter().position(|line| line.contains(text));
        let title = at("job: exclusive, held for 1m00s, 2 wait, up to 5.0s").expect("the queue");
        assert!(screen[title + 1].starts_with("holds"), "{screen:#?}");
        assert!(screen[title + 2].starts_with("1  "), "{screen:#?}");
        assert!(screen[15].starts_with("q leave"), "{screen:#?}");
    }

    #[test]
    fn nothing_to_show_says_so() {
        let asking = screen(&top(), SECOND, (80, 10)).concat();
        assert!(asking.contains("asking the server"), "{asking}");
        let empty = screen(&looked(vec![]), 60 * SECOND, (80, 10));
        assert!(
            empty[3].contains("job"),
            "the last that was handed on: {empty:#?}"
        );
        let mut filtered = looked(vec![lock("job", 1, &[])]);
        filtered.filter = "x".into();
        let shown = screen(&filtered, SECOND, (80, 10)).concat();
        assert!(shown.contains("no lock's name contains \"x\""), "{shown}");
    }

    #[test]
    fn trouble_is_told_at_the_foot() {
        let mut top = looked(vec![lock("job", 1, &[])]);
        top.learn(Update::Lost("connection refused".into()), 2 * SECOND);
        let shown = screen(&top, SECOND, (80, 10));
        assert_eq!(shown[9], "the server does not answer: connection refused");
    }

    #[test]
    fn any_size_of_terminal_will_do() {
        let mut top = looked(vec![lock("job", 1, &[1, 2, 3, 4, 5, 6, 7, 8])]);
        for mode in [Mode::Looking, Mode::Help, Mode::Filtering] {
            top.mode = mode;
            for size in [(1, 1), (5, 2), (20, 5), (40, 7), (300, 100)] {
                screen(&top, SECOND, size);
            }
        }
    }

    #[test]
    fn no_colours_unless_wanted() {
        let mut top = looked(vec![lock("job", 1, &[1])]);
        for wanted in [false, true] {
            top.has_colours = wanted;
            let mut terminal = Terminal::new(TestBackend::new(80, 10)).expect("a terminal");
            terminal
                .draw(|frame| draw(frame, &top, SECOND))
                .expect("drawn");
            let cells = &terminal.backend().buffer().content;
            let is_coloured = cells.iter().any(|cell| cell.fg != Color::Reset);
            assert_eq!(is_coloured, wanted);
        }
    }
}
