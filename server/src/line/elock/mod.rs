//! elock's protocol: commands with arguments, and sessions that outlive their connection.
//!
//! ```text
//! lock NAME [SECONDS]   200 Acquired | 409 Unavailable
//! unlock NAME           200 Unlocked | 403 not_yours | 403 not_locked
//! unlock_all            200 OK
//! conn_id [ID]          200 ID | 200 conn id set | 403 cannot set conn id
//! set_timeout MS        200 timeout set
//! echo, stats, quit     200 …
//! ```
//! A session is one of `latchd.v1` with a grace, so it survives a restart. Its ID is its lease and
//! the token that resumes it: nobody guesses that, and the store has only its hash.

mod after;
mod id;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use latchd_proto::latchd::v1;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::Answer;
use crate::service::guest::{Denied, DoorName, Guest, Host, Term, within};
use crate::service::locks::refusal::Refusal;
use crate::types::LeaseId;
use after::After;

pub use after::adopt;

/// How long a session outlives its connection, unless its client says, in milliseconds.
const TIMEOUT: i64 = 30_000;
/// The longest that a client may say: a day.
const LONGEST_TIMEOUT: i64 = 86_400_000;
/// The shortest TTL of a lease; a shorter time is kept by this server's clock.
const SHORTEST_TTL: i64 = 100;
/// What is said at the end.
const FAREWELL: &str = "200 Hey, it was nice seeing you.";

/// What all connections of the door share; cheap to clone.
#[derive(Clone)]
pub struct Desk {
    host: Host,
    /// Sessions that have a connection.
    present: Arc<Mutex<HashSet<LeaseId>>>,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Desk {
    /// The desk of a door, whose work ends when it is `stopping`.
    #[must_use]
    pub fn new(host: Host, tasks: TaskTracker, stopping: CancellationToken) -> Desk {
        Desk {
            host,
            present: Arc::default(),
            tasks,
            stopping,
        }
    }

    /// The locks that are held through this door.
    async fn locks(&self) -> Result<usize, Refusal> {
        let everything = v1::ListRequest {
            limit: i64::MAX,
            ..Default::default()
        };
        let listed = self.host.keeper().list(everything).await?;
        let elock = DoorName::Elock.as_str();
        let of_elock = |lock: &&v1::Lock| lock.holders.iter().any(|holder| holder.door == elock);
        Ok(listed.locks.iter().filter(of_elock).count())
    }
}

/// One connection's side of it. Dropped, its session lives on for its timeout.
pub struct Elock {
    desk: Desk,
    guest: Guest,
    /// How long the session outlives this connection, in milliseconds.
    timeout: i64,
}

impl Elock {
    /// A client that has said nothing yet.
    #[must_use]
    pub fn new(desk: Desk, address: &str) -> Elock {
        Elock {
            guest: desk.host.welcome(address),
            desk,
            timeout: TIMEOUT,
        }
    }

    /// Resolves when the session is over although the client is here.
    pub async fn expelled(&self) {
        self.guest.expelled().await;
    }

    /// Does what a line asks for.
    pub async fn answer(&mut self, line: &[u8]) -> Answer {
        let mut words = line.trim_ascii().split(|byte| *byte == b' ');
        let command = words.next().unwrap_or_default();
        let words: Vec<&[u8]> = words.filter(|word| !word.is_empty()).collect();
        let outcome = match (command, &words[..]) {
            (b"lock", [name]) => self.lock(name, Duration::ZERO).await,
            (b"lock", [name, seconds]) => match number(seconds) {
                Some(seconds) => self.lock(name, Duration::from_secs(seconds)).await,
                None => return bad_number(seconds),
            },
            (b"unlock", [name]) => self.unlock(name).await,
            (b"unlock_all", []) => self.guest.unlock_all().await.map(|()| "200 OK".to_owned()),
            (b"conn_id", []) => self.id().await,
            (b"conn_id", [id]) => self.resume(id).await,
            (b"set_timeout", [millis]) => match timeout(millis) {
                Some(millis) => self.set_timeout(millis).await,
                None => return bad_number(millis),
            },
            (b"echo", words) => Ok(format!("200 {}", shown(&words.join(&b' ')))),
            (b"stats", []) => self.stats().await,
            (b"quit", _) => return Answer::Close(FAREWELL.to_owned()),
            _ => Ok(format!("400 Unknown command: {}", shown(command))),
        };
        outcome.map_or_else(denied, Answer::Say)
    }

