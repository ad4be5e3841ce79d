//! The watch streams of one server: what was asked on each, and what came.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use futures::{StreamExt, channel::mpsc, stream::BoxStream};
use latchd_proto::etcdserverpb::{
    WatchCancelRequest, WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
    watch_client::WatchClient, watch_request::RequestUnion,
};
use tokio::time::{Instant, timeout, timeout_at};
use tonic::{Status, transport::Channel};

use super::{
    mask::Mask,
    side::{Fault, Target},
};

/// How long to wait for a progress notification before asking again: etcd answers only when no
/// watch of the stream is behind, and forgets the question otherwise.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Which stream of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamId {
    /// One that watches share.
    Shared(u8),
    /// One of a single watch, by its label.
    Own(u32),
}

/// The streams.
pub struct Streams {
    client: WatchClient<Channel>,
    mask: Mask,
    fault: Fault,
    patience: Duration,
    open: BTreeMap<StreamId, Stream>,
}

struct Stream {
    requests: mpsc::UnboundedSender<WatchRequest>,
    responses: BoxStream<'static, Result<WatchResponse, Status>>,
    /// What came for each watch and has not been taken.
    came: BTreeMap<i64, Vec<WatchResponse>>,
    /// The last revision for which the server said that all is told.
    progress: i64,
}

impl Streams {
    pub(super) fn new(channel: Channel, target: &Target, mask: Mask, patience: Duration) -> Self {
        Self {
            client: WatchClient::new(channel),
            mask,
            fault: target.fault,
            patience,
            open: BTreeMap::new(),
        }
    }

    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    pub(super) fn reset(&mut self, mask: Mask) {
        self.open.clear();
        self.mask = mask;
    }

    /// Opens a watch; returns what that was answered.
    ///
    /// # Errors
    /// When nothing comes.
    pub async fn create(
        &mut self,
        on: StreamId,
        request: WatchCreateRequest,
    ) -> Result<WatchResponse> {
        self.ask(on, RequestUnion::CreateRequest(request)).await?;
        self.next_where(on, "`created`", |response| response.created)
            .await
    }

    /// Cancels a watch; returns what that was answered.
    ///
    /// # Errors
    /// When nothing comes.
    pub async fn cancel(&mut self, on: StreamId, id: i64) -> Result<WatchResponse> {
        let cancel = WatchCancelRequest { watch_id: id };
        self.ask(on, RequestUnion::CancelRequest(cancel)).await?;
        self.canceled(on, id).await
    }

    /// The next `canceled` of a watch.
    ///
    /// # Errors
    /// When nothing comes.
    pub async fn canceled(&mut self, on: StreamId, id: i64) -> Result<WatchResponse> {
        self.next_where(on, "`canceled`", |response| {
            response.canceled && response.watch_id == id
        })
        .await
    }

    /// Drops a stream and all of its watches.
    pub fn close(&mut self, stream: StreamId) {
        self.open.remove(&stream);
    }

    /// Waits until the server says that the stream has been told of everything up to `revision`.
    ///
    /// # Errors
    /// When it does not, for as long as the patience lasts.
    pub async fn told_up_to(&mut self, on: StreamId, revision: i64) -> Result<()> {
        let deadline = Instant::now() + self.patience;
        if let Some(stream) = self.open.get_mut(&on) {
            stream.progress = 0;
        }
        loop {
            let progress = RequestUnion::ProgressRequest(WatchProgressRequest {});
            self.ask(on, progress).await?;
            let mask = self.mask;
            let fault = self.fault;
            let stream = self.open.get_mut(&on).context("no such stream")?;
            let reading = async {
                while stream.progress < revision {
                    stream.read(mask, fault).await?;
                }
                anyhow::Ok(())
            };
            let until = deadline.min(Instant::now() + ASK_AGAIN);
            match timeout_at(until, reading).await {
                Ok(done) => return done,
                Err(_) if Instant::now() >= deadline => {
                    anyhow::bail!("no progress notification within {:?}", self.patience)
                }
                Err(_) => {}
            }
        }
    }

    /// Takes what came for a watch so far.
    pub fn take(&mut self, on: StreamId, id: i64) -> Vec<WatchResponse> {
        let stream = self.open.get_mut(&on);
        stream
            .and_then(|stream| stream.came.remove(&id))
            .unwrap_or_default()
    }

    async fn ask(&mut self, on: StreamId, request: RequestUnion) -> Result<()> {
        let request = WatchRequest {
            request_union: Some(request),
        };
        if let Some(stream) = self.open.get(&on) {
            let sent = stream.requests.unbounded_send(request);
            return sent.context("the watch stream has ended");
        }
        let opening = Stream::open(&mut self.client, request);
        let stream = timeout(self.patience, opening).await;
        self.open
            .insert(on, stream.context("no watch stream opens")??);
        Ok(())
    }

    /// The next message that answers something; what comes before it is kept for its watch.
    async fn next_where(
        &mut self,
        on: StreamId,
        what: &str,
        wanted: impl Fn(&WatchResponse) -> bool,
    ) -> Result<WatchResponse> {
        let (mask, fault) = (self.mask, self.fault);
        let stream = self.open.get_mut(&on).context("no such stream")?;
        let reading = async {
            loop {
                for came in stream.came.values_mut() {
                    if let Some(at) = came.iter().position(&wanted) {
                        return anyhow::Ok(came.remove(at));
                    }
                }
                stream.read(mask, fault).await?;
            }
        };
        let read = timeout(self.patience, reading).await;
        read.with_context(|| format!("no {what} within {:?}", self.patience))?
    }
}

impl Stream {
    /// Opens a stream with its first request, for etcd says nothing before it has one.
    async fn open(client: &mut WatchClient<Channel>, first: WatchRequest) -> Result<Self> {
        let (requests, asked) = mpsc::unbounded();
        requests.unbounded_send(first)?;
        let responses = client.watch(asked).await?.into_inner();
        Ok(Self {
            requests,
            responses: responses.boxed(),
            came: BTreeMap::new(),
            progress: 0,
        })
    }

    /// Reads one message and puts it where it belongs.
    async fn read(&mut self, mask: Mask, fault: Fault) -> Result<()> {
        let response = self.responses.next().await;
        let mut response = response.context("the watch stream has ended")??;
        mask.watch(&mut response);
        (fault.watch)(&mut response);
        if is_progress(&response) {
            self.progress = response.header.map_or(0, |header| header.revision);
        } else {
            let came = self.came.entry(response.watch_id).or_default();
            came.push(response);
        }
        Ok(())
    }
}

/// Whether a message only says how far the whole stream has been told.
fn is_progress(response: &WatchResponse) -> bool {
    response.watch_id == -1 && !response.created && !response.canceled && response.events.is_empty()
}
