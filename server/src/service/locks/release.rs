//! Letting go. Every delete is of a key with a certain create revision: a stale release frees
//! nothing, and says so.

use bytes::Bytes;
use latchd_proto::etcdserverpb::{LeaseTimeToLiveRequest, RangeRequest};
use latchd_proto::latchd::v1;

use super::Keeper;
use super::acquire::{check_epoch, name_of};
use super::ask::{Holder, name};
use super::keys::{self, OwnKey, is_attempt, is_lock};
use super::ledger::Intent;
use super::line::direct;
use super::refusal::{Refusal, Result, shown};
use super::txns::{deleted, found, is_at, line, read_all, record_key, release};
use crate::service::requests::just;
use crate::service::turn::prefix_of;
use crate::types::{LeaseId, Revision};

/// How many holds one Release can have.
const MOST_HOLDS: usize = 128;

impl Keeper {
    /// Locks.Release.
    pub async fn release(&self, request: v1::ReleaseRequest) -> Result<v1::ReleaseResponse> {
        let holder = Holder::read(request.session, request.epoch)?;
        match (request.holds.is_empty(), request.request_id.is_empty()) {
            (false, true) => self.release_holds(holder, request.holds).await,
            (true, false) => self.release_attempt(holder, request.request_id).await,
            _ => Err(Refusal::Invalid(
                "a Release has either holds or a request_id; give one of them".into(),
            )),
        }
    }

    async fn release_holds(
        &self,
        holder: Holder,
        holds: Vec<v1::Hold>,
    ) -> Result<v1::ReleaseResponse> {
        if holds.len() > MOST_HOLDS {
            return Err(Refusal::Invalid(format!(
                "{} holds in one Release are too many; give at most {MOST_HOLDS}",
                holds.len()
            )));
        }
        let holds = holds.into_iter().map(|hold| own_hold(holder, hold));
        let holds = holds.collect::<Result<Vec<v1::Hold>>>()?;
        let response = self.delete(Some(holder), holds, Intent::Release).await?;
        if response.released.is_empty() {
            return Err(Refusal::NotHeld("none of these is held any more".into()));
        }
        Ok(response)
    }

    /// Cancels an Acquire, whether it waits, is granted, or has not come yet.
    async fn release_attempt(&self, holder: Holder, id: String) -> Result<v1::ReleaseResponse> {
        if !is_attempt(&id) {
            return Err(Refusal::Invalid(format!(
                "request_id {id:?} is none; give the one of an Acquire"
            )));
        }
        let record = just(&record_key(holder.lease));
        check_epoch(holder, &self.backend().range(&record).await?.kvs)?;
        let attempt = (holder.lease, id);
        self.attempts().release(&attempt).await;
        let holds = self.holds_of_attempt(holder, &attempt.1).await?;
        let mut response = self.delete(Some(holder), holds, Intent::Release).await?;
        // It held nothing, so it has not been answered with a grant.
        response.cancelled = response.released.is_empty();
        Ok(response)
    }

    /// The keys of an Acquire, found by the lease that they are on.
    async fn holds_of_attempt(&self, holder: Holder, attempt: &str) -> Result<Vec<v1::Hold>> {
        let request = LeaseTimeToLiveRequest {
            id: holder.lease.0,
            keys: true,
        };
        let lease = self.backend().time_to_live(&request).await?;
        if lease.ttl < 0 {
            return Err(Refusal::NoSession(holder.lease));
        }
        let of_attempt = |key: &Bytes| {
            let segment = keys::split(key).map(|(_, segment)| segment);
            let own = segment.and_then(OwnKey::parse);
            own.is_some_and(|own| own.lease == holder.lease && own.attempt == attempt)
        };
        let own: Vec<Bytes> = lease.keys.into_iter().filter(of_attempt).collect();
        let response = self.backend().txn(read_all(own.iter().map(just))).await?;
        let kvs = found(response).flatten();
        Ok(kvs
            .map(|kv| v1::Hold {
                name: name_in(&kv.key),
                token: kv.create_revision,
                key: kv.key,
            })
            .collect())
    }

