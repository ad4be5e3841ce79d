//! The families of cases: a file or a folder each, with a function that returns
//! its cases. The list below is all there is to it.

use super::case::Family;

mod cluster;
mod compact;
mod election;
mod errors;
mod gateway;
mod health;
mod http;
mod kv;
mod lease;
mod lock;
mod maintenance;
mod reflection;
mod txn;
mod watch;

/// Every family, in the order of the report.
#[must_use]
pub fn families() -> Vec<Family> {
    vec![
        family(
            "kv",
            "Range, RangeStream, Put, DeleteRange, and odd frames",
            kv::cases(),
        ),
        family(
            "txn",
            "compares, operations, duplicates, limits",
            txn::cases(),
        ),
        family(
            "compact",
            "Compact and what it takes away",
            compact::cases(),
        ),
        family(
            "lease",
            "grants, keepalives, revokes, keys, expiry",
            lease::cases(),
        ),
        family(
            "errors",
            "each text of an error, and what leads to it",
            errors::cases(),
        ),
        family(
            "watch",
            "starts, numbers, ranges, filters, order, progress, fragments",
            watch::cases(),
        ),
        family("lock", "Lock and Unlock", lock::cases()),
        family(
            "election",
            "campaigns, proclamations, resignations, observers",
            election::cases(),
        ),
        family("cluster", "members", cluster::cases()),
        family(
            "maintenance",
            "status, alarms, hashes, leaders, downgrades",
            maintenance::cases(),
        ),
        family("health", "grpc.health.v1", health::cases()),
        family(
            "reflection",
            "which services there are, in both versions",
            reflection::cases(),
        ),
        family("http", "pages for monitors", http::cases()),
        family(
            "gateway",
            "the same as JSON: bodies, paths, streams, websockets",
            gateway::cases(),
        ),
        pending("auth", "users, roles, permissions and tokens"),
        pending("tls", "certificates, and who may connect"),
        pending("snapshot", "Maintenance's Snapshot"),
    ]
}

fn family(name: &'static str, about: &'static str, cases: Vec<super::Case>) -> Family {
    Family { name, about, cases }
}

/// A part of the API that a later issue brings.
fn pending(name: &'static str, about: &'static str) -> Family {
    family(name, about, Vec::new())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn no_two_cases_have_one_name() {
        let mut names = BTreeSet::new();
        for family in super::families() {
            for case in &family.cases {
                let name = format!("{}/{}", family.name, case.name);
                assert!(names.insert(name.clone()), "{name} is there twice");
            }
        }
    }
}
