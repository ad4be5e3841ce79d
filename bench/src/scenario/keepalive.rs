//! Keepalives, one after the other on one stream.

use anyhow::{Context, Result, ensure};
use futures::channel::mpsc;
use latchd_proto::etcdserverpb::{
    LeaseKeepAliveRequest, LeaseKeepAliveResponse, lease_client::LeaseClient,
};
use tonic::Streaming;

use crate::wire::Wire;

use super::grant;

/// Renews its lease.
pub struct Keeper {
    request: LeaseKeepAliveRequest,
    requests: mpsc::Sender<LeaseKeepAliveRequest>,
    replies: Streaming<LeaseKeepAliveResponse>,
}

impl Keeper {
    /// One with a lease of its own and an open stream.
    pub async fn prepare(wire: Wire) -> Result<Self> {
        let request = LeaseKeepAliveRequest {
            id: grant(wire.clone()).await?,
        };
        let (mut requests, sent) = mpsc::channel(1);
        // The first request goes out with the call: some servers answer its headers only then.
        requests.try_send(request)?;
        let opened = LeaseClient::new(wire).lease_keep_alive(sent).await;
        let mut keeper = Self {
            request,
            requests,
            replies: opened.context("LeaseKeepAlive")?.into_inner(),
        };
        keeper.renewed().await?;
        Ok(keeper)
    }

    /// One request, and the reply to it.
    pub async fn operate(&mut self) -> Result<()> {
        self.requests.try_send(self.request)?;
        self.renewed().await
    }

    async fn renewed(&mut self) -> Result<()> {
        let reply = self.replies.message().await.context("LeaseKeepAlive")?;
        let reply = reply.context("LeaseKeepAlive: the stream ended")?;
        ensure!(reply.ttl > 0, "LeaseKeepAlive: the lease is gone");
        Ok(())
    }
}
