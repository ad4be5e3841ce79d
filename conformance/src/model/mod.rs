//! A small pure model of a one-member etcd 3.7.1: requests in, answers out. No I/O, no clock, no
//! randomness, so the same requests give the same answers for ever.
//!
//! The random programs hold both servers against it, and the checkers of concurrent histories try
//! orders of operations on it. It is written from etcd's behaviour and shares nothing with latchd.
//!
//! | module | what it owns |
//! |---|---|
//! | [`answer`] | requests, responses and failures, as the wire has them |
//! | [`validate`] | what is refused before anything is looked at |
//! | [`store`] | keys and their history by revision |
//! | [`range`] | what a Range makes of the keys that it finds |
//! | [`kv`] | Range, Put, DeleteRange, Compact |
//! | [`txn`] | Txn |
//! | [`lease`] | leases, which end only when they are revoked |
//! | [`contend`] | Lock and Election, and who waits for whom |
//! | [`watch`] | what a watch is told |
//!
//! What it leaves out: time (a lease has all of its TTL at any moment), requests over the size
//! limits, alarms, and whatever the server chooses itself (IDs 0 are taken at their word).

pub mod answer;
pub mod contend;
mod kv;
mod lease;
mod range;
mod store;
mod txn;
mod validate;
pub mod watch;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use latchd_proto::{etcdserverpb::ResponseHeader, mvccpb::KeyValue};

pub use answer::{Answer, Failure, Request, Response};
pub use contend::Waiter;
pub use watch::WatchStream;

use store::Store;

/// The whole state of the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Model {
    store: Store,
    /// By ID, the TTL that was granted, in seconds.
    leases: BTreeMap<i64, i64>,
}

impl Default for Model {
    fn default() -> Self {
        Self::new()
    }
}

impl Model {
    /// A server that has just been made: revision 1, never compacted.
    #[must_use]
    pub fn new() -> Self {
        Self::starting(Store::new(1, -1))
    }

    /// A server that was emptied, and compacted at `revision`, its present one.
    #[must_use]
    pub fn emptied_at(revision: i64) -> Self {
        Self::starting(Store::new(revision, revision))
    }

    fn starting(store: Store) -> Self {
        Self {
            store,
            leases: BTreeMap::new(),
        }
    }

    /// The revision of the last write.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.store.revision()
    }

    /// The revision from which on history is there; -1 before the first compaction.
    #[must_use]
    pub fn compacted(&self) -> i64 {
        self.store.compacted()
    }

    /// A key as it is now.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&KeyValue> {
        self.store.live().get(key)
    }

    /// The create revision of a key that is there.
    #[must_use]
    pub fn created(&self, key: &[u8]) -> Option<i64> {
        Some(self.get(key)?.create_revision)
    }

    /// Carries out one request. Headers have their revision and nothing else.
    ///
    /// A Lock or Campaign whose turn has not come answers [`Response::Waiting`]; ask
    /// [`Model::turn`] after later requests.
    ///
    /// # Errors
    /// As etcd; nothing has changed then.
    pub fn apply(&mut self, request: &Request) -> Answer {
        Ok(match request {
            Request::Range(request) => Response::Range(self.range(request)?),
            Request::RangeStream(request) => Response::Range(self.range_stream(request)?),
            Request::Put(request) => Response::Put(self.put(request)?),
            Request::DeleteRange(request) => Response::DeleteRange(self.delete_range(request)?),
            Request::Txn(request) => Response::Txn(self.txn(request)?),
            Request::Compact(request) => Response::Compact(self.compact(request)?),
            Request::LeaseGrant(request) => Response::LeaseGrant(self.grant(request)?),
            Request::LeaseRevoke(request) => Response::LeaseRevoke(self.revoke(request)?),
            Request::LeaseKeepAlive(request) => Response::LeaseKeepAlive(self.keep_alive(request)),
            Request::LeaseTimeToLive(request) => {
                Response::LeaseTimeToLive(self.time_to_live(request))
            }
            Request::LeaseLeases => Response::LeaseLeases(self.leases()),
            Request::Lock(request) => self.lock(request)?,
            Request::Unlock(request) => Response::Unlock(self.unlock(request)?),
            Request::Campaign(request) => self.campaign(request)?,
            Request::Proclaim(request) => Response::Proclaim(self.proclaim(request)?),
            Request::Resign(request) => Response::Resign(self.resign(request)?),
            Request::Leader(request) => Response::Leader(self.leader(request)?),
        })
    }

    fn header(&self) -> Option<ResponseHeader> {
        header_at(self.revision())
    }
}

/// A header that knows its revision only.
fn header_at(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader {
        revision,
        ..ResponseHeader::default()
    })
}
