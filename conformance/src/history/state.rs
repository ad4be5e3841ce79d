//! The keyspace at one revision, and what a request does to it: the sequential
//! specification that histories are judged by.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{
    record::Snapshot,
    request::{
        Compare, Event, Kv, LeaseId, Look, Order, Request, Response, Revision, Span, Target,
    },
};

/// The keyspace at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    revision: Revision,
    kvs: BTreeMap<String, Kv>,
}

/// What a request did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// The answer, where the keyspace alone decides it: not for leases and locks.
    pub response: Option<Response>,
    /// The changes, in order; all have the next revision.
    pub events: Vec<Event>,
}

impl From<&Snapshot> for State {
    fn from(snapshot: &Snapshot) -> Self {
        let kvs = snapshot.kvs.iter().cloned();
        Self {
            revision: snapshot.revision,
            kvs: kvs.map(|kv| (kv.key.clone(), kv)).collect(),
        }
    }
}

impl State {
    /// Which revision it is.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// A key, if it is there.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Kv> {
        self.kvs.get(key)
    }

    /// All keys, by name.
    pub fn all(&self) -> impl Iterator<Item = &Kv> {
        self.kvs.values()
    }

    /// The keys of a lease, by name.
    pub fn of_lease(&self, lease: LeaseId) -> impl Iterator<Item = &Kv> {
        self.all().filter(move |kv| kv.lease == lease)
    }

    /// The key of `name/` with the lowest create revision: the lock's holder.
    #[must_use]
    pub fn holder(&self, name: &str) -> Option<&Kv> {
        let prefix = format!("{name}/");
        let from = self.kvs.range(prefix.clone()..).map(|(_, kv)| kv);
        from.take_while(|kv| kv.key.starts_with(&prefix))
            .min_by_key(|kv| kv.create)
    }

    /// Does what a request asks, and is the next revision if it wrote.
    pub fn apply(&mut self, request: &Request) -> Effect {
        let mut events = Vec::new();
        let response = self.run(request, &mut events);
        if !events.is_empty() {
            self.revision += 1;
        }
        Effect { response, events }
    }

    /// Goes on to the next revision, which is known to have changed this.
    pub fn replay(&mut self, events: &[Event]) {
        self.revision += 1;
        for event in events {
            let key = event.kv.key.clone();
            if event.deleted {
                self.kvs.remove(&key);
            } else {
                self.kvs.insert(key, event.kv.clone());
            }
        }
    }

    /// What a request would do.
    #[must_use]
    pub fn effect(&self, request: &Request) -> Effect {
        match request {
            Request::Range(look) => Effect {
                response: Some(self.look(look)),
                events: Vec::new(),
            },
            _ => self.clone().apply(request),
        }
    }

    /// Ends a lease: its keys go, by name, at one revision.
    pub fn end_lease(&mut self, lease: LeaseId) -> Vec<Event> {
        self.apply(&Request::Revoke { id: lease }).events
    }

    fn within<'a>(&'a self, span: &'a Span) -> impl Iterator<Item = &'a Kv> {
        let from = self.kvs.range(span.key.clone()..).map(|(_, kv)| kv);
        from.take_while(|kv| span.contains(&kv.key))
    }

    fn run(&mut self, request: &Request, events: &mut Vec<Event>) -> Option<Response> {
        match request {
            Request::Range(look) => Some(self.look(look)),
            Request::Put {
                key,
                value,
                lease,
                prev,
            } => {
                let before = self.put(key, value, *lease, events);
                let prev = before.filter(|_| *prev);
                Some(Response::Put { prev })
            }
            Request::Delete { span, prev } => Some(self.delete(span, *prev, events)),
            Request::Txn {
                compares,
                then,
                or_else,
            } => {
                let succeeded = compares.iter().all(|compare| self.holds(compare));
                let branch = if succeeded { then } else { or_else };
                let responses = branch.iter().filter_map(|part| self.run(part, events));
                let responses = responses.collect();
                Some(Response::Txn {
                    succeeded,
                    responses,
                })
            }
            Request::Revoke { id } => {
                let keys: Vec<String> = self.of_lease(*id).map(|kv| kv.key.clone()).collect();
                for key in keys.iter().filter(|_| *id != 0) {
                    self.remove(key, events);
                }
                None
            }
            Request::Lock { name, lease } => {
                let key = lock_key(name, *lease);
                if !self.kvs.contains_key(&key) {
                    self.put(&key, "", *lease, events);
                }
                None
            }
            Request::Unlock { key } => {
                self.remove(key, events);
                None
            }
            Request::Grant { .. } | Request::KeepAlive { .. } | Request::TimeToLive { .. } => None,
        }
    }

    /// The answer to a Range.
    #[must_use]
    pub fn look(&self, look: &Look) -> Response {
        let mut kvs: Vec<Kv> = self.within(&look.span).cloned().collect();
        if look.max_create > 0 {
            kvs.retain(|kv| kv.create <= look.max_create);
        }
        match look.order {
            Order::Key => {}
            Order::OldestFirst => kvs.sort_by_key(|kv| kv.create),
            Order::NewestFirst => kvs.sort_by_key(|kv| Reverse(kv.create)),
        }
        // The count is that of the span, before the filter.
        let count = self.within(&look.span).count();
        let limit = usize::try_from(look.limit).unwrap_or(0);
        let more = limit > 0 && kvs.len() > limit;
        if more {
            kvs.truncate(limit);
        }
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        Response::Range { kvs, count, more }
    }

    fn put(
        &mut self,
        key: &str,
        value: &str,
        lease: LeaseId,
        events: &mut Vec<Event>,
    ) -> Option<Kv> {
        let revision = self.revision + 1;
        let before = self.kvs.get(key).cloned();
        let kv = Kv {
            key: key.to_owned(),
            value: value.to_owned(),
            create: before.as_ref().map_or(revision, |kv| kv.create),
            modified: revision,
            version: before.as_ref().map_or(1, |kv| kv.version + 1),
            lease,
        };
        self.kvs.insert(key.to_owned(), kv.clone());
        events.push(Event {
            deleted: false,
            kv,
            prev: before.clone(),
        });
        before
    }

    fn delete(&mut self, span: &Span, prev: bool, events: &mut Vec<Event>) -> Response {
        let keys: Vec<String> = self.within(span).map(|kv| kv.key.clone()).collect();
        let gone: Vec<Kv> = keys
            .iter()
            .filter_map(|key| self.remove(key, events))
            .collect();
        let deleted = i64::try_from(gone.len()).unwrap_or(i64::MAX);
        let prevs = if prev { gone } else { Vec::new() };
        Response::Delete { deleted, prevs }
    }

    fn remove(&mut self, key: &str, events: &mut Vec<Event>) -> Option<Kv> {
        let gone = self.kvs.remove(key)?;
        let kv = Kv {
            key: key.to_owned(),
            modified: self.revision + 1,
            ..Kv::default()
        };
        events.push(Event {
            deleted: true,
            kv,
            prev: Some(gone.clone()),
        });
        Some(gone)
    }

    fn holds(&self, compare: &Compare) -> bool {
        let kv = self.get(&compare.key);
        match &compare.equals {
            Target::Create(create) => kv.map_or(0, |kv| kv.create) == *create,
            Target::Modified(modified) => kv.map_or(0, |kv| kv.modified) == *modified,
            Target::Value(value) => kv.is_some_and(|kv| kv.value == *value),
        }
    }
}

/// The key that the Lock service puts for a lease.
#[must_use]
pub fn lock_key(name: &str, lease: LeaseId) -> String {
    format!("{name}/{lease:x}")
}
