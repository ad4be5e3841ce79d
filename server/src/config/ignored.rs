//! etcd's flags that change nothing here, and those that latchd cannot honour yet.
//!
//! A launcher written for etcd gives them, so they are known: each that is given is checked like
//! etcd checks it and noted in the log with the reason, or refused if to pass over it would break
//! a promise of safety.

use super::urls::Urls;
use super::values::{self, Nanos};

/// What a flag's value must be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Anything.
    Text,
    /// A boolean, which may also stand alone.
    Bool,
    /// An unsigned number.
    Number,
    /// A number.
    Signed,
    /// A Go duration.
    Duration,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Some of these, with commas between them.
    SomeOf(&'static [&'static str]),
    /// URLs with commas between them.
    Urls,
    /// `Name=true` and the like, with commas between them.
    Gates,
}

/// A flag that changes nothing.
#[derive(Debug)]
pub struct Ignored {
    /// Its name without dashes.
    pub flag: &'static str,
    /// What it must be.
    pub kind: Kind,
    /// Why it changes nothing.
    pub why: &'static str,
}

/// A flag that promises safety which latchd cannot give yet.
#[derive(Debug)]
pub struct Refused {
    /// Its name without dashes.
    pub flag: &'static str,
    /// What it must be.
    pub kind: Kind,
    /// Values that promise nothing.
    pub harmless: &'static [&'static str],
    /// What is missing.
    pub missing: &'static str,
}

impl Kind {
    /// Whether `value` is one, and etcd's reason if not.
    pub fn check(self, value: &str) -> Result<(), String> {
        match self {
            Kind::Text => Ok(()),
            Kind::Bool => values::boolean(value).map(drop),
            Kind::Number => values::unsigned(value).map(drop),
            Kind::Signed => values::signed(value).map(drop),
            Kind::Duration => Nanos::flag(value).map(drop),
            Kind::OneOf(all) if all.contains(&value) => Ok(()),
            Kind::OneOf(_) => Err("invalid value".into()),
            Kind::SomeOf(all) => {
                let wrong = value.split(',').find(|each| !all.contains(each));
                wrong.map_or(Ok(()), |wrong| Err(format!("invalid value {wrong:?}")))
            }
            Kind::Urls => Urls::told(value).map(drop),
            Kind::Gates => value.split(',').try_for_each(check_gate),
        }
    }
}

fn check_gate(gate: &str) -> Result<(), String> {
    if gate.is_empty() {
        return Ok(());
    }
    let (name, value) = gate
        .split_once('=')
        .ok_or_else(|| format!("missing bool value for {gate}"))?;
    if !GATES.contains(&name.trim()) {
        return Err(format!("unrecognized feature gate: {}", name.trim()));
    }
    values::boolean(value.trim()).map(drop).map_err(|_| {
        let value = value.trim();
        let reason = format!("strconv.ParseBool: parsing {value:?}: invalid syntax");
        format!("invalid value of {gate}, err: {reason}")
    })
}

const GATES: &[&str] = &[
    "AllAlpha",
    "AllBeta",
    "CompactHashCheck",
    "FastLeaseKeepAlive",
    "InitialCorruptCheck",
    "LeaseCheckpoint",
    "LeaseCheckpointPersist",
    "PriorityRequest",
    "SetMemberLocalAddr",
    "StopGRPCServiceOnDefrag",
    "TxnModeWriteWithSharedBuffer",
];

const V2_STAGES: &[&str] = &[
    "write-only",
    "write-only-skip-check",
    "write-only-drop-data",
    "gone",
];

const ALONE: &str = "the cluster is this server, which has no peers";
const NO_RAFT: &str = "there is no raft, and so no log, snapshot or election of a leader";
const REDB: &str = "the store is redb, not bbolt; writes are committed in batches as they come";
const DISCOVERY: &str = "the cluster is this server: nothing has to be discovered";
const PEER_TLS: &str = "no port for peers is opened";
const NO_TLS: &str = "no port speaks TLS";
const NO_AUTH: &str = "there are no users and passwords yet";
const TRACING: &str = "no traces are collected";
const TRIMMED: &str = "compaction runs in small pieces between the writes of clients";
const HASHES: &str = "there is no other member whose data could differ";
const OLD: &str = "etcd ignores it, too";

const fn ignored(flag: &'static str, kind: Kind, why: &'static str) -> Ignored {
    Ignored { flag, kind, why }
}

