//! A client of `latchd.v1` in a process of its own, so that it can be killed: one session, kept alive
//! by heartbeats, that does what lines of stdin say.

use std::{collections::BTreeMap, io::Write, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use clap::Args;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use latchd_proto::latchd::v1::{
    Hold, ReleaseRequest, SessionRequest, session_request as asked,
    session_response::{Opened, Response},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, stdin},
    sync::Mutex,
    time::interval,
};
use tonic::Status;

use crate::v1::{self, LocksClient};

/// A session of latchd.v1 that lines of stdin ask for locks: `acquire NAME`, `release NAME`.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The server's URL
    #[arg(long, value_name = "URL")]
    endpoint: String,

    /// How long the session lives without a heartbeat
    #[arg(long, value_name = "N", default_value_t = 60_000)]
    ttl_ms: i64,

    /// End with the connection
    #[arg(long)]
    bound: bool,

    /// Go on with a session, given as the JSON of what another client was told
    #[arg(long, value_name = "JSON")]
    resume: Option<String>,
}

/// Serves stdin until its end.
///
/// # Errors
/// When there is no session to be had, or nobody reads.
pub async fn serve(options: Options) -> Result<()> {
    let mut locks = v1::connect(&options.endpoint).await?;
    let (requests, stream) = unbounded();
    ask(&requests, options.first()?)?;
    let mut responses = locks.session(stream).await?.into_inner();
    let first = responses.message().await?.and_then(|first| first.response);
    let Some(Response::Opened(opened)) = first else {
        anyhow::bail!("answered with {first:?}");
    };
    say(&serde_json::to_value(&opened)?)?;
    let client = Arc::new(Client::new(locks, opened.clone()));
    tokio::spawn(heartbeats(requests, opened.ttl_ms));
    tokio::spawn(async move {
        loop {
            let told = match responses.message().await {
                Ok(Some(told)) => told.response,
                Ok(None) => return say(&json!({ "notice": null })),
                Err(status) => return say(&json!({ "notice": status.code().to_string() })),
            };
            if !matches!(told, Some(Response::Alive(_))) {
                let told = latchd_proto::latchd::v1::SessionResponse { response: told };
                say(&json!({ "notice": told }))?;
            }
        }
    });
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        tokio::spawn(client.clone().follow(line));
    }
    Ok(())
}

impl Options {
    fn first(&self) -> Result<asked::Request> {
        if let Some(told) = &self.resume {
            let opened: Opened = serde_json::from_str(told)?;
            return Ok(asked::Request::Resume(asked::Resume {
                session: opened.session,
                resume_token: opened.resume_token,
            }));
        }
        Ok(asked::Request::Open(asked::Open {
            ttl_ms: self.ttl_ms,
            bound: self.bound,
            grace_ms: 0,
        }))
    }
}

fn ask(requests: &UnboundedSender<SessionRequest>, request: asked::Request) -> Result<()> {
    let request = Some(request);
    Ok(requests.unbounded_send(SessionRequest { request })?)
}

async fn heartbeats(requests: UnboundedSender<SessionRequest>, ttl_ms: i64) -> Result<()> {
    let third = Duration::from_millis(u64::try_from(ttl_ms / 3)?);
    let mut ticks = interval(third);
    loop {
        ticks.tick().await;
        ask(&requests, asked::Request::Heartbeat(asked::Heartbeat {}))?;
    }
}

struct Client {
    locks: LocksClient,
    opened: Opened,
    holds: Mutex<BTreeMap<String, Hold>>,
}

impl Client {
    fn new(locks: LocksClient, opened: Opened) -> Self {
        let named = |hold: &Hold| {
            (
                String::from_utf8_lossy(&hold.name).into_owned(),
                hold.clone(),
            )
        };
        Self {
            locks,
            holds: Mutex::new(opened.holds.iter().map(named).collect()),
            opened,
        }
    }

    async fn follow(self: Arc<Self>, line: String) -> Result<()> {
        let (verb, name) = line.split_once(' ').context("a verb and a name")?;
        let done = match verb {
            "acquire" => self.acquire(name).await,
            _ => self.release(name).await,
        };
        say(&match done {
            Ok(hold) => json!({ "told": line, "hold": hold }),
            Err(status) => json!({ "told": line, "refused": v1::reason(&status) }),
        })
    }

    async fn acquire(&self, name: &str) -> Result<Hold, Status> {
        let mut request = v1::waiting(v1::exclusive(name, self.opened.session));
        request.epoch = self.opened.epoch;
        let granted = self.locks.clone().acquire(request).await?.into_inner();
        let hold = granted.holds.into_iter().next().unwrap_or_default();
        self.holds.lock().await.insert(name.into(), hold.clone());
        Ok(hold)
    }

    async fn release(&self, name: &str) -> Result<Hold, Status> {
        let hold = self.holds.lock().await.get(name).cloned();
        let hold = hold.ok_or_else(|| Status::not_found("not acquired by this client"))?;
        let request = ReleaseRequest {
            session: self.opened.session,
            epoch: self.opened.epoch,
            holds: vec![hold.clone()],
            request_id: String::new(),
        };
        self.locks.clone().release(request).await?;
        Ok(hold)
    }
}

/// One line of stdout, whole, whoever else says something.
fn say(line: &Value) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}
