//! The session of a guest: a stream of `latchd.v1` without a network, and its heartbeats.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::channel::mpsc::{self as requests, UnboundedSender};
use latchd_proto::latchd::v1::{
    Hold, SessionRequest, session_request as asked, session_response as told,
};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::service::locks::ask::Holder;
use crate::service::locks::refusal::{Refusal, Result};
use crate::service::locks::{Keeper, SessionStream};
use crate::types::LeaseId;

/// How long a session outlives a server that died with it.
const BOUND_TTL: i64 = 10_000;
/// How often a session is renewed within its TTL.
const BEATS: u32 = 3;

/// How long a session lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// As long as its connection.
    Bound,
    /// So many milliseconds longer.
    Grace(i64),
}

/// What a session is known by.
#[derive(Clone, Debug)]
pub struct Visa {
    /// Who calls are for.
    pub holder: Holder,
    /// What resumes it; empty for one that cannot be resumed.
    pub token: Bytes,
    /// How long it outlives its last heartbeat.
    pub ttl: Duration,
}

/// A session. Dropped, its connection is lost.
pub struct Session {
    pub visa: Visa,
    requests: UnboundedSender<SessionRequest>,
    lost: mpsc::UnboundedReceiver<Hold>,
    ended: CancellationToken,
    _leave: DropGuard,
}

impl Session {
    /// Opens one.
    pub async fn open(keeper: &Keeper, tasks: &TaskTracker, term: Term) -> Result<Session> {
        let open = match term {
            Term::Bound => asked::Open {
                ttl_ms: BOUND_TTL,
                bound: true,
                grace_ms: 0,
            },
            Term::Grace(grace_ms) => asked::Open {
                ttl_ms: grace_ms,
                bound: false,
                grace_ms,
            },
        };
        let (session, _) = Session::begin(keeper, tasks, asked::Request::Open(open)).await?;
        Ok(session)
    }

    /// Goes on with one; returns what it holds, too.
    pub async fn resume(
        keeper: &Keeper,
        tasks: &TaskTracker,
        lease: LeaseId,
        token: Bytes,
    ) -> Result<(Session, Vec<Hold>)> {
        let resume = asked::Resume {
            session: lease.0,
            resume_token: token,
        };
        let (session, opened) =
            Session::begin(keeper, tasks, asked::Request::Resume(resume)).await?;
        Ok((session, opened.holds))
    }

    async fn begin(
        keeper: &Keeper,
        tasks: &TaskTracker,
        first: asked::Request,
    ) -> Result<(Session, told::Opened)> {
        let (requests, asked) = requests::unbounded();
        send(&requests, first);
        let mut stream = SessionStream::new(keeper.clone(), asked.map(Ok).boxed());
        let opened = loop {
            let told = stream.next().await.map_err(refusal)?;
            match told.and_then(|told| told.response) {
                Some(told::Response::Opened(opened)) => break opened,
                Some(_) => {}
                None => return Err(Refusal::Invalid("the session did not begin".into())),
            }
        };
        let ttl = Duration::from_millis(opened.ttl_ms.unsigned_abs());
        let (tell, lost) = mpsc::unbounded_channel();
        let (ended, left) = (CancellationToken::new(), CancellationToken::new());
        let keeping = Keeping {
            stream,
            requests: requests.clone(),
            every: ttl / BEATS,
            lost: tell,
            ended: ended.clone(),
        };
        tasks.spawn(left.clone().run_until_cancelled_owned(keeping.keep()));
        let session = Session {
            visa: Visa {
                holder: Holder {
                    lease: LeaseId(opened.session),
                    epoch: opened.epoch,
                },
                token: opened.resume_token.clone(),
                ttl,
            },
            requests,
            lost,
            ended,
            _leave: left.drop_guard(),
        };
        Ok((session, opened))
    }

    /// A hold that was taken away since the last look.
    pub fn lost(&mut self) -> Option<Hold> {
        self.lost.try_recv().ok()
    }

    /// Resolves when the session is over.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Ends the session; what it held is free when this resolves.
    pub async fn close(self) {
        send(&self.requests, asked::Request::Close(asked::Close {}));
        self.ended.cancelled().await;
    }
}

fn send(requests: &UnboundedSender<SessionRequest>, request: asked::Request) {
    // An error says that the session is over.
    let _ = requests.unbounded_send(SessionRequest {
        request: Some(request),
    });
}

fn refusal(status: tonic::Status) -> Refusal {
    Refusal::Invalid(status.message().to_owned())
}

/// What keeps a session going.
struct Keeping {
    stream: SessionStream,
    requests: UnboundedSender<SessionRequest>,
    every: Duration,
    lost: mpsc::UnboundedSender<Hold>,
    ended: CancellationToken,
}

impl Keeping {
    async fn keep(mut self) {
        let _ended = self.ended.clone().drop_guard();
        let mut next = clock::now() + self.every;
        loop {
            tokio::select! {
                told = self.stream.next() => match told.map(|told| told.and_then(|t| t.response)) {
                    Ok(Some(told::Response::Lost(lost))) => {
                        if let Some(hold) = lost.hold {
                            // Nobody may be looking any more.
                            let _ = self.lost.send(hold);
                        }
                    }
                    Ok(Some(told::Response::Opened(_) | told::Response::Alive(_))) => {}
                    Ok(Some(told::Response::Ended(_)) | None) | Err(_) => return,
                },
                () = clock::sleep_until(next) => {
                    send(&self.requests, asked::Request::Heartbeat(asked::Heartbeat {}));
                    next += self.every;
                }
            }
        }
    }
}
