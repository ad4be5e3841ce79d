//! Following locks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use etcd_client::{EventType, WatchOptions, WatchResponse, WatchStream};
use latchd_proto::latchd::v1;
use tonic::Streaming;

use super::line::Lines;
use super::types::{Contender, Event, EventKind, Lock, WatchItem};
use super::{on_etcd, on_latchd};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::latchd::call;
use crate::retry::Backoff;
use crate::types::{Revision, ServerKind};

/// Follows the locks whose names begin with something; see [`Client::watch`].
pub struct LockWatch {
    client: Client,
    prefix: Vec<u8>,
    source: Option<Source>,
    told: VecDeque<WatchItem>,
}

enum Source {
    Latchd(Streaming<v1::WatchResponse>),
    Etcd(WatchStream, Lines),
}

impl LockWatch {
    pub(super) async fn begin(client: &Client, prefix: &[u8]) -> Result<LockWatch> {
        let mut watch = LockWatch {
            client: client.clone(),
            prefix: prefix.to_vec(),
            source: None,
            told: VecDeque::new(),
        };
        watch.open().await?;
        Ok(watch)
    }

    /// What is to be told next. It waits while nothing happens, and while no server can be reached.
    ///
    /// # Errors
    /// [`Refused`](Error::Refused) and [`WatchEnded`](Error::WatchEnded).
    pub async fn next(&mut self) -> Result<WatchItem> {
        let mut backoff = Backoff::new();
        loop {
            if let Some(item) = self.told.pop_front() {
                return Ok(item);
            }
            match self.go_on().await {
                Ok(()) => backoff.reset(),
                Err(error) if error.is_unreachable() => {
                    self.source = None;
                    backoff.pause().await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn open(&mut self) -> Result<()> {
        self.source = Some(match self.client.server() {
            ServerKind::Latchd => {
                let request = v1::WatchRequest {
                    prefix: Bytes::from(self.prefix.clone()),
                };
                let stream = call(&self.client, request, |mut locks, request| {
                    Box::pin(async move { locks.watch(request).await })
                });
                Source::Latchd(stream.await?)
            }
            ServerKind::Etcd => {
                let (lines, at) = on_etcd::list(&self.client, &self.prefix).await?;
                let stream = follow(&self.client, &self.prefix, at).await?;
                self.told.push_back(WatchItem::Snapshot(lines.to_locks()));
                Source::Etcd(stream, lines)
            }
        });
        Ok(())
    }

    async fn go_on(&mut self) -> Result<()> {
        match &mut self.source {
            None => self.open().await,
            Some(Source::Latchd(stream)) => {
                let response = stream.message().await?.ok_or_else(ended)?;
                self.told.extend(items(response));
                Ok(())
            }
            Some(Source::Etcd(stream, lines)) => {
                let response = stream.message().await?.ok_or_else(ended)?;
                if response.canceled() {
                    // Compacted or not: it begins anew.
                    self.source = None;
                } else {
                    self.told.extend(changes(lines, &response));
                }
                Ok(())
            }
        }
    }
}

fn ended() -> Error {
    etcd_client::Error::WatchError("the stream ended".into()).into()
}

async fn follow(client: &Client, prefix: &[u8], seen: Revision) -> Result<WatchStream> {
    let options = WatchOptions::new().with_start_revision(seen.next().0);
    let options = match prefix.is_empty() {
        true => options.with_all_keys(),
        false => options.with_prefix(),
    };
    Ok(client.watch_client().watch(prefix, Some(options)).await?)
}

fn items(response: v1::WatchResponse) -> Vec<WatchItem> {
    let locks = response.locks.into_iter().map(on_latchd::lock);
    let snapshot = response.snapshot.then(|| locks.collect());
    let snapshot = snapshot.into_iter().map(WatchItem::Snapshot);
    let events = response.events.into_iter().map(on_latchd::event);
    let deadlocks = response.deadlocks.into_iter().map(on_latchd::deadlock);
    snapshot
        .chain(events.map(WatchItem::Event))
        .chain(deadlocks.map(WatchItem::Deadlock))
        .collect()
}

/// Takes changed keys in, and says what that did to their locks.
fn changes(lines: &mut Lines, response: &WatchResponse) -> Vec<WatchItem> {
    let at = response.header().map_or(0, |header| header.revision());
    let keys = response.events().iter().filter_map(|event| event.kv());
    let names: BTreeSet<Vec<u8>> = keys
        .filter_map(|kv| crate::keys::split(kv.key()))
        .map(|(name, _)| name.to_vec())
        .collect();
    let before = lines.some(&names);
    for event in response.events() {
        let Some(kv) = event.kv() else { continue };
        match event.event_type() {
            EventType::Put => lines.put(kv),
            EventType::Delete => lines.delete(kv.key()),
        };
    }
    let after = lines.some(&names);
    let told = names.iter().flat_map(|name| {
        let (before, after) = (before.get(name), after.get(name));
        differences(name, before, after, Revision(at))
    });
    told.map(WatchItem::Event).collect()
}

fn differences(
    name: &[u8],
    before: Option<&Lock>,
    after: Option<&Lock>,
    revision: Revision,
) -> Vec<Event> {
    let (held, waited) = (holders(before), waiting(before));
    let (holds, waits) = (holders(after), waiting(after));
    let still = |id: &Id| holds.contains_key(id) || waits.contains_key(id);
    let gone = |those: &Those, kind| -> Vec<(EventKind, Contender)> {
        let gone = those.iter().filter(|(id, _)| !still(id));
        gone.map(|(_, who)| (kind, (*who).clone())).collect()
    };
    let new = |those: &Those, known: [&Those; 2], kind| -> Vec<(EventKind, Contender)> {
        let is_new = |id: &Id| known.iter().all(|known| !known.contains_key(id));
        let new = those.iter().filter(|(id, _)| is_new(id));
        new.map(|(_, who)| (kind, (*who).clone())).collect()
    };
    let parts = [
        gone(&held, EventKind::Ended),
        gone(&waited, EventKind::Left),
        new(&holds, [&held, &held], EventKind::Acquired),
        new(&waits, [&held, &waited], EventKind::Queued),
    ];
    let event = |(kind, contender)| Event {
        kind,
        name: name.to_vec(),
        contender,
        revision,
    };
    parts.into_iter().flatten().map(event).collect()
}

/// A key that is made again is another contender.
type Id = (Revision, Vec<u8>);
type Those<'a> = BTreeMap<Id, &'a Contender>;

fn holders(lock: Option<&Lock>) -> Those<'_> {
    those(lock.map_or(&[], |lock| &lock.holders))
}

fn waiting(lock: Option<&Lock>) -> Those<'_> {
    those(lock.map_or(&[], |lock| &lock.waiting))
}

fn those(contenders: &[Contender]) -> Those<'_> {
    let id = |who: &Contender| (who.token, who.key.clone());
    contenders.iter().map(|who| (id(who), who)).collect()
}

impl std::fmt::Debug for LockWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LockWatch")
            .field("prefix", &String::from_utf8_lossy(&self.prefix))
            .finish_non_exhaustive()
    }
}