/// In the order of etcd's `--help`.
pub const IGNORED: &[Ignored] = &[
    ignored("wal-dir", Kind::Text, NO_RAFT),
    ignored("snapshot-count", Kind::Number, NO_RAFT),
    ignored("heartbeat-interval", Kind::Number, NO_RAFT),
    ignored("election-timeout", Kind::Number, NO_RAFT),
    ignored("initial-election-tick-advance", Kind::Bool, NO_RAFT),
    ignored("listen-peer-urls", Kind::Urls, ALONE),
    ignored("max-snapshots", Kind::Number, NO_RAFT),
    ignored("max-wals", Kind::Number, NO_RAFT),
    ignored(
        "memory-mlock",
        Kind::Bool,
        "the store is not mapped into memory; its cache is bounded",
    ),
    ignored("backend-bbolt-freelist-type", Kind::Text, REDB),
    ignored("backend-batch-interval", Kind::Duration, REDB),
    ignored("backend-batch-limit", Kind::Signed, REDB),
    ignored(
        "grpc-keepalive-min-time",
        Kind::Duration,
        "clients may ping as often as they like",
    ),
    ignored(
        "socket-reuse-address",
        Kind::Bool,
        "it is always so: a restart need not wait for old connections",
    ),
    ignored("raft-read-timeout", Kind::Duration, NO_RAFT),
    ignored("raft-write-timeout", Kind::Duration, NO_RAFT),
    ignored(
        "feature-gates",
        Kind::Gates,
        "they guard parts of etcd that are not here",
    ),
    ignored("initial-cluster", Kind::Text, ALONE),
    ignored(
        "initial-cluster-state",
        Kind::OneOf(&["new", "existing"]),
        ALONE,
    ),
    ignored("initial-cluster-token", Kind::Text, ALONE),
    // etcd's help has it, though etcd itself does not know it any more.
    ignored("discovery", Kind::Text, DISCOVERY),
    ignored("discovery-token", Kind::Text, DISCOVERY),
    ignored("discovery-endpoints", Kind::Text, DISCOVERY),
    ignored("discovery-dial-timeout", Kind::Duration, DISCOVERY),
    ignored("discovery-request-timeout", Kind::Duration, DISCOVERY),
    ignored("discovery-keepalive-time", Kind::Duration, DISCOVERY),
    ignored("discovery-keepalive-timeout", Kind::Duration, DISCOVERY),
    ignored("discovery-insecure-transport", Kind::Bool, DISCOVERY),
    ignored("discovery-insecure-skip-tls-verify", Kind::Bool, DISCOVERY),
    ignored("discovery-cert", Kind::Text, DISCOVERY),
    ignored("discovery-key", Kind::Text, DISCOVERY),
    ignored("discovery-cacert", Kind::Text, DISCOVERY),
    ignored("discovery-user", Kind::Text, DISCOVERY),
    ignored("discovery-password", Kind::Text, DISCOVERY),
    ignored(
        "discovery-fallback",
        Kind::OneOf(&["exit", "proxy"]),
        DISCOVERY,
    ),
    ignored("discovery-proxy", Kind::Text, DISCOVERY),
    ignored("discovery-srv", Kind::Text, DISCOVERY),
    ignored("discovery-srv-name", Kind::Text, DISCOVERY),
    ignored("strict-reconfig-check", Kind::Bool, ALONE),
    ignored("pre-vote", Kind::Bool, NO_RAFT),
    ignored(
        "v2-deprecation",
        Kind::SomeOf(V2_STAGES),
        "there is no v2 store",
    ),
    ignored("peer-cert-file", Kind::Text, PEER_TLS),
    ignored("peer-key-file", Kind::Text, PEER_TLS),
    ignored("peer-client-cert-auth", Kind::Bool, PEER_TLS),
    ignored("peer-client-cert-file", Kind::Text, PEER_TLS),
    ignored("peer-client-key-file", Kind::Text, PEER_TLS),
    ignored("peer-trusted-ca-file", Kind::Text, PEER_TLS),
    ignored("peer-cert-allowed-cn", Kind::Text, PEER_TLS),
    ignored("peer-cert-allowed-hostname", Kind::Text, PEER_TLS),
    ignored("peer-auto-tls", Kind::Bool, PEER_TLS),
    ignored("peer-crl-file", Kind::Text, PEER_TLS),
    ignored("peer-skip-client-san-verification", Kind::Bool, PEER_TLS),
    ignored("self-signed-cert-validity", Kind::Number, NO_TLS),
    ignored("cipher-suites", Kind::Text, NO_TLS),
    ignored("tls-min-version", Kind::Text, NO_TLS),
    ignored("tls-max-version", Kind::Text, NO_TLS),
    ignored("bcrypt-cost", Kind::Number, NO_AUTH),
    ignored("auth-token-ttl", Kind::Number, NO_AUTH),
    ignored("enable-pprof", Kind::Bool, "pprof is Go's"),
    ignored(
        "metrics",
        Kind::Text,
        "the same metrics are told in either case",
    ),
    ignored("logger", Kind::Text, "there is but one"),
    ignored("enable-distributed-tracing", Kind::Bool, TRACING),
    ignored("distributed-tracing-address", Kind::Text, TRACING),
    ignored("distributed-tracing-service-name", Kind::Text, TRACING),
    ignored("distributed-tracing-instance-id", Kind::Text, TRACING),
    ignored("distributed-tracing-sampling-rate", Kind::Signed, TRACING),
    ignored("corrupt-check-time", Kind::Duration, HASHES),
    ignored("compact-hash-check-time", Kind::Duration, HASHES),
    ignored("compaction-batch-limit", Kind::Signed, TRIMMED),
    ignored("compaction-sleep-interval", Kind::Duration, TRIMMED),
    ignored(
        "warning-apply-duration",
        Kind::Duration,
        "requests are timed as a whole, by --warning-unary-request-duration",
    ),
    ignored(
        "bootstrap-defrag-threshold-megabytes",
        Kind::Number,
        "freed pages are used again; nothing is defragmented at start",
    ),
    ignored("max-learners", Kind::Signed, ALONE),
    ignored("downgrade-check-time", Kind::Duration, ALONE),
    ignored("snapshot-catchup-entries", Kind::Number, NO_RAFT),
    ignored("force-new-cluster", Kind::Bool, ALONE),
    ignored("cluster-active-size", Kind::Text, OLD),
    ignored("cluster-remove-delay", Kind::Text, OLD),
    ignored("cluster-sync-interval", Kind::Text, OLD),
    ignored("config", Kind::Text, OLD),
    ignored("force", Kind::Bool, OLD),
    ignored("max-result-buffer", Kind::Text, OLD),
    ignored("max-retry-attempts", Kind::Text, OLD),
    ignored("peer-heartbeat-interval", Kind::Text, OLD),
    ignored("peer-election-timeout", Kind::Text, OLD),
    ignored("retry-interval", Kind::Text, OLD),
    ignored("snapshot", Kind::Bool, OLD),
    ignored("v", Kind::Bool, OLD),
    ignored("vv", Kind::Bool, OLD),
];

