//! Clients that contend for a lock, write under its token, and let it go.

use anyhow::Result;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    client::Client,
    recorder::Piece,
    watchers::{create, next},
};
use crate::history::{
    record::{Hold, Moment, Outcome, Stream, Watcher},
    request::{Compare, LeaseId, Look, Order, Request, Response, Revision, Span, Target},
    state::lock_key,
};

/// How a client locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Through the Lock service.
    Service,
    /// As Go's `concurrency.Mutex` does: Txn, Range, Watch.
    Go,
}

/// One contender.
pub struct Locker {
    client: Client,
    style: Style,
    name: String,
    rng: StdRng,
    /// Whether it never unlocks, but lets its short lease end.
    mortal: bool,
    written: u64,
}

/// A lock that it got.
struct Grant {
    key: String,
    token: Revision,
    at: Moment,
    revision: Revision,
}

/// Long enough for a run; each turn renews it.
const LONG: i64 = 60;
/// The least that etcd grants.
const SHORT: i64 = 2;

impl Locker {
    /// A contender for the lock of this name.
    #[must_use]
    pub fn new(client: Client, seed: u64, style: Style, name: &str) -> Self {
        let rng = StdRng::seed_from_u64(seed ^ (u64::from(client.number) << 32));
        Self {
            client,
            style,
            name: name.to_owned(),
            rng,
            mortal: false,
            written: 0,
        }
    }

    /// It dies with each lock that it gets.
    #[must_use]
    pub fn mortal(mut self) -> Self {
        self.mortal = true;
        self
    }

    /// Takes turns until the run is over. A turn whose outcome is unknown ends
    /// with the lease, so that no key of it stays.
    ///
    /// # Errors
    /// None; clients that work side by side have one type.
    pub async fn contend(mut self) -> Result<()> {
        while !self.client.around.is_over() {
            let id = self.rng.random_range(1..1 << 48);
            let ttl = if self.mortal { SHORT } else { LONG };
            let granted = self.client.answer(Request::Grant { id, ttl }).await;
            if granted.is_none() {
                continue;
            }
            if self.turns(id).await.is_some() && self.mortal {
                continue;
            }
            self.revoke(id).await;
        }
        Ok(())
    }

    /// Turns with one lease; none when an outcome was unknown.
    async fn turns(&mut self, lease: LeaseId) -> Option<()> {
        for _ in 0..self.rng.random_range(1..8) {
            if self.client.around.is_over() {
                break;
            }
            let grant = match self.style {
                Style::Service => self.take_by_service(lease).await?,
                Style::Go => self.take_as_go_does(lease).await?,
            };
            let released = self.hold(lease, &grant).await;
            self.note(lease, &grant, released);
            if self.mortal {
                break;
            }
            self.unlock(&grant.key).await?;
        }
        Some(())
    }

    /// Ends a lease for certain: until somebody says that it is gone.
    async fn revoke(&mut self, id: LeaseId) {
        loop {
            let outcome = self.client.ask(Request::Revoke { id }).await;
            if !matches!(outcome, Outcome::Unknown { .. }) {
                return;
            }
        }
    }

    async fn take_by_service(&mut self, lease: LeaseId) -> Option<Grant> {
        let name = self.name.clone();
        let (revision, answer) = self.client.answer(Request::Lock { name, lease }).await?;
        let at = self.client.around.recorder.now();
        let Response::Locked { key } = answer else {
            return None;
        };
        let (_, look) = self.client.answer(Request::get(&key)).await?;
        let token = first_created(&look)?;
        Some(Grant {
            key,
            token,
            at,
            revision,
        })
    }

    async fn take_as_go_does(&mut self, lease: LeaseId) -> Option<Grant> {
        let key = lock_key(&self.name, lease);
        let (revision, answer) = self.client.answer(self.acquire(&key, lease)).await?;
        let at = self.client.around.recorder.now();
        let Response::Txn {
            succeeded,
            responses,
        } = answer
        else {
            return None;
        };
        let token = if succeeded {
            revision
        } else {
            first_created(responses.first()?)?
        };
        if first_created(responses.get(1)?)? == token {
            return Some(Grant {
                key,
                token,
                at,
                revision,
            });
        }
        while self.wait_for_the_one_before(token).await? {}
        let (revision, look) = self.client.answer(Request::get(&key)).await?;
        let at = self.client.around.recorder.now();
        (first_created(&look)? == token).then_some(Grant {
            key,
            token,
            at,
            revision,
        })
    }

