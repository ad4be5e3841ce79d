//! Dreadlock's protocol.
//!
//! ```text
//! lock KEY TIMEOUT_MS\r\n   l locked | t timeout | e already locked
//! unlock KEY\r\n            u unlocked | e not locked | e not owner
//! ```
//! A session lasts as long as its connection. Whatever is not in this grammar ends the connection,
//! without an answer.

use std::time::Duration;

use super::connection::Answer;
use crate::service::guest::{Denied, Guest, within};

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// To have the key, within so many milliseconds.
    Lock(&'a [u8], u64),
    /// To let go of it.
    Unlock(&'a [u8]),
}

/// Reads a line without its LF; none for what is not in the grammar.
#[must_use]
pub fn parse(line: &[u8]) -> Option<Command<'_>> {
    let line = line.strip_suffix(b"\r")?;
    if line.starts_with(b" ") {
        return None;
    }
    let mut words = line.split(|byte| *byte == b' ').filter(|w| !w.is_empty());
    let (keyword, key, time) = (words.next()?, words.next()?, words.next());
    let rest = words.next();
    if !key.iter().all(u8::is_ascii_alphanumeric) || rest.is_some() {
        return None;
    }
    match time {
        Some(time) if keyword.eq_ignore_ascii_case(b"lock") => {
            Some(Command::Lock(key, millis(time)?))
        }
        None if keyword.eq_ignore_ascii_case(b"unlock") => Some(Command::Unlock(key)),
        _ => None,
    }
}

/// Digits; so many that no number holds them are as good as for ever.
fn millis(digits: &[u8]) -> Option<u64> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    digits.iter().try_fold(0, |sum: u64, byte| {
        Some(sum.saturating_mul(10).saturating_add(digit(byte)?))
    })
}

/// The longest wait, in milliseconds: three hundred years.
const LONGEST: u64 = 10_000_000_000_000;

/// Does what a line asks for.
pub async fn answer(guest: &mut Guest, line: &[u8]) -> Answer {
    match parse(line) {
        Some(command) => obey(guest, command).await,
        None => Answer::Drop("syntax"),
    }
}

async fn obey(guest: &mut Guest, command: Command<'_>) -> Answer {
    let (done, outcome) = match command {
        Command::Lock(key, millis) => {
            let time = Duration::from_millis(millis.min(LONGEST));
            ("l locked", guest.lock(&[key], within(time)).await)
        }
        Command::Unlock(key) => ("u unlocked", guest.unlock(&[key]).await),
    };
    Answer::Say(match outcome {
        Ok(()) => done.to_owned(),
        Err(Denied::Taken(_)) => "t timeout".to_owned(),
        Err(Denied::Already(_)) => "e already locked".to_owned(),
        Err(Denied::NotYours(..)) => "e not owner".to_owned(),
        Err(Denied::NotLocked(_)) => "e not locked".to_owned(),
        Err(Denied::TooMany(most)) => format!("e more than {most} keys"),
        Err(Denied::Failed(refusal)) => format!("e {refusal}"),
        Err(Denied::Expelled) => return Answer::Drop("session"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_grammar() {
        let lock = |key: &'static str, millis| Some(Command::Lock(key.as_bytes(), millis));
        for (line, command) in [
            ("lock a 0\r", lock("a", 0)),
            ("LoCk Key1   10000   \r", lock("Key1", 10_000)),
            ("lock a 007\r", lock("a", 7)),
            ("lock a 99999999999999999999999\r", lock("a", u64::MAX)),
            ("unlock a\r", Some(Command::Unlock(b"a"))),
            ("UNLOCK  a  \r", Some(Command::Unlock(b"a"))),
        ] {
            assert_eq!(parse(line.as_bytes()), command, "{line}");
        }
    }

    #[test]
    fn what_is_not() {
        for line in [
            "",
            "\r",
            "lock a 0",
            " lock a 0\r",
            "lock a\r",
            "lock a b\r",
            "lock a -1\r",
            "lock a 1 2\r",
            "lock a/b 1\r",
            "lock ä 1\r",
            "lock a_b 1\r",
            "lock\ta 1\r",
            "unlock\r",
            "unlock a 1\r",
            "unlock a b\r",
            "lock a 0\r\r",
            "stats\r",
            "\0\r",
            "lock a 0\r ",
        ] {
            assert_eq!(parse(line.as_bytes()), None, "{line:?}");
        }
    }
}
