//! Where latchd answers otherwise than etcd does, and why. Each is an improvement,
//! or a property of a server that is its own cluster.

use super::{case::matches, compare::Difference};

/// One reason, and where it shows. In all patterns `*` stands for anything.
#[derive(Debug)]
pub struct Explained {
    /// The cases, as `family/case`.
    pub cases: &'static str,
    /// The steps, as `Service/Method`.
    pub what: &'static str,
    /// The places in the answer.
    pub path: &'static str,
    /// What latchd may have there; `(absent)` for nothing.
    pub tested: &'static [&'static str],
    /// Why.
    pub reason: &'static str,
}

/// All of them, at most ten. One that a full run does not need is an error: delete
/// its entry.
pub const EXPLAINED: &[Explained] = &[
    Explained {
        cases: "kv/frames: a field of another type",
        what: "KV/Put (raw)",
        path: "end.*",
        tested: &["Internal", "grpc: error unmarshalling request: *"],
        reason: "Go takes a known field of a wrong type for one that nobody knows, and leaves it out",
    },
    Explained {
        cases: "txn/limits: 60 deep",
        what: "KV/Txn",
        path: "*",
        tested: &[
            "Internal",
            "grpc: error unmarshalling request: *",
            "(absent)",
        ],
        reason: "a message may be nested 100 deep, a Txn in a Txn so 49 deep: a bound for the stack",
    },
    Explained {
        cases: "election/wait: its own lease is revoked",
        what: "Election/Campaign (lease 2)",
        path: "*",
        tested: &["Unknown", "election: session is expired", "(absent)"],
        reason: "a campaign whose lease has ended does not lead; etcd says so of a Lock only",
    },
    Explained {
        cases: "reflection/*",
        what: "reflection",
        path: "*",
        tested: &[
            "(absent)",
            "etcdserverpb.Auth etcdserverpb.Cluster etcdserverpb.KV etcdserverpb.Lease \
             etcdserverpb.Maintenance etcdserverpb.Watch grpc.health.v1.Health \
             grpc.reflection.* latchd.v1.Locks v3electionpb.Election v3lockpb.Lock",
            "etcdserverpb: [*\"KV\"*], * messages",
            "v3lockpb: [\"Lock\"], 4 messages",
            "mvccpb: [], * messages",
            "NotFound",
            "symbol 'nonsense' not found",
        ],
        reason: "latchd describes its services to tools like grpcurl, and etcd does not",
    },
];

impl Explained {
    /// Whether it is about this difference of this case.
    #[must_use]
    pub fn covers(&self, case: &str, difference: &Difference) -> bool {
        let tested = match &difference.tested {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => "(absent)".to_owned(),
        };
        matches(self.cases, case)
            && matches(self.what, &difference.what)
            && matches(self.path, &difference.path)
            && self.tested.iter().any(|pattern| matches(pattern, &tested))
    }
}

/// The entry of `list` that is about this difference.
#[must_use]
pub fn explanation(list: &[Explained], case: &str, difference: &Difference) -> Option<usize> {
    list.iter().position(|entry| entry.covers(case, difference))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIST: &[Explained] = &[Explained {
        cases: "lease/*",
        what: "Lease/LeaseGrant",
        path: "TTL",
        tested: &["1"],
        reason: "finer times",
    }];

    fn difference(tested: Option<serde_json::Value>) -> Difference {
        Difference {
            step: 1,
            what: "Lease/LeaseGrant".to_owned(),
            request: json!(null),
            path: "TTL".to_owned(),
            tested,
            reference: Some(json!("2")),
        }
    }

    #[test]
    fn an_entry_covers_what_it_describes_and_no_more() {
        let one = difference(Some(json!("1")));
        assert_eq!(explanation(LIST, "lease/short", &one), Some(0));
        assert_eq!(explanation(LIST, "kv/short", &one), None);
        assert_eq!(explanation(LIST, "lease/short", &difference(None)), None);
        let other = difference(Some(json!("3")));
        assert_eq!(explanation(LIST, "lease/short", &other), None);
    }

    #[test]
    fn there_are_few_and_each_has_its_reason() {
        assert!(EXPLAINED.len() <= 10);
        assert!(EXPLAINED.iter().all(|entry| entry.reason.len() > 20));
    }
}
