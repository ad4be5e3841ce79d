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

    /// The event as the wire carries it. A delete's `kv` has only key and mod revision, and a
    /// created key has no `prev_kv` (seen on etcd 3.7.1).
    #[must_use]
    pub fn to_proto(&self, revision: Revision, with_previous: bool) -> mvccpb::Event {
        let (kind, kv) = match &self.put {
            Some(record) => (
                mvccpb::event::EventType::Put,
                record.to_proto(self.key.clone()),
            ),
            None => (
                mvccpb::event::EventType::Delete,
                mvccpb::KeyValue {
                    key: self.key.clone(),
                    mod_revision: revision.0,
                    ..Default::default()
                },
            ),
        };
        let previous = self.previous.as_ref().filter(|_| with_previous);
        mvccpb::Event {
            r#type: kind as i32,
            kv: Some(kv),
            prev_kv: previous.map(|record| record.to_proto(self.key.clone())),
        }
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
}
