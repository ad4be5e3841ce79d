//! What a watch is told.

use std::collections::BTreeSet;

use bytes::Bytes;
use latchd_proto::{
    etcdserverpb::{WatchCreateRequest, WatchResponse, watch_create_request::FilterType},
    mvccpb::{Event, KeyValue, event::EventType},
};

use super::{
    Model, header_at,
    store::{Change, Span},
};

/// The ID under which a refused watch is answered.
const INVALID_ID: i64 = -1;

impl Model {
    /// The events that a watch must be told of, from revision `from` to the present: each revision
    /// whole, in order. `from` must not be compacted.
    #[must_use]
    pub fn events(&self, watch: &WatchCreateRequest, from: i64) -> Vec<Event> {
        let key = if watch.key.is_empty() {
            b"\0"
        } else {
            &watch.key[..]
        };
        let span = Span::new(key, &watch.range_end);
        let changes = self.store.since(from).iter();
        changes
            .filter(|change| span.contains(&change.key) && passes(watch, change))
            .map(|change| self.event(watch, change))
            .collect()
    }

    fn event(&self, watch: &WatchCreateRequest, change: &Change) -> Event {
        let is_new = |kv: &KeyValue| kv.create_revision == kv.mod_revision;
        // etcd reads it at the revision before, which may be compacted.
        let has_previous = watch.prev_kv
            && change.revision > self.compacted()
            && !change.now.as_ref().is_some_and(is_new);
        let (kind, kv) = match &change.now {
            Some(kv) => (EventType::Put, kv.clone()),
            None => (EventType::Delete, deleted(&change.key, change.revision)),
        };
        Event {
            r#type: kind as i32,
            kv: Some(kv),
            prev_kv: change.before.clone().filter(|_| has_previous),
        }
    }
}

/// A deletion says which key and when, and no more.
fn deleted(key: &Bytes, revision: i64) -> KeyValue {
    KeyValue {
        key: key.clone(),
        mod_revision: revision,
        ..KeyValue::default()
    }
}

fn passes(watch: &WatchCreateRequest, change: &Change) -> bool {
    let unwanted = match change.now {
        Some(_) => FilterType::Noput,
        None => FilterType::Nodelete,
    };
    !watch.filters.contains(&(unwanted as i32))
}

/// The IDs of one Watch stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct WatchStream {
    next: i64,
    open: BTreeSet<i64>,
}

impl WatchStream {
    /// The answer to a create request. It has opened the watch unless it says `canceled`.
    pub fn create(&mut self, model: &Model, request: &WatchCreateRequest) -> WatchResponse {
        let reason = match self.refusal(request) {
            Some(reason) => reason,
            None => {
                let id = self.give(request.watch_id);
                return WatchResponse {
                    header: header_at(model.revision()),
                    watch_id: id,
                    created: true,
                    ..WatchResponse::default()
                };
            }
        };
        WatchResponse {
            header: header_at(model.revision()),
            watch_id: INVALID_ID,
            created: true,
            canceled: true,
            cancel_reason: reason.to_owned(),
            ..WatchResponse::default()
        }
    }

    /// The answer to a cancel request of an open watch; `None` if there is none of that ID, for
    /// then there is no answer.
    pub fn cancel(&mut self, model: &Model, id: i64) -> Option<WatchResponse> {
        self.open.remove(&id).then(|| WatchResponse {
            header: header_at(model.revision()),
            watch_id: id,
            canceled: true,
            ..WatchResponse::default()
        })
    }

    /// The end of a watch whose start is compacted: it comes after `created`, without a revision.
    #[must_use]
    pub fn compacted(model: &Model, id: i64) -> WatchResponse {
        WatchResponse {
            header: header_at(0),
            watch_id: id,
            canceled: true,
            compact_revision: model.compacted(),
            ..WatchResponse::default()
        }
    }

    fn refusal(&self, request: &WatchCreateRequest) -> Option<&'static str> {
        let key = if request.key.is_empty() {
            b"\0"
        } else {
            &request.key[..]
        };
        if request.start_revision < 0 {
            return Some("etcdserver: mvcc: required revision has been compacted");
        }
        let end = &request.range_end[..];
        if !end.is_empty() && end != b"\0" && key >= end {
            return Some("mvcc: watcher range is empty");
        }
        if request.watch_id != 0 && self.open.contains(&request.watch_id) {
            return Some("mvcc: duplicate watch ID provided on the WatchStream");
        }
        None
    }

    fn give(&mut self, asked: i64) -> i64 {
        if asked != 0 {
            self.open.insert(asked);
            return asked;
        }
        while self.open.contains(&self.next) {
            self.next += 1;
        }
        self.next += 1;
        self.open.insert(self.next - 1);
        self.next - 1
    }
}