const TLS: &str = "TLS";

const fn refused(flag: &'static str, kind: Kind, harmless: &'static [&'static str]) -> Refused {
    Refused {
        flag,
        kind,
        harmless,
        missing: TLS,
    }
}

/// Whoever gives these counts on them.
pub const REFUSED: &[Refused] = &[
    refused("cert-file", Kind::Text, &[""]),
    refused("key-file", Kind::Text, &[""]),
    refused("client-cert-auth", Kind::Bool, &[]),
    refused("client-cert-file", Kind::Text, &[""]),
    refused("client-key-file", Kind::Text, &[""]),
    refused("client-crl-file", Kind::Text, &[""]),
    refused("client-cert-allowed-hostname", Kind::Text, &[""]),
    refused("trusted-ca-file", Kind::Text, &[""]),
    refused("auto-tls", Kind::Bool, &[]),
    Refused {
        flag: "host-whitelist",
        kind: Kind::Text,
        harmless: &["", "*"],
        missing: "the check of a request's Host",
    },
    Refused {
        flag: "auth-token",
        kind: Kind::Text,
        harmless: &["", "simple"],
        missing: "any token but simple",
    },
];

impl Refused {
    /// Why `value` can't be taken, if it promises anything.
    pub fn check(&self, value: &str) -> Result<(), String> {
        let off = matches!(self.kind, Kind::Bool) && values::boolean(value) == Ok(false);
        if off || self.harmless.contains(&value) {
            return Ok(());
        }
        Err(format!(
            "--{} {value:?} is not implemented yet: latchd does not have {}, \
             and does not start as if it had",
            self.flag, self.missing
        ))
    }
}

/// The ignored flag of this name.
pub fn find_ignored(name: &str) -> Option<&'static Ignored> {
    IGNORED.iter().find(|flag| flag.flag == name)
}

/// The refused flag of this name.
pub fn find_refused(name: &str) -> Option<&'static Refused> {
    REFUSED.iter().find(|flag| flag.flag == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_though_nothing_comes_of_them() {
        let check = |flag: &str, value: &str| find_ignored(flag).unwrap().kind.check(value);
        assert_eq!(check("snapshot-count", "10"), Ok(()));
        assert_eq!(check("snapshot-count", "x"), Err("parse error".into()));
        assert_eq!(
            check("initial-cluster-state", "bad"),
            Err("invalid value".into())
        );
        assert_eq!(
            check("feature-gates", "AllBeta=true,LeaseCheckpoint=false"),
            Ok(())
        );
        assert_eq!(
            check("feature-gates", "Foo=true"),
            Err("unrecognized feature gate: Foo".into())
        );
        let said = "invalid value of LeaseCheckpoint=maybe, err: strconv.ParseBool: parsing \
                    \"maybe\": invalid syntax";
        assert_eq!(
            check("feature-gates", "LeaseCheckpoint=maybe"),
            Err(said.into())
        );
        assert_eq!(
            check("v2-deprecation", "x"),
            Err("invalid value \"x\"".into())
        );
        let scheme = "URL scheme must be http, https, unix, or unixs: x";
        assert_eq!(check("listen-peer-urls", "x"), Err(scheme.into()));
    }

    #[test]
    fn no_promise_is_passed_over() {
        let check = |flag: &str, value: &str| find_refused(flag).unwrap().check(value);
        assert!(check("client-cert-auth", "true").is_err());
        assert_eq!(check("client-cert-auth", "false"), Ok(()));
        assert!(check("cert-file", "/a").is_err());
        assert_eq!(check("cert-file", ""), Ok(()));
        assert!(check("auth-token", "jwt,pub-key=a").is_err());
        assert_eq!(check("auth-token", "simple"), Ok(()));
        assert_eq!(check("host-whitelist", "*"), Ok(()));
        assert!(check("host-whitelist", "localhost").is_err());
    }
}
