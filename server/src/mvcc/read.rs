//! Reading: the live keys, or any kept revision of them.
//!
//! The same code reads a published snapshot and the writer's own transaction, so that a Range
//! inside a Txn sees the puts before it.

use std::collections::BTreeMap;

use bytes::Bytes;
use latchd_proto::etcdserverpb::{
    RangeRequest, RangeResponse, ResponseHeader,
    range_request::{SortOrder, SortTarget},
};
use latchd_proto::mvccpb::KeyValue;
use redb::ReadableTable;

use super::by_create::{CreateHits, CreateQuery};
use super::change::{Change, Event, Record};
use super::codec::{decode_event, decode_record, event_key};
use super::key_range::KeyRange;
use super::schema::{Encoded, HistoryKey, KeysKey};
use crate::error::{Error, Result};
use crate::types::Revision;

/// How much of history to look at in one go; a revision is never cut.
#[derive(Clone, Copy, Debug)]
pub struct ReplayBudget {
    /// Rows, matching or not.
    pub rows: usize,
    /// Bytes of matching rows.
    pub bytes: usize,
}

/// A piece of history.
#[derive(Debug)]
pub struct Replayed {
    /// Matching events by revision; each revision is whole.
    pub changes: Vec<Change>,
    /// The last revision looked at; the view's own where history ended.
    pub last: Revision,
}

/// The tables of one transaction, and the revision that they stand at.
pub struct View<'a, K, H> {
    /// The table of live keys.
    pub keys: &'a K,
    /// The table of history.
    pub history: &'a H,
    /// The revision that a read without a revision sees.
    pub revision: Revision,
    /// Revisions below this one are refused.
    pub compacted: Revision,
}

