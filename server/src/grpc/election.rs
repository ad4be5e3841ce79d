//! v3electionpb.Election.

use latchd_proto::v3electionpb::{
    CampaignRequest, CampaignResponse, LeaderRequest, LeaderResponse, ProclaimRequest,
    ProclaimResponse, ResignRequest, ResignResponse, election_server,
};
use tonic::{Request, Response, Status};

use super::unimplemented;

/// The RPCs of Election.
pub struct ElectionRpc;

#[tonic::async_trait]
impl election_server::Election for ElectionRpc {
    type ObserveStream = futures::stream::Empty<Result<LeaderResponse, Status>>;

    async fn campaign(
        &self,
        _: Request<CampaignRequest>,
    ) -> Result<Response<CampaignResponse>, Status> {
        unimplemented("Election.Campaign")
    }

    async fn proclaim(
        &self,
        _: Request<ProclaimRequest>,
    ) -> Result<Response<ProclaimResponse>, Status> {
        unimplemented("Election.Proclaim")
    }

    async fn leader(&self, _: Request<LeaderRequest>) -> Result<Response<LeaderResponse>, Status> {
        unimplemented("Election.Leader")
    }

    async fn observe(
        &self,
        _: Request<LeaderRequest>,
    ) -> Result<Response<Self::ObserveStream>, Status> {
        unimplemented("Election.Observe")
    }

    async fn resign(&self, _: Request<ResignRequest>) -> Result<Response<ResignResponse>, Status> {
        unimplemented("Election.Resign")
    }
}
