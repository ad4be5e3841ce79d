//! Answers for programs. Fields are only ever added; those that are not known are left out. A
//! session is in hexadecimal, as etcd's tools write it, since its 63 bits are too many for some
//! readers' numbers; durations are in milliseconds, times as RFC 3339 has them.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Serialize;

use super::Output;
use crate::bytes;
use crate::model;

/// Bytes as text. If they are none, the text has `\xNN` for what is not, and base64 tells them
/// exactly.
#[derive(Debug)]
pub struct Text {
    pub text: String,
    pub base64: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Lock {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_base64: Option<String>,
    pub holders: Vec<Contender>,
    pub waiting: Vec<Contender>,
}

#[derive(Debug, Serialize)]
pub struct Contender {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    pub session: String,
    pub mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permits: Option<u32>,
    pub token: i64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub door: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    pub key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_base64: Option<String>,
}

/// A line of `latchctl watch`.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Told {
    Snapshot {
        locks: Vec<Lock>,
    },
    Deadlock(Deadlock),
    #[serde(untagged)]
    Event(Box<Event>),
}

#[derive(Debug, Serialize)]
pub struct Event {
    pub event: &'static str,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_base64: Option<String>,
    pub revision: i64,
    pub contender: Contender,
}

#[derive(Debug, Serialize)]
pub struct History {
    pub since: Timestamp,
    pub holds: Vec<PastHold>,
    pub deadlocks: Vec<Deadlock>,
}

#[derive(Debug, Serialize)]
pub struct PastHold {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_base64: Option<String>,
    pub how: &'static str,
    pub ended: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_ms: Option<u64>,
    pub contender: Contender,
}

#[derive(Debug, Serialize)]
pub struct SessionInfo {
    pub session: String,
    pub epoch: i64,
    pub ttl_ms: u64,
    pub valid_for_ms: u64,
    pub bound: bool,
    pub connected: bool,
    pub holding: u32,
    pub waiting: u32,
}

#[derive(Debug, Serialize)]
pub struct Deadlock {
    pub found: Timestamp,
    pub resolved: bool,
    pub waits: Vec<Wait>,
}

#[derive(Debug, Serialize)]
pub struct Wait {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_base64: Option<String>,
    pub owner: String,
    pub session: String,
    pub key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_base64: Option<String>,
    pub aborted: bool,
}

/// A hold that this latchctl has, got rid of, or was asked about.
#[derive(Debug, Serialize)]
pub struct Hold {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_base64: Option<String>,
    pub token: i64,
    #[serde(flatten)]
    pub state: State,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Held(bool),
    Released(bool),
    Forced(Box<Contender>),
    Key(String),
}

/// Who leads.
#[derive(Debug, Serialize)]
pub struct Leader {
    pub name: String,
    pub key: String,
    pub value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_base64: Option<String>,
    pub token: i64,
}

/// Makes answers for programs out of what is known.
impl Output {
    pub fn text(&self, bytes: &[u8]) -> Text {
        match str::from_utf8(bytes) {
            _ if self.hex => Text {
                text: bytes::hex(bytes),
                base64: None,
            },
            Ok(text) => Text {
                text: text.to_owned(),
                base64: None,
            },
            Err(_) => Text {
                text: bytes::show(bytes),
                base64: Some(STANDARD.encode(bytes)),
            },
        }
    }

    pub fn locks(&self, locks: &[model::Lock]) -> Vec<Lock> {
        locks.iter().map(|lock| self.lock(lock)).collect()
    }

    pub fn lock(&self, lock: &model::Lock) -> Lock {
        let name = self.text(&lock.name);
        let all = |contenders: &[model::Contender]| {
            let each = contenders.iter().map(|contender| self.contender(contender));
            each.collect()
        };
        Lock {
            name: name.text,
            name_base64: name.base64,
            holders: all(&lock.holders),
            waiting: all(&lock.waiting),
        }
    }

