//! What the server says of itself: the one member of its cluster.

use std::sync::Arc;

use latchd_proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmResponse, DowngradeInfo, Member, MemberListResponse,
    ResponseHeader, StatusResponse,
};

use crate::backend::Backend;
use crate::error::Result;
use crate::version;

/// Who this server is, as MemberList and Status tell it; cheap to clone.
#[derive(Clone)]
pub struct ThisMember {
    backend: Backend,
    about: Arc<About>,
}

/// What only the configuration knows.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// `--name`.
    pub name: String,
    /// Where clients reach this server.
    pub client_urls: Vec<String>,
    /// Where peers would reach it, if it had any.
    pub peer_urls: Vec<String>,
    /// The quota of the data file, which Status repeats; bytes.
    pub quota: i64,
}

impl ThisMember {
    /// The member whose data `backend` serves.
    #[must_use]
    pub fn new(backend: Backend, about: About) -> ThisMember {
        ThisMember {
            backend,
            about: Arc::new(about),
        }
    }

    /// Where this member's data is.
    #[must_use]
    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    /// A header with the current revision.
    #[must_use]
    pub fn header(&self) -> ResponseHeader {
        self.backend.header()
    }

    /// Cluster.MemberList: itself. Its header has no revision (seen on etcd 3.7.1).
    #[must_use]
    pub fn list(&self) -> MemberListResponse {
        let header = ResponseHeader {
            revision: 0,
            ..self.header()
        };
        MemberListResponse {
            header: Some(header),
            members: vec![Member {
                id: header.member_id,
                name: self.about.name.clone(),
                peer_ur_ls: self.about.peer_urls.clone(),
                client_ur_ls: self.about.client_urls.clone(),
                is_learner: false,
            }],
        }
    }

    /// Maintenance.Alarm.
    pub async fn alarm(&self, request: AlarmRequest) -> Result<AlarmResponse> {
        self.backend.alarm(request).await
    }

    /// The alarms that are raised.
    pub async fn alarms(&self) -> Result<Vec<AlarmMember>> {
        Ok(self.alarm(AlarmRequest::default()).await?.alarms)
    }

    /// Maintenance.Status. There is no raft: the member leads itself, and its index is its
    /// revision. Both sizes are the data file's.
    pub async fn status(&self) -> Result<StatusResponse> {
        let alarms = self.alarms().await?;
        let header = self.header();
        let size = i64::try_from(self.backend.size()).unwrap_or(i64::MAX);
        let index = u64::try_from(header.revision).unwrap_or(0);
        Ok(StatusResponse {
            header: Some(header),
            version: version::ETCD.to_owned(),
            db_size: size,
            db_size_in_use: size,
            db_size_quota: self.about.quota,
            leader: header.member_id,
            raft_index: index,
            raft_applied_index: index,
            raft_term: header.raft_term,
            errors: alarms.iter().map(alarm_text).collect(),
            storage_version: version::STORAGE.to_owned(),
            downgrade_info: Some(DowngradeInfo::default()),
            ..Default::default()
        })
    }
}

/// An alarm as etcd prints it among a status's errors.
fn alarm_text(alarm: &AlarmMember) -> String {
    format!(
        "memberID:{} alarm:{}",
        alarm.member_id,
        alarm.alarm().as_str_name()
    )
}
