//! A made-up client that locks.

use super::LOCK;
use crate::history::{
    record::{Moment, Outcome},
    request::{Compare, LeaseId, Request, Response, Revision, Target},
    state::lock_key,
};

/// A client that locks, and what it knows.
#[derive(Default)]
pub struct Locker {
    /// Its lease, if it has one.
    pub lease: LeaseId,
    /// The index of its hold.
    pub hold: Option<usize>,
    /// The create revision of its key.
    pub token: Revision,
    turns: u32,
    broken: bool,
}

impl Locker {
    /// A lease, then turns of: lock, write under the token, unlock.
    pub fn ask(&mut self, id: LeaseId) -> Request {
        if self.broken && self.lease != 0 {
            return Request::Revoke { id: self.lease };
        }
        if self.lease == 0 {
            return Request::Grant { id, ttl: 60 };
        }
        if self.hold.is_none() {
            return Request::Lock {
                name: LOCK.to_owned(),
                lease: self.lease,
            };
        }
        let key = lock_key(LOCK, self.lease);
        self.turns += 1;
        match self.turns % 4 {
            0 => Request::Unlock { key },
            1 => Request::KeepAlive { id: self.lease },
            _ => fenced(
                &key,
                self.token,
                &format!("{:x}-{}", self.lease, self.turns),
            ),
        }
    }

    /// When, at which revision and with which key it was granted the lock, if it
    /// was.
    pub fn learn(
        &mut self,
        request: &Request,
        outcome: &Outcome,
    ) -> Option<(Moment, Revision, String)> {
        match (request, outcome) {
            (Request::Grant { id, .. }, Outcome::Answered { .. }) => self.lease = *id,
            (Request::Revoke { .. }, Outcome::Answered { .. } | Outcome::Refused { .. }) => {
                *self = Self::default();
            }
            (
                Request::Lock { .. },
                Outcome::Answered {
                    at,
                    revision,
                    response: Response::Locked { key },
                },
            ) => {
                return Some((*at, *revision, key.clone()));
            }
            (Request::Unlock { .. }, Outcome::Answered { .. }) => self.hold = None,
            (Request::Lock { .. } | Request::Unlock { .. }, _) => self.broken = true,
            _ => {}
        }
        None
    }
}

/// A write that succeeds only while `key` has that create revision.
pub fn fenced(key: &str, token: Revision, value: &str) -> Request {
    Request::Txn {
        compares: vec![Compare {
            key: key.to_owned(),
            equals: Target::Create(token),
        }],
        then: vec![Request::put("fenced", value)],
        or_else: Vec::new(),
    }
}
