//! What the server says of itself: the one member of its cluster.

use std::sync::Arc;

use latchd_proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmResponse, DowngradeInfo, DowngradeRequest, DowngradeResponse,
    Member, MemberAddRequest, MemberListResponse, MemberUpdateRequest, MemberUpdateResponse,
    ResponseHeader, StatusResponse,
};

use latchd_proto::etcdserverpb::downgrade_request::DowngradeAction;
use url::Url;

use crate::backend::Backend;
use crate::error::{Error, Result};
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

    /// Cluster.MemberList: itself.
    #[must_use]
    pub fn list(&self) -> MemberListResponse {
        MemberListResponse {
            header: Some(self.cluster_header()),
            members: vec![self.described()],
        }
    }

    /// Answers of Cluster have headers without a revision (seen on etcd 3.7.1).
    fn cluster_header(&self) -> ResponseHeader {
        ResponseHeader {
            revision: 0,
            ..self.header()
        }
    }

    fn described(&self) -> Member {
        let peers = self.backend.peer_urls();
        Member {
            id: self.header().member_id,
            name: self.about.name.clone(),
            peer_ur_ls: peers.map_or_else(|| self.about.peer_urls.clone(), |urls| urls.to_vec()),
            client_ur_ls: self.about.client_urls.clone(),
            is_learner: false,
        }
    }

    /// Cluster.MemberAdd: refused, whatever the URLs.
    #[must_use]
    pub fn add(&self, request: &MemberAddRequest) -> Error {
        if request.peer_ur_ls.is_empty() || !request.peer_ur_ls.iter().all(|url| is_peer(url)) {
            return Error::MemberBadUrls;
        }
        Error::NoPeers("a member cannot be added")
    }

    /// Cluster.MemberRemove: refused, as a one-member etcd refuses it.
    #[must_use]
    pub fn remove(&self, id: u64) -> Error {
        if self.is_this(id) {
            Error::MemberNotEnoughStarted
        } else {
            Error::MemberNotFound
        }
    }

    /// Cluster.MemberUpdate: the peer URLs are kept and told, and nothing else comes of them. As in
    /// etcd, they count for more than the flag's from then on, and clients see to their form.
    pub async fn update(&self, request: MemberUpdateRequest) -> Result<MemberUpdateResponse> {
        if !self.is_this(request.id) {
            return Err(Error::MemberNotFound);
        }
        self.backend.set_peer_urls(request.peer_ur_ls).await?;
        Ok(MemberUpdateResponse {
            header: Some(self.cluster_header()),
            members: vec![self.described()],
        })
    }

    /// Cluster.MemberPromote: refused, as a one-member etcd refuses it.
    #[must_use]
    pub fn promote(&self, id: u64) -> Error {
        if self.is_this(id) {
            Error::MemberNotLearner
        } else {
            Error::MemberNotFound
        }
    }

    /// Maintenance.MoveLeader: to itself, which changes nothing, or to nobody.
    pub fn move_leader(&self, target: u64) -> Result<()> {
        if self.is_this(target) {
            Ok(())
        } else {
            Err(Error::BadLeaderTransferee)
        }
    }

    /// Maintenance.Downgrade. There is no older latchd of this format to go back to, so a downgrade
    /// is validated as etcd does it and never enabled; none is ever under way to be cancelled.
    pub fn downgrade(&self, request: &DowngradeRequest) -> Result<DowngradeResponse> {
        match DowngradeAction::try_from(request.action) {
            Ok(DowngradeAction::Validate) => downgrade_target(&request.version)?,
            Ok(DowngradeAction::Enable) => {
                downgrade_target(&request.version)?;
                return Err(Error::NoPeers("a downgrade cannot be enabled"));
            }
            Ok(DowngradeAction::Cancel) => {}
            Err(_) => return Err(Error::UnknownMethod),
        }
        Ok(DowngradeResponse {
            header: Some(self.header()),
            version: version::CLUSTER_SHORT.to_owned(),
        })
    }

    fn is_this(&self, id: u64) -> bool {
        id == self.header().member_id
    }

    /// Maintenance.Alarm.
    pub async fn alarm(&self, request: AlarmRequest) -> Result<AlarmResponse> {
        self.backend.alarm(request).await
    }

    /// The alarms that are raised.
    #[must_use]
    pub fn alarms(&self) -> Vec<AlarmMember> {
        self.backend.alarms()
    }

    /// Maintenance.Status. There is no raft: the member leads itself, and its index is its
    /// revision. Both sizes are the data file's.
    #[must_use]
    pub fn status(&self) -> StatusResponse {
        let alarms = self.alarms();
        let header = self.header();
        let size = i64::try_from(self.backend.size()).unwrap_or(i64::MAX);
        let index = u64::try_from(header.revision).unwrap_or(0);
        StatusResponse {
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
        }
    }
}

/// An alarm as etcd prints it among a status's errors: as Go prints a message, without a zero.
fn alarm_text(alarm: &AlarmMember) -> String {
    let kind = alarm.alarm().as_str_name();
    match alarm.member_id {
        0 => format!("alarm:{kind}"),
        member => format!("memberID:{member} alarm:{kind}"),
    }
}

/// Whether etcd takes this for a peer's URL.
fn is_peer(text: &str) -> bool {
    let Ok(url) = Url::parse(text.trim()) else {
        return false;
    };
    let known = ["http", "https", "unix", "unixs"].contains(&url.scheme());
    let has_port = url.port().is_some() || url.scheme().starts_with("unix");
    known && has_port && matches!(url.path(), "" | "/")
}

/// Only the minor version before this one can be gone back to.
fn downgrade_target(text: &str) -> Result<()> {
    let mut parts = text.splitn(3, '.');
    let (major, minor) = (parts.next(), parts.next());
    // What follows the patch number says how it was built: `0-rc.1`.
    let patch = parts.next().and_then(|rest| rest.split(['-', '+']).next());
    let mut numbers = [major, minor, patch].into_iter().flatten();
    let mut numbers = std::iter::from_fn(|| numbers.next().map(str::parse::<u32>));
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Err(Error::DowngradeFormat);
    };
    if numbers.next().is_some_and(|patch| patch.is_err()) {
        return Err(Error::DowngradeFormat);
    }
    if (major, minor) == version::DOWNGRADE_TARGET {
        Ok(())
    } else {
        Err(Error::DowngradeTarget)
    }
}

#[cfg(test)]
mod tests {
    use latchd_proto::etcdserverpb::AlarmType;

    use super::*;

    #[test]
    fn an_alarm_for_every_member_names_none() {
        let alarm = |member_id| AlarmMember {
            member_id,
            alarm: AlarmType::Nospace.into(),
        };
        assert_eq!(alarm_text(&alarm(0)), "alarm:NOSPACE");
        assert_eq!(alarm_text(&alarm(7)), "memberID:7 alarm:NOSPACE");
    }
}
