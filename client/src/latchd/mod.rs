//! Sessions and locks on a latchd, by `latchd.v1`.
//!
//! `stream` is the wire of a Session stream; `heart` keeps a session on it, and resumes it when it
//! breaks; `bond` is what the session's locks have to know of it; `hold` is one Acquire from its
//! request to its end, and `release` lets go of it.

mod bond;
mod heart;
mod hold;
mod release;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use latchd_proto::latchd::v1::session_request::Open;
use tonic::{Code, Response, Status};

pub(crate) use bond::Bond;
pub(crate) use hold::{Granted, Hold};

use crate::client::{Client, Locks};
use crate::clock::{self, Moment};
use crate::error::Result;
use crate::lane::Lane;
use crate::retry::Backoff;
use crate::session::SessionOptions;
use crate::types::LeaseId;
use crate::vitals::Vitals;
use heart::Heart;
use stream::{First, Opened, Stream};

/// Opens a session and keeps it alive.
pub(crate) async fn open(client: Client, options: &SessionOptions) -> Result<Lane> {
    let give_up = clock::now() + client.request_timeout();
    let mut backoff = Backoff::new();
    loop {
        let sent = clock::now();
        match Stream::start(&client, First::Open(to_open(options))).await {
            Ok((stream, opened)) => return Ok(start(client, options, stream, opened, sent)),
            Err(error) if error.is_unreachable() && clock::now() < give_up => {
                backoff.pause().await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn to_open(options: &SessionOptions) -> Open {
    let ttl_ms = millis(options.ttl);
    let grace = options.grace.filter(|_| !options.is_bound);
    Open {
        ttl_ms,
        bound: options.is_bound,
        // None is one of the TTL, and it can't be less.
        grace_ms: grace.map_or(0, |grace| millis(grace).max(ttl_ms)),
    }
}

fn start(
    client: Client,
    options: &SessionOptions,
    stream: Stream,
    opened: Opened,
    sent: Moment,
) -> Lane {
    let lease = LeaseId(opened.session);
    let vitals = Arc::new(Vitals::new(sent + duration(opened.valid_for_ms)));
    let bond = Arc::new(Bond::new(opened.epoch));
    let ttl = duration(opened.ttl_ms);
    let heart = Heart {
        client: client.clone(),
        lease,
        resume_token: opened.resume_token,
        is_bound: options.is_bound,
        // With a grace beyond the TTL, what was asked for is how soon trouble should show.
        pace: ttl.min(options.ttl) / 3,
        vitals: vitals.clone(),
        bond: bond.clone(),
    };
    let beating = tokio::spawn(heart.beat(stream, sent)).abort_handle();
    Lane::new(client, lease, ttl, vitals, beating, Some(bond))
}

/// Rounded up, so that nothing becomes nothing.
pub(crate) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_micros().div_ceil(1000)).unwrap_or(i64::MAX)
}

pub(crate) fn duration(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// What a call of `latchd.v1` is answered.
pub(crate) type Answer<A> = BoxFuture<'static, std::result::Result<Response<A>, Status>>;

/// Calls `latchd.v1`, with a new token if the old one is no longer good.
pub(crate) async fn call<Q: Clone, A>(
    client: &Client,
    request: Q,
    rpc: fn(Locks, Q) -> Answer<A>,
) -> std::result::Result<A, Status> {
    let answer = rpc(client.latchd(), request.clone()).await;
    let answer = match answer {
        Err(status) if status.code() == Code::Unauthenticated && client.renew_token().await => {
            rpc(client.latchd(), request).await
        }
        answer => answer,
    };
    answer.map(Response::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_up() {
        assert_eq!(millis(Duration::from_micros(1)), 1);
        assert_eq!(millis(Duration::from_millis(100)), 100);
        assert_eq!(millis(Duration::MAX), i64::MAX);
        assert_eq!(duration(-1), Duration::ZERO);
    }

    #[test]
    fn a_grace_is_at_least_the_ttl_and_none_with_a_bound_session() {
        let second = Duration::from_secs(1);
        let options = SessionOptions::new(second);
        assert_eq!(to_open(&options).grace_ms, 0);
        assert_eq!(
            to_open(&options.clone().with_grace(second / 2)).grace_ms,
            1000
        );
        assert_eq!(
            to_open(&options.clone().with_grace(second * 2)).grace_ms,
            2000
        );
        let bound = options.with_grace(second * 2).released_on_disconnect();
        assert_eq!((to_open(&bound).bound, to_open(&bound).grace_ms), (true, 0));
    }
}
