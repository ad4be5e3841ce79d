//! What a client may ask, and what it was answered, as plain data.
//!
//! Keys and values are text: the clients write nothing else, and a violation is
//! to be read. What a server makes of them that is not text shows as a value
//! that nobody wrote.

use serde::{Deserialize, Serialize};

/// A revision of the keyspace, as in a response's header.
pub type Revision = i64;

/// A lease's ID; 0 is none.
pub type LeaseId = i64;

/// A key as it was at some revision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kv {
    /// Its name.
    pub key: String,
    /// What was put last.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// The revision that created it.
    #[serde(default)]
    pub create: Revision,
    /// The revision that wrote it last.
    pub modified: Revision,
    /// How often it was put since it was created.
    #[serde(default)]
    pub version: i64,
    /// The lease that it hangs on.
    #[serde(default)]
    pub lease: LeaseId,
}

/// One key, or the keys from `key` to before `end`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The key, or the first of them.
    pub key: String,
    /// Empty: `key` alone. One zero byte: everything from `key` on.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub end: String,
}

/// A Range.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Which keys.
    pub span: Span,
    /// As of which revision; 0 for now.
    #[serde(default)]
    pub revision: Revision,
    /// Whether the server may answer from what it has.
    #[serde(default)]
    pub serializable: bool,
    /// In which order.
    #[serde(default)]
    pub order: Order,
    /// At most so many keys; 0 for all.
    #[serde(default)]
    pub limit: i64,
    /// Only keys created at this revision or before; 0 for any.
    #[serde(default)]
    pub max_create: Revision,
}

/// The order of a Range's keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// By name.
    #[default]
    Key,
    /// By create revision, rising.
    OldestFirst,
    /// By create revision, falling.
    NewestFirst,
}

/// What a Txn compares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compare {
    /// Of this key.
    pub key: String,
    /// The thing that must be equal.
    pub equals: Target,
}

/// A side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The create revision; 0 when there is no such key.
    Create(Revision),
    /// The revision of the last put; 0 when there is no such key.
    Modified(Revision),
    /// The value; never true when there is no such key.
    Value(String),
}

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// KV.Range.
    Range(Look),
    /// KV.Put.
    Put {
        /// The key.
        key: String,
        /// Its value from now on.
        value: String,
        /// Its lease from now on; 0 for none.
        lease: LeaseId,
        /// Whether to answer what it replaced.
        prev: bool,
    },
    /// KV.DeleteRange.
    Delete {
        /// Which keys.
        span: Span,
        /// Whether to answer what they were.
        prev: bool,
    },
    /// KV.Txn.
    Txn {
        /// All must hold.
        compares: Vec<Compare>,
        /// Done if they do.
        then: Vec<Request>,
        /// Done if not.
        or_else: Vec<Request>,
    },
    /// Lease.LeaseGrant.
    Grant {
        /// The ID that it shall have.
        id: LeaseId,
        /// In seconds.
        ttl: i64,
    },
    /// Lease.LeaseRevoke.
    Revoke {
        /// Which lease.
        id: LeaseId,
    },
    /// One round on a stream of Lease.LeaseKeepAlive.
    KeepAlive {
        /// Which lease.
        id: LeaseId,
    },
    /// Lease.LeaseTimeToLive.
    TimeToLive {
        /// Which lease.
        id: LeaseId,
    },
    /// Lock.Lock.
    Lock {
        /// The lock.
        name: String,
        /// The lease that its key hangs on.
        lease: LeaseId,
    },
    /// Lock.Unlock.
    Unlock {
        /// The key that Lock answered.
        key: String,
    },
}

