//! Leases whose time is over at once, each with a key; Puts go on meanwhile.
//!
//! All leases are renewed one right after the other, so that their deadlines lie within a fraction of
//! a second. A deadline is counted from the moment at which the renewal was sent, the earliest that
//! the server can have counted from: an end before that is early for certain, and the lateness has
//! the way of the renewal in it.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use futures::{channel::mpsc, future::try_join_all};
use latchd_proto::etcdserverpb::{LeaseKeepAliveRequest, lease_client::LeaseClient};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use super::Turn;
use crate::{
    crowd::{self, Watch},
    figures::{Figures, Metric},
    proc::Usage,
    scenario::{Client, Work},
    wire::Wire,
};

const PREFIX: &str = "bench/expiring/";
/// In seconds: enough to make all keys before, and to see how fast Puts are without.
const TTL: i64 = 6;
/// Streams on which leases are renewed, one at a time on each.
const STREAMS: usize = 8;
/// Clients that put all the while.
const PUTTERS: usize = 32;
/// When Puts are as fast as they get, and how long before the first deadline that is measured.
const WARM: Duration = Duration::from_millis(500);
const MARGIN: Duration = Duration::from_millis(200);

/// One expiry of all leases.
pub async fn fire(turn: Turn<'_>) -> Result<Figures> {
    let leases = crowd::grant(&turn.wires, turn.size, TTL).await?;
    let keys = leases.iter().enumerate();
    crowd::put_all(&turn.wires, keys.map(|(n, lease)| (key(n), *lease))).await?;
    let watch = crowd::watch_under(turn.wires[0].clone(), PREFIX).await?;
    let deadlines = renew_all(&turn.wires, &leases).await?;
    let (first, last) = ends(&deadlines)?;
    let mut ended = JoinSet::new();
    ended.spawn(lateness(watch, deadlines));
    let mut puts = Puts::start(&turn.wires).await?;
    sleep_until(Instant::now() + WARM).await;
    let before = puts.rate_until(sleep_until(first - MARGIN)).await?;
    sleep_until(first).await;
    let mut late = None;
    let all = async { late = ended.join_next().await };
    let meanwhile = puts.rate_until(all).await?;
    let late = late
        .context("nobody watched")?
        .context("the watcher panicked")??;
    let early = late.iter().filter(|ms| **ms < 0.0).count();
    Ok(Figures::of([
        (Metric::Late, quantile(&late, 0.5)),
        (Metric::LateP99, quantile(&late, 0.99)),
        (Metric::Latest, quantile(&late, 1.0)),
        (Metric::Early, early as f64),
        (Metric::Span, (last - first).as_secs_f64() * 1e3),
        (Metric::PutsMeanwhile, meanwhile),
        (Metric::PutsBefore, before),
        (Metric::Rss, Usage::of(turn.server.pid())?.rss_mib()),
    ]))
}

fn key(n: usize) -> String {
    format!("{PREFIX}{n}")
}

/// Renews each lease; when each one's time is over.
async fn renew_all(wires: &[Wire], leases: &[i64]) -> Result<Vec<Instant>> {
    let chunks = leases.chunks(leases.len().div_ceil(STREAMS));
    let renewed = chunks
        .zip(wires.iter().cycle())
        .map(|(leases, wire)| renew(wire.clone(), leases));
    Ok(try_join_all(renewed).await?.concat())
}

