//! Histories of a correct server, made up: requests take effect at some moment
//! between being sent and answered, in whatever order chance gives them.

mod locker;

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use locker::Locker;
pub use locker::fenced;

use crate::history::{
    record::{History, Hold, Moment, Op, Outcome, Restart, Stream, Told, Watcher},
    request::{Event, LeaseId, Look, Request, Response, Revision, Span},
    state::{State, lock_key},
    workload::{PREFIX, Workload},
};

/// What a made-up history has in it.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub seed: u64,
    pub steps: usize,
    pub writers: u32,
    pub lockers: u32,
    pub keys: u32,
    pub leases: bool,
    pub watchers: bool,
    pub crashes: bool,
}

impl Shape {
    /// A bit of everything.
    pub fn full(seed: u64) -> Self {
        Self {
            seed,
            steps: 700,
            writers: 4,
            lockers: 3,
            keys: 4,
            leases: true,
            watchers: true,
            crashes: true,
        }
    }
}

/// A history of that shape.
pub fn history(shape: Shape) -> History {
    let mut sim = Sim::new(shape);
    for _ in 0..shape.steps {
        sim.step();
    }
    sim.finish()
}

const LOCK: &str = "locks/a";

struct Sim {
    rng: StdRng,
    shape: Shape,
    now: u64,
    state: State,
    log: Vec<Vec<Event>>,
    leases: BTreeMap<LeaseId, (i64, Moment)>,
    clients: Vec<Client>,
    watchers: Vec<Watching>,
    history: History,
}

struct Client {
    role: Role,
    pending: Option<Pending>,
}

struct Pending {
    request: Request,
    invoked: Moment,
    done: Option<Result<(Revision, Response), &'static str>>,
}

enum Role {
    Writer(Box<Workload>),
    Locker(Locker),
}

struct Watching {
    open: bool,
    created: bool,
    /// The server's place.
    next: Revision,
    /// Where the watcher goes on if the stream breaks.
    resume: Revision,
}

impl Sim {
    fn new(shape: Shape) -> Self {
        let mut history = History::default();
        let mut watchers = Vec::new();
        let spans = [
            ("all", Span::all(), true, 2),
            ("keys", Span::prefix(PREFIX), false, 0),
            ("one", Span::one(&Workload::key_name(0)), true, 0),
        ];
        for (name, span, prev, next) in spans.into_iter().filter(|_| shape.watchers) {
            history.watchers.push(Watcher {
                name: name.to_owned(),
                span,
                prev,
                to_the_end: true,
                streams: Vec::new(),
            });
            watchers.push(Watching {
                open: false,
                created: false,
                next,
                resume: next,
            });
        }
        let writers = (0..shape.writers).map(|client| {
            let workload = Workload::new(shape.seed, client, shape.keys);
            Role::Writer(Box::new(if shape.leases {
                workload
            } else {
                workload.without_leases()
            }))
        });
        let lockers = (0..shape.lockers).map(|_| Role::Locker(Locker::default()));
        let clients = writers.chain(lockers);
        Self {
            rng: StdRng::seed_from_u64(shape.seed),
            shape,
            now: 0,
            state: State::from(&history.start),
            log: Vec::new(),
            leases: BTreeMap::new(),
            clients: clients
                .map(|role| Client {
                    role,
                    pending: None,
                })
                .collect(),
            watchers,
            history,
        }
    }

    fn tick(&mut self) -> Moment {
        self.now += self.rng.random_range(1..40_000_000);
        Moment(self.now)
    }

    fn step(&mut self) {
        self.tick();
        self.expire();
        if self.shape.crashes && self.rng.random_bool(0.004) {
            self.crash();
        }
        if !self.watchers.is_empty() && self.rng.random_bool(0.4) {
            let watcher = self.rng.random_range(0..self.watchers.len());
            self.watch(watcher);
        }
        let client = self.rng.random_range(0..self.clients.len());
        match &self.clients[client].pending {
            None => self.invoke(client),
            Some(Pending { done: None, .. }) => self.execute(client),
            Some(_) => self.answer(client),
        }
    }

