//! One program in lockstep: after each operation the answers of the servers and of the model must
//! be the same, and at checkpoints all that the watches were told.
//!
//! Some operations are left out where they stand, because what etcd does then depends on the
//! moment ([`Session::is_fair`]) or because what they name is not there (a label).

use std::{collections::BTreeMap, fmt};

use anyhow::Result;
use futures::future::join_all;
use latchd_proto::v3electionpb::LeaderKey;

use super::{
    op::{self, Contend, Op},
    rev::Scale,
    side::{self, Side},
    streams::StreamId,
    tally::{Tally, Went},
    text::Text,
    watching::{self, Watching},
};
use crate::model::{Answer, Model, Request, Response, Waiter, WatchStream, contend::contender_key};

/// How many operations lie between two looks at the watches.
const CHECKPOINT: usize = 16;

/// A lease of so many seconds outlives any program.
const LEAST_TTL: i64 = 5000;

/// How many streams the watches of a program share.
const SHARED_STREAMS: u8 = 3;

/// Where the servers and the model are not of one mind.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// The index of the operation, or the number of them if it came to light at the end.
    pub at: usize,
    /// Who says what.
    pub what: String,
}

/// A step of a session; the error is a mismatch.
type Checked<T = ()> = Result<T, String>;

/// A call that waits.
struct Wait {
    waiter: Waiter,
    request: Request,
}

/// An operation as a request to the model, and to each server.
struct Requests {
    model: Request,
    sides: Vec<Request>,
}

/// A program in progress.
struct Session<'a> {
    sides: &'a mut [Side],
    model: Model,
    streams: BTreeMap<StreamId, WatchStream>,
    watches: BTreeMap<u32, Watching>,
    waits: BTreeMap<u32, Wait>,
    /// Whether a watch asked for `prev_kv`, for [`super::side::Target::shares_events`].
    asked_previous: bool,
    tally: &'a mut Tally,
}

/// Plays a program on servers, which are emptied first.
///
/// # Errors
/// When a server cannot be emptied; a mismatch is none.
pub async fn play(
    sides: &mut [Side],
    program: &[Op],
    tally: &mut Tally,
) -> Result<Option<Mismatch>> {
    for cleaned in join_all(sides.iter_mut().map(Side::clean)).await {
        cleaned?;
    }
    let mut session = Session {
        sides,
        model: side::emptied(),
        streams: BTreeMap::new(),
        watches: BTreeMap::new(),
        waits: BTreeMap::new(),
        asked_previous: false,
        tally,
    };
    for (at, op) in program.iter().enumerate() {
        if let Err(what) = session.step(at, op).await {
            return Ok(Some(Mismatch { at, what }));
        }
    }
    let ended = session.end().await;
    let at = program.len();
    Ok(ended.err().map(|what| Mismatch { at, what }))
}

