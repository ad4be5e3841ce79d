//! Keeps a session: heartbeats on its stream, a new stream when that breaks, and the word when it is
//! over.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use latchd_proto::latchd::v1::session_request::Resume;
use latchd_proto::latchd::v1::session_response::{Response, ended::Reason as Ended};

use super::bond::Bond;
use super::duration;
use super::stream::{First, Stream};
use crate::client::Client;
use crate::clock::{self, Moment, sleep_until};
use crate::error::Error;
use crate::refusal::{Reason, reason};
use crate::retry::Backoff;
use crate::types::{LeaseId, Loss};
use crate::vitals::Vitals;

/// What keeps a session.
pub(crate) struct Heart {
    pub(crate) client: Client,
    pub(crate) lease: LeaseId,
    pub(crate) resume_token: Bytes,
    pub(crate) is_bound: bool,
    /// The time from one heartbeat to the next.
    pub(crate) pace: Duration,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) bond: Arc<Bond>,
}

/// Why a stream is no more.
enum End {
    /// The session is over.
    Lost(Loss),
    /// Nobody knows; the session may live.
    Broken,
}

impl Heart {
    /// Beats until the session is over. The first beat was at `sent`.
    pub(crate) async fn beat(self, mut stream: Stream, mut sent: Moment) {
        let loss = loop {
            match self.follow(&mut stream, sent).await {
                End::Lost(loss) => break loss,
                End::Broken if self.is_bound => break Loss::Disconnected,
                End::Broken => {}
            }
            self.bond.disconnect();
            // Given up before the new one is opened: it has nothing to say any more.
            drop(stream);
            match self.resume().await {
                Ok((resumed, at)) => (stream, sent) = (resumed, at),
                Err(loss) => break loss,
            }
        };
        tracing::debug!(lease = %self.lease, %loss, "the session is lost");
        self.vitals.lose(loss);
    }

    /// Beats on this stream until it ends.
    async fn follow(&self, stream: &mut Stream, sent: Moment) -> End {
        let mut next = sent + self.pace;
        let mut unanswered = None;
        loop {
            let deadline = self.vitals.deadline();
            tokio::select! {
                biased;
                told = stream.next() => match told {
                    Ok(Some(Response::Alive(alive))) => {
                        let Some(sent) = unanswered.take() else { continue };
                        if !self.vitals.renew(sent + duration(alive.valid_for_ms)) {
                            return End::Lost(Loss::NotRenewed);
                        }
                        next = sent + self.pace;
                    }
                    Ok(Some(Response::Lost(lost))) => self.bond.lose(&lost),
                    Ok(Some(Response::Ended(ended))) => return End::Lost(why(ended.reason())),
                    Ok(Some(Response::Opened(_))) => {}
                    Ok(None) => return End::Broken,
                    Err(error) => {
                        tracing::debug!(lease = %self.lease, %error, "the session's stream broke");
                        return End::Broken;
                    }
                },
                () = sleep_until(self.wake(unanswered, next).min(deadline)) => {
                    let now = clock::now();
                    if now >= deadline {
                        return End::Lost(Loss::NotRenewed);
                    }
                    if unanswered.is_some() || !stream.beat() {
                        return End::Broken;
                    }
                    unanswered = Some(now);
                }
            }
        }
    }

    /// When there is something to do unless the server says something first. A bound session ends
    /// with its stream, so that is not given up before the deadline.
    fn wake(&self, unanswered: Option<Moment>, next: Moment) -> Moment {
        match unanswered {
            None => next,
            Some(_) if self.is_bound => self.vitals.deadline(),
            Some(sent) => sent + self.pace,
        }
    }

    /// Goes on with the session on a new stream, which fences the old one.
    async fn resume(&self) -> Result<(Stream, Moment), Loss> {
        let mut backoff = Backoff::new();
        loop {
            if let Some(loss) = self.vitals.loss() {
                return Err(loss);
            }
            let first = First::Resume(Resume {
                session: self.lease.0,
                resume_token: self.resume_token.clone(),
            });
            let sent = clock::now();
            let starting = Stream::start(&self.client, first);
            match clock::until(self.vitals.deadline(), starting).await {
                Some(Ok((stream, opened))) => {
                    if !self.vitals.renew(sent + duration(opened.valid_for_ms)) {
                        return Err(Loss::NotRenewed);
                    }
                    self.bond.resume(opened.epoch, &opened.holds);
                    tracing::debug!(lease = %self.lease, epoch = opened.epoch, "resumed");
                    return Ok((stream, sent));
                }
                Some(Err(error)) if error.is_unreachable() => backoff.pause().await,
                Some(Err(error)) => return Err(self.refused(&error)),
                None => return Err(Loss::NotRenewed),
            }
        }
    }

    /// Whatever it is: a session that can't be resumed can't be relied on.
    fn refused(&self, error: &Error) -> Loss {
        tracing::debug!(lease = %self.lease, %error, "the session was not resumed");
        match error {
            Error::Refused(etcd_client::Error::GRpcStatus(status))
                if reason(status) == Some(Reason::NoSession) =>
            {
                Loss::Expired
            }
            _ => Loss::NotRenewed,
        }
    }
}

fn why(reason: Ended) -> Loss {
    match reason {
        Ended::Closed => Loss::Closed,
        Ended::Expired => Loss::Expired,
        Ended::Resumed => Loss::Resumed,
    }
}