    /// Deletes each key that is still the one meant, if the session is still the caller's.
    async fn delete(
        &self,
        holder: Option<Holder>,
        holds: Vec<v1::Hold>,
        intent: Intent,
    ) -> Result<v1::ReleaseResponse> {
        let keys = || holds.iter().map(|hold| (&hold.key, Revision(hold.token)));
        let request = release(holder.map(is_at).into_iter().collect(), keys());
        let ledger = self.ledger();
        ledger.intend(keys(), intent);
        let answered = self.backend().txn(request).await;
        let (revision, succeeded, gone) = match answered {
            Ok(response) => {
                let revision = response.header.map_or(0, |header| header.revision);
                let succeeded = response.succeeded;
                (revision, succeeded, deleted(response).collect())
            }
            Err(error) => {
                keys().for_each(|(key, created)| ledger.forget_intent(key, created));
                return Err(error.into());
            }
        };
        let gone: Vec<bool> = if succeeded { gone } else { Vec::new() };
        let mut released = Vec::new();
        for (at, hold) in holds.into_iter().enumerate() {
            if gone.get(at).copied().unwrap_or(false) {
                released.push(hold);
            } else {
                ledger.forget_intent(&hold.key, Revision(hold.token));
            }
        }
        if let (false, Some(holder)) = (succeeded, holder) {
            let record = just(&record_key(holder.lease));
            check_epoch(holder, &self.backend().range(&record).await?.kvs)?;
        }
        Ok(v1::ReleaseResponse {
            released,
            cancelled: false,
            revision,
        })
    }

    /// Locks.ForceRelease: recognised lock keys only.
    pub async fn force_release(
        &self,
        request: v1::ForceReleaseRequest,
    ) -> Result<v1::ForceReleaseResponse> {
        name(&request.name)?;
        let dir = prefix_of(&request.name);
        let at_token = RangeRequest {
            min_create_revision: request.token,
            max_create_revision: request.token,
            ..line(&dir)
        };
        let not_held = || {
            let name = shown(&request.name);
            Refusal::NotHeld(format!("{name:?} has no lock with token {}", request.token))
        };
        if request.token <= 0 {
            return Err(not_held());
        }
        let response = self.backend().range(&at_token).await?;
        let mut locks = direct(&dir, &response.kvs);
        let lock = locks.find(|(kv, segment)| is_lock(segment, LeaseId(kv.lease)));
        let (kv, _) = lock.ok_or_else(not_held)?;
        self.ledger().now().await?;
        let contender = self.ledger().contender(&kv.key);
        let hold = v1::Hold {
            name: request.name.clone(),
            key: kv.key.clone(),
            token: request.token,
        };
        let response = self.delete(None, vec![hold], Intent::Force).await?;
        if response.released.is_empty() {
            return Err(not_held());
        }
        Ok(v1::ForceReleaseResponse {
            contender,
            revision: response.revision,
        })
    }
}

/// Checks that a hold is the session's.
fn own_hold(holder: Holder, hold: v1::Hold) -> Result<v1::Hold> {
    let segment = keys::split(&hold.key).map(|(_, segment)| segment);
    let own = segment.and_then(OwnKey::parse);
    if own.is_none_or(|own| own.lease != holder.lease) {
        return Err(Refusal::Invalid(format!(
            "{:?} is no key of session {}; give what Acquire answered, or use ForceRelease",
            shown(&hold.key),
            holder.lease
        )));
    }
    Ok(v1::Hold {
        name: name_in(&hold.key),
        ..hold
    })
}

/// The name whose lock a key stands for.
fn name_in(key: &Bytes) -> Bytes {
    let dir = keys::split(key).map_or(0, |(dir, _)| dir.len());
    name_of(&key.slice(..dir))
}