impl Session<'_> {
    async fn step(&mut self, at: usize, op: &Op) -> Checked {
        let went = match op {
            Op::Watch(op) => self.watch(op).await?,
            Op::Cancel(op) => self.cancel(op.label).await?,
            Op::GiveUp(op) => self.give_up(op.label).await?,
            Op::Lock(contend) | Op::Campaign(contend) => self.contend(op, contend).await?,
            Op::Compact(_) => {
                // What etcd still has to send, it would look up beyond the compaction.
                self.checkpoint(|_| true).await?;
                self.call(op).await?
            }
            _ => self.call(op).await?,
        };
        self.tally.count(op.kind(), &went);
        self.settle().await?;
        if (at + 1).is_multiple_of(CHECKPOINT) {
            self.checkpoint(|_| true).await?;
        }
        Ok(())
    }

    /// Ends what is open: keys go, so that every call that waits is answered.
    async fn end(mut self) -> Checked {
        self.checkpoint(|_| true).await?;
        let campaigns = self.waits.iter();
        let campaigns: Vec<u32> = campaigns
            .filter(|(_, wait)| wait.waiter.is_campaign())
            .map(|(label, _)| *label)
            .collect();
        for label in campaigns {
            self.give_up(label).await?;
        }
        let all = Op::Delete(op::Delete {
            key: Text::of(b"\0"),
            end: Text::of(b"\0"),
            prev_kv: true,
        });
        self.call(&all).await?;
        self.settle().await?;
        self.checkpoint(|_| true).await
    }

    /// A call that is answered at once.
    async fn call(&mut self, op: &Op) -> Checked<Went> {
        let Some(requests) = self.requests(op) else {
            return Ok(Went::Skipped);
        };
        let answer = self.model.apply(&requests.model);
        self.expect(&answer, &requests).await
    }

    /// The servers' answers are the model's.
    async fn expect(&mut self, answer: &Answer, requests: &Requests) -> Checked<Went> {
        let calls = self.sides.iter().zip(&requests.sides);
        let got = join_all(calls.map(|(side, request)| side.call(request))).await;
        self.same("answers", answer, &got)?;
        Ok(Went::of(answer))
    }

    /// It as requests, if it makes one that can be compared now.
    fn requests(&self, op: &Op) -> Option<Requests> {
        let request = |offset| {
            op.request(Scale {
                model: &self.model,
                offset,
            })
        };
        let model = request(0).filter(|request| self.is_fair(request))?;
        let sides = self.sides.iter().map(|side| request(side.offset()));
        Some(Requests {
            model,
            sides: sides.collect::<Option<_>>()?,
        })
    }

    /// Whether what etcd does with this request is certain. It is not
    /// - if it leaves something to the server's choice, or to the clock;
    /// - if it would crash;
    /// - where a call waits whose key would be made anew: whether it is still taken for its own
    ///   depends on when it looks. (latchd looks at the create revision as well, and never takes
    ///   it.)
    /// - where a Campaign waits whose key would go: etcd lets it win without one, latchd does not;
    /// - where a call waits for a key since before a compaction: its watch may not have caught up.
    fn is_fair(&self, request: &Request) -> bool {
        if leaves_a_choice(request) || self.model.crashes_etcd(request) {
            return false;
        }
        if self.waits.is_empty() {
            return true;
        }
        let mut next = self.model.clone();
        // Refused, it changes nothing.
        let _ = next.apply(request);
        self.waits
            .values()
            .all(|wait| is_fair_to(&wait.waiter, &self.model, &next))
    }

    /// A call that may have to wait.
    async fn contend(&mut self, op: &Op, contend: &Contend) -> Checked<Went> {
        let key = contender_key(&contend.name.0, contend.lease);
        let waits_already = self.waits.values().any(|wait| wait.waiter.key == key);
        if waits_already || self.waits.contains_key(&contend.label) {
            return Ok(Went::Skipped);
        }
        let Some(requests) = self.requests(op) else {
            return Ok(Went::Skipped);
        };
        let mut next = self.model.clone();
        match next.apply(&requests.model) {
            // Nothing would show that it waits.
            Ok(Response::Waiting(_)) if self.model.get(&key).is_some() => Ok(Went::Skipped),
            Ok(Response::Waiting(waiter)) => {
                self.model = next;
                self.begin(contend.label, waiter, requests).await?;
                Ok(Went::Waiting)
            }
            answer => {
                self.model = next;
                self.expect(&answer, &requests).await
            }
        }
    }

    /// Leaves a call waiting, once its key is seen in the line.
    async fn begin(&mut self, label: u32, waiter: Waiter, requests: Requests) -> Checked {
        for (side, request) in self.sides.iter_mut().zip(requests.sides) {
            side.begin(label, request);
        }
        let (key, created) = (&waiter.key, Some(waiter.created));
        let seen = join_all(self.sides.iter().map(|side| side.sees(key, created))).await;
        self.same("puts its key into the line", &true, &seen)?;
        let request = requests.model;
        self.waits.insert(label, Wait { waiter, request });
        Ok(())
    }

    async fn give_up(&mut self, label: u32) -> Checked<Went> {
        let in_line =
            |wait: &Wait| self.model.created(&wait.waiter.key) == Some(wait.waiter.created);
        if !self.waits.get(&label).is_some_and(in_line) {
            return Ok(Went::Skipped);
        }
        let Some(wait) = self.waits.remove(&label) else {
            return Ok(Went::Skipped);
        };
        let key = &wait.waiter.key;
        let gone = join_all(self.sides.iter_mut().map(async |side| {
            side.cancel(label).await;
            side.sees(key, None).await
        }));
        let gone = gone.await;
        self.same("takes its key out of the line", &true, &gone)?;
        self.model.give_up(&wait.waiter);
        Ok(Went::Fine)
    }

    /// Calls whose turn has come are answered, and no others.
    async fn settle(&mut self) -> Checked {
        let labels: Vec<u32> = self.waits.keys().copied().collect();
        for label in labels {
            let Some(wait) = self.waits.get(&label) else {
                continue;
            };
            match self.model.turn(&wait.waiter) {
                Some(answer) => self.turn_of(label, &answer).await?,
                None => self.still_waits(label).await?,
            }
        }
        Ok(())
    }

    async fn turn_of(&mut self, label: u32, answer: &Answer) -> Checked {
        let Some(wait) = self.waits.remove(&label) else {
            return Ok(());
        };
        let sides = self.sides.iter_mut();
        let got = join_all(sides.map(|side| side.awaited(label, &wait.request))).await;
        self.tally.count("(turn)", &Went::of(answer));
        self.same(
            &format!("when its turn has come, call {label} answers"),
            answer,
            &got,
        )
    }

    async fn still_waits(&mut self, label: u32) -> Checked {
        let early: Vec<Option<Answer>> = self
            .sides
            .iter_mut()
            .map(|side| side.answered_early(label))
            .collect();
        self.same(
            &format!("call {label}, before its turn, answers"),
            &None,
            &early,
        )
    }

    async fn watch(&mut self, op: &op::Watch) -> Checked<Went> {
        if self.watches.contains_key(&op.label) {
            return Ok(Went::Skipped);
        }
        let scale = |offset| Scale {
            model: &self.model,
            offset,
        };
        let request = op.request(scale(0));
        let start = request.start_revision;
        let (now, compacted) = (self.model.revision(), self.model.compacted());
        let is_compacted = start > 0 && start < compacted;
        // Such watches keep etcd from telling the progress of their stream.
        let on = match start > now || is_compacted {
            true => StreamId::Own(op.label),
            false => StreamId::Shared(op.stream % SHARED_STREAMS),
        };
        let stream = self.streams.entry(on).or_default();
        let expected = stream.create(&self.model, &request);
        let requests: Vec<_> = self
            .sides
            .iter()
            .map(|side| op.request(scale(side.offset())))
            .collect();
        let sides = self.sides.iter_mut().zip(requests);
        let got = join_all(sides.map(|(side, request)| side.streams.create(on, request))).await;
        self.same_message("a new watch is answered", &expected, got)?;
        let id = expected.watch_id;
        if expected.canceled {
            self.close(on);
            return Ok(Went::Refused(expected.cancel_reason));
        }
        if is_compacted {
            let expected = WatchStream::compacted(&self.model, id);
            let sides = self.sides.iter_mut();
            let got = join_all(sides.map(|side| side.streams.canceled(on, id))).await;
            self.same_message("a watch from a compacted revision ends", &expected, got)?;
            self.close(on);
            return Ok(Went::Refused("(the start is compacted)".to_owned()));
        }
        self.asked_previous |= op.prev_kv;
        let next = if start == 0 { now + 1 } else { start };
        let watching = Watching::new(on, id, request, next);
        self.watches.insert(op.label, watching);
        Ok(Went::Fine)
    }

    async fn cancel(&mut self, label: u32) -> Checked<Went> {
        let Some(on) = self.watches.get(&label).map(|watching| watching.on) else {
            return Ok(Went::Skipped);
        };
        // What etcd still has to send for it, it would drop.
        self.checkpoint(|stream| stream == on).await?;
        let Some(Watching { id, .. }) = self.watches.remove(&label) else {
            return Ok(Went::Skipped);
        };
        let stream = self.streams.entry(on).or_default();
        let Some(expected) = stream.cancel(&self.model, id) else {
            return Ok(Went::Skipped);
        };
        let sides = self.sides.iter_mut();
        let got = join_all(sides.map(|side| side.streams.cancel(on, id))).await;
        self.same_message("a cancelled watch is answered", &expected, got)?;
        self.close(on);
        Ok(Went::Fine)
    }

    /// Closes a stream that was one watch's own.
    fn close(&mut self, on: StreamId) {
        if matches!(on, StreamId::Own(_)) {
            self.streams.remove(&on);
            self.sides
                .iter_mut()
                .for_each(|side| side.streams.close(on));
        }
    }

    /// All watches of some streams were told exactly what happened since the last time.
    async fn checkpoint(&mut self, of: impl Fn(StreamId) -> bool) -> Checked {
        let model = &self.model;
        let forgiving = self.asked_previous;
        let watches: Vec<&Watching> = self
            .watches
            .values()
            .filter(|watching| of(watching.on))
            .collect();
        let sides = self.sides.iter_mut();
        let told = sides.map(|side| watching::compare(side, model, &watches, forgiving));
        let told = join_all(told)
            .await
            .into_iter()
            .collect::<Result<Vec<_>, _>>();
        let events = told?.first().copied().unwrap_or(0);
        self.tally.events += events;
        let now = self.model.revision();
        for watching in self.watches.values_mut().filter(|watch| of(watch.on)) {
            watching.next = watching.next.max(now + 1);
        }
        Ok(())
    }

    /// What the model says and what the servers say is the same.
    fn same<T: PartialEq + fmt::Debug>(&self, what: &str, model: &T, sides: &[T]) -> Checked {
        if sides.iter().all(|side| side == model) {
            return Ok(());
        }
        let names = self.sides.iter().map(Side::name);
        let said = names
            .zip(sides)
            .map(|(name, said)| format!("{name}: {said:?}"));
        let said: Vec<String> = said.collect();
        Err(format!("{what}\nmodel: {model:?}\n{}", said.join("\n")))
    }

    /// The same for messages of watch streams, which may not have come.
    fn same_message<T: PartialEq + fmt::Debug>(
        &self,
        what: &str,
        model: &T,
        sides: Vec<Result<T>>,
    ) -> Checked {
        let text = |said: Result<T>| match said {
            Ok(said) if said == *model => None,
            Ok(said) => Some(format!("{said:?}")),
            Err(error) => Some(format!("{error:#}")),
        };
        let sides: Vec<Option<String>> = sides.into_iter().map(text).collect();
        if sides.iter().all(Option::is_none) {
            return Ok(());
        }
        let names = self.sides.iter().map(Side::name);
        let said = names.zip(sides).map(|(name, said)| {
            let said = said.unwrap_or_else(|| "as the model".to_owned());
            format!("{name}: {said}")
        });
        let said: Vec<String> = said.collect();
        Err(format!("{what}\nmodel: {model:?}\n{}", said.join("\n")))
    }
}

/// Whether the server chooses an ID, or a lease may end while the program runs.
fn leaves_a_choice(request: &Request) -> bool {
    let leads_without =
        |leader: &Option<LeaderKey>| leader.as_ref().is_some_and(|leader| leader.lease == 0);
    match request {
        Request::LeaseGrant(grant) => grant.id == 0 || grant.ttl < LEAST_TTL,
        Request::Lock(lock) => lock.lease == 0,
        Request::Campaign(campaign) => campaign.lease == 0,
        Request::Proclaim(proclaim) => leads_without(&proclaim.leader),
        Request::Resign(resign) => leads_without(&resign.leader),
        _ => false,
    }
}

fn is_fair_to(waiter: &Waiter, before: &Model, after: &Model) -> bool {
    let (had, has) = (before.created(&waiter.key), after.created(&waiter.key));
    let made_anew = has.is_some_and(|created| created != waiter.created);
    let lost = waiter.is_campaign() && had.is_some() && has.is_none();
    !made_anew && !lost && after.compacted() <= waiter.created
}
