//! One server of a lockstep, met through the types of the wire.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use futures::FutureExt;
use latchd_proto::{
    etcdserverpb::{
        CompactionRequest, DeleteRangeRequest, LeaseKeepAliveRequest, LeaseLeasesRequest,
        LeaseRevokeRequest, PutRequest, RangeRequest, RangeResponse, WatchResponse,
        kv_client::KvClient, lease_client::LeaseClient,
    },
    v3electionpb::election_client::ElectionClient,
    v3lockpb::lock_client::LockClient,
};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use super::{mask::Mask, streams::Streams};
use crate::model::{Answer, Failure, Model, Request, Response};

/// At which revision the model, and so every program, starts.
pub const START: i64 = 1000;

/// No server starts a program below this, so that `now-60` is a revision everywhere.
const LEAST_START: i64 = 100;

/// A model in the state in which programs start.
#[must_use]
pub fn emptied() -> Model {
    let mut model = Model::emptied_at(START - 2);
    for request in [
        Request::Put(first_put()),
        Request::DeleteRange(everything()),
        Request::Compact(compaction(START)),
    ] {
        // None of these can be refused.
        let _ = model.apply(&request);
    }
    model
}

fn first_put() -> PutRequest {
    PutRequest {
        key: "start".into(),
        ..PutRequest::default()
    }
}

fn everything() -> DeleteRangeRequest {
    DeleteRangeRequest {
        key: b"\0"[..].into(),
        range_end: b"\0"[..].into(),
        ..DeleteRangeRequest::default()
    }
}

fn compaction(revision: i64) -> CompactionRequest {
    CompactionRequest {
        revision,
        physical: false,
    }
}

/// Calls that may wait, by label.
type Waiting = BTreeMap<u32, JoinHandle<Answer>>;

/// A falsification, for tests of the harness: what makes a sound server a broken one.
#[derive(Clone, Copy)]
pub struct Fault {
    /// Changes a request on its way.
    pub request: fn(&mut Request),
    /// Changes an answer.
    pub answer: fn(&Request, &mut Answer),
    /// Changes a message of a watch stream.
    pub watch: fn(&mut WatchResponse),
}

impl Default for Fault {
    /// None.
    fn default() -> Self {
        Self {
            request: |_| {},
            answer: |_, _| {},
            watch: |_| {},
        }
    }
}

/// How a server is to be met.
#[derive(Clone)]
pub struct Target {
    /// What it is called in reports.
    pub name: String,
    /// Its client URL.
    pub url: String,
    /// A known flaw of etcd 3.7.1 is forgiven: its watches share the events in memory, so that one
    /// that did not ask for `prev_kv` may have it when another one did.
    pub shares_events: bool,
    /// How it is broken.
    pub fault: Fault,
}

/// A server with everything that a program has open on it.
pub struct Side {
    target: Target,
    calls: Calls,
    mask: Mask,
    /// Its watch streams.
    pub streams: Streams,
    waiting: Waiting,
    patience: Duration,
}