    pub fn contender(&self, contender: &model::Contender) -> Contender {
        let key = self.text(&contender.key);
        let (mode, permits) = match contender.mode {
            model::Mode::Exclusive => ("exclusive", None),
            model::Mode::Shared => ("shared", None),
            model::Mode::Semaphore(permits) => ("semaphore", Some(permits)),
        };
        Contender {
            owner: contender.owner.clone(),
            session: contender.session.to_string(),
            mode,
            permits,
            token: contender.token,
            labels: contender.labels.clone(),
            since: contender.since,
            for_ms: contender.lasting.map(millis),
            door: contender.door.clone(),
            request_id: contender.request_id.clone(),
            key: key.text,
            key_base64: key.base64,
        }
    }

    pub fn told(&self, told: &model::Told) -> Told {
        match told {
            model::Told::Snapshot(locks) => Told::Snapshot {
                locks: self.locks(locks),
            },
            model::Told::Deadlock(deadlock) => Told::Deadlock(self.deadlock(deadlock)),
            model::Told::Event(event) => Told::Event(Box::new(self.event(event))),
        }
    }

    fn event(&self, event: &model::Event) -> Event {
        let name = self.text(&event.name);
        Event {
            event: event.what.word(),
            name: name.text,
            name_base64: name.base64,
            revision: event.revision,
            contender: self.contender(&event.contender),
        }
    }

    pub fn history(&self, history: &model::History) -> History {
        let holds = history.holds.iter().map(|hold| self.past_hold(hold));
        History {
            since: history.since,
            holds: holds.collect(),
            deadlocks: self.deadlocks(&history.deadlocks),
        }
    }

    fn past_hold(&self, hold: &model::PastHold) -> PastHold {
        let name = self.text(&hold.name);
        PastHold {
            name: name.text,
            name_base64: name.base64,
            how: hold.how.word(),
            ended: hold.ended,
            waited_ms: hold.waited.map(millis),
            held_ms: hold.held.map(millis),
            contender: self.contender(&hold.contender),
        }
    }

    pub fn deadlocks(&self, deadlocks: &[model::Deadlock]) -> Vec<Deadlock> {
        let each = deadlocks.iter().map(|deadlock| self.deadlock(deadlock));
        each.collect()
    }

    fn deadlock(&self, deadlock: &model::Deadlock) -> Deadlock {
        let waits = deadlock.waits.iter().map(|wait| {
            let (name, key) = (self.text(&wait.name), self.text(&wait.key));
            Wait {
                name: name.text,
                name_base64: name.base64,
                owner: wait.owner.clone(),
                session: wait.session.to_string(),
                key: key.text,
                key_base64: key.base64,
                aborted: wait.aborted,
            }
        });
        Deadlock {
            found: deadlock.found,
            resolved: deadlock.is_resolved(),
            waits: waits.collect(),
        }
    }

    /// A lock that is held without a command.
    pub fn own_hold(&self, name: &[u8], token: i64, key: &[u8]) -> Hold {
        self.hold(name, token, State::Key(self.text(key).text))
    }

    pub fn leader(&self, name: &[u8], key: &[u8], value: &[u8], token: i64) -> Leader {
        let value = self.text(value);
        Leader {
            name: self.text(name).text,
            key: self.text(key).text,
            value: value.text,
            value_base64: value.base64,
            token,
        }
    }

    pub fn hold(&self, name: &[u8], token: i64, state: State) -> Hold {
        let name = self.text(name);
        Hold {
            name: name.text,
            name_base64: name.base64,
            token,
            state,
        }
    }
}

impl SessionInfo {
    pub fn of(session: &model::SessionInfo) -> SessionInfo {
        SessionInfo {
            session: session.id.to_string(),
            epoch: session.epoch,
            ttl_ms: millis(session.ttl),
            valid_for_ms: millis(session.valid_for),
            bound: session.bound,
            connected: session.connected,
            holding: session.holding,
            waiting: session.waiting,
        }
    }
}

pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