impl<K, H> View<'_, K, H>
where
    K: ReadableTable<KeysKey, Encoded>,
    H: ReadableTable<HistoryKey, Encoded>,
{
    /// The live record of `key`.
    pub fn get(&self, key: &[u8]) -> Result<Option<Record>> {
        self.keys
            .get(key)?
            .map(|row| decode_record(row.value()))
            .transpose()
    }

    /// The live records in `range`, by key.
    pub fn live(&self, range: &KeyRange) -> Result<Vec<(Bytes, Record)>> {
        let mut found = Vec::new();
        self.each_live(range, |key, value| {
            found.push((Bytes::copy_from_slice(key), decode_record(value)?));
            Ok(())
        })?;
        Ok(found)
    }

    /// Whether a read at `revision` (0: now) can be answered, as etcd checks it before a Txn.
    pub fn check_revision(&self, revision: i64) -> Result<()> {
        match revision {
            0 => Ok(()),
            r if r > self.revision.0 => Err(Error::FutureRevision),
            r if r < self.compacted.0 => Err(Error::Compacted),
            _ => Ok(()),
        }
    }

    /// Answers a Range. `hits` is what the create-revision index had to say, if it could.
    pub fn range(&self, req: &RangeRequest, hits: Option<CreateHits>) -> Result<RangeResponse> {
        if req.revision > self.revision.0 {
            return Err(Error::FutureRevision);
        }
        if req.revision > 0 && req.revision < self.compacted.0 {
            return Err(Error::Compacted);
        }
        let mut response = match hits {
            Some(hits) => self.look_up(hits)?,
            None => self.scan(req)?,
        };
        if req.keys_only {
            strip_values(&mut response.kvs, req);
        }
        response.header = Some(ResponseHeader {
            revision: self.revision.0,
            ..Default::default()
        });
        Ok(response)
    }

    fn look_up(&self, hits: CreateHits) -> Result<RangeResponse> {
        let mut kvs = Vec::with_capacity(hits.keys.len());
        for key in hits.keys {
            // The index and the tables are published together, so the key is there.
            if let Some(record) = self.get(&key)? {
                kvs.push(record.to_proto(key));
            }
        }
        Ok(RangeResponse {
            kvs,
            more: hits.more,
            count: wire_count(hits.count),
            ..Default::default()
        })
    }

    fn scan(&self, req: &RangeRequest) -> Result<RangeResponse> {
        let range = KeyRange::from_wire(&req.key, &req.range_end);
        let historic = req.revision > 0 && req.revision < self.revision.0;
        if !historic && (req.count_only || in_key_order(req)) {
            return self.scan_in_key_order(req, &range);
        }
        let all = if historic {
            self.at(&range, Revision(req.revision))?
        } else {
            self.live(&range)?
        };
        let count = wire_count(all.len());
        if req.count_only {
            return Ok(RangeResponse {
                count,
                ..Default::default()
            });
        }
        let (kvs, more) = arrange(req, all);
        Ok(RangeResponse {
            kvs,
            more,
            count,
            ..Default::default()
        })
    }

    /// The common case, without building what the limit cuts off.
    fn scan_in_key_order(&self, req: &RangeRequest, range: &KeyRange) -> Result<RangeResponse> {
        let limit = match (req.count_only, limit_of(req)) {
            (true, _) => 0,
            (false, limit) => limit.unwrap_or(usize::MAX),
        };
        let mut kvs = Vec::new();
        let mut count = 0;
        self.each_live(range, |key, value| {
            count += 1;
            if kvs.len() < limit {
                kvs.push(decode_record(value)?.to_proto(Bytes::copy_from_slice(key)));
            }
            Ok(())
        })?;
        Ok(RangeResponse {
            more: !req.count_only && count > kvs.len(),
            kvs,
            count: wire_count(count),
            ..Default::default()
        })
    }

    fn each_live(
        &self,
        range: &KeyRange,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        if let Some(key) = range.as_single() {
            return match self.keys.get(key.as_ref())? {
                Some(row) => visit(key, row.value()),
                None => Ok(()),
            };
        }
        for row in self.keys.range::<&[u8]>(range.bounds())? {
            let (key, value) = row?;
            visit(key.value(), value.value())?;
        }
        Ok(())
    }

    /// The records in `range` as of `revision`: the live ones, with every later change undone.
    fn at(&self, range: &KeyRange, revision: Revision) -> Result<Vec<(Bytes, Record)>> {
        let mut state: BTreeMap<Bytes, Option<Record>> = BTreeMap::new();
        self.each_event(revision.next(), |_, row| {
            let key = event_key(row)?;
            // The first change after `revision` knows what was there at `revision`.
            if range.contains(key) && !state.contains_key(key) {
                let event = decode_event(row)?;
                state.insert(event.key, event.previous);
            }
            Ok(true)
        })?;
        self.each_live(range, |key, value| {
            if !state.contains_key(key) {
                let record = decode_record(value)?;
                state.insert(Bytes::copy_from_slice(key), Some(record));
            }
            Ok(())
        })?;
        let present = state.into_iter();
        Ok(present
            .filter_map(|(key, record)| Some((key, record?)))
            .collect())
    }

    /// Walks history from `start` on until `visit` says `false`; rows come with their revision.
    pub fn each_event(
        &self,
        start: Revision,
        mut visit: impl FnMut(Revision, &[u8]) -> Result<bool>,
    ) -> Result<()> {
        for row in self.history.range((start.0, 0)..)? {
            let (place, event) = row?;
            if !visit(Revision(place.value().0), event.value())? {
                break;
            }
        }
        Ok(())
    }

    /// Events in `range` from `start` on, until `budget` is spent.
    pub fn replay(
        &self,
        range: &KeyRange,
        start: Revision,
        budget: ReplayBudget,
    ) -> Result<Replayed> {
        let mut changes: Vec<Change> = Vec::new();
        let (mut rows, mut bytes, mut last) = (0, 0, start);
        let mut cut = None;
        self.each_event(start, |revision, row| {
            let spent = rows >= budget.rows || bytes >= budget.bytes;
            if spent && revision > last {
                cut = Some(last);
                return Ok(false);
            }
            (rows, last) = (rows + 1, revision);
            if range.contains(event_key(row)?) {
                bytes += row.len();
                push_event(&mut changes, revision, decode_event(row)?);
            }
            Ok(true)
        })?;
        Ok(Replayed {
            changes,
            last: cut.unwrap_or(self.revision),
        })
    }
}

fn push_event(changes: &mut Vec<Change>, revision: Revision, event: Event) {
    match changes.last_mut() {
        Some(change) if change.revision == revision => change.events.push(event),
        _ => changes.push(Change {
            revision,
            events: vec![event],
        }),
    }
}

