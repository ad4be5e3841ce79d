//! What a write did: the unit that history keeps and that watchers are told.

use bytes::Bytes;
use latchd_proto::mvccpb;

use crate::types::{LeaseId, Revision};

/// One version of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The revision at which the key was created; the fencing token of a lock.
    pub created: Revision,
    /// The revision of this version.
    pub modified: Revision,
    /// How many puts since the creation, this one included; 1 for a new key.
    pub version: i64,
    /// The lease that the key goes with, or [`LeaseId::NONE`].
    pub lease: LeaseId,
    /// The value, perhaps empty.
    pub value: Bytes,
}

impl Record {
    /// The record as the wire's `KeyValue`.
    #[must_use]
    pub fn to_proto(&self, key: Bytes) -> mvccpb::KeyValue {
        mvccpb::KeyValue {
            key,
            create_revision: self.created.0,
            mod_revision: self.modified.0,
            version: self.version,
            value: self.value.clone(),
            lease: self.lease.0,
        }
    }
}

/// One key put or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The key.
    pub key: Bytes,
    /// The new version; `None` for a delete.
    pub put: Option<Record>,
    /// The version before, if there was one.
    pub previous: Option<Record>,
}

impl Event {
    /// True for a delete.
    #[must_use]
    pub fn is_delete(&self) -> bool {
        self.put.is_none()
    }

    /// What this event costs a queue that holds it, in bytes.
    fn weight(&self) -> usize {
        let value = |record: &Option<Record>| record.as_ref().map_or(0, |r| r.value.len());
        96 + self.key.len() + value(&self.put) + value(&self.previous)
    }
}

/// Everything that one revision did, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The revision.
    pub revision: Revision,
    /// Its events; never empty.
    pub events: Vec<Event>,
    /// What it costs a queue that holds it, in bytes (an estimate).
    pub weight: usize,
}

impl Change {
    /// The change that `events` are.
    #[must_use]
    pub fn new(revision: Revision, events: Vec<Event>) -> Change {
        Change {
            revision,
            weight: events.iter().map(Event::weight).sum(),
            events,
        }
    }

    /// One of its events as the wire carries it. A delete's `kv` has only key and mod revision, and
    /// a created key has no `prev_kv` (seen on etcd 3.7.1).
    #[must_use]
    pub fn to_proto(&self, event: &Event, with_previous: bool) -> mvccpb::Event {
        let key = &event.key;
        let (kind, kv) = match &event.put {
            Some(record) => (mvccpb::event::EventType::Put, record.to_proto(key.clone())),
            None => (
                mvccpb::event::EventType::Delete,
                mvccpb::KeyValue {
                    key: key.clone(),
                    mod_revision: self.revision.0,
                    ..Default::default()
                },
            ),
        };
        let previous = with_previous.then(|| self.before(event)).flatten();
        mvccpb::Event {
            r#type: kind as i32,
            kv: Some(kv),
            prev_kv: previous.map(|record| record.to_proto(key.clone())),
        }
    }

    /// What an event's key was at the revision before. A Txn may put a key and then delete it, and
    /// what it put was never there.
    fn before<'a>(&'a self, event: &'a Event) -> Option<&'a Record> {
        let own = |record: &Record| record.modified == self.revision;
        let first = match &event.previous {
            Some(record) if own(record) => self.events.iter().find(|first| first.key == event.key),
            _ => None,
        };
        first.unwrap_or(event).previous.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(created: i64, modified: i64) -> Record {
        Record {
            created: Revision(created),
            modified: Revision(modified),
            version: 1,
            lease: LeaseId::NONE,
            value: Bytes::new(),
        }
    }

    fn event(put: Option<Record>, previous: Option<Record>) -> Event {
        Event {
            key: Bytes::from_static(b"k"),
            put,
            previous,
        }
    }

    /// What a watch is told was there before each event.
    fn told(events: Vec<Event>) -> Vec<Option<i64>> {
        let change = Change::new(Revision(5), events);
        let previous = |event| Some(change.to_proto(event, true).prev_kv?.mod_revision);
        change.events.iter().map(previous).collect()
    }

    #[test]
    fn what_a_revision_put_and_deleted_was_never_there() {
        let (old, new) = (record(3, 3), record(3, 5));
        let put = event(Some(new.clone()), Some(old));
        let delete = event(None, Some(new));
        assert_eq!(told(vec![put, delete]), [Some(3), Some(3)]);
        let made = record(5, 5);
        let put = event(Some(made.clone()), None);
        let delete = event(None, Some(made));
        assert_eq!(told(vec![put, delete]), [None, None]);
    }

    #[test]
    fn a_key_that_was_deleted_and_made_anew_is_new() {
        let delete = event(None, Some(record(3, 3)));
        let put = event(Some(record(5, 5)), None);
        assert_eq!(told(vec![delete, put]), [Some(3), None]);
    }
}
