//! Reading: the live keys, or any kept revision of them.
//!
//! The same code reads a published snapshot and the writer's own transaction, so that a Range
//! inside a Txn sees the puts before it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use redb::ReadableTable;

use super::change::Record;
use super::codec::decode_record;
use super::key_range::KeyRange;
use super::schema::{Encoded, HistoryKey, KeysKey};
use crate::error::{Error, Result};
use crate::types::Revision;

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

/// A record that need not be decoded by who only counts.
#[derive(Clone, Copy)]
pub enum RecordRef<'a> {
    /// A row of `keys`.
    Row(&'a [u8]),
    /// What a key was before a later change.
    Undone(&'a Record),
}

impl RecordRef<'_> {
    /// The record itself.
    pub fn decode(self) -> Result<Record> {
        match self {
            RecordRef::Row(row) => decode_record(row),
            RecordRef::Undone(record) => Ok(record.clone()),
        }
    }
}

/// Whether to go on; an error means a damaged file.
pub type Visited = Result<ControlFlow<()>>;

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
        self.each_record(range, None, |key, record| {
            found.push((Bytes::copy_from_slice(key), record.decode()?));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// Whether `holds` is true of every live record in `range`; none if there is none. It ends at
    /// the first of which it is not.
    pub fn all(&self, range: &KeyRange, holds: impl Fn(&Record) -> bool) -> Result<Option<bool>> {
        let mut all = None;
        self.each_record(range, None, |_, record| {
            let one = holds(&record.decode()?);
            all = Some(one);
            Ok(match one {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })
        })?;
        Ok(all)
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

    /// Visits the records in `range`, by key, as they are now or were at `revision`, until the
    /// visitor breaks off.
    pub fn each_record(
        &self,
        range: &KeyRange,
        revision: Option<Revision>,
        mut visit: impl FnMut(&[u8], RecordRef<'_>) -> Visited,
    ) -> Result<()> {
        match revision.filter(|revision| *revision < self.revision) {
            None => self.each_live(range, |key, row| visit(key, RecordRef::Row(row))),
            Some(revision) => {
                if let Some((key, record)) = self.unchanged_since(range, revision)? {
                    return visit(key, RecordRef::Undone(&record)).map(drop);
                }
                let undone = self.undone(range, revision)?;
                self.each_merged(range, &undone, visit)
            }
        }
    }

    /// The record of a single key that has not changed after `revision`: no history is needed.
    fn unchanged_since<'r>(
        &self,
        range: &'r KeyRange,
        revision: Revision,
    ) -> Result<Option<(&'r Bytes, Record)>> {
        let Some(key) = range.as_single() else {
            return Ok(None);
        };
        let record = self.get(key)?.filter(|record| record.modified <= revision);
        Ok(record.map(|record| (key, record)))
    }

    fn each_live(
        &self,
        range: &KeyRange,
        mut visit: impl FnMut(&[u8], &[u8]) -> Visited,
    ) -> Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        if let Some(key) = range.as_single() {
            if let Some(row) = self.keys.get(key.as_ref())? {
                let _ = visit(key, row.value())?;
            }
            return Ok(());
        }
        for row in self.keys.range::<&[u8]>(range.bounds())? {
            let (key, value) = row?;
            if visit(key.value(), value.value())?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Visits the live records with `undone` in the place of what it has: `None` for a key that
    /// was not there.
    fn each_merged(
        &self,
        range: &KeyRange,
        undone: &BTreeMap<Bytes, Option<Record>>,
        mut visit: impl FnMut(&[u8], RecordRef<'_>) -> Visited,
    ) -> Result<()> {
        let mut left = undone.iter().peekable();
        let mut done = false;
        self.each_live(range, |key, row| {
            while let Some((earlier, record)) = left.next_if(|(undone, _)| undone.as_ref() < key) {
                if let Some(record) = record
                    && visit(earlier, RecordRef::Undone(record))?.is_break()
                {
                    done = true;
                    return Ok(ControlFlow::Break(()));
                }
            }
            let flow = match left.next_if(|(undone, _)| undone.as_ref() == key) {
                None => visit(key, RecordRef::Row(row))?,
                Some((_, Some(record))) => visit(key, RecordRef::Undone(record))?,
                Some((_, None)) => ControlFlow::Continue(()),
            };
            done = flow.is_break();
            Ok(flow)
        })?;
        for (key, record) in left {
            if done {
                break;
            }
            if let Some(record) = record {
                done = visit(key, RecordRef::Undone(record))?.is_break();
            }
        }
        Ok(())
    }
}
