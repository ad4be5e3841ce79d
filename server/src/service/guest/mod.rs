//! A client of an older lock server: one session, and names that it locks.
//!
//! Every door (elock, Dreadlock, distlock) locks through here, and here through `latchd.v1`: so a
//! name locked at a door is a key under `NAME/` like all others, excludes whoever else locks
//! `NAME`, and is in every list. What differs between the doors is how they speak.

mod denied;
mod session;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use latchd_proto::latchd::v1;
use latchd_proto::mvccpb::KeyValue;
use tokio_util::task::TaskTracker;

use super::locks::Keeper;
use super::locks::acquire::Acquire;
use super::locks::ask::{Ask, Wait};
use super::locks::line::direct;
use super::locks::note::Note;
use super::locks::refusal::{Refusal, Result};
use super::locks::txns::line;
use super::turn::prefix_of;
use crate::clock;
use crate::config::DoorSettings;
use crate::metrics::METRICS;
use crate::types::LeaseId;
use session::Session;

pub use denied::Denied;
pub use session::{Term, Visa};

/// How many names are let go of in one Txn.
const AT_ONCE: usize = 64;

/// The protocol that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoorName {
    /// Lines, with sessions that outlive their connection.
    Elock,
    /// Lines, with sessions that do not.
    Dreadlock,
    /// JSON over WebSockets.
    Distlock,
}

impl DoorName {
    /// As lists, logs and metrics have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            DoorName::Elock => "elock",
            DoorName::Dreadlock => "dreadlock",
            DoorName::Distlock => "distlock",
        }
    }
}

impl fmt::Display for DoorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a door's guests have in common; cheap to clone.
#[derive(Clone)]
pub struct Host(Arc<HostParts>);

struct HostParts {
    keeper: Keeper,
    door: DoorName,
    prefix: String,
    most_names: usize,
    /// What keeps their sessions going.
    tasks: TaskTracker,
}

impl Host {
    /// The host of the guests of `door`, whose sessions `tasks` will have ended.
    #[must_use]
    pub fn new(
        keeper: Keeper,
        door: DoorName,
        settings: &DoorSettings,
        tasks: TaskTracker,
    ) -> Host {
        Host(Arc::new(HostParts {
            keeper,
            door,
            prefix: settings.prefix.clone(),
            most_names: settings.most_names,
            tasks,
        }))
    }

    /// Through which door they come.
    #[must_use]
    pub fn door(&self) -> DoorName {
        self.0.door
    }

    /// The service behind.
    #[must_use]
    pub fn keeper(&self) -> &Keeper {
        &self.0.keeper
    }

    /// Somebody comes, from `address`. Nothing is written for who only looks around.
    #[must_use]
    pub fn welcome(&self, address: &str) -> Guest {
        Guest {
            host: self.clone(),
            note: Note {
                owner: Some(format!("{} {address}", self.0.door)),
                door: self.0.door.as_str().to_owned(),
                at_ms: 0,
                labels: [("address".to_owned(), address.to_owned())].into(),
            },
            session: None,
            holds: HashMap::new(),
        }
    }

    /// Where the keys of a guest's name are.
    #[must_use]
    pub fn directory(&self, name: &[u8]) -> Bytes {
        prefix_of(&self.full(name))
    }

    /// What a guest's name is in the keyspace.
    fn full(&self, name: &[u8]) -> Bytes {
        Bytes::from([self.0.prefix.as_bytes(), name].concat())
    }
}

/// A client. Dropped, it has lost its connection: a session that is bound to it ends.
pub struct Guest {
    host: Host,
    /// What its keys say.
    note: Note,
    session: Option<Session>,
    /// What it holds, by the name in the keyspace.
    holds: HashMap<Bytes, v1::Hold>,
}

/// How long to wait for a lock.
#[must_use]
pub fn within(time: Duration) -> Wait {
    if time.is_zero() {
        Wait::No
    } else {
        Wait::For(time)
    }
}

impl Guest {
    /// What the guest calls itself, where its protocol lets it.
    pub fn call(&mut self, owner: &str) {
        self.note.owner = Some(owner.to_owned());
    }

    /// What the session is known by, if there is one.
    #[must_use]
    pub fn visa(&self) -> Option<&Visa> {
        self.session.as_ref().map(|session| &session.visa)
    }

    /// Goes on with a session that has lost its connection.
    pub async fn resume(&mut self, lease: LeaseId, token: Bytes) -> Result<()> {
        let host = &self.host.0;
        let (session, holds) = Session::resume(&host.keeper, &host.tasks, lease, token).await?;
        self.holds = by_name(holds).collect();
        self.begin(session);
        Ok(())
    }

    fn begin(&mut self, session: Session) {
        let lease = super::turn::hex(session.visa.holder.lease);
        self.note.labels.insert("session".to_owned(), lease);
        self.session = Some(session);
    }

    /// Opens a session for `term`, unless there is one.
    pub async fn enter(&mut self, term: Term) -> Result<()> {
        if self.session.is_none() {
            let host = &self.host.0;
            let session = Session::open(&host.keeper, &host.tasks, term).await?;
            self.begin(session);
        }
        Ok(())
    }

    /// Ends the session, if there is one; what it held is free when this resolves.
    pub async fn leave(&mut self) {
        self.holds.clear();
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }

