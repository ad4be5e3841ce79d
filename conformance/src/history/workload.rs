//! What a writing client asks: every kind of request on a few keys, so that
//! clients get in each other's way. Each value is written once, so that an event
//! tells whose it is.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    record::Outcome,
    request::{Compare, LeaseId, Look, Request, Response, Revision, Span, Target},
};

/// All keys of the writers begin so.
pub const PREFIX: &str = "kv/";

/// A client that asks at random.
pub struct Workload {
    rng: StdRng,
    client: u32,
    keys: u32,
    leases: bool,
    values: u64,
    /// Its lease, if it has one.
    lease: LeaseId,
    /// The highest revision that it was answered.
    revision: Revision,
    /// The last revision of a key that it read, and the key.
    seen: Option<(String, Revision)>,
}

impl Workload {
    /// Client number `client` of the run of `seed`, on so many keys.
    #[must_use]
    pub fn new(seed: u64, client: u32, keys: u32) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed ^ (u64::from(client) << 32)),
            client,
            keys,
            leases: true,
            values: 0,
            lease: 0,
            revision: 1,
            seen: None,
        }
    }

    /// Without leases and what hangs on them.
    #[must_use]
    pub fn without_leases(mut self) -> Self {
        self.leases = false;
        self
    }

    /// The name of a key.
    #[must_use]
    pub fn key_name(number: u32) -> String {
        format!("{PREFIX}{number}")
    }

    /// The next request.
    pub fn ask(&mut self) -> Request {
        if self.leases && self.rng.random_bool(0.15) {
            return self.ask_lease();
        }
        match self.rng.random_range(0..20) {
            0..5 => self.put(),
            5..8 => Request::Range(Look::at(Span::one(&self.key()))),
            8..10 => Request::Range(Look::at(Span::prefix(PREFIX))),
            10 => self.serializable(),
            11 => self.historical(),
            12..15 => self.compare_and_swap(),
            15..17 => self.pair(),
            17 => self.write_and_look(),
            18 => self.delete(Span::one),
            _ => self.delete_some(),
        }
    }

    /// Takes note of what became of the request.
    pub fn learn(&mut self, request: &Request, outcome: &Outcome) {
        if let Outcome::Answered {
            revision, response, ..
        } = outcome
        {
            self.revision = self.revision.max(*revision);
            self.learn_kvs(response);
        }
        match (request, outcome) {
            (Request::Grant { id, .. }, Outcome::Answered { .. }) => self.lease = *id,
            (Request::Revoke { .. }, _) => self.lease = 0,
            (_, Outcome::Refused { message, .. }) if message.contains("lease") => self.lease = 0,
            _ => {}
        }
    }

    fn learn_kvs(&mut self, response: &Response) {
        match response {
            Response::Range { kvs, .. } => {
                let count = kvs.len().max(1);
                let kv = kvs.get(self.rng.random_range(0..count));
                self.seen = kv
                    .map(|kv| (kv.key.clone(), kv.modified))
                    .or(self.seen.take());
            }
            Response::Txn { responses, .. } => {
                responses.iter().for_each(|part| self.learn_kvs(part));
            }
            _ => {}
        }
    }

    fn key(&mut self) -> String {
        Self::key_name(self.rng.random_range(0..self.keys))
    }

    fn value(&mut self) -> String {
        self.values += 1;
        format!("{}-{}", self.client, self.values)
    }

    fn put(&mut self) -> Request {
        let (key, value) = (self.key(), self.value());
        Request::Put {
            key,
            value,
            lease: 0,
            prev: self.rng.random_bool(0.5),
        }
    }

    fn serializable(&mut self) -> Request {
        let one = self.rng.random_bool(0.5);
        let span = if one {
            Span::one(&self.key())
        } else {
            Span::prefix(PREFIX)
        };
        Request::Range(Look {
            serializable: true,
            ..Look::at(span)
        })
    }

    fn historical(&mut self) -> Request {
        let back = self.rng.random_range(0..20);
        Request::Range(Look {
            revision: (self.revision - back).max(1),
            ..Look::at(Span::prefix(PREFIX))
        })
    }

    /// Writes if the key is as it was last read; else reads it.
    fn compare_and_swap(&mut self) -> Request {
        let known = self.seen.take();
        let (key, modified) = known.unwrap_or_else(|| (self.key(), 0));
        let value = self.value();
        Request::Txn {
            compares: vec![Compare {
                key: key.clone(),
                equals: Target::Modified(modified),
            }],
            then: vec![Request::put(&key, &value)],
            or_else: vec![Request::get(&key)],
        }
    }

    /// Two keys at once, which nobody may see one by one.
    fn pair(&mut self) -> Request {
        let first = self.rng.random_range(0..self.keys);
        let second = (first + 1) % self.keys.max(2);
        let value = self.value();
        let puts = [first, second].map(|key| Request::put(&Self::key_name(key), &value));
        Request::Txn {
            compares: Vec::new(),
            then: puts.to_vec(),
            or_else: Vec::new(),
        }
    }

    /// A Range in a Txn sees the Txn's own write.
    fn write_and_look(&mut self) -> Request {
        let (key, value) = (self.key(), self.value());
        let all = Request::Range(Look::at(Span::prefix(PREFIX)));
        Request::Txn {
            compares: Vec::new(),
            then: vec![Request::put(&key, &value), all],
            or_else: Vec::new(),
        }
    }

    fn delete(&mut self, span: impl Fn(&str) -> Span) -> Request {
        let key = self.key();
        Request::Delete {
            span: span(&key),
            prev: self.rng.random_bool(0.5),
        }
    }

    /// From a key on to the last.
    fn delete_some(&mut self) -> Request {
        let last = self.rng.random_range(self.keys / 2..self.keys);
        self.delete(|_| Span {
            key: Self::key_name(last),
            end: Span::prefix(PREFIX).end,
        })
    }

    fn ask_lease(&mut self) -> Request {
        let id = self.lease;
        if id == 0 {
            return Request::Grant {
                id: self.rng.random_range(1..1 << 48),
                ttl: if self.rng.random_bool(0.3) { 2 } else { 30 },
            };
        }
        match self.rng.random_range(0..10) {
            0..6 => Request::Put {
                key: self.key(),
                value: self.value(),
                lease: id,
                prev: false,
            },
            6 => Request::KeepAlive { id },
            7 => Request::TimeToLive { id },
            _ => Request::Revoke { id },
        }
    }
}
