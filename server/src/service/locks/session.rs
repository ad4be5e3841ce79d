//! One Session stream. A session is a lease with heartbeats; its record is a key on that lease, and
//! the key's version is the epoch, which each resume raises.
//!
//! No timer survives a resume: when the connection is lost, heartbeats stop, and the lease's deadline
//! does the rest; a session bound to its connection is ended by a Txn on its epoch.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use latchd_proto::latchd::v1::{
    self, SessionRequest, SessionResponse, session_request as asked, session_response as told,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tonic::Status;

use super::Keeper;
use super::ask::Holder;
use super::refusal::{Refusal, Result};
use super::sessions::Notice;
use super::txns::{end_record, put_record, record_key};
use crate::error::Error;
use crate::service::requests::just;
use crate::types::{LeaseId, Ttl};

/// The shortest TTL, in milliseconds.
const LEAST_TTL: i64 = 100;
/// The longest TTL and grace, in milliseconds: a day.
const MOST_TTL: i64 = 86_400_000;
/// The bytes of a resume token.
const TOKEN: usize = 32;

/// The value of a session's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The SHA-256 of the resume token in hexadecimal; none for a session bound to its connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token_sha256: Option<String>,
    /// As granted.
    ttl_ms: i64,
}

impl Record {
    /// Reads a record; none if somebody else wrote it.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Record> {
        serde_json::from_slice(value).ok()
    }

    /// Whether the session ends with its connection.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.token_sha256.is_none()
    }

    fn to_value(&self) -> Bytes {
        // Strings and numbers are always JSON.
        Bytes::from(serde_json::to_vec(self).unwrap_or_default())
    }
}

fn hash(token: &[u8]) -> String {
    let digest = Sha256::digest(token);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A session that this stream has. Dropped, it ends if it is bound.
struct Open {
    keeper: Keeper,
    holder: Holder,
    ttl: Ttl,
    on_drop: OnDrop,
}

/// What becomes of a session whose stream ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnDrop {
    /// Nobody was told of it.
    Revoke,
    /// It is bound to this connection.
    End,
    /// It lives on for the rest of its time, or is over already.
    Leave,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.keeper.sessions().disconnect(self.holder);
        match self.on_drop {
            OnDrop::Leave => {}
            OnDrop::Revoke => self.keeper.backend().clean_up_lease(self.holder.lease),
            OnDrop::End => {
                let (keeper, holder) = (self.keeper.clone(), self.holder);
                self.keeper.finish(async move {
                    // An error says that the server stops; the lease then ends by itself.
                    let _ = end(&keeper, holder).await;
                });
            }
        }
    }
}