/// One after the other on one stream.
async fn renew(wire: Wire, leases: &[i64]) -> Result<Vec<Instant>> {
    let (requests, sent) = mpsc::unbounded();
    let ask = |id: i64| {
        let at = Instant::now();
        requests.unbounded_send(LeaseKeepAliveRequest { id })?;
        anyhow::Ok(at + Duration::from_secs(TTL.unsigned_abs()))
    };
    let (first, others) = leases.split_first().context("no leases")?;
    // Some servers answer the call only when it has a first request.
    let mut deadlines = vec![ask(*first)?];
    let opened = LeaseClient::new(wire).lease_keep_alive(sent).await;
    let mut replies = opened.context("LeaseKeepAlive")?.into_inner();
    for next in others.iter().map(Some).chain([None]) {
        let reply = replies.message().await.context("LeaseKeepAlive")?;
        let ttl = reply.context("LeaseKeepAlive: the stream ended")?.ttl;
        ensure!(ttl == TTL, "LeaseKeepAlive: {ttl} s instead of {TTL}");
        if let Some(id) = next {
            deadlines.push(ask(*id)?);
        }
    }
    Ok(deadlines)
}

/// The first deadline and the last.
fn ends(deadlines: &[Instant]) -> Result<(Instant, Instant)> {
    let ends = deadlines.iter().min().zip(deadlines.iter().max());
    ends.map(|(first, last)| (*first, *last))
        .context("no leases")
}

/// By how many ms each lease outlived its time, in order. Ends with the last one.
async fn lateness(mut watch: Watch, deadlines: Vec<Instant>) -> Result<Vec<f64>> {
    let mut late = Vec::new();
    while late.len() < deadlines.len() {
        let response = timeout(crowd::PATIENCE, watch.responses.message()).await;
        let response = response
            .context("not every lease ended")?
            .context("Watch")?;
        let now = Instant::now();
        for event in response.context("Watch: the stream ended")?.events {
            let key = event.kv.context("an event without a key")?.key;
            let number = std::str::from_utf8(&key)?.strip_prefix(PREFIX);
            let number: usize = number.context("not such a key")?.parse()?;
            late.push(signed_ms(now, deadlines[number]));
        }
    }
    late.sort_by(f64::total_cmp);
    Ok(late)
}

fn signed_ms(now: Instant, deadline: Instant) -> f64 {
    let late = now.saturating_duration_since(deadline).as_secs_f64();
    let early = deadline.saturating_duration_since(now).as_secs_f64();
    (late - early) * 1e3
}

/// The value that so many of these sorted ones stay within.
fn quantile(sorted: &[f64], quantile: f64) -> f64 {
    let rank = (sorted.len() as f64 * quantile).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

/// Clients that put as fast as they can, as long as this is there.
struct Puts {
    done: Arc<AtomicU64>,
    clients: JoinSet<Result<Infallible>>,
}

impl Puts {
    async fn start(wires: &[Wire]) -> Result<Self> {
        let done = Arc::new(AtomicU64::new(0));
        let mut clients = JoinSet::new();
        for (index, wire) in (0..PUTTERS).zip(wires.iter().cycle()) {
            let client = Client::prepare(Work::Put, wire.clone(), index).await?;
            clients.spawn(put(client, done.clone()));
        }
        Ok(Self { done, clients })
    }

    /// Puts a second from now until then.
    async fn rate_until(&mut self, then: impl Future<Output = ()>) -> Result<f64> {
        let (start, before) = (Instant::now(), self.done.load(Ordering::Relaxed));
        tokio::select! {
            () = then => {}
            Some(failed) = self.clients.join_next() => match failed?? {},
        }
        let puts = self.done.load(Ordering::Relaxed) - before;
        Ok(puts as f64 / start.elapsed().as_secs_f64())
    }
}

async fn put(mut client: Client, done: Arc<AtomicU64>) -> Result<Infallible> {
    loop {
        client.operate().await?;
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_value_that_so_many_stay_within() {
        let late: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(
            [0.5, 0.99, 1.0].map(|q| quantile(&late, q)),
            [100.0, 198.0, 200.0]
        );
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn an_early_end_is_late_by_less_than_nothing() {
        let now = Instant::now();
        assert_eq!(signed_ms(now, now + Duration::from_millis(3)), -3.0);
        assert_eq!(signed_ms(now + Duration::from_millis(3), now), 3.0);
    }
}
