//! Writing: one redb transaction that holds a batch of commands.
//!
//! Each command writes at one revision, the next one, or at none. Nothing here decides, waits or
//! tells anyone; after the last command the applier commits and publishes what [`Written`] says.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use redb::{ReadableTable, WriteTransaction};

use super::by_create::Seen;
use super::change::{Change, Event, Record};
use super::codec::{decode_record, encode_event, encode_lease, encode_record};
use super::key_range::KeyRange;
use super::range::{Counting, create_query};
use super::read::View;
use super::schema::{
    ALARMS, HISTORY, HistoryTable, KEYS, KeysTable, LEASES, LeasesTable, MEMBER, MEMBER_PEERS,
    META, META_ASKED, META_COMPACTED,
};
use super::state::{Lease, LeaseKind, State};
use super::store::Published;
use crate::error::Result;
use crate::metrics::METRICS;
use crate::types::{LeaseId, Revision, Ttl};
use latchd_proto::etcdserverpb::{Member, RangeRequest, RangeResponse};
use prost::Message;

/// What the lessor must learn once the batch is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseEffect {
    /// A lease began.
    Granted(LeaseId, Ttl),
    /// A lease is gone.
    Revoked(LeaseId),
}

/// What a batch did.
#[derive(Debug, Default)]
pub struct Written {
    /// One change for each revision, in order.
    pub changes: Vec<Arc<Change>>,
    /// What became of leases, in order.
    pub leases: Vec<LeaseEffect>,
    /// Whether there is anything to commit.
    pub dirty: bool,
}

/// A batch under way.
pub struct Batch<'t> {
    txn: &'t WriteTransaction,
    keys: KeysTable<'t>,
    history: HistoryTable<'t>,
    /// Opened by the first command that needs it.
    leases: Option<LeasesTable<'t>>,
    published: &'t RwLock<Published>,
    state: &'t mut State,
    /// Events of the command under way.
    events: Vec<Event>,
    written: Written,
    buffer: Vec<u8>,
}

