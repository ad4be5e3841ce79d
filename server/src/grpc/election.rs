//! v3electionpb.Election.

use futures::StreamExt;
use futures::stream::BoxStream;
use latchd_proto::v3electionpb::{
    CampaignRequest, CampaignResponse, LeaderRequest, LeaderResponse, ProclaimRequest,
    ProclaimResponse, ResignRequest, ResignResponse, election_server,
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::until_stopped;
use crate::service::election::Elections;
use crate::types::LeaseId;

/// The RPCs of Election.
pub struct ElectionRpc {
    /// The service.
    pub elections: Elections,
    /// Sends campaigns and observers away when the server drains.
    pub stopping: CancellationToken,
}

#[tonic::async_trait]
impl election_server::Election for ElectionRpc {
    type ObserveStream = BoxStream<'static, Result<LeaderResponse, Status>>;

    async fn campaign(
        &self,
        req: Request<CampaignRequest>,
    ) -> Result<Response<CampaignResponse>, Status> {
        let CampaignRequest { name, lease, value } = req.into_inner();
        let won = self.elections.campaign(name, LeaseId(lease), value);
        Ok(Response::new(until_stopped(&self.stopping, won).await?))
    }

    async fn proclaim(
        &self,
        req: Request<ProclaimRequest>,
    ) -> Result<Response<ProclaimResponse>, Status> {
        let ProclaimRequest { leader, value } = req.into_inner();
        Ok(Response::new(self.elections.proclaim(leader, value).await?))
    }

    async fn leader(
        &self,
        req: Request<LeaderRequest>,
    ) -> Result<Response<LeaderResponse>, Status> {
        Ok(Response::new(
            self.elections.leader(&req.get_ref().name).await?,
        ))
    }

    async fn observe(
        &self,
        req: Request<LeaderRequest>,
    ) -> Result<Response<Self::ObserveStream>, Status> {
        let observer = self.elections.observe(&req.get_ref().name);
        let start = (observer, self.stopping.clone());
        let leaders = futures::stream::try_unfold(start, |(mut observer, stopping)| async {
            let leader = until_stopped(&stopping, observer.next()).await?;
            Ok(Some((leader, (observer, stopping))))
        });
        Ok(Response::new(leaders.boxed()))
    }

    async fn resign(
        &self,
        req: Request<ResignRequest>,
    ) -> Result<Response<ResignResponse>, Status> {
        Ok(Response::new(
            self.elections.resign(req.into_inner().leader).await?,
        ))
    }
}
