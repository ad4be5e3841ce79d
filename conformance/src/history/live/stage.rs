//! A server, clients around it, and what tells them when to begin and to end.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    api::Api,
    client::{Client, Surroundings},
    recorder::{Piece, Recorder, Recording},
    watchers::{self, Plan},
};
use crate::{
    history::{
        record::{History, Restart, Snapshot},
        request::{Look, Request, Response, Revision, Span},
        workload::{PREFIX, Workload},
    },
    server::{Server, Spec},
    target::Kind,
    wait::{SOON, within},
};

/// How long a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Until so many requests are answered.
    Ops(u64),
    /// So many seconds.
    Seconds(u64),
}

/// Clients count from above this: lower numbers are for those of other processes.
const FIRST_CLIENT: u32 = 9;

/// A server and its clients.
pub struct Stage {
    /// None when the server is not ours.
    server: Option<Server>,
    begun: Instant,
    around: Surroundings,
    recording: Recording,
    up: watch::Sender<bool>,
    over: watch::Sender<bool>,
    end: watch::Sender<Option<Revision>>,
    start: Snapshot,
    clients: u32,
    busy: JoinSet<Result<()>>,
    watching: JoinSet<Result<()>>,
}

impl Stage {
    /// With a new server.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn own(kind: Kind) -> Result<Self> {
        let server = Spec::of(kind)?.start().await?;
        let url = server.spec().url();
        Self::set(Some(server), &url).await
    }

    /// With the server at `url`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn at(url: &str) -> Result<Self> {
        Self::set(None, url).await
    }

    async fn set(server: Option<Server>, url: &str) -> Result<Self> {
        let (recorder, recording) = Recorder::begin();
        let (up, is_up) = watch::channel(true);
        let (over, is_over) = watch::channel(false);
        Ok(Self {
            server,
            begun: Instant::now(),
            start: snapshot(url).await?,
            around: Surroundings {
                url: url.to_owned(),
                recorder,
                up: is_up,
                over: is_over,
            },
            recording,
            up,
            over,
            end: watch::Sender::new(None),
            clients: 0,
            busy: JoinSet::new(),
            watching: JoinSet::new(),
        })
    }

    /// The server's URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.around.url
    }

    /// Where the clients record.
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        self.around.recorder.clone()
    }

    /// A new client.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn client(&mut self) -> Result<Client> {
        self.clients += 1;
        Client::new(self.clients + FIRST_CLIENT, self.around.clone())
    }

    /// Starts what a client does until the run is over.
    pub fn start(&mut self, client: impl Future<Output = Result<()>> + Send + 'static) {
        self.busy.spawn(client);
    }

    /// Starts watches of all kinds.
    pub fn start_watchers(&mut self) {
        let from = self.start.revision + 1;
        let one = Span::one(&Workload::key_name(0));
        let plans = [
            // The one that the checkers resolve unknown outcomes with.
            ("all", Span::all(), from, true, 0, 0),
            ("all, reconnecting", Span::all(), from, true, 25, 0),
            ("keys, with progress", Span::prefix(PREFIX), 0, false, 0, 30),
            ("one key, reconnecting", one, 0, true, 9, 4),
            ("locks", Span::prefix("locks/"), 0, true, 0, 0),
        ];
        for (name, span, from, prev, reconnect_after, progress_every) in plans {
            self.watch(Plan {
                name,
                span,
                from,
                prev,
                reconnect_after,
                progress_every,
            });
        }
    }

    fn watch(&mut self, plan: Plan) {
        let watch = watchers::watch(plan, self.around.clone(), self.end.subscribe());
        self.watching.spawn(watch);
    }

    /// Starts a watch that has all of the past to catch up with.
    pub fn start_late_watcher(&mut self) {
        self.watch(Plan {
            name: "all, late",
            span: Span::all(),
            from: self.start.revision + 1,
            prev: true,
            reconnect_after: 0,
            progress_every: 0,
        });
    }

    /// Lets all clients come to their end, and the watches to the last event.
    ///
    /// # Errors
    /// When one does not, or the server is not well.
    pub async fn finish(mut self) -> Result<History> {
        self.over.send_replace(true);
        within(SOON * 4, "the clients' end", finish(&mut self.busy)).await?;
        let end = self.last_write().await?;
        self.end.send_replace(Some(end));
        within(SOON * 2, "the last event", finish(&mut self.watching)).await?;
        if let Some(server) = &mut self.server {
            server.must_be_well()?;
        }
        Ok(self.recording.finish(self.start, end))
    }

    /// Waits for a part of the run.
    ///
    /// # Errors
    /// With the first client that fails meanwhile.
    pub async fn reach(&mut self, length: Length, part: u64, parts: u64) -> Result<()> {
        let mut answered = self.recording.answered();
        let begun = self.begun;
        let reached = async move {
            match length {
                Length::Seconds(seconds) => {
                    let part = Duration::from_secs(seconds * part).as_secs_f64();
                    let share = Duration::from_secs(parts).as_secs_f64();
                    sleep_until(begun + Duration::from_secs_f64(part / share)).await;
                    Ok(())
                }
                Length::Ops(ops) => {
                    // However slow the machine is, answers keep coming.
                    while *answered.borrow_and_update() < ops * part / parts {
                        let next = async { Ok(answered.changed().await?) };
                        within(SOON * 2, "one more answer", next).await?;
                    }
                    Ok(())
                }
            }
        };
        tokio::select! {
            done = reached => done,
            failed = first_failure(&mut self.busy) => failed,
            failed = first_failure(&mut self.watching) => failed,
        }
    }

    /// Kills the server with -9 and starts it again on its data.
    ///
    /// # Errors
    /// When it is not ours, or does not start.
    pub async fn kill(&mut self) -> Result<()> {
        self.kill_and(|_| Ok(())).await
    }

    /// As [`Self::kill`]; does something to the data directory in between.
    ///
    /// # Errors
    /// As [`Self::kill`], or with what is done in between.
    pub async fn kill_and(&mut self, meanwhile: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let server = self.server.as_mut().context("no server to kill")?;
        let recorder = &self.around.recorder;
        self.up.send_replace(false);
        let killed = recorder.now();
        server.kill().await?;
        meanwhile(server.spec().data_dir())?;
        let started = recorder.now();
        server.start_again().await?;
        recorder.note(Piece::Restart(Restart { killed, started }));
        self.up.send_replace(true);
        Ok(())
    }

    /// One write more that every watch is told of, and a look at all there is.
    async fn last_write(&mut self) -> Result<Revision> {
        let mut client = self.client()?;
        let keys = [Workload::key_name(0), "locks/~end".to_owned()];
        let puts = keys.iter().map(|key| Request::put(key, "the end"));
        let write = Request::Txn {
            compares: Vec::new(),
            then: puts.collect(),
            or_else: Vec::new(),
        };
        let (end, _) = client.answer(write).await.context("the last write")?;
        let all = Request::Range(Look::at(Span::all()));
        client.answer(all).await.context("the last read")?;
        Ok(end)
    }
}

/// The keyspace before the run.
async fn snapshot(url: &str) -> Result<Snapshot> {
    let mut api = Api::new(url)?;
    let all = Request::Range(Look::at(Span::all()));
    let (revision, answer) =
        within(SOON, "a first answer", async { Ok(api.call(&all).await?) }).await?;
    match answer {
        Response::Range { kvs, .. } => Ok(Snapshot { revision, kvs }),
        other => bail!("a Range was answered with {other}"),
    }
}

/// Waits for the end of all; fails with the first that does.
async fn finish(tasks: &mut JoinSet<Result<()>>) -> Result<()> {
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

/// Waits for a task that fails; for ever if none does.
async fn first_failure(tasks: &mut JoinSet<Result<()>>) -> Result<()> {
    match finish(tasks).await {
        Ok(()) => std::future::pending().await,
        failed => failed,
    }
}