    /// Resolves when the session is over although the guest is here: its locks are gone.
    pub async fn expelled(&self) {
        match &self.session {
            Some(session) => session.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Locks all of these names or none; opens a session bound to the connection if there is none.
    /// Dropping the future gives up: no key is left.
    pub async fn lock(&mut self, names: &[&[u8]], wait: Wait) -> std::result::Result<(), Denied> {
        self.forget_lost();
        let names: Vec<Bytes> = names.iter().map(|name| self.host.full(name)).collect();
        if let Some(name) = names.iter().find(|name| self.holds.contains_key(*name)) {
            return Err(Denied::Already(name.clone()));
        }
        if self.holds.len() + names.len() > self.host.0.most_names {
            let labels = [self.host.door().as_str(), "names"];
            METRICS.doors.refused.with_label_values(&labels).inc();
            return Err(Denied::TooMany(self.host.0.most_names));
        }
        self.enter(Term::Bound).await?;
        let ask = self.ask(names, wait)?;
        let keeper = &self.host.0.keeper;
        keeper.ledger();
        let granted = Acquire::begin(keeper, ask).await?.run().await?;
        let holds = granted.holds.into_iter();
        self.holds
            .extend(holds.map(|hold| (hold.name.clone(), hold)));
        Ok(())
    }

    fn ask(&mut self, names: Vec<Bytes>, wait: Wait) -> Result<Ask> {
        let Some(session) = &self.session else {
            return Err(Refusal::Invalid("there is no session".into()));
        };
        self.note.at_ms = clock::unix_ms();
        Ask::exclusive(names, session.visa.holder, wait, &self.note)
    }

    /// Those of `names` that the guest does not hold.
    #[must_use]
    pub fn missing<'n>(&mut self, names: &[&'n [u8]]) -> Vec<&'n [u8]> {
        self.forget_lost();
        let names = names.iter().copied();
        names
            .filter(|name| !self.holds.contains_key(&self.host.full(name)))
            .collect()
    }

    /// Lets go of all of these names, or of none if one is not the guest's. A denial says who holds
    /// that one, if anybody does.
    pub async fn unlock(&mut self, names: &[&[u8]]) -> std::result::Result<(), Denied> {
        self.forget_lost();
        let names: Vec<Bytes> = names.iter().map(|name| self.host.full(name)).collect();
        let holds = names.iter().map(|name| self.holds.get(name).cloned());
        if let Some(holds) = holds.collect::<Option<Vec<_>>>() {
            let released = self.release(holds).await;
            let gone = matches!(released, Err(Denied::Failed(Refusal::NotHeld(_))));
            if gone || released.is_ok() {
                names.iter().for_each(|name| drop(self.holds.remove(name)));
            }
            if !gone {
                return released;
            }
        }
        for name in names {
            if !self.holds.contains_key(&name) {
                return Err(match self.holder_of(&name).await? {
                    Some(owner) => Denied::NotYours(name, owner),
                    None => Denied::NotLocked(name),
                });
            }
        }
        Ok(())
    }

    /// Lets go of everything.
    pub async fn unlock_all(&mut self) -> std::result::Result<(), Denied> {
        let holds: Vec<v1::Hold> = self.holds.values().cloned().collect();
        for some in holds.chunks(AT_ONCE) {
            match self.release(some.to_vec()).await {
                // Somebody else has taken them away.
                Ok(()) | Err(Denied::Failed(Refusal::NotHeld(_))) => {}
                Err(denied) => return Err(denied),
            }
            for hold in some {
                self.holds.remove(&hold.name);
            }
        }
        Ok(())
    }

    async fn release(&self, holds: Vec<v1::Hold>) -> std::result::Result<(), Denied> {
        let Some(session) = &self.session else {
            return Ok(());
        };
        let request = v1::ReleaseRequest {
            session: session.visa.holder.lease.0,
            epoch: session.visa.holder.epoch,
            holds,
            request_id: String::new(),
        };
        self.host.0.keeper.release(request).await?;
        Ok(())
    }

    /// What the first in the line of a name calls itself; none if nobody contends for it.
    async fn holder_of(&self, name: &Bytes) -> Result<Option<String>> {
        let dir = prefix_of(name);
        let mut request = line(&dir);
        request.limit = 1;
        let mut found = self.host.0.keeper.backend().range(&request).await?.kvs;
        if !found.is_empty() && first_owner(&dir, &found).is_none() {
            // A deeper key holds another name.
            found = self.host.0.keeper.backend().range(&line(&dir)).await?.kvs;
        }
        Ok(first_owner(&dir, &found))
    }

    /// What somebody else took away, the guest does not hold.
    fn forget_lost(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        while let Some(lost) = session.lost() {
            let held = self.holds.get(&lost.name);
            if held.is_some_and(|held| held.token == lost.token) {
                self.holds.remove(&lost.name);
            }
        }
    }
}

fn by_name(holds: Vec<v1::Hold>) -> impl Iterator<Item = (Bytes, v1::Hold)> {
    let holds = holds.into_iter();
    holds.map(|hold| (hold.name.clone(), hold))
}

fn first_owner(dir: &Bytes, found: &[KeyValue]) -> Option<String> {
    let (kv, _) = direct(dir, found).next()?;
    let session = || format!("session {:016x}", kv.lease);
    Some(Note::read(&kv.value).owner.unwrap_or_else(session))
}