/// Ends a session, unless it was resumed since; the keys go with the lease. Returns whether it did.
pub async fn end(keeper: &Keeper, holder: Holder) -> Result<bool> {
    if !keeper.backend().undo(end_record(holder)).await?.succeeded {
        return Ok(false);
    }
    match keeper.backend().undo_lease(holder.lease).await {
        // Its deadline came first.
        Ok(()) | Err(Error::LeaseNotFound) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// A stream under way.
pub struct SessionStream {
    keeper: Keeper,
    requests: BoxStream<'static, std::result::Result<SessionRequest, Status>>,
    open: Option<(Open, mpsc::UnboundedReceiver<Notice>)>,
    over: bool,
}

impl SessionStream {
    /// A stream that has said nothing yet.
    #[must_use]
    pub fn new(
        keeper: Keeper,
        requests: BoxStream<'static, std::result::Result<SessionRequest, Status>>,
    ) -> SessionStream {
        SessionStream {
            keeper,
            requests,
            open: None,
            over: false,
        }
    }

    /// The next thing to tell; none when the client has ended the stream, or the session is over.
    pub async fn next(&mut self) -> std::result::Result<Option<SessionResponse>, Status> {
        if self.over {
            return Ok(None);
        }
        let response = match &mut self.open {
            None => match self.requests.next().await.transpose()? {
                Some(request) => Some(self.begin(request).await?),
                None => None,
            },
            Some((_, notices)) => tokio::select! {
                biased;
                notice = notices.recv() => Some(self.tell(notice)),
                request = self.requests.next() => match request.transpose()? {
                    Some(request) => Some(self.go_on(request).await?),
                    None => None,
                },
            },
        };
        Ok(response.map(|response| SessionResponse {
            response: Some(response),
        }))
    }

    async fn begin(&mut self, request: SessionRequest) -> Result<told::Response> {
        match request.request {
            Some(asked::Request::Open(open)) => self.open(open).await,
            Some(asked::Request::Resume(resume)) => self.resume(resume).await,
            _ => Err(Refusal::Invalid(
                "a session's first request is open or resume; send one of them".into(),
            )),
        }
    }

    async fn go_on(&mut self, request: SessionRequest) -> Result<told::Response> {
        match request.request {
            Some(asked::Request::Heartbeat(_)) => self.heartbeat().await,
            Some(asked::Request::Close(_)) => self.close().await,
            _ => Err(Refusal::Invalid(
                "the session is open; send heartbeat or close, or use another stream".into(),
            )),
        }
    }

    fn tell(&mut self, notice: Option<Notice>) -> told::Response {
        match notice {
            Some(Notice::Lost(lost)) => told::Response::Lost(lost),
            Some(Notice::Ended(reason)) => self.ended(reason),
            None => self.ended(told::ended::Reason::Resumed),
        }
    }

    fn ended(&mut self, reason: told::ended::Reason) -> told::Response {
        self.over = true;
        if let Some((open, _)) = &mut self.open {
            open.on_drop = OnDrop::Leave;
        }
        told::Response::Ended(told::Ended {
            reason: reason as i32,
        })
    }

    async fn open(&mut self, asked: asked::Open) -> Result<told::Response> {
        let ttl = Ttl {
            millis: ttl_of(&asked)?,
        };
        let holder = Holder {
            lease: LeaseId::fresh(),
            epoch: 0,
        };
        let mut open = Open {
            keeper: self.keeper.clone(),
            holder,
            ttl,
            on_drop: OnDrop::Revoke,
        };
        self.keeper
            .backend()
            .grant_session(holder.lease, ttl)
            .await?;
        let token: [u8; TOKEN] = rand::random();
        let record = Record {
            token_sha256: (!asked.bound).then(|| hash(&token)),
            ttl_ms: ttl.millis,
        };
        let request = put_record(holder, record.to_value());
        if !self.keeper.backend().txn(request).await?.succeeded {
            return Err(Refusal::NoSession(holder.lease));
        }
        open.holder.epoch = 1;
        open.on_drop = if asked.bound {
            OnDrop::End
        } else {
            OnDrop::Leave
        };
        let notices = self.keeper.sessions().connect(open.holder);
        let opened = told::Opened {
            session: holder.lease.0,
            epoch: 1,
            resume_token: if asked.bound {
                Bytes::new()
            } else {
                Bytes::copy_from_slice(&token)
            },
            ttl_ms: ttl.millis,
            valid_for_ms: ttl.millis,
            holds: Vec::new(),
        };
        self.open = Some((open, notices));
        Ok(told::Response::Opened(opened))
    }

    async fn resume(&mut self, asked: asked::Resume) -> Result<told::Response> {
        let lease = LeaseId(asked.session);
        let (holder, ttl) = Self::raise_epoch(&self.keeper, lease, &asked.resume_token).await?;
        let open = Open {
            keeper: self.keeper.clone(),
            holder,
            ttl,
            on_drop: OnDrop::Leave,
        };
        // Whatever the old connection still waits for ends before this one is told anything.
        let notices = self.keeper.sessions().connect(holder);
        self.open = Some((open, notices));
        self.keeper.attempts().fence(holder).await;
        let renewed = self.keeper.backend().renew(lease).await?;
        renewed.ok_or(Refusal::NoSession(lease))?;
        self.keeper.ledger().now().await?;
        Ok(told::Response::Opened(told::Opened {
            session: lease.0,
            epoch: holder.epoch,
            resume_token: asked.resume_token,
            ttl_ms: ttl.millis,
            valid_for_ms: ttl.millis,
            holds: self.keeper.ledger().holds_of(lease),
        }))
    }

    /// Fences whoever had the session.
    async fn raise_epoch(keeper: &Keeper, lease: LeaseId, token: &[u8]) -> Result<(Holder, Ttl)> {
        let backend = keeper.backend();
        loop {
            let found = backend.range(&just(&record_key(lease))).await?;
            let Some(kv) = found.kvs.into_iter().next() else {
                return Err(Refusal::NoSession(lease));
            };
            let record = Record::read(&kv.value).ok_or(Refusal::NoSession(lease))?;
            check_token(lease, &record, token)?;
            let epoch = kv.version;
            let put = put_record(Holder { lease, epoch }, kv.value);
            let raised = backend.txn(put).await.map_err(|error| match error {
                Error::LeaseNotFound => Refusal::NoSession(lease),
                other => other.into(),
            })?;
            if raised.succeeded {
                let ttl = Ttl {
                    millis: record.ttl_ms,
                };
                let epoch = epoch + 1;
                return Ok((Holder { lease, epoch }, ttl));
            }
            // Somebody else resumed it in between.
        }
    }

    async fn heartbeat(&mut self) -> Result<told::Response> {
        let Some((open, _)) = &self.open else {
            return Ok(self.ended(told::ended::Reason::Expired));
        };
        let (holder, ttl) = (open.holder, open.ttl);
        // Nobody may keep a session alive that is another connection's.
        let epoch = Self::epoch(&self.keeper, holder.lease).await?;
        if epoch == holder.epoch && self.keeper.backend().renew(holder.lease).await?.is_some() {
            return Ok(told::Response::Alive(told::Alive {
                valid_for_ms: ttl.millis,
            }));
        }
        self.over(holder).await
    }

    async fn close(&mut self) -> Result<told::Response> {
        if let Some((open, _)) = &self.open {
            let holder = open.holder;
            if !end(&self.keeper, holder).await? {
                return self.over(holder).await;
            }
        }
        Ok(self.ended(told::ended::Reason::Closed))
    }

    /// The session is not this connection's any more: it is over, or goes on elsewhere.
    async fn over(&mut self, holder: Holder) -> Result<told::Response> {
        let epoch = Self::epoch(&self.keeper, holder.lease).await?;
        let reason = if epoch > holder.epoch {
            told::ended::Reason::Resumed
        } else {
            told::ended::Reason::Expired
        };
        Ok(self.ended(reason))
    }

    /// The session's epoch; 0 when it is over.
    async fn epoch(keeper: &Keeper, lease: LeaseId) -> Result<i64> {
        let found = keeper.backend().range(&just(&record_key(lease))).await?;
        Ok(found.kvs.first().map_or(0, |kv| kv.version))
    }
}

/// What is granted: the TTL, but at least the grace.
fn ttl_of(asked: &asked::Open) -> Result<i64> {
    if !(LEAST_TTL..=MOST_TTL).contains(&asked.ttl_ms) {
        return Err(Refusal::Invalid(format!(
            "a TTL of {} ms; give ttl_ms from {LEAST_TTL} to {MOST_TTL}",
            asked.ttl_ms
        )));
    }
    if asked.bound && asked.grace_ms != 0 {
        return Err(Refusal::Invalid(
            "a session bound to its connection has no grace; leave grace_ms 0, or bound false"
                .into(),
        ));
    }
    let allowed = asked.grace_ms == 0 || (asked.ttl_ms..=MOST_TTL).contains(&asked.grace_ms);
    if !allowed {
        return Err(Refusal::Invalid(format!(
            "a grace of {} ms; give grace_ms from ttl_ms to {MOST_TTL}, or 0",
            asked.grace_ms
        )));
    }
    Ok(asked.ttl_ms.max(asked.grace_ms))
}

fn check_token(lease: LeaseId, record: &Record, token: &[u8]) -> Result<()> {
    match &record.token_sha256 {
        None => Err(Refusal::Bound(lease)),
        Some(expected) if *expected == hash(token) => Ok(()),
        Some(_) => Err(Refusal::WrongToken(lease)),
    }
}

/// A session as a list tells it.
#[must_use]
pub fn info(keeper: &Keeper, lease: LeaseId, epoch: i64, record: &Record) -> v1::SessionInfo {
    let left = keeper.backend().lease_left(lease);
    let left = left.map_or(0, |left| left.as_millis());
    let (holding, waiting) = keeper.ledger().counts_of(lease);
    v1::SessionInfo {
        session: lease.0,
        epoch,
        ttl_ms: record.ttl_ms,
        valid_for_ms: i64::try_from(left).unwrap_or(i64::MAX),
        bound: record.is_bound(),
        connected: keeper.sessions().is_connected(lease),
        holding,
        waiting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ttls_and_graces() {
        let open = |ttl_ms, bound, grace_ms| {
            ttl_of(&asked::Open {
                ttl_ms,
                bound,
                grace_ms,
            })
        };
        assert_eq!(open(100, true, 0), Ok(100));
        assert_eq!(open(100, false, 0), Ok(100));
        assert_eq!(open(100, false, 5000), Ok(5000));
        for bad in [
            open(99, true, 0),
            open(MOST_TTL + 1, true, 0),
            open(100, true, 100),
            open(100, false, 99),
            open(100, false, MOST_TTL + 1),
        ] {
            assert!(matches!(bad, Err(Refusal::Invalid(_))), "{bad:?}");
        }
    }

    #[test]
    fn the_record_has_the_tokens_hash_and_not_the_token() {
        let record = Record {
            token_sha256: Some(hash(b"secret")),
            ttl_ms: 100,
        };
        let value = record.to_value();
        assert_eq!(Record::read(&value), Some(record.clone()));
        assert!(!value.windows(6).any(|part| part == b"secret"));
        assert_eq!(check_token(LeaseId(1), &record, b"secret"), Ok(()));
        let wrong = check_token(LeaseId(1), &record, b"secres");
        assert_eq!(wrong, Err(Refusal::WrongToken(LeaseId(1))));
    }
}