impl<'t> Batch<'t> {
    /// Starts a batch in `txn`.
    pub fn new(
        txn: &'t WriteTransaction,
        state: &'t mut State,
        published: &'t RwLock<Published>,
    ) -> Result<Batch<'t>> {
        Ok(Batch {
            keys: txn.open_table(KEYS)?,
            history: txn.open_table(HISTORY)?,
            leases: None,
            txn,
            published,
            state,
            events: Vec::new(),
            written: Written::default(),
            buffer: Vec::new(),
        })
    }

    /// The revision of the last command.
    #[must_use]
    pub fn base_revision(&self) -> Revision {
        self.state.revision
    }

    /// The revision that a read sees now: the next one, once this command has written.
    #[must_use]
    pub fn revision(&self) -> Revision {
        if self.events.is_empty() {
            self.state.revision
        } else {
            self.state.revision.next()
        }
    }

    /// The writer's own state.
    #[must_use]
    pub fn state(&self) -> &State {
        self.state
    }

    /// The tables as this transaction sees them.
    #[must_use]
    pub fn view(&self) -> View<'_, KeysTable<'t>, HistoryTable<'t>> {
        View {
            keys: &self.keys,
            history: &self.history,
            revision: self.revision(),
            compacted: self.state.compacted,
        }
    }

    /// Answers a Range, puts of this command included.
    pub fn range(&self, req: &RangeRequest) -> Result<RangeResponse> {
        let hits = create_query(req)
            .and_then(|query| self.published.read().index.query(query, Seen::Latest));
        self.view().range(req, hits, Counting::Total)
    }

    /// Puts a key, and returns its record before. The lease, if any, must exist.
    pub fn put(&mut self, key: &Bytes, value: Bytes, lease: LeaseId) -> Result<Option<Record>> {
        let revision = self.state.revision.next();
        let previous = self.view().get(key)?;
        // Copies: what came with the request shares its buffer, and would keep all of it alive in
        // the queue of a slow watcher.
        let (key, value) = (&Bytes::copy_from_slice(key), Bytes::copy_from_slice(&value));
        let record = Record {
            created: previous.as_ref().map_or(revision, |p| p.created),
            modified: revision,
            version: previous.as_ref().map_or(1, |p| p.version + 1),
            lease,
            value,
        };
        self.buffer.clear();
        encode_record(&record, &mut self.buffer);
        self.keys.insert(key.as_ref(), self.buffer.as_slice())?;
        self.record(Event {
            key: key.clone(),
            put: Some(record),
            previous: previous.clone(),
        })?;
        Ok(previous)
    }

    /// Deletes the keys in `range`, and returns what they were.
    pub fn delete(&mut self, range: &KeyRange) -> Result<Vec<(Bytes, Record)>> {
        if let Some(key) = range.as_single() {
            let key = key.clone();
            return Ok(self
                .delete_key(&key)?
                .map(|record| (key, record))
                .into_iter()
                .collect());
        }
        let found = self.view().live(range)?;
        for (key, _) in &found {
            self.delete_key(key)?;
        }
        Ok(found)
    }

    fn delete_key(&mut self, key: &[u8]) -> Result<Option<Record>> {
        let removed = match self.keys.remove(key)? {
            Some(row) => decode_record(row.value())?,
            None => return Ok(None),
        };
        self.record(Event {
            key: Bytes::copy_from_slice(key),
            put: None,
            previous: Some(removed.clone()),
        })?;
        Ok(Some(removed))
    }

    /// Writes an event to history and keeps what is derived from it in step.
    fn record(&mut self, event: Event) -> Result<()> {
        let revision = self.state.revision.next();
        // Requests are bounded, so a revision never has 2^32 events.
        let index = u32::try_from(self.events.len()).unwrap_or(u32::MAX);
        self.buffer.clear();
        encode_event(&event, &mut self.buffer);
        self.history
            .insert((revision.0, index), self.buffer.as_slice())?;

        let lease_of = |record: &Option<Record>| record.as_ref().map_or(LeaseId::NONE, |r| r.lease);
        let (from, to) = (lease_of(&event.previous), lease_of(&event.put));
        let several = self.state.move_key(&event.key, from, to);
        {
            let index = &mut self.published.write().index;
            index.changed(&event.key, event.previous.as_ref(), event.put.as_ref());
            if several {
                self.state.note_another(&event.key, to, index);
            }
        }
        if event.is_delete() {
            METRICS.deletes.inc();
        } else {
            METRICS.puts.inc();
        }
        self.events.push(event);
        Ok(())
    }

    fn leases(&mut self) -> Result<&mut LeasesTable<'t>> {
        Ok(match &mut self.leases {
            Some(open) => open,
            closed => closed.insert(self.txn.open_table(LEASES)?),
        })
    }

    /// Records a new lease.
    pub fn grant(&mut self, id: LeaseId, ttl: Ttl, kind: LeaseKind) -> Result<()> {
        let row = encode_lease(ttl, kind);
        self.leases()?.insert(id.0, row.as_slice())?;
        let keys = std::collections::BTreeSet::new();
        self.state.leases.insert(id, Lease { ttl, kind, keys });
        self.written.leases.push(LeaseEffect::Granted(id, ttl));
        self.written.dirty = true;
        Ok(())
    }

    /// Removes a lease and every key that goes with it, sorted, in one revision.
    pub fn revoke(&mut self, id: LeaseId) -> Result<()> {
        let keys: Vec<Bytes> = self
            .state
            .leases
            .get(&id)
            .map(|lease| {
                lease
                    .keys
                    .iter()
                    .map(|key| Bytes::copy_from_slice(key))
                    .collect()
            })
            .unwrap_or_default();
        for key in &keys {
            self.delete_key(key)?;
        }
        self.state.leases.remove(&id);
        self.leases()?.remove(id.0)?;
        self.written.leases.push(LeaseEffect::Revoked(id));
        self.written.dirty = true;
        Ok(())
    }

    /// Raises an alarm (`on`) or disarms it; returns whether that changes anything.
    pub fn set_alarm(&mut self, kind: i32, member: u64, on: bool) -> Result<bool> {
        let alarm = (kind, member);
        if self.state.alarms.contains(&alarm) == on {
            return Ok(false);
        }
        let mut alarms = self.txn.open_table(ALARMS)?;
        if on {
            alarms.insert(alarm, ())?;
            self.state.alarms.insert(alarm);
        } else {
            alarms.remove(alarm)?;
            self.state.alarms.remove(&alarm);
        }
        self.written.dirty = true;
        Ok(true)
    }

    /// Keeps the member's peer URLs.
    pub fn set_peer_urls(&mut self, urls: Vec<String>) -> Result<()> {
        let row = Member {
            peer_ur_ls: urls,
            ..Default::default()
        };
        let mut member = self.txn.open_table(MEMBER)?;
        member.insert(MEMBER_PEERS, row.encode_to_vec().as_slice())?;
        self.state.peer_urls = Some(row.peer_ur_ls.into());
        self.written.dirty = true;
        Ok(())
    }

    /// Refuses reads below `revision` from now on; [`Batch::trim`] frees the space.
    pub fn set_compacted(&mut self, revision: Revision, asked: bool) -> Result<()> {
        let number = u64::try_from(revision.0).unwrap_or(0);
        let mut meta = self.txn.open_table(META)?;
        meta.insert(META_COMPACTED, number)?;
        self.state.compacted = revision;
        if asked {
            meta.insert(META_ASKED, number)?;
            self.state.asked = revision;
        }
        self.written.dirty = true;
        Ok(())
    }

    /// Removes at most `limit` rows of history that no read can ask for any more. Returns whether
    /// there are more of them.
    ///
    /// Rows of the compacted revision itself stay: a watch may start there (etcd 3.7).
    pub fn trim(&mut self, limit: usize) -> Result<bool> {
        let end = (self.state.compacted.0, 0);
        if end.0 <= 0 {
            return Ok(false);
        }
        let cut = match self.history.range(..end)?.nth(limit).transpose()? {
            Some((place, _)) => place.value(),
            None => end,
        };
        let before = self.history.first()?.map(|(place, _)| place.value());
        if before.is_some_and(|first| first < cut) {
            self.history.retain_in(..cut, |_, _| false)?;
            self.written.dirty = true;
        }
        Ok(cut != end)
    }

    /// Ends a command: what it wrote, if anything, becomes one revision.
    pub fn end_command(&mut self) {
        if self.events.is_empty() {
            return;
        }
        self.state.revision = self.state.revision.next();
        self.written.dirty = true;
        let events = std::mem::take(&mut self.events);
        let change = Change::new(self.state.revision, events);
        self.written.changes.push(Arc::new(change));
    }

    /// Ends the batch.
    #[must_use]
    pub fn finish(self) -> Written {
        debug_assert!(
            self.events.is_empty(),
            "every command ends before its batch"
        );
        self.written
    }
}
