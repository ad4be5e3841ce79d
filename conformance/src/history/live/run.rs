//! A run: many clients at once on one server, which is killed in between, and
//! then the check of all that they saw.

use std::{
    fmt::{self, Display, Formatter},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    client::{Client, Surroundings},
    lockers::{Locker, Style},
    recorder::{Piece, Recorder, Recording},
    watchers::{self, Plan},
    writers,
};
use crate::{
    history::{
        check::check,
        record::{History, Outcome, Restart, Snapshot},
        request::{Look, Request, Response, Revision, Span},
        workload::{PREFIX, Workload},
    },
    server::{Server, Spec},
    target::Kind,
    wait::{SOON, within},
};

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the clients do depends on this, and on when the server answers.
    pub seed: u64,
    /// Clients that write and read.
    pub clients: u32,
    /// Clients that lock.
    pub lockers: u32,
    /// Keys that the writers share.
    pub keys: u32,
    /// How long it goes.
    pub length: Length,
    /// How often the server is killed with -9 and started again.
    pub kills: u32,
    /// The server: started for the run, or one that runs already.
    pub server: Where,
    /// Where to save the history; if nowhere is named, one with a violation is
    /// saved in the directory for temporary files.
    pub save: Option<PathBuf>,
}

/// How long a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Until so many requests are answered.
    Ops(u64),
    /// So many seconds.
    Seconds(u64),
}

/// The server of a run.
#[derive(Clone, Debug)]
pub enum Where {
    /// A new one.
    Own(Kind),
    /// The one at this URL; nobody else writes to it meanwhile, and it is not
    /// killed.
    Url(String),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 5,
            clients: 8,
            lockers: 6,
            keys: 5,
            length: Length::Ops(6000),
            kills: 0,
            server: Where::Own(Kind::Latchd),
            save: None,
        }
    }
}

/// What a run, or a history from a file, came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Requests.
    pub ops: usize,
    /// Those of them whose outcome nobody knows.
    pub unknown: usize,
    /// Revisions.
    pub revisions: i64,
    /// Watch streams.
    pub streams: usize,
    /// Events that watches were told.
    pub events: usize,
    /// Locks that were held.
    pub holds: usize,
    /// Kills of the server.
    pub kills: usize,
    /// How long the recording took.
    pub recorded: Duration,
    /// How long the check took.
    pub checked: Duration,
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} requests ({} of unknown outcome), {} revisions, {} kills, in {:.1?}",
            self.ops, self.unknown, self.revisions, self.kills, self.recorded
        )?;
        write!(
            f,
            "{} events on {} watch streams, {} locks held; checked in {:.1?}: all as it must be",
            self.events, self.streams, self.holds, self.checked
        )
    }
}

/// Runs and checks.
///
/// # Errors
/// When the run cannot be finished, or with the violation and the file in which
/// the history is.
pub async fn run(options: &Options) -> Result<Report> {
    let begun = Instant::now();
    let history = record(options).await?;
    let recorded = begun.elapsed();
    if let Some(directory) = &options.save {
        history.save(&file(directory, options))?;
    }
    let verdict = judge(&history);
    if verdict.is_err() {
        let directory = options.save.clone();
        let directory = directory.unwrap_or_else(|| std::env::temp_dir().join("latchd-histories"));
        let path = file(&directory, options);
        history.save(&path)?;
        return verdict.with_context(|| format!("the history is in {}", path.display()));
    }
    Ok(Report {
        recorded,
        ..verdict?
    })
}

fn file(directory: &Path, options: &Options) -> PathBuf {
    let Options { seed, kills, .. } = options;
    let process = std::process::id();
    directory.join(format!("seed-{seed}-kills-{kills}-{process}.jsonl"))
}

/// Checks a history from a file.
///
/// # Errors
/// When it cannot be read, or with the violation.
pub fn check_file(path: &Path) -> Result<Report> {
    judge(&History::load(path)?)
}

/// Checks a history.
///
/// # Errors
/// With the violation.
pub fn judge(history: &History) -> Result<Report> {
    let begun = Instant::now();
    let timeline = check(history)?;
    let unknown = |outcome: &Outcome| matches!(outcome, Outcome::Unknown { .. });
    let streams = || history.watchers.iter().flat_map(|watcher| &watcher.streams);
    let told = streams().flat_map(|stream| &stream.told);
    Ok(Report {
        ops: history.ops.len(),
        unknown: history.ops.iter().filter(|op| unknown(&op.outcome)).count(),
        revisions: timeline.last() - history.start.revision,
        streams: streams().count(),
        events: told.map(|told| told.events.len()).sum(),
        holds: history.holds.len(),
        kills: history.restarts.len(),
        checked: begun.elapsed(),
        recorded: Duration::ZERO,
    })
}

