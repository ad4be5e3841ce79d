//! Looking: Extend, Verify, List, Watch and History.

use std::sync::Arc;

use bytes::Bytes;
use latchd_proto::etcdserverpb::RangeRequest;
use latchd_proto::latchd::v1;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::Keeper;
use super::acquire::check_epoch;
use super::ask::{Holder, name};
use super::keys::mode_of;
use super::ledger::{Ledger, News, Update, concerns};
use super::line::direct;
use super::refusal::{Refusal, Result};
use super::rule::{Place, is_granted};
use super::session::{Record, info};
use super::txns::{SESSIONS, line, record_key};
use crate::error::Error;
use crate::service::requests::just;
use crate::service::turn::{end_of, prefix_of};
use crate::types::{LeaseId, Revision};

impl Keeper {
    /// Locks.Extend.
    pub async fn extend(&self, request: v1::ExtendRequest) -> Result<v1::ExtendResponse> {
        let holder = Holder::read(request.session, request.epoch)?;
        let found = self
            .backend()
            .range(&just(&record_key(holder.lease)))
            .await?;
        check_epoch(holder, &found.kvs)?;
        let renewed = self.backend().renew(holder.lease).await?;
        let ttl = renewed.ok_or(Refusal::NoSession(holder.lease))?;
        Ok(v1::ExtendResponse {
            ttl_ms: ttl.millis,
            valid_for_ms: ttl.millis,
            revision: found.header.map_or(0, |header| header.revision),
        })
    }

    /// Locks.Verify: true while R0 holds.
    pub async fn verify(&self, request: v1::VerifyRequest) -> Result<v1::VerifyResponse> {
        name(&request.name)?;
        if request.token <= 0 {
            return Err(Refusal::Invalid(format!(
                "token {} is none; give what Acquire answered",
                request.token
            )));
        }
        let dir = prefix_of(&request.name);
        let up_to_token = RangeRequest {
            max_create_revision: request.token,
            ..line(&dir)
        };
        let response = self.backend().range(&up_to_token).await?;
        let line = direct(&dir, &response.kvs).map(|(kv, segment)| {
            let place = Place {
                created: Revision(kv.create_revision),
                mode: mode_of(segment),
            };
            (place, kv.lease != 0)
        });
        let line: Vec<(Place, bool)> = line.collect();
        let places = || line.iter().map(|(place, _)| *place);
        // Only a leased key can hold; others are just in the way.
        let mut own = line
            .iter()
            .filter(|(own, leased)| *leased && own.created.0 == request.token);
        Ok(v1::VerifyResponse {
            held: own.any(|(own, _)| is_granted(*own, places())),
            revision: response.header.map_or(0, |header| header.revision),
        })
    }

    /// Locks.List.
    pub async fn list(&self, request: v1::ListRequest) -> Result<v1::ListResponse> {
        if request.limit < 0 {
            return Err(Refusal::Invalid(
                "a limit is negative; give 0 for the usual one".into(),
            ));
        }
        let ledger = self.ledger();
        ledger.now().await?;
        let mut response = ledger.list(&request);
        if request.sessions {
            response.sessions = self.list_sessions().await?;
        }
        Ok(response)
    }

    async fn list_sessions(&self) -> Result<Vec<v1::SessionInfo>> {
        let key = Bytes::from_static(SESSIONS);
        let all = RangeRequest {
            range_end: end_of(&key),
            key,
            ..Default::default()
        };
        let records = self.backend().range(&all).await?.kvs;
        let sessions = records.iter().filter_map(|kv| {
            let record = Record::read(&kv.value)?;
            Some(info(self, LeaseId(kv.lease), kv.version, &record))
        });
        Ok(sessions.collect())
    }

    /// Locks.Watch.
    pub async fn watch(&self, request: v1::WatchRequest) -> Result<LockWatch> {
        let ledger = self.ledger();
        ledger.now().await?;
        let (snapshot, updates) = ledger.subscribe(&request.prefix);
        Ok(LockWatch {
            ledger: ledger.clone(),
            prefix: request.prefix,
            ready: Some(snapshot),
            updates,
        })
    }

    /// Locks.History.
    pub async fn history(&self, request: v1::HistoryRequest) -> Result<v1::HistoryResponse> {
        if request.limit < 0 {
            return Err(Refusal::Invalid(
                "a limit is negative; give 0 for the usual one".into(),
            ));
        }
        let ledger = self.ledger();
        ledger.now().await?;
        Ok(ledger.history(&request))
    }
}

/// Follows the locks whose names begin with something.
pub struct LockWatch {
    ledger: Ledger,
    prefix: Bytes,
    ready: Option<v1::WatchResponse>,
    updates: Receiver<Arc<Update>>,
}

impl LockWatch {
    /// What is now, and then each change of it.
    pub async fn next(&mut self) -> Result<v1::WatchResponse> {
        loop {
            if let Some(snapshot) = self.ready.take() {
                return Ok(snapshot);
            }
            match self.updates.recv().await {
                Ok(update) => {
                    if let Some(response) = self.told(&update) {
                        return Ok(response);
                    }
                }
                Err(RecvError::Lagged(_)) => self.begin_anew(),
                Err(RecvError::Closed) => return Err(Error::Stopped.into()),
            }
        }
    }

    fn begin_anew(&mut self) {
        let (snapshot, updates) = self.ledger.subscribe(&self.prefix);
        self.ready = Some(snapshot);
        self.updates = updates;
    }

    /// What an update is to this watch; none if it is nothing.
    fn told(&mut self, update: &Update) -> Option<v1::WatchResponse> {
        let mut response = v1::WatchResponse {
            revision: update.revision.0,
            ..Default::default()
        };
        match &update.news {
            News::Anew => self.begin_anew(),
            News::Events(events) => {
                let wanted = events.iter();
                let wanted = wanted.filter(|event| event.name.starts_with(&self.prefix));
                response.events = wanted.cloned().collect();
            }
            News::Deadlocks(deadlocks) => {
                let wanted = deadlocks.iter();
                let wanted = wanted.filter(|deadlock| concerns(deadlock, &self.prefix));
                response.deadlocks = wanted.cloned().collect();
            }
        }
        let nothing = response.events.is_empty() && response.deadlocks.is_empty();
        (!nothing).then_some(response)
    }
}
