//! Range: filters, orders and limits, as etcd 3.7.1 has them (`etcdserver/txn/range.go`).

use std::ops::ControlFlow;

use bytes::Bytes;
use latchd_proto::etcdserverpb::{
    RangeRequest, RangeResponse, ResponseHeader,
    range_request::{SortOrder, SortTarget},
};
use latchd_proto::mvccpb::KeyValue;
use redb::ReadableTable;

use super::by_create::{CreateHits, CreateQuery};
use super::change::Record;
use super::key_range::KeyRange;
use super::read::View;
use super::schema::{Encoded, HistoryKey, KeysKey};
use crate::error::{Error, Result};
use crate::types::Revision;

/// Whether an answer counts all keys of its range, those that the limit cuts off included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// It does, as a Range's.
    Total,
    /// It does not: a piece of a longer read would count the rest again and again.
    None,
}

impl<K, H> View<'_, K, H>
where
    K: ReadableTable<KeysKey, Encoded>,
    H: ReadableTable<HistoryKey, Encoded>,
{
    /// Answers a Range. `hits` is what the create-revision index had to say, if it could.
    pub fn range(
        &self,
        req: &RangeRequest,
        hits: Option<CreateHits>,
        counting: Counting,
    ) -> Result<RangeResponse> {
        if req.revision > self.revision.0 {
            return Err(Error::FutureRevision);
        }
        if req.revision > 0 && req.revision < self.compacted.0 {
            return Err(Error::Compacted);
        }
        let mut response = match hits {
            Some(hits) => self.look_up(hits)?,
            None if req.count_only => self.count(req)?,
            None if in_key_order(req) => self.scan(req, counting)?,
            None => self.scan_and_arrange(req)?,
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

    fn count(&self, req: &RangeRequest) -> Result<RangeResponse> {
        let mut count = 0;
        self.each_record(&range_of(req), revision_of(req), |_, _| {
            count += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(RangeResponse {
            count: wire_count(count),
            ..Default::default()
        })
    }

    /// The common case, without building what the limit cuts off.
    fn scan(&self, req: &RangeRequest, counting: Counting) -> Result<RangeResponse> {
        let limit = limit_of(req).unwrap_or(usize::MAX);
        let mut kvs = Vec::new();
        let mut count = 0;
        self.each_record(&range_of(req), revision_of(req), |key, record| {
            count += 1;
            if kvs.len() < limit {
                kvs.push(record.decode()?.to_proto(Bytes::copy_from_slice(key)));
            } else if counting == Counting::None {
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(RangeResponse {
            more: count > kvs.len(),
            kvs,
            count: wire_count(count),
            ..Default::default()
        })
    }

    fn scan_and_arrange(&self, req: &RangeRequest) -> Result<RangeResponse> {
        let mut all = Vec::new();
        self.each_record(&range_of(req), revision_of(req), |key, record| {
            all.push((Bytes::copy_from_slice(key), record.decode()?));
            Ok(ControlFlow::Continue(()))
        })?;
        let count = wire_count(all.len());
        let (kvs, more) = arrange(req, all);
        Ok(RangeResponse {
            kvs,
            more,
            count,
            ..Default::default()
        })
    }
}

fn range_of(req: &RangeRequest) -> KeyRange {
    KeyRange::from_wire(&req.key, &req.range_end)
}

/// The revision asked for; zero and less mean the present.
fn revision_of(req: &RangeRequest) -> Option<Revision> {
    (req.revision > 0).then_some(Revision(req.revision))
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

/// Whether a Range asks for some revisions only.
#[must_use]
pub fn has_filters(req: &RangeRequest) -> bool {
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
#[must_use]
pub fn default_order(req: &RangeRequest) -> bool {
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
