//! What the writer knows by heart: derived from the tables at start, kept in step by every write.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use latchd_proto::etcdserverpb::AlarmType;

use super::by_create::CreateIndex;
use crate::types::{LeaseId, Revision, Ttl};

/// What a lease is for; etcd's have no other kind than the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LeaseKind {
    /// Granted through etcd's Lease service, TTLs in whole seconds.
    Etcd = 0,
    /// The lease of a `latchd.v1` session.
    Session = 1,
}

impl LeaseKind {
    /// The kind that a row's byte names.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<LeaseKind> {
        match byte {
            0 => Some(LeaseKind::Etcd),
            1 => Some(LeaseKind::Session),
            _ => None,
        }
    }
}

/// A granted lease and the keys that go with it.
#[derive(Debug)]
pub struct Lease {
    /// What was granted.
    pub ttl: Ttl,
    /// Who granted it.
    pub kind: LeaseKind,
    /// The keys that a revoke deletes, sorted as etcd deletes them. Boxed, because a `Bytes` from
    /// a request would keep the whole request alive.
    pub keys: BTreeSet<Box<[u8]>>,
}

/// The writer's own state; only the applier has it.
#[derive(Debug)]
pub struct State {
    /// The revision of the last write.
    pub revision: Revision,
    /// Reads below this revision are refused.
    pub compacted: Revision,
    /// The highest of these that a client asked for: what is older is refused, even to those who have
    /// missed nothing.
    pub asked: Revision,
    /// Every lease.
    pub leases: HashMap<LeaseId, Lease>,
    /// Every alarm: etcd's `AlarmType`, and the member that it is about.
    pub alarms: BTreeSet<(i32, u64)>,
    /// The peer URLs that an operator gave the member, who has no use for them.
    pub peer_urls: Option<Arc<[String]>>,
    /// Whether a lease has waited for a lock while it had another key. Before that, etcd's clients
    /// cannot be in a deadlock.
    pub entangled: bool,
}

impl State {
    /// The state of an empty store.
    #[must_use]
    pub fn empty() -> State {
        State {
            revision: Revision::INITIAL,
            compacted: Revision::NEVER_COMPACTED,
            asked: Revision::NEVER_COMPACTED,
            leases: HashMap::new(),
            alarms: BTreeSet::new(),
            peer_urls: None,
            entangled: false,
        }
    }

    /// Whether an alarm of this kind is raised, for any member.
    #[must_use]
    pub fn has_alarm(&self, kind: AlarmType) -> bool {
        self.alarms.iter().any(|(raised, _)| *raised == kind as i32)
    }

    /// Moves a key from one lease to another; [`LeaseId::NONE`] on either side is "none". Returns
    /// whether the lease that got it has others, too.
    pub fn move_key(&mut self, key: &[u8], from: LeaseId, to: LeaseId) -> bool {
        if from == to {
            return false;
        }
        if let Some(lease) = self.leases.get_mut(&from) {
            lease.keys.remove(key);
        }
        self.leases.get_mut(&to).is_some_and(|lease| {
            lease.keys.insert(key.into());
            lease.keys.len() > 1
        })
    }

    /// Takes note of a key that a lease has got beside others, once the index has it.
    pub fn note_another(&mut self, key: &[u8], lease: LeaseId, index: &CreateIndex) {
        let segment = key.rsplit(|byte| *byte == b'/').next().unwrap_or(key);
        self.entangled = self.entangled || (index.has_company(key) && lease.locks_with(segment));
    }
}
