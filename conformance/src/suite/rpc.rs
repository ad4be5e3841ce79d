//! Which call a request belongs to.

use std::fmt::Debug;

use latchd_proto::{etcdserverpb::*, v3electionpb::*, v3lockpb::*};
use prost::Message;
use serde::Serialize;

/// A message that can be sent and shown.
pub trait Payload: Message + Default + Serialize + Debug + 'static {}

impl<T: Message + Default + Serialize + Debug + 'static> Payload for T {}

/// The request of a unary call, which is the only one that takes it.
pub trait Unary: Payload {
    /// The call's path.
    const PATH: &'static str;
    /// What it answers.
    type Response: Payload;
}

/// `Service: Method(Request) -> Response;` for each call; the package before all.
macro_rules! unary {
    ($package:literal, $($service:literal / $method:literal: $request:ty => $response:ty,)*) => {
        $(impl Unary for $request {
            const PATH: &'static str = concat!("/", $package, ".", $service, "/", $method);
            type Response = $response;
        })*
    };
}

unary! { "etcdserverpb",
    "KV" / "Range": RangeRequest => RangeResponse,
    "KV" / "Put": PutRequest => PutResponse,
    "KV" / "DeleteRange": DeleteRangeRequest => DeleteRangeResponse,
    "KV" / "Txn": TxnRequest => TxnResponse,
    "KV" / "Compact": CompactionRequest => CompactionResponse,
    "Lease" / "LeaseGrant": LeaseGrantRequest => LeaseGrantResponse,
    "Lease" / "LeaseRevoke": LeaseRevokeRequest => LeaseRevokeResponse,
    "Lease" / "LeaseTimeToLive": LeaseTimeToLiveRequest => LeaseTimeToLiveResponse,
    "Lease" / "LeaseLeases": LeaseLeasesRequest => LeaseLeasesResponse,
    "Cluster" / "MemberAdd": MemberAddRequest => MemberAddResponse,
    "Cluster" / "MemberRemove": MemberRemoveRequest => MemberRemoveResponse,
    "Cluster" / "MemberUpdate": MemberUpdateRequest => MemberUpdateResponse,
    "Cluster" / "MemberList": MemberListRequest => MemberListResponse,
    "Cluster" / "MemberPromote": MemberPromoteRequest => MemberPromoteResponse,
    "Maintenance" / "Alarm": AlarmRequest => AlarmResponse,
    "Maintenance" / "Status": StatusRequest => StatusResponse,
    "Maintenance" / "Defragment": DefragmentRequest => DefragmentResponse,
    "Maintenance" / "Hash": HashRequest => HashResponse,
    "Maintenance" / "HashKV": HashKvRequest => HashKvResponse,
    "Maintenance" / "MoveLeader": MoveLeaderRequest => MoveLeaderResponse,
    "Maintenance" / "Downgrade": DowngradeRequest => DowngradeResponse,
    "Auth" / "AuthEnable": AuthEnableRequest => AuthEnableResponse,
    "Auth" / "AuthDisable": AuthDisableRequest => AuthDisableResponse,
    "Auth" / "AuthStatus": AuthStatusRequest => AuthStatusResponse,
    "Auth" / "Authenticate": AuthenticateRequest => AuthenticateResponse,
    "Auth" / "UserAdd": AuthUserAddRequest => AuthUserAddResponse,
    "Auth" / "UserGet": AuthUserGetRequest => AuthUserGetResponse,
    "Auth" / "UserList": AuthUserListRequest => AuthUserListResponse,
    "Auth" / "UserDelete": AuthUserDeleteRequest => AuthUserDeleteResponse,
    "Auth" / "UserChangePassword": AuthUserChangePasswordRequest => AuthUserChangePasswordResponse,
    "Auth" / "UserGrantRole": AuthUserGrantRoleRequest => AuthUserGrantRoleResponse,
    "Auth" / "UserRevokeRole": AuthUserRevokeRoleRequest => AuthUserRevokeRoleResponse,
    "Auth" / "RoleAdd": AuthRoleAddRequest => AuthRoleAddResponse,
    "Auth" / "RoleGet": AuthRoleGetRequest => AuthRoleGetResponse,
    "Auth" / "RoleList": AuthRoleListRequest => AuthRoleListResponse,
    "Auth" / "RoleDelete": AuthRoleDeleteRequest => AuthRoleDeleteResponse,
    "Auth" / "RoleGrantPermission": AuthRoleGrantPermissionRequest => AuthRoleGrantPermissionResponse,
    "Auth" / "RoleRevokePermission": AuthRoleRevokePermissionRequest => AuthRoleRevokePermissionResponse,
}

unary! { "v3lockpb",
    "Lock" / "Lock": LockRequest => LockResponse,
    "Lock" / "Unlock": UnlockRequest => UnlockResponse,
}

unary! { "v3electionpb",
    "Election" / "Campaign": CampaignRequest => CampaignResponse,
    "Election" / "Proclaim": ProclaimRequest => ProclaimResponse,
    "Election" / "Leader": LeaderRequest => LeaderResponse,
    "Election" / "Resign": ResignRequest => ResignResponse,
}

/// `Service/Method` of a path.
#[must_use]
pub fn short(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, short)| short)
}