    /// Puts the key unless it is there, and looks who is first.
    fn acquire(&self, key: &str, lease: LeaseId) -> Request {
        let first = Request::Range(Look {
            order: Order::OldestFirst,
            limit: 1,
            ..Look::at(self.queue())
        });
        let put = Request::Put {
            key: key.to_owned(),
            value: String::new(),
            lease,
            prev: false,
        };
        Request::Txn {
            compares: vec![Compare {
                key: key.to_owned(),
                equals: Target::Create(0),
            }],
            then: vec![put, first.clone()],
            or_else: vec![Request::get(key), first],
        }
    }

    fn queue(&self) -> Span {
        Span::prefix(&format!("{}/", self.name))
    }

    /// Waits until the key before its own is gone; false when there is none.
    async fn wait_for_the_one_before(&mut self, token: Revision) -> Option<bool> {
        let last = Request::Range(Look {
            order: Order::NewestFirst,
            limit: 1,
            max_create: token - 1,
            ..Look::at(self.queue())
        });
        let (revision, answer) = self.client.answer(last).await?;
        let Response::Range { kvs, .. } = answer else {
            return None;
        };
        let Some(before) = kvs.first() else {
            return Some(false);
        };
        let gone = self.until_deleted(&before.key, revision).await;
        gone.then_some(true)
    }

    /// Watches a key until it is deleted; false when the stream broke.
    async fn until_deleted(&mut self, key: &str, from: Revision) -> bool {
        let recorder = self.client.around.recorder.clone();
        let mut stream = Stream {
            opened: recorder.now(),
            from,
            told: Vec::new(),
        };
        let span = Span::one(key);
        let mut gone = false;
        if let Ok(mut connection) = self.client.api().watch(create(&span, from, false)).await {
            while !gone && let Some(told) = next(&mut connection, &recorder).await {
                gone = told.events.iter().any(|event| event.deleted);
                stream.told.push(told);
            }
        }
        recorder.note(Piece::Watcher(Watcher {
            name: format!("client {} waiting for {key}", self.client.number),
            span,
            streams: vec![stream],
            ..Watcher::default()
        }));
        if !gone {
            self.client.around.until_up().await;
        }
        gone
    }

    /// Writes under the token; returns when it is about to give the lock back.
    async fn hold(&mut self, lease: LeaseId, grant: &Grant) -> Option<Moment> {
        for _ in 0..self.rng.random_range(1..4) {
            self.written += 1;
            let value = format!("{}-{}", self.client.number, self.written);
            let write = fenced(&grant.key, grant.token, &self.name, &value);
            // Refused or unknown, it is in the history.
            self.client.ask(write).await;
        }
        if self.mortal {
            return None;
        }
        self.client.ask(Request::KeepAlive { id: lease }).await;
        Some(self.client.around.recorder.now())
    }

    fn note(&self, lease: LeaseId, grant: &Grant, released: Option<Moment>) {
        self.client.around.recorder.note(Piece::Hold(Hold {
            client: self.client.number,
            name: self.name.clone(),
            key: grant.key.clone(),
            lease,
            token: grant.token,
            granted: grant.at,
            revision: grant.revision,
            released,
        }));
    }

    async fn unlock(&mut self, key: &str) -> Option<()> {
        let key = key.to_owned();
        let request = match self.style {
            Style::Service => Request::Unlock { key },
            Style::Go => Request::Delete {
                span: Span::one(&key),
                prev: false,
            },
        };
        self.client.answer(request).await.map(|_| ())
    }
}

/// The create revision of the first key in an answer.
fn first_created(answer: &Response) -> Option<Revision> {
    match answer {
        Response::Range { kvs, .. } => kvs.first().map(|kv| kv.create),
        _ => None,
    }
}

/// A write to what the lock protects, that succeeds only while its key has the
/// create revision `token`.
#[must_use]
pub fn fenced(key: &str, token: Revision, name: &str, value: &str) -> Request {
    let protected = format!("protected/{name}");
    Request::Txn {
        compares: vec![Compare {
            key: key.to_owned(),
            equals: Target::Create(token),
        }],
        then: vec![Request::put(&protected, value)],
        or_else: vec![Request::get(&protected)],
    }
}