    async fn lock(&mut self, name: &[u8], wait: Duration) -> Result<String, Denied> {
        self.enter().await?;
        match self.guest.lock(&[name], within(wait)).await {
            Ok(()) | Err(Denied::Already(_)) => Ok("200 Acquired".to_owned()),
            Err(Denied::Taken(_)) => Ok("409 Unavailable".to_owned()),
            Err(other) => Err(other),
        }
    }

    async fn unlock(&mut self, name: &[u8]) -> Result<String, Denied> {
        match self.guest.unlock(&[name]).await {
            Ok(()) => Ok("200 Unlocked".to_owned()),
            Err(Denied::NotYours(..)) => Ok("403 not_yours".to_owned()),
            Err(Denied::NotLocked(_)) => Ok("403 not_locked".to_owned()),
            Err(other) => Err(other),
        }
    }

    /// Opens the session, unless there is one.
    async fn enter(&mut self) -> Result<(), Denied> {
        if self.guest.visa().is_none() {
            let grace = self.timeout.max(SHORTEST_TTL);
            self.guest.enter(Term::Grace(grace)).await?;
            self.desk.present.lock().extend(self.lease());
        }
        Ok(())
    }

    fn lease(&self) -> Option<LeaseId> {
        self.guest.visa().map(|visa| visa.holder.lease)
    }

    async fn id(&mut self) -> Result<String, Denied> {
        self.enter().await?;
        let visa = self.guest.visa();
        let id = visa.map(|visa| id::spell(visa.holder.lease, &visa.token));
        Ok(format!("200 {}", id.unwrap_or_default()))
    }

    async fn resume(&mut self, id: &[u8]) -> Result<String, Denied> {
        let cannot = || Ok("403 cannot set conn id".to_owned());
        let (None, Some((lease, token))) = (self.guest.visa(), id::read(id)) else {
            return cannot();
        };
        if !self.desk.present.lock().insert(lease) {
            return cannot();
        }
        let presence = Presence {
            desk: &self.desk,
            lease,
            stays: false,
        };
        match self.guest.resume(lease, token).await {
            Ok(()) => presence.stay(),
            Err(_) => return cannot(),
        }
        if let Some(timeout) = after::read(&self.desk, lease).await? {
            self.timeout = timeout;
        }
        Ok("200 conn id set".to_owned())
    }

    async fn set_timeout(&mut self, millis: i64) -> Result<String, Denied> {
        if let Some(visa) = self.guest.visa() {
            after::write(&self.desk, visa.holder, millis).await?;
        }
        self.timeout = millis;
        Ok("200 timeout set".to_owned())
    }

    async fn stats(&self) -> Result<String, Denied> {
        let present = self.desk.present.lock().len();
        let locks = self.desk.locks().await?;
        Ok(format!(
            "200 STATS\r\nSTAT clients {present}\r\nSTAT locks {locks}\r\n\
             STAT monitoring {present}\r\nEND"
        ))
    }
}

/// A session's mark as present, while it is not sure that it stays.
struct Presence<'a> {
    desk: &'a Desk,
    lease: LeaseId,
    stays: bool,
}

impl Presence<'_> {
    fn stay(mut self) {
        self.stays = true;
    }
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        if !self.stays {
            self.desk.present.lock().remove(&self.lease);
        }
    }
}

impl Drop for Elock {
    fn drop(&mut self) {
        let Some(visa) = self.guest.visa() else {
            return;
        };
        self.desk.present.lock().remove(&visa.holder.lease);
        let after = After {
            desk: self.desk.clone(),
            holder: visa.holder,
            ttl: visa.ttl,
            timeout: millis(self.timeout),
        };
        after.begin();
    }
}

fn millis(millis: i64) -> Duration {
    Duration::from_millis(millis.unsigned_abs())
}

/// What all commands have in common that fail.
fn denied(denied: Denied) -> Answer {
    match denied {
        Denied::TooMany(most) => Answer::Say(format!("400 More than {most} locks")),
        Denied::Failed(refusal @ Refusal::Invalid(_)) => Answer::Say(format!("400 {refusal}")),
        Denied::Failed(refusal) => Answer::Say(format!("500 {refusal}")),
        _ => Answer::Close("410 The session is over".to_owned()),
    }
}

fn bad_number(word: &[u8]) -> Answer {
    Answer::Say(format!("400 Bad number: {}", shown(word)))
}

fn number<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    let digits = !word.is_empty() && word.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(word).ok().filter(|_| digits)?;
    text.parse().ok()
}

fn timeout(word: &[u8]) -> Option<i64> {
    number(word).filter(|millis| (0..=LONGEST_TIMEOUT).contains(millis))
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
