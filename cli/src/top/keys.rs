//! What the keys do.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::state::{Mode, Top};

/// How far a page goes.
const PAGE: isize = 10;

impl Top {
    pub fn press(&mut self, key: KeyEvent) {
        let is_interrupt =
            key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        match self.mode {
            _ if is_interrupt => self.is_over = true,
            Mode::Looking => self.press_looking(key.code),
            Mode::Filtering => self.press_filtering(key.code),
            Mode::Help => self.mode = Mode::Looking,
        }
    }

    fn press_looking(&mut self, key: KeyCode) {
        match key {
            KeyCode::Char('q') | KeyCode::Esc => self.is_over = true,
            KeyCode::Up | KeyCode::Char('k') => self.select_further(-1),
            KeyCode::Down | KeyCode::Char('j') => self.select_further(1),
            KeyCode::PageUp => self.select_further(-PAGE),
            KeyCode::PageDown => self.select_further(PAGE),
            KeyCode::Home => self.select_further(isize::MIN),
            KeyCode::End => self.select_further(isize::MAX),
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('r') => self.is_reversed = !self.is_reversed,
            KeyCode::Char('/') => self.mode = Mode::Filtering,
            KeyCode::Char(' ') => self.is_stopped = !self.is_stopped,
            KeyCode::Char('?') => self.mode = Mode::Help,
            _ => (),
        }
    }

    fn press_filtering(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.mode = Mode::Looking,
            KeyCode::Esc => {
                self.filter.clear();
                self.mode = Mode::Looking;
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(c) => self.filter.push(c),
            _ => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::samples::top;
    use crate::top::state::Sort;

    fn press(top: &mut Top, keys: &str) {
        for c in keys.chars() {
            top.press(KeyCode::Char(c).into());
        }
    }

    #[test]
    fn what_is_typed_into_the_filter_is_no_command() {
        let mut top = top();
        press(&mut top, "/qs");
        assert_eq!((top.filter.as_str(), top.is_over), ("qs", false));
        top.press(KeyCode::Backspace.into());
        top.press(KeyCode::Enter.into());
        press(&mut top, "s");
        assert_eq!((top.filter.as_str(), top.sort), ("q", Sort::LongestWait));
        press(&mut top, "/");
        top.press(KeyCode::Esc.into());
        assert_eq!((top.filter.as_str(), top.is_over), ("", false));
    }

    #[test]
    fn ways_to_leave() {
        for key in [
            KeyEvent::from(KeyCode::Char('q')),
            KeyCode::Esc.into(),
            KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL),
        ] {
            let mut top = top();
            top.press(key);
            assert!(top.is_over, "{key:?}");
        }
        let mut filtering = top();
        press(&mut filtering, "/");
        filtering.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(filtering.is_over);
    }

    #[test]
    fn the_next_key_closes_the_help() {
        let mut top = top();
        press(&mut top, "?");
        assert_eq!(top.mode, Mode::Help);
        press(&mut top, "q");
        assert_eq!((top.mode, top.is_over), (Mode::Looking, false));
    }
}
