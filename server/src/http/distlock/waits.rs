//! What a client was told to wait for, until it is free: whoever held it, through whatever door and
//! server.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::error::Result;
use crate::mvcc::KeyRange;
use crate::service::guest::Host;
use crate::service::locks::line::direct;
use crate::service::locks::txns::line;
use crate::service::turn::{deletes, end_of};
use crate::types::{Revision, WatchId};
use crate::watch::{Delivery, Watches};

/// The names.
pub struct Waits {
    host: Host,
    names: BTreeMap<WatchId, String>,
    watches: Option<Watches>,
    next: WatchId,
    /// Those at which a look is due, together.
    due: VecDeque<Vec<WatchId>>,
    /// Those that the client is to hear of.
    free: VecDeque<String>,
}

impl Waits {
    /// None yet.
    #[must_use]
    pub fn new(host: Host) -> Waits {
        Waits {
            host,
            names: BTreeMap::new(),
            watches: None,
            next: WatchId(0),
            due: VecDeque::new(),
            free: VecDeque::new(),
        }
    }

    /// Some that were asked for together. All may be free again by now; if only some are, those were
    /// not what the client has to wait for.
    pub fn add(&mut self, names: &[String]) {
        let mut together = Vec::new();
        for name in names {
            let mut known = self.names.iter().filter(|(_, known)| *known == name);
            if let Some((id, _)) = known.next() {
                together.push(*id);
                continue;
            }
            let id = self.next;
            self.next = WatchId(id.0 + 1);
            self.names.insert(id, name.clone());
            // From before the look, so that nothing comes in between.
            self.watch(id);
            together.push(id);
        }
        self.due.push_back(together);
    }

    /// Names that the client has now.
    pub fn forget(&mut self, names: &[String]) {
        let ids = self.names.iter().filter(|(_, name)| names.contains(name));
        let ids: Vec<WatchId> = ids.map(|(id, _)| *id).collect();
        for id in ids {
            self.remove(id);
        }
        self.free.retain(|name| !names.contains(name));
    }

    /// All of them.
    pub fn clear(&mut self) {
        self.names.clear();
        self.due.clear();
        self.free.clear();
        self.watches = None;
    }

    fn remove(&mut self, id: WatchId) -> Option<String> {
        if let Some(watches) = &mut self.watches {
            watches.cancel(id);
        }
        self.names.remove(&id)
    }

    /// The next name that is free; it is waited for no longer. Nothing is lost where this is dropped.
    pub async fn freed(&mut self) -> Result<String> {
        loop {
            while let Some(together) = self.due.front() {
                let free = self.free_of(together).await?;
                let all = free.len() == together.len();
                self.due.pop_front();
                let gone: Vec<String> = free.iter().filter_map(|id| self.remove(*id)).collect();
                if all {
                    self.free.extend(gone);
                }
            }
            if let Some(name) = self.free.pop_front() {
                return Ok(name);
            }
            let Some(watches) = &mut self.watches else {
                return std::future::pending().await;
            };
            match watches.next().await? {
                Delivery::Events { watch, .. } => self.due.push_back(vec![watch]),
                Delivery::Compacted { watch, .. } => {
                    self.watch(watch);
                    self.due.push_back(vec![watch]);
                }
                Delivery::Progress(_) | Delivery::WatchProgress(..) => {}
            }
        }
    }

    /// Watches for what is deleted from now on.
    fn watch(&mut self, id: WatchId) {
        let Some(name) = self.names.get(&id) else {
            return;
        };
        let dir = self.host.directory(name.as_bytes());
        let backend = self.host.keeper().backend();
        let start = Revision(backend.header().revision).next();
        let watches = self.watches.get_or_insert_with(|| backend.watches());
        watches.create(id, deletes(KeyRange::from_wire(&dir, &end_of(&dir)), start));
    }

    /// Which of these names are free; those that nobody waits for any more count as such.
    async fn free_of(&self, together: &[WatchId]) -> Result<Vec<WatchId>> {
        let mut free = Vec::new();
        for id in together {
            let held = match self.names.get(id) {
                Some(name) => is_held(&self.host, &self.host.directory(name.as_bytes())).await?,
                None => false,
            };
            if !held {
                free.push(*id);
            }
        }
        Ok(free)
    }
}

async fn is_held(host: &Host, dir: &Bytes) -> Result<bool> {
    let backend = host.keeper().backend();
    let mut oldest = line(dir);
    oldest.limit = 1;
    let found = backend.range(&oldest).await?.kvs;
    if found.is_empty() || direct(dir, &found).next().is_some() {
        return Ok(!found.is_empty());
    }
    // A deeper key holds another name.
    let found = backend.range(&line(dir)).await?.kvs;
    Ok(direct(dir, &found).next().is_some())
}