/// What the create-revision index could answer of `req`: the current keys directly below a
/// directory, by create revision.
#[must_use]
pub fn create_query(req: &RangeRequest) -> Option<CreateQuery<'_>> {
    let by_create = req.sort_target == SortTarget::Create as i32;
    let filtered_otherwise = req.min_mod_revision != 0 || req.max_mod_revision != 0;
    if !by_create || filtered_otherwise || req.revision > 0 || req.count_only {
        return None;
    }
    let directory = req.key.ends_with(b"/")
        && KeyRange::from_wire(&req.key, &req.range_end)
            .as_prefix()
            .is_some();
    // In etcd a sort target without an order sorts ascending but limits first, so leave it to the scan.
    if !directory || req.sort_order == SortOrder::None as i32 {
        return None;
    }
    let filter = |revision: i64| (revision != 0).then_some(Revision(revision));
    Some(CreateQuery {
        dir: &req.key,
        descending: req.sort_order == SortOrder::Descend as i32,
        limit: limit_of(req),
        min: filter(req.min_create_revision),
        max: filter(req.max_create_revision),
    })
}

fn limit_of(req: &RangeRequest) -> Option<usize> {
    usize::try_from(req.limit).ok().filter(|limit| *limit > 0)
}

fn has_filters(req: &RangeRequest) -> bool {
    [
        req.min_mod_revision,
        req.max_mod_revision,
        req.min_create_revision,
        req.max_create_revision,
    ]
    .iter()
    .any(|revision| *revision != 0)
}

/// Whether etcd takes keys as they come: no order, or ascending by key.
fn default_order(req: &RangeRequest) -> bool {
    req.sort_order == SortOrder::None as i32
        || (req.sort_target == SortTarget::Key as i32 && req.sort_order == SortOrder::Ascend as i32)
}

/// Whether the answer is a prefix of the keys in key order.
fn in_key_order(req: &RangeRequest) -> bool {
    req.sort_target == SortTarget::Key as i32 && default_order(req) && !has_filters(req)
}

/// Filters, sorts and limits, in etcd's order: without an order etcd cuts to limit + 1 keys first
/// and sorts those by the target (3.7.1 `txn/range.go`).
fn arrange(req: &RangeRequest, mut all: Vec<(Bytes, Record)>) -> (Vec<KeyValue>, bool) {
    let limit = limit_of(req).unwrap_or(usize::MAX);
    if default_order(req) && !has_filters(req) {
        all.truncate(limit.saturating_add(1));
    }
    let (min_mod, max_mod) = (req.min_mod_revision, req.max_mod_revision);
    let (min_create, max_create) = (req.min_create_revision, req.max_create_revision);
    all.retain(|(_, record)| {
        let (created, modified) = (record.created.0, record.modified.0);
        (max_mod == 0 || modified <= max_mod)
            && (min_mod == 0 || modified >= min_mod)
            && (max_create == 0 || created <= max_create)
            && (min_create == 0 || created >= min_create)
    });
    sort(req, &mut all);
    let more = all.len() > limit;
    all.truncate(limit);
    let kvs = all.into_iter().map(|(key, record)| record.to_proto(key));
    (kvs.collect(), more)
}

fn sort(req: &RangeRequest, all: &mut [(Bytes, Record)]) {
    let target = SortTarget::try_from(req.sort_target).unwrap_or(SortTarget::Key);
    let descending = req.sort_order == SortOrder::Descend as i32;
    all.sort_by(|(left_key, left), (right_key, right)| {
        let order = match target {
            SortTarget::Key => left_key.cmp(right_key),
            SortTarget::Version => left.version.cmp(&right.version),
            SortTarget::Create => left.created.cmp(&right.created),
            SortTarget::Mod => left.modified.cmp(&right.modified),
            SortTarget::Value => left.value.cmp(&right.value),
        };
        if descending { order.reverse() } else { order }
    });
}

/// Drops the values; unless sorted by value, etcd 3.7 answers `keys_only` from its key index,
/// which does not know leases either.
fn strip_values(kvs: &mut [KeyValue], req: &RangeRequest) {
    let from_index = req.sort_target != SortTarget::Value as i32;
    for kv in kvs {
        kv.value = Bytes::new();
        if from_index {
            kv.lease = 0;
        }
    }
}

fn wire_count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
