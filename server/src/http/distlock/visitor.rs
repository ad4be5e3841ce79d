//! What a client says, and what it is answered.

use crate::service::guest::{Denied, Guest, Host, Term};
use crate::service::locks::ask::Wait;

use super::message::{Action, Said, Words};
use super::waits::Waits;

/// The longest name of a session, in bytes.
const LONGEST: usize = 256;
/// What the source says to one without a session.
const NO_SESSION: &str = "Not sid, connect first";

/// What a client is told unasked.
pub enum News {
    /// A name that it was told to wait for is free again.
    Freed(String),
    /// The session is over although the client is here.
    Expelled,
    /// The server stops.
    Stopped,
}

/// A client. Dropped, its session is over.
pub struct Visitor {
    guest: Guest,
    /// What the session is called.
    session: Option<String>,
    waits: Waits,
    words: Words,
}

impl Visitor {
    /// One that has said nothing yet.
    #[must_use]
    pub fn new(host: &Host, address: &str, words: Words) -> Visitor {
        Visitor {
            guest: host.welcome(address),
            session: None,
            waits: Waits::new(host.clone()),
            words,
        }
    }

    /// What the client is told unasked. Nothing is lost where this is dropped.
    pub async fn news(&mut self) -> News {
        tokio::select! {
            () = self.guest.expelled() => News::Expelled,
            freed = self.waits.freed() => freed.map_or(News::Stopped, News::Freed),
        }
    }

    /// Does what a message asks for.
    pub async fn answer(&mut self, message: &[u8]) -> Said {
        match (Action::read(message), &self.session) {
            (Err(reason), _) => Said::fail(reason),
            (Ok(Action::Connect(name)), _) => self.connect(name).await,
            (Ok(_), None) => Said::fail(NO_SESSION),
            (Ok(Action::Close), Some(name)) => {
                let said = Said::ok(format!("Close session: {name}"));
                self.close().await;
                said
            }
            (Ok(Action::Lock(names)), _) => self.lock(names).await,
            (Ok(Action::Unlock(names)), _) => self.unlock(names).await,
        }
    }

    async fn connect(&mut self, name: String) -> Said {
        if name.len() > LONGEST {
            return Said::fail(format!("a session's name has at most {LONGEST} bytes"));
        }
        if let Some(open) = self.session.as_ref().filter(|open| **open != name) {
            return Said::fail(format!("session {open} is open; close it first"));
        }
        self.guest.call(&name);
        if let Err(refusal) = self.guest.enter(Term::Bound).await {
            return Said::fail(refusal.to_string());
        }
        let said = Said::ok(format!("Open session: {name}"));
        self.session = Some(name);
        said
    }

    async fn close(&mut self) {
        self.guest.leave().await;
        self.waits.clear();
        self.session = None;
    }

    async fn lock(&mut self, names: Vec<String>) -> Said {
        let bytes: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
        let missing = self.guest.missing(&bytes);
        if missing.is_empty() {
            return self.words.locked("Already own the lock");
        }
        match self.guest.lock(&missing, Wait::No).await {
            Ok(()) => {
                self.waits.forget(&names);
                self.words.locked("Acquired")
            }
            Err(Denied::Taken(owner)) => {
                self.waits.add(&names);
                Said::wait(&owner)
            }
            Err(denied) => failed(denied),
        }
    }

    async fn unlock(&mut self, names: Vec<String>) -> Said {
        let bytes: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
        match self.guest.unlock(&bytes).await {
            Ok(()) => Said::ok(format!("Unlocked {}", names.join(", "))),
            Err(denied) => failed(denied),
        }
    }
}

fn failed(denied: Denied) -> Said {
    Said::fail(match denied {
        // As the source has it, where nobody is null.
        Denied::NotLocked(_) => "lock owned by null".to_owned(),
        Denied::NotYours(_, owner) | Denied::Taken(owner) => format!("lock owned by {owner}"),
        Denied::Already(_) => "Already own the lock".to_owned(),
        Denied::TooMany(most) => format!("more than {most} locks"),
        Denied::Expelled => "the session is over".to_owned(),
        Denied::Failed(refusal) => refusal.to_string(),
    })
}