impl Side {
    /// Connects to a server.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn connect(target: &Target, patience: Duration) -> Result<Self> {
        // A stream that is not read for a while must not hold up the others.
        let endpoint = Endpoint::from_shared(target.url.clone())?
            .tcp_nodelay(true)
            .initial_connection_window_size(16 << 20)
            .initial_stream_window_size(1 << 20);
        let channel = timeout(patience, endpoint.connect())
            .await
            .with_context(|| format!("{} does not answer", target.url))?
            .with_context(|| target.url.clone())?;
        let mask = Mask { offset: 0 };
        Ok(Self {
            target: target.clone(),
            calls: Calls::new(&channel),
            mask,
            streams: Streams::new(channel, target, mask, patience),
            waiting: Waiting::new(),
            patience,
        })
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.target.name
    }

    /// Whether it is forgiven that its watches share events.
    #[must_use]
    pub fn shares_events(&self) -> bool {
        self.target.shares_events
    }

    /// How much larger its revisions are than the model's.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.mask.offset
    }

    /// How long it may take to answer.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
        self.streams.set_patience(patience);
    }

    /// Fails when it holds keys or leases, which programs would delete.
    ///
    /// # Errors
    /// When that is so.
    pub async fn must_be_empty(&self) -> Result<()> {
        let (keys, leases) = timeout(self.patience, self.calls.clone().holds())
            .await
            .with_context(|| format!("{} does not answer", self.name()))??;
        ensure!(
            keys == 0 && leases == 0,
            "{} holds {keys} keys and {leases} leases, and programs delete all there is: give them \
             an empty server, or say --wipe",
            self.name()
        );
        Ok(())
    }

    /// Drops what is open, empties the server, and begins to count its revisions from [`START`], as
    /// [`emptied`] does.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn clean(&mut self) -> Result<()> {
        let gave_up = self.abandon();
        let revision = timeout(self.patience, self.calls.empty(gave_up))
            .await
            .with_context(|| format!("{} cannot be emptied", self.name()))??;
        self.mask.offset = revision - START;
        self.streams.reset(self.mask);
        Ok(())
    }

    /// Cancels every call that waits and drops every stream; whether there was such a call.
    fn abandon(&mut self) -> bool {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.values().for_each(JoinHandle::abort);
        !waiting.is_empty()
    }

    /// Makes a call that must be answered.
    pub async fn call(&self, request: &Request) -> Answer {
        let mut sent = request.clone();
        (self.target.fault.request)(&mut sent);
        let call = self.calls.clone().call(sent);
        let mut answer = timeout(self.patience, call)
            .await
            .unwrap_or_else(|_elapsed| Err(self.no_answer()));
        self.finish(request, &mut answer);
        answer
    }

    fn finish(&self, request: &Request, answer: &mut Answer) {
        self.mask.answer(answer);
        (self.target.fault.answer)(request, answer);
    }

    fn no_answer(&self) -> Failure {
        Failure {
            code: Code::DeadlineExceeded,
            message: format!("(no answer within {:?})", self.patience),
        }
    }

    /// Makes a call that may wait, and leaves it waiting.
    pub fn begin(&mut self, label: u32, request: Request) {
        let call = tokio::spawn(self.calls.clone().call(request));
        self.waiting.insert(label, call);
    }

    /// The answer of a call that waits, which must come now.
    pub async fn awaited(&mut self, label: u32, request: &Request) -> Answer {
        let Some(call) = self.waiting.remove(&label) else {
            return Err(self.no_answer());
        };
        let abort = call.abort_handle();
        let mut answer = match timeout(self.patience, call).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(self.no_answer()),
        };
        abort.abort();
        self.finish(request, &mut answer);
        answer
    }

    /// The answer of a call that ought to wait still; `None` if it does.
    pub fn answered_early(&mut self, label: u32) -> Option<Answer> {
        match self.waiting.entry(label) {
            Entry::Occupied(call) if call.get().is_finished() => {
                let mut answer = call.remove().now_or_never()?.ok()?;
                self.mask.answer(&mut answer);
                Some(answer)
            }
            _ => None,
        }
    }

    /// Cancels a call that waits, and waits until the server is done with that.
    pub async fn cancel(&mut self, label: u32) {
        if let Some(call) = self.waiting.remove(&label) {
            call.abort();
            // It ends by being cancelled.
            let _ = call.await;
        }
    }

    /// Asks for a key until it is there with that create revision, or with `None` until it is
    /// gone; whether that came to be.
    pub async fn sees(&self, key: &bytes::Bytes, created: Option<i64>) -> bool {
        let look = Request::Range(RangeRequest {
            key: key.clone(),
            ..RangeRequest::default()
        });
        let looking = async {
            loop {
                let mut answer = self.calls.clone().call(look.clone()).await;
                self.mask.answer(&mut answer);
                if let Ok(Response::Range(found)) = answer
                    && found.kvs.first().map(|kv| kv.create_revision) == created
                {
                    return;
                }
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(self.patience, looking).await.is_ok()
    }
}

/// The clients of one server; cheap to clone.
#[derive(Clone)]
struct Calls {
    kv: KvClient<Channel>,
    lease: LeaseClient<Channel>,
    lock: LockClient<Channel>,
    election: ElectionClient<Channel>,
}

impl Calls {
    fn new(channel: &Channel) -> Self {
        Self {
            kv: KvClient::new(channel.clone()),
            lease: LeaseClient::new(channel.clone()),
            lock: LockClient::new(channel.clone()),
            election: ElectionClient::new(channel.clone()),
        }
    }

    async fn call(self, request: Request) -> Answer {
        Ok(self.answer(request).await?)
    }

    async fn answer(mut self, request: Request) -> Result<Response, Status> {
        Ok(match request {
            Request::Range(request) => Response::Range(self.kv.range(request).await?.into_inner()),
            Request::RangeStream(request) => Response::Range(self.range_stream(request).await?),
            Request::Put(request) => Response::Put(self.kv.put(request).await?.into_inner()),
            Request::DeleteRange(request) => {
                Response::DeleteRange(self.kv.delete_range(request).await?.into_inner())
            }
            Request::Txn(request) => Response::Txn(self.kv.txn(request).await?.into_inner()),
            Request::Compact(request) => {
                Response::Compact(self.kv.compact(request).await?.into_inner())
            }
            Request::LeaseGrant(request) => {
                Response::LeaseGrant(self.lease.lease_grant(request).await?.into_inner())
            }
            Request::LeaseRevoke(request) => {
                Response::LeaseRevoke(self.lease.lease_revoke(request).await?.into_inner())
            }
            Request::LeaseKeepAlive(request) => self.keep_alive(request).await?,
            Request::LeaseTimeToLive(request) => {
                let answer = self.lease.lease_time_to_live(request).await?;
                Response::LeaseTimeToLive(answer.into_inner())
            }
            Request::LeaseLeases => {
                let answer = self.lease.lease_leases(LeaseLeasesRequest {}).await?;
                Response::LeaseLeases(answer.into_inner())
            }
            Request::Lock(request) => Response::Lock(self.lock.lock(request).await?.into_inner()),
            Request::Unlock(request) => {
                Response::Unlock(self.lock.unlock(request).await?.into_inner())
            }
            Request::Campaign(request) => {
                Response::Campaign(self.election.campaign(request).await?.into_inner())
            }
            Request::Proclaim(request) => {
                Response::Proclaim(self.election.proclaim(request).await?.into_inner())
            }
            Request::Resign(request) => {
                Response::Resign(self.election.resign(request).await?.into_inner())
            }
            Request::Leader(request) => {
                Response::Leader(self.election.leader(request).await?.into_inner())
            }
        })
    }

    /// The pieces together: keys of all, the rest from the last.
    async fn range_stream(&mut self, request: RangeRequest) -> Result<RangeResponse, Status> {
        let mut pieces = self.kv.range_stream(request).await?.into_inner();
        let mut whole = RangeResponse::default();
        while let Some(piece) = pieces.message().await? {
            let piece = piece.range_response.unwrap_or_default();
            let mut kvs = std::mem::take(&mut whole.kvs);
            kvs.extend(piece.kvs.iter().cloned());
            whole = RangeResponse { kvs, ..piece };
        }
        Ok(whole)
    }

    async fn keep_alive(&mut self, request: LeaseKeepAliveRequest) -> Result<Response, Status> {
        let only = futures::stream::iter([request]);
        let mut answers = self.lease.lease_keep_alive(only).await?.into_inner();
        let answer = answers.message().await?;
        let answer = answer.ok_or_else(|| Status::unknown("(the stream ended)"))?;
        // After the client has said all, the server ends the stream, too.
        match answers.message().await? {
            None => Ok(Response::LeaseKeepAlive(answer)),
            Some(more) => Err(Status::unknown(format!("(two answers: {more:?})"))),
        }
    }

    /// How many keys and leases there are.
    async fn holds(mut self) -> Result<(i64, usize)> {
        let DeleteRangeRequest { key, range_end, .. } = everything();
        let count = RangeRequest {
            key,
            range_end,
            count_only: true,
            ..RangeRequest::default()
        };
        let keys = self.kv.range(count).await?.into_inner().count;
        let leases = self.lease.lease_leases(LeaseLeasesRequest {}).await?;
        Ok((keys, leases.into_inner().leases.len()))
    }

    /// Deletes every key and lease, and forgets their history; returns the revision.
    async fn empty(&mut self, gave_up: bool) -> Result<i64> {
        self.revoke_all().await?;
        let mut revision = self.delete_all().await?;
        if gave_up {
            self.await_calm(revision).await?;
        }
        // The last change is the same everywhere, for watches from the first revision see it.
        loop {
            self.kv.put(first_put()).await?;
            revision = self.delete_all().await?;
            if revision >= LEAST_START {
                break;
            }
        }
        self.kv.compact(compaction(revision)).await?;
        Ok(revision)
    }

    /// Calls that were cancelled delete their keys in their own time, and may do so after the keys
    /// are gone: waits until the revision has stood still for a while.
    async fn await_calm(&mut self, mut revision: i64) -> Result<()> {
        loop {
            sleep(Duration::from_millis(200)).await;
            let now = self.delete_all().await?;
            if now == revision {
                return Ok(());
            }
            revision = now;
        }
    }

    async fn revoke_all(&mut self) -> Result<()> {
        let leases = self.lease.lease_leases(LeaseLeasesRequest {}).await?;
        for lease in leases.into_inner().leases {
            let revoke = LeaseRevokeRequest { id: lease.id };
            match self.lease.lease_revoke(revoke).await {
                Err(status) if status.code() != Code::NotFound => return Err(status.into()),
                _ => {}
            }
        }
        Ok(())
    }

    async fn delete_all(&mut self) -> Result<i64> {
        let header = self
            .kv
            .delete_range(everything())
            .await?
            .into_inner()
            .header;
        let revision = header.context("no header")?.revision;
        ensure!(revision > 0, "no revision");
        Ok(revision)
    }
}