/// The locks, each with contenders of all styles.
const LOCKS: [&str; 2] = ["locks/a", "locks/b"];

/// Runs without checking.
///
/// # Errors
/// When the server cannot be started, or does not answer.
pub async fn record(options: &Options) -> Result<History> {
    let (server, url) = match &options.server {
        Where::Own(kind) => {
            let server = Spec::of(*kind)?.start().await?;
            let url = server.spec().url();
            (Some(server), url)
        }
        Where::Url(url) if options.kills == 0 => (None, url.clone()),
        Where::Url(_) => bail!("only a server of its own is killed"),
    };
    Stage::set(options, server, url).await?.play(options).await
}

/// A server, its clients, and what tells them when to begin and end.
struct Stage {
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
    async fn set(options: &Options, server: Option<Server>, url: String) -> Result<Self> {
        let (recorder, recording) = Recorder::begin();
        let (up, is_up) = watch::channel(true);
        let (over, is_over) = watch::channel(false);
        let around = Surroundings {
            url,
            recorder,
            up: is_up,
            over: is_over,
        };
        let mut stage = Self {
            server,
            begun: Instant::now(),
            start: start(&around.url).await?,
            around,
            recording,
            up,
            over,
            end: watch::Sender::new(None),
            clients: 0,
            busy: JoinSet::new(),
            watching: JoinSet::new(),
        };
        stage.start_watchers();
        stage.start_writers(options)?;
        stage.start_lockers(options)?;
        Ok(stage)
    }

    fn client(&mut self) -> Result<Client> {
        self.clients += 1;
        Client::new(self.clients, self.around.clone())
    }

    fn start_writers(&mut self, options: &Options) -> Result<()> {
        for _ in 0..options.clients {
            let client = self.client()?;
            let workload = Workload::new(options.seed, client.number, options.keys);
            self.busy.spawn(writers::write(client, workload));
        }
        Ok(())
    }

    fn start_lockers(&mut self, options: &Options) -> Result<()> {
        for number in 0..options.lockers {
            let style = if number % 2 == 0 {
                Style::Service
            } else {
                Style::Go
            };
            let name = LOCKS[usize::from(number % 3 == 2)];
            let locker = Locker::new(self.client()?, options.seed, style, name);
            let locker = if number == 2 { locker.mortal() } else { locker };
            self.busy.spawn(locker.contend());
        }
        Ok(())
    }

    fn start_watchers(&mut self) {
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

    /// From the first request to the last event.
    async fn play(mut self, options: &Options) -> Result<History> {
        let parts = u64::from(options.kills) + 1;
        for part in 1..parts {
            self.reach(options.length, part, parts).await?;
            self.kill().await?;
            if part == parts / 2 {
                // One that has all of the past to catch up with.
                self.watch(Plan {
                    name: "all, late",
                    span: Span::all(),
                    from: self.start.revision + 1,
                    prev: true,
                    reconnect_after: 0,
                    progress_every: 0,
                });
            }
        }
        self.reach(options.length, 1, 1).await?;
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

    /// Waits for a part of the run; fails with the first client that does.
    async fn reach(&mut self, length: Length, part: u64, parts: u64) -> Result<()> {
        let mut answered = self.recording.answered();
        let (begun, limit) = (self.begun, SOON * 6);
        let reached = async move {
            match length {
                Length::Seconds(seconds) => {
                    let whole = Duration::from_secs(seconds).as_secs_f64();
                    let share = Duration::from_secs(part).as_secs_f64()
                        / Duration::from_secs(parts).as_secs_f64();
                    sleep_until(begun + Duration::from_secs_f64(whole * share)).await;
                    Ok(())
                }
                Length::Ops(ops) => {
                    let goal = ops * part / parts;
                    within(limit, "enough answers", async {
                        answered.wait_for(|count| *count >= goal).await?;
                        Ok(())
                    })
                    .await
                }
            }
        };
        tokio::select! {
            done = reached => done,
            failed = first_failure(&mut self.busy) => failed,
            failed = first_failure(&mut self.watching) => failed,
        }
    }

    async fn kill(&mut self) -> Result<()> {
        let server = self.server.as_mut().context("no server to kill")?;
        let recorder = &self.around.recorder;
        self.up.send_replace(false);
        let killed = recorder.now();
        server.kill().await?;
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
async fn start(url: &str) -> Result<Snapshot> {
    let mut api = super::api::Api::new(url)?;
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
