//! Which path calls which RPC: one table, as etcd 3.7.1's `*.gw.go` has it, and latchd's own below
//! `/v1/`.

use std::any::type_name;
use std::collections::HashMap;
use std::sync::LazyLock;

use bytes::Bytes;
use latchd_proto::latchd::v1;
use latchd_proto::{etcdserverpb, v3electionpb, v3lockpb};
use prost::Message;
use serde::Serialize;
use tonic::Status;

use super::shapes::{MessageShape, MethodShape, SHAPES};

/// What a path leads to.
#[derive(Clone, Copy)]
pub struct Route {
    /// The RPC's path.
    pub rpc: &'static str,
    /// Whether it takes and gives streams.
    pub method: &'static MethodShape,
    /// The message that it takes.
    pub takes: &'static MessageShape,
    /// Turns an encoded answer into JSON.
    pub json: ToJson,
}

/// Turns an encoded message into JSON.
pub type ToJson = fn(Bytes) -> Result<Vec<u8>, Status>;

/// A path, an RPC, and the message that it answers with.
struct Row {
    path: &'static str,
    rpc: &'static str,
    json: ToJson,
    answer: fn() -> &'static str,
}

/// For each service the module of its messages and its name, then `path => method(answer)`.
macro_rules! table {
    ($($package:ident as $service:literal: $($path:literal => $method:ident($answer:ident),)*)*) => {
        &[$($(Row {
            path: $path,
            rpc: concat!("/", $service, "/", stringify!($method)),
            json: json::<$package::$answer>,
            answer: type_name::<$package::$answer>,
        },)*)*]
    };
}

/// All of it is POST.
const TABLE: &[Row] = table! {
    etcdserverpb as "etcdserverpb.KV":
        "/v3/kv/range" => Range(RangeResponse),
        "/v3/kv/put" => Put(PutResponse),
        "/v3/kv/deleterange" => DeleteRange(DeleteRangeResponse),
        "/v3/kv/txn" => Txn(TxnResponse),
        "/v3/kv/compaction" => Compact(CompactionResponse),
    etcdserverpb as "etcdserverpb.Watch":
        "/v3/watch" => Watch(WatchResponse),
    etcdserverpb as "etcdserverpb.Lease":
        "/v3/lease/grant" => LeaseGrant(LeaseGrantResponse),
        "/v3/lease/revoke" => LeaseRevoke(LeaseRevokeResponse),
        "/v3/kv/lease/revoke" => LeaseRevoke(LeaseRevokeResponse),
        "/v3/lease/keepalive" => LeaseKeepAlive(LeaseKeepAliveResponse),
        "/v3/lease/timetolive" => LeaseTimeToLive(LeaseTimeToLiveResponse),
        "/v3/kv/lease/timetolive" => LeaseTimeToLive(LeaseTimeToLiveResponse),
        "/v3/lease/leases" => LeaseLeases(LeaseLeasesResponse),
        "/v3/kv/lease/leases" => LeaseLeases(LeaseLeasesResponse),
    v3lockpb as "v3lockpb.Lock":
        "/v3/lock/lock" => Lock(LockResponse),
        "/v3/lock/unlock" => Unlock(UnlockResponse),
    v3electionpb as "v3electionpb.Election":
        "/v3/election/campaign" => Campaign(CampaignResponse),
        "/v3/election/proclaim" => Proclaim(ProclaimResponse),
        "/v3/election/leader" => Leader(LeaderResponse),
        "/v3/election/observe" => Observe(LeaderResponse),
        "/v3/election/resign" => Resign(ResignResponse),
    etcdserverpb as "etcdserverpb.Cluster":
        "/v3/cluster/member/add" => MemberAdd(MemberAddResponse),
        "/v3/cluster/member/remove" => MemberRemove(MemberRemoveResponse),
        "/v3/cluster/member/update" => MemberUpdate(MemberUpdateResponse),
        "/v3/cluster/member/list" => MemberList(MemberListResponse),
        "/v3/cluster/member/promote" => MemberPromote(MemberPromoteResponse),
    etcdserverpb as "etcdserverpb.Maintenance":
        "/v3/maintenance/alarm" => Alarm(AlarmResponse),
        "/v3/maintenance/status" => Status(StatusResponse),
        "/v3/maintenance/defragment" => Defragment(DefragmentResponse),
        "/v3/maintenance/hash" => Hash(HashResponse),
        "/v3/maintenance/hashkv" => HashKV(HashKvResponse),
        "/v3/maintenance/snapshot" => Snapshot(SnapshotResponse),
        "/v3/maintenance/transfer-leadership" => MoveLeader(MoveLeaderResponse),
        "/v3/maintenance/downgrade" => Downgrade(DowngradeResponse),
    etcdserverpb as "etcdserverpb.Auth":
        "/v3/auth/enable" => AuthEnable(AuthEnableResponse),
        "/v3/auth/disable" => AuthDisable(AuthDisableResponse),
        "/v3/auth/status" => AuthStatus(AuthStatusResponse),
        "/v3/auth/authenticate" => Authenticate(AuthenticateResponse),
        "/v3/auth/user/add" => UserAdd(AuthUserAddResponse),
        "/v3/auth/user/get" => UserGet(AuthUserGetResponse),
        "/v3/auth/user/list" => UserList(AuthUserListResponse),
        "/v3/auth/user/delete" => UserDelete(AuthUserDeleteResponse),
        "/v3/auth/user/changepw" => UserChangePassword(AuthUserChangePasswordResponse),
        "/v3/auth/user/grant" => UserGrantRole(AuthUserGrantRoleResponse),
        "/v3/auth/user/revoke" => UserRevokeRole(AuthUserRevokeRoleResponse),
        "/v3/auth/role/add" => RoleAdd(AuthRoleAddResponse),
        "/v3/auth/role/get" => RoleGet(AuthRoleGetResponse),
        "/v3/auth/role/list" => RoleList(AuthRoleListResponse),
        "/v3/auth/role/delete" => RoleDelete(AuthRoleDeleteResponse),
        "/v3/auth/role/grant" => RoleGrantPermission(AuthRoleGrantPermissionResponse),
        "/v3/auth/role/revoke" => RoleRevokePermission(AuthRoleRevokePermissionResponse),
    v1 as "latchd.v1.Locks":
        "/v1/locks/acquire" => Acquire(AcquireResponse),
        "/v1/locks/release" => Release(ReleaseResponse),
        "/v1/locks/extend" => Extend(ExtendResponse),
        "/v1/locks/verify" => Verify(VerifyResponse),
        "/v1/locks/list" => List(ListResponse),
        "/v1/locks/watch" => Watch(WatchResponse),
        "/v1/locks/force-release" => ForceRelease(ForceReleaseResponse),
        "/v1/locks/history" => History(HistoryResponse),
        "/v1/locks/session" => Session(SessionResponse),
};

