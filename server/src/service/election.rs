//! etcd's Election service: a lock whose key has a value, which all may read.
//!
//! Behaviour is that of etcd 3.7.1 (`v3election`, `concurrency/election.go`), but that a campaign
//! whose lease ended while it waited is told so, where etcd says that it won.

use std::collections::VecDeque;

use bytes::Bytes;
use latchd_proto::etcdserverpb::{PutRequest, ResponseHeader, TxnRequest};
use latchd_proto::mvccpb::KeyValue;
use latchd_proto::mvccpb::event::EventType;
use latchd_proto::v3electionpb::{
    CampaignResponse, LeaderKey, LeaderResponse, ProclaimResponse, ResignResponse,
};

use super::contenders::{Contenders, Contest};
use super::requests::{delete_if_created_at, put_if_created_at};
use super::turn::{end_of, oldest, prefix_of};
use super::validate;
use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::mvcc::KeyRange;
use crate::types::{LeaseId, Revision, WatchId};
use crate::watch::{Delivery, Filters, WatchSpec, Watches};

/// The service; cheap to clone.
#[derive(Clone)]
pub struct Elections {
    backend: Backend,
    contenders: Contenders,
}

impl Elections {
    /// The service over `backend`. Locks and elections of one name exclude each other, so they
    /// share their contenders.
    #[must_use]
    pub fn new(backend: Backend, contenders: Contenders) -> Elections {
        Elections {
            backend,
            contenders,
        }
    }

    /// Election.Campaign: waits until the lease leads, with `value` for all to see. On a lease
    /// that campaigns already, the value is changed and the place kept.
    ///
    /// Dropping the future resigns. Every error has code UNKNOWN, as in etcd.
    pub async fn campaign(
        &self,
        name: Bytes,
        lease: LeaseId,
        value: Bytes,
    ) -> Result<CampaignResponse> {
        let contest = Contest {
            prefix: prefix_of(&name),
            lease,
            value: Some(value),
        };
        let won = self
            .contenders
            .win(contest)
            .await
            .map_err(|error| match error {
                Error::SessionExpired => Error::Unknown("election: session is expired".into()),
                other => other.into_unknown(),
            })?;
        Ok(CampaignResponse {
            header: Some(won.joined),
            leader: Some(LeaderKey {
                name,
                key: won.key,
                rev: won.created.0,
                lease: won.lease.0,
            }),
        })
    }

    /// Election.Proclaim: changes the value of a leader that still leads.
    pub async fn proclaim(
        &self,
        leader: Option<LeaderKey>,
        value: Bytes,
    ) -> Result<ProclaimResponse> {
        let leader = leader.ok_or(Error::MissingLeader)?;
        let put = PutRequest {
            key: leader.key,
            value,
            lease: leader.lease,
            ..Default::default()
        };
        let changed = self
            .guarded(put_if_created_at(put, Revision(leader.rev)))
            .await?;
        match changed {
            (header, true) => Ok(ProclaimResponse {
                header: Some(header),
            }),
            (_, false) => Err(Error::NotLeader.into_unknown()),
        }
    }

    /// Election.Resign: deletes the leader's key; a leader that leads no more is fine.
    pub async fn resign(&self, leader: Option<LeaderKey>) -> Result<ResignResponse> {
        let leader = leader.ok_or(Error::MissingLeader)?;
        let delete = delete_if_created_at(&leader.key, Revision(leader.rev));
        let (header, _) = self.guarded(delete).await?;
        Ok(ResignResponse {
            header: Some(header),
        })
    }

    /// Runs a Txn of one compare and one operation; returns whether the compare held.
    async fn guarded(&self, request: TxnRequest) -> Result<(ResponseHeader, bool)> {
        let answered = async {
            validate::txn(&request, 1)?;
            self.backend.txn(request).await
        };
        let response = answered.await.map_err(Error::into_unknown)?;
        Ok((response.header.unwrap_or_default(), response.succeeded))
    }

    /// Election.Leader: the oldest contender's key.
    pub async fn leader(&self, name: &Bytes) -> Result<LeaderResponse> {
        let leader = self
            .look(&prefix_of(name))
            .await
            .map_err(Error::into_unknown)?;
        match leader {
            (header, Some(kv)) => Ok(told(header, kv)),
            (_, None) => Err(Error::NoLeader),
        }
    }

    async fn look(&self, prefix: &Bytes) -> Result<(ResponseHeader, Option<KeyValue>)> {
        let response = self.backend.range(&oldest(prefix)).await?;
        let leader = response.kvs.into_iter().next();
        Ok((response.header.unwrap_or_default(), leader))
    }

    /// Election.Observe: the leader now, or the first to come, and then every change of it.
    #[must_use]
    pub fn observe(&self, name: &Bytes) -> Observer {
        Observer {
            elections: self.clone(),
            prefix: prefix_of(name),
            watch: None,
            ready: VecDeque::new(),
        }
    }
}

/// Follows who leads. It need not see every value of a past leader, but always the latest.
pub struct Observer {
    elections: Elections,
    prefix: Bytes,
    /// What is being watched: the leader's key, or with nobody leading the whole election.
    watch: Option<Watches>,
    ready: VecDeque<LeaderResponse>,
}

impl Observer {
    /// The next leader, or the next value of the same one.
    pub async fn next(&mut self) -> Result<LeaderResponse> {
        loop {
            if let Some(response) = self.ready.pop_front() {
                return Ok(response);
            }
            match &mut self.watch {
                None => self.attach().await?,
                Some(watch) => {
                    let delivery = watch.next().await?;
                    self.follow(delivery);
                }
            }
        }
    }

    /// Finds out who leads, and watches from there on.
    async fn attach(&mut self) -> Result<()> {
        let (header, leader) = self.elections.look(&self.prefix).await?;
        let range = match &leader {
            Some(kv) => KeyRange::single(kv.key.clone()),
            None => KeyRange::from_wire(&self.prefix, &end_of(&self.prefix)),
        };
        let mut watches = self.elections.backend.watches();
        let spec = WatchSpec {
            range,
            start: Some(Revision(header.revision).next()),
            filters: Filters::default(),
            previous: false,
        };
        watches.create(WatchId(0), spec);
        if let Some(kv) = leader {
            self.watch = Some(watches);
            self.ready.push_back(told(header, kv));
            return Ok(());
        }
        // Whatever happens to the election now, looking again finds the leader.
        watches.next().await.map(drop)
    }

    fn follow(&mut self, delivery: Delivery) {
        let Delivery::Events {
            events, revision, ..
        } = delivery
        else {
            self.watch = None;
            return;
        };
        let header = ResponseHeader {
            revision: revision.0,
            ..self.elections.backend.header()
        };
        for event in events {
            if event.r#type == EventType::Delete as i32 {
                self.watch = None;
                return;
            }
            let kv = event.kv.unwrap_or_default();
            self.ready.push_back(told(header, kv));
        }
    }
}

fn told(header: ResponseHeader, kv: KeyValue) -> LeaderResponse {
    LeaderResponse {
        header: Some(header),
        kv: Some(kv),
    }
}
