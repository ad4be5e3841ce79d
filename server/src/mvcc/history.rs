//! History: what each kept revision did, for watches and for reads of the past.

use std::collections::BTreeMap;

use bytes::Bytes;
use redb::ReadableTable;

use super::change::{Change, Event, Record};
use super::codec::{decode_event, event_key};
use super::key_range::KeyRange;
use super::read::View;
use super::schema::{Encoded, HistoryKey, KeysKey};
use crate::error::Result;
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

impl<K, H> View<'_, K, H>
where
    K: ReadableTable<KeysKey, Encoded>,
    H: ReadableTable<HistoryKey, Encoded>,
{
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

    /// What the keys in `range` that changed after `revision` were at `revision`; `None` for a key
    /// that was not there. The cost goes with what has happened since.
    pub(super) fn undone(
        &self,
        range: &KeyRange,
        revision: Revision,
    ) -> Result<BTreeMap<Bytes, Option<Record>>> {
        let mut undone: BTreeMap<Bytes, Option<Record>> = BTreeMap::new();
        self.each_event(revision.next(), |_, row| {
            let key = event_key(row)?;
            // The first change after `revision` knows what was there at `revision`.
            if range.contains(key) && !undone.contains_key(key) {
                let event = decode_event(row)?;
                undone.insert(event.key, event.previous);
            }
            Ok(true)
        })?;
        Ok(undone)
    }

    /// Events in `range` from `start` on, until `budget` is spent.
    pub fn replay(
        &self,
        range: &KeyRange,
        start: Revision,
        budget: ReplayBudget,
    ) -> Result<Replayed> {
        let mut changes = Vec::new();
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
        let changes = changes.into_iter();
        Ok(Replayed {
            changes: changes
                .map(|(at, events)| Change::new(at, events))
                .collect(),
            last: cut.unwrap_or(self.revision),
        })
    }
}

/// Adds an event to the change of its revision.
fn push_event(changes: &mut Vec<(Revision, Vec<Event>)>, revision: Revision, event: Event) {
    match changes.last_mut() {
        Some((same, events)) if *same == revision => events.push(event),
        _ => changes.push((revision, vec![event])),
    }
}