static ROUTES: LazyLock<HashMap<&str, Route>> = LazyLock::new(|| {
    let routes = TABLE.iter().map(|row| (row.path, row.route()));
    routes.collect()
});

/// Reads the table; a wrong row is a bug that any start shows.
pub fn check() {
    LazyLock::force(&ROUTES);
}

/// Where `path` leads; `None` for nowhere.
#[must_use]
pub fn find(path: &str) -> Option<Route> {
    ROUTES.get(path).copied()
}

impl Row {
    fn route(&self) -> Route {
        let described = "the table names RPCs of the descriptors";
        let method = SHAPES.method(self.rpc).expect(described);
        assert_eq!(last((self.answer)()), last(&method.answers), "{}", self.rpc);
        Route {
            rpc: self.rpc,
            method,
            takes: SHAPES.message(&method.takes).expect(described),
            json: self.json,
        }
    }
}

/// The last part of a type's path, in lower case: Rust spells `HashKV` as `HashKv`.
fn last(path: &str) -> String {
    let name = path.rsplit([':', '.']).next();
    name.unwrap_or(path).to_lowercase()
}

fn json<M: Message + Default + Serialize>(message: Bytes) -> Result<Vec<u8>, Status> {
    let internal = |error: String| Status::internal(format!("latchd: the answer: {error}"));
    let message = M::decode(message).map_err(|error| internal(error.to_string()))?;
    serde_json::to_vec(&message).map_err(|error| internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_of_etcd_has_a_path_but_one() {
        let reached = |rpc: &str| TABLE.iter().any(|row| row.rpc == rpc);
        let missing: Vec<&str> = SHAPES.rpcs().filter(|rpc| !reached(rpc)).collect();
        // etcd's gateway has no path for it either.
        assert_eq!(missing, ["/etcdserverpb.KV/RangeStream"]);
    }

    #[test]
    fn only_whole_paths_lead_somewhere() {
        assert!(find("/v3/kv/range").is_some());
        for path in ["/v3/kv/range/", "/v3/kv", "v3/kv/range", "/v3/KV/range", ""] {
            assert!(find(path).is_none(), "{path}");
        }
    }
}