/// What a server answers, but for the header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// To [`Request::Range`].
    Range {
        /// The keys.
        kvs: Vec<Kv>,
        /// How many there are without the limit.
        count: i64,
        /// Whether the limit cut some off.
        more: bool,
    },
    /// To [`Request::Put`].
    Put {
        /// What it replaced, if that was asked.
        prev: Option<Kv>,
    },
    /// To [`Request::Delete`].
    Delete {
        /// How many keys are gone.
        deleted: i64,
        /// What they were, if that was asked.
        prevs: Vec<Kv>,
    },
    /// To [`Request::Txn`].
    Txn {
        /// Whether the comparisons held.
        succeeded: bool,
        /// One for each request of the branch taken.
        responses: Vec<Response>,
    },
    /// To [`Request::Grant`].
    Granted {
        /// The lease.
        id: LeaseId,
        /// Its TTL in seconds.
        ttl: i64,
    },
    /// To [`Request::Revoke`].
    Revoked,
    /// To [`Request::KeepAlive`].
    KeptAlive {
        /// In seconds; 0 or less when there is no such lease.
        ttl: i64,
    },
    /// To [`Request::TimeToLive`].
    Left {
        /// In seconds, rounded down; −1 when there is no such lease.
        ttl: i64,
    },
    /// To [`Request::Lock`].
    Locked {
        /// The holder's key.
        key: String,
    },
    /// To [`Request::Unlock`].
    Unlocked,
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Whether the key was deleted.
    #[serde(default)]
    pub deleted: bool,
    /// The key as it is now; of a deleted one only its name and the revision.
    pub kv: Kv,
    /// The key as it was before, if that was asked and it was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<Kv>,
}

impl Span {
    /// One key.
    #[must_use]
    pub fn one(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            end: String::new(),
        }
    }

    /// All keys that begin with `prefix`, whose last byte is an ASCII character.
    #[must_use]
    pub fn prefix(prefix: &str) -> Self {
        let mut end = prefix.to_owned();
        let after = end.pop().and_then(|last| char::from_u32(last as u32 + 1));
        end.extend(after);
        Self {
            key: prefix.to_owned(),
            end,
        }
    }

    /// Every key there is.
    #[must_use]
    pub fn all() -> Self {
        Self {
            key: "\0".to_owned(),
            end: "\0".to_owned(),
        }
    }

    /// Whether `key` is one of them.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        match self.end.as_str() {
            "" => key == self.key,
            "\0" => key >= self.key.as_str(),
            end => (self.key.as_str()..end).contains(&key),
        }
    }
}

impl Look {
    /// All keys of `span`, now.
    #[must_use]
    pub fn at(span: Span) -> Self {
        Self {
            span,
            ..Self::default()
        }
    }
}

impl Request {
    /// A linearizable read of one key.
    #[must_use]
    pub fn get(key: &str) -> Self {
        Self::Range(Look::at(Span::one(key)))
    }

    /// A put without a lease.
    #[must_use]
    pub fn put(key: &str, value: &str) -> Self {
        Self::Put {
            key: key.to_owned(),
            value: value.to_owned(),
            lease: 0,
            prev: false,
        }
    }

    /// Whether it is served by what the server happens to have.
    #[must_use]
    pub fn is_serializable(&self) -> bool {
        matches!(self, Self::Range(look) if look.serializable)
    }

    /// The key and create revision that a Txn is fenced by, if it is.
    #[must_use]
    pub fn fence(&self) -> Option<(&str, Revision)> {
        let Self::Txn { compares, .. } = self else {
            return None;
        };
        compares.iter().find_map(|compare| match compare.equals {
            Target::Create(token) if token > 0 => Some((compare.key.as_str(), token)),
            _ => None,
        })
    }
}

impl Response {
    /// Whether it says that something was written.
    #[must_use]
    pub fn wrote(&self) -> bool {
        match self {
            Self::Put { .. } => true,
            Self::Delete { deleted, .. } => *deleted > 0,
            Self::Txn { responses, .. } => responses.iter().any(Self::wrote),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_contain_what_etcds_ranges_do() {
        let prefix = Span::prefix("a/");
        assert_eq!(prefix.end, "a0");
        assert!(prefix.contains("a/") && prefix.contains("a/b"));
        assert!(!prefix.contains("a") && !prefix.contains("a0"));
        assert!(Span::all().contains("\0") && Span::all().contains("zz"));
        assert!(Span::one("a").contains("a") && !Span::one("a").contains("ab"));
    }
}