    fn invoke(&mut self, client: usize) {
        let invoked = self.tick();
        let id = self.rng.random_range(1..1 << 40);
        let request = match &mut self.clients[client].role {
            Role::Writer(workload) => workload.ask(),
            Role::Locker(locker) => locker.ask(id),
        };
        if let (Role::Locker(locker), Request::Unlock { .. }) =
            (&self.clients[client].role, &request)
            && let Some(hold) = locker.hold
        {
            self.history.holds[hold].released = Some(invoked);
        }
        self.clients[client].pending = Some(Pending {
            request,
            invoked,
            done: None,
        });
    }

    /// Lets the request take effect; a lock that is not free stays pending.
    fn execute(&mut self, client: usize) {
        let Some(pending) = self.clients[client].pending.take() else {
            return;
        };
        let done = self.run(&pending.request);
        self.clients[client].pending = Some(Pending { done, ..pending });
    }

    fn run(&mut self, request: &Request) -> Option<Result<(Revision, Response), &'static str>> {
        if let Request::Range(look) = request
            && look.revision > self.state.revision()
        {
            return Some(Err(
                "etcdserver: mvcc: required revision is a future revision",
            ));
        }
        if self
            .needs(request)
            .is_some_and(|lease| !self.leases.contains_key(&lease))
        {
            return Some(Err("etcdserver: requested lease not found"));
        }
        let response = match request {
            Request::Range(Look { revision, .. }) if *revision > 0 => self.past(*revision, request),
            Request::Grant { id, ttl } => {
                self.leases
                    .insert(*id, (*ttl, Moment(self.now).plus_seconds(*ttl)));
                Response::Granted { id: *id, ttl: *ttl }
            }
            Request::KeepAlive { id } => Response::KeptAlive {
                ttl: self.renew(*id),
            },
            Request::TimeToLive { id } => Response::Left {
                ttl: self.left(*id),
            },
            _ => {
                let effect = self.state.apply(request);
                self.publish(effect.events);
                match request {
                    Request::Lock { name, lease } => {
                        let key = lock_key(name, *lease);
                        if self
                            .state
                            .holder(name)
                            .is_none_or(|holder| holder.key != key)
                        {
                            return None;
                        }
                        Response::Locked { key }
                    }
                    Request::Unlock { .. } => Response::Unlocked,
                    Request::Revoke { id } => {
                        self.leases.remove(id);
                        Response::Revoked
                    }
                    _ => effect.response?,
                }
            }
        };
        Some(Ok((self.state.revision(), response)))
    }

    fn needs(&self, request: &Request) -> Option<LeaseId> {
        match request {
            Request::Put { lease, .. } | Request::Lock { lease, .. } if *lease != 0 => Some(*lease),
            Request::Revoke { id } => Some(*id),
            _ => None,
        }
    }

    fn past(&self, revision: Revision, request: &Request) -> Response {
        let mut state = State::from(&self.history.start);
        while state.revision() < revision {
            let index = usize::try_from(state.revision() - 1).unwrap();
            state.replay(&self.log[index]);
        }
        state.effect(request).response.unwrap()
    }

    fn renew(&mut self, id: LeaseId) -> i64 {
        let now = Moment(self.now);
        self.leases.get_mut(&id).map_or(0, |(ttl, deadline)| {
            *deadline = now.plus_seconds(*ttl);
            *ttl
        })
    }

    fn left(&self, id: LeaseId) -> i64 {
        let left = |deadline: Moment| deadline.0.saturating_sub(self.now) / 1_000_000_000;
        let lease = self.leases.get(&id);
        lease.map_or(-1, |(_, deadline)| i64::try_from(left(*deadline)).unwrap())
    }

    fn publish(&mut self, events: Vec<Event>) {
        if !events.is_empty() {
            self.log.push(events);
        }
    }

    fn expire(&mut self) {
        let now = Moment(self.now);
        let due = self
            .leases
            .iter()
            .find(|(_, (_, deadline))| *deadline <= now);
        if let Some(id) = due.map(|(id, _)| *id) {
            self.leases.remove(&id);
            let events = self.state.end_lease(id);
            self.publish(events);
        }
    }

    fn answer(&mut self, client: usize) {
        let at = Moment(self.now);
        let Some(pending) = self.clients[client].pending.take() else {
            return;
        };
        let outcome = match pending.done {
            Some(Ok((revision, response))) => Outcome::Answered {
                at,
                revision,
                response,
            },
            Some(Err(message)) => Outcome::Refused {
                at,
                code: "NotFound".to_owned(),
                message: message.to_owned(),
            },
            None => Outcome::Unknown {
                error: "connection reset".to_owned(),
            },
        };
        self.learn(client, &pending.request, &outcome);
        self.history.ops.push(Op {
            client: u32::try_from(client).unwrap(),
            invoked: pending.invoked,
            request: pending.request,
            outcome,
        });
    }

    fn learn(&mut self, client: usize, request: &Request, outcome: &Outcome) {
        let number = u32::try_from(client).unwrap();
        match &mut self.clients[client].role {
            Role::Writer(workload) => workload.learn(request, outcome),
            Role::Locker(locker) => {
                let held = locker.learn(request, outcome);
                if let (Some((granted, revision, key)), Some(kv)) = (held, self.state.holder(LOCK))
                {
                    locker.token = kv.create;
                    locker.hold = Some(self.history.holds.len());
                    self.history.holds.push(Hold {
                        client: number,
                        name: LOCK.to_owned(),
                        key,
                        lease: locker.lease,
                        token: kv.create,
                        granted,
                        revision,
                        released: None,
                    });
                }
            }
        }
    }

    fn crash(&mut self) {
        let killed = self.tick();
        for client in 0..self.clients.len() {
            if let Some(pending) = &self.clients[client].pending {
                if pending.done.is_none() && self.rng.random_bool(0.4) {
                    self.execute(client);
                }
                if let Some(pending) = &mut self.clients[client].pending {
                    pending.done = None;
                }
                self.answer(client);
            }
        }
        for watcher in &mut self.watchers {
            watcher.open = false;
        }
        let started = self.tick();
        for (ttl, deadline) in self.leases.values_mut() {
            *deadline = started.plus_seconds(*ttl);
        }
        self.history.restarts.push(Restart { killed, started });
    }

    fn watch(&mut self, index: usize) {
        let now = Moment(self.now);
        if self.watchers[index].open && self.rng.random_bool(0.05) {
            self.watchers[index].open = false;
        }
        let watching = &mut self.watchers[index];
        let watcher = &mut self.history.watchers[index];
        if !watching.open {
            watching.open = true;
            watching.created = false;
            watching.next = watching.resume;
            watcher.streams.push(Stream {
                opened: now,
                from: watching.next,
                told: Vec::new(),
            });
            return;
        }
        let mut told = Told {
            at: now,
            revision: self.state.revision(),
            ..Told::default()
        };
        if !watching.created {
            watching.created = true;
            told.created = true;
            if watching.next == 0 {
                watching.next = told.revision + 1;
                watching.resume = watching.next;
            }
        } else {
            let end = self.state.revision() + 1;
            let goal = end.min(watching.next + self.rng.random_range(1..4));
            for revision in watching.next..goal {
                let events = &self.log[usize::try_from(revision - 2).unwrap()];
                told.events.extend(seen(events, watcher));
            }
            watching.next = goal;
            if told.events.is_empty() {
                told.revision = goal - 1;
            }
            watching.resume = told.up_to() + 1;
        }
        if let Some(stream) = watcher.streams.last_mut() {
            stream.told.push(told);
        }
    }

    fn finish(mut self) -> History {
        for client in 0..self.clients.len() {
            if self.clients[client].pending.is_some() {
                self.tick();
                self.answer(client);
            }
        }
        self.history.end = self.state.revision();
        for watcher in 0..self.watchers.len() {
            while self.watchers[watcher].next <= self.history.end
                || !self.watchers[watcher].open
                || !self.watchers[watcher].created
            {
                self.tick();
                self.watch(watcher);
            }
        }
        self.history
    }
}

/// The events of a revision as a watcher sees them.
fn seen(events: &[Event], watcher: &Watcher) -> Vec<Event> {
    let ours = events
        .iter()
        .filter(|event| watcher.span.contains(&event.kv.key));
    ours.map(|event| Event {
        prev: event.prev.clone().filter(|_| watcher.prev),
        ..event.clone()
    })
    .collect()
}
