//! What each program must see, on any server, and what its library cannot do.

use serde_json::{Value, json};

use super::{Program, Scale, Scenario};

/// What is expected of one scenario.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// These facts, as [`super::judge`] masks them.
    Sees(Value),
    /// Nothing, for this reason.
    Cannot(&'static str),
}

/// Every scenario of a program: the common ones, then its own.
#[must_use]
pub fn of(program: Program, scale: Scale) -> Vec<(Scenario, Expected)> {
    let own = match program {
        Program::Go => vec![Scenario::Revoke, Scenario::LostWaiter, Scenario::Stm],
        Program::PythonEtcd3 | Program::PythonEtcd3gw => vec![Scenario::Lease],
        _ => Vec::new(),
    };
    let all = Scenario::COMMON.into_iter().chain(own);
    let expected = |scenario| match cannot(program, scenario) {
        Some(why) => Expected::Cannot(why),
        None => Expected::Sees(facts(program, scenario, scale)),
    };
    all.map(|scenario| (scenario, expected(scenario))).collect()
}

fn cannot(program: Program, scenario: Scenario) -> Option<&'static str> {
    match (program, scenario) {
        (Program::PythonEtcd3, Scenario::Elect) => Some("python-etcd3 has no elections"),
        (Program::PythonEtcd3gw, Scenario::Elect) => Some("etcd3gw has no elections"),
        _ => None,
    }
}

/// What a library keeps from its program, in a scenario that it plays otherwise.
#[must_use]
pub fn hidden(program: Program, scenario: Scenario) -> Option<&'static str> {
    match (program, scenario) {
        (
            Program::PythonEtcd3 | Program::PythonEtcd3gw | Program::Node,
            Scenario::Lock | Scenario::Contend,
        ) => Some("its locks do not queue: clients try again, and get it in any order"),
        (Program::PythonEtcd3gw, Scenario::Watch) => {
            Some("etcd3gw does not tell that a watch was cancelled")
        }
        (Program::Node, Scenario::Expire) => {
            Some("its Lock renews its lease, so the silent holder puts the key by itself")
        }
        (Program::Etcdctl, Scenario::Elect) => Some("etcdctl has no proclaim and no leader"),
        _ => None,
    }
}

/// What all see alike, and on top of it what is peculiar to this program.
fn facts(program: Program, scenario: Scenario, scale: Scale) -> Value {
    let mut facts = common(scenario, scale);
    if let (Value::Object(all), Value::Object(own)) = (&mut facts, own(program, scenario)) {
        all.extend(own);
    }
    facts
}

fn common(scenario: Scenario, scale: Scale) -> Value {
    let Scale {
        clients,
        turns,
        ttl,
    } = scale;
    match scenario {
        Scenario::Lock => json!({ "after": true, "keys_left": 0 }),
        Scenario::Contend => json!({
            "order": (0..clients).collect::<Vec<_>>(),
            "turns": clients * turns,
            "overlaps": 0,
            "keys_left": 0,
        }),
        Scenario::Expire => json!({
            "ttl": ttl,
            "after_ms": "the TTL",
            "kept_alive": true,
            "keys_left": 0,
        }),
        Scenario::Elect => json!({
            "observed": ["one", "one again", "two"],
            "waited": true,
            "keys_left": 0,
        }),
        Scenario::Watch => json!({
            "events": ["PUT 1", "PUT 2 after 1", "DELETE after 2"],
            "prefix": ["+0 PUT a x", "+0 PUT b y", "+1 DELETE a", "+1 DELETE b"],
        }),
        Scenario::Counter => json!({ "counter": clients * turns }),
        Scenario::Lease | Scenario::Revoke | Scenario::LostWaiter | Scenario::Stm => json!({}),
    }
}

fn own(program: Program, scenario: Scenario) -> Value {
    match program {
        Program::Go => go(scenario),
        Program::Rust => rust(scenario),
        Program::Java => java(scenario),
        Program::Etcdctl => etcdctl(scenario),
        Program::Json => plain_json(scenario),
        Program::PythonEtcd3 => python_etcd3(scenario),
        Program::PythonEtcd3gw => python_etcd3gw(scenario),
        Program::Node => node(scenario),
    }
}

const NO_LEASE: &str = "etcdserver: requested lease not found";
const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";

fn go(scenario: Scenario) -> Value {
    match scenario {
        Scenario::Lock => json!({
            "key": "NAME/LEASE",
            "while_held": "mutex: Locked by another session",
            "waited": true,
        }),
        Scenario::Expire => json!({ "late_keepalive": NO_LEASE }),
        Scenario::Elect => json!({
            "leaderless": "election: no leader",
            "leader": "one again",
            "late_proclaim": "election: not leader",
        }),
        Scenario::Watch => json!({ "compacted": COMPACTED }),
        Scenario::Revoke => json!({
            // The next keepalive tells it: after a third of the TTL, and some room.
            "done_seconds": true,
            "waiter_error": "mutex: session is expired",
            "keys_left": 0,
        }),
        Scenario::LostWaiter => json!({
            "error": "context canceled",
            "keys_left": 1,
            "holder_is_left": true,
        }),
        Scenario::Stm => json!({ "sum": 300 }),
        _ => json!({}),
    }
}

fn rust(scenario: Scenario) -> Value {
    match scenario {
        Scenario::Lock => json!({
            "key": "NAME/LEASE",
            "same_key_again": true,
            "waited": true,
            "unknown_lease": of_grpc("Unknown error", NO_LEASE),
        }),
        Scenario::Expire => json!({ "late_keepalive": "lease keep alive error: lease not found" }),
        Scenario::Elect => json!({
            "leaderless": of_grpc("Unknown error", "election: no leader"),
            "leader": "one again",
            "late_proclaim": of_grpc("Unknown error", "election: not leader"),
        }),
        Scenario::Watch => json!({ "compacted": "canceled true +1" }),
        _ => json!({}),
    }
}

/// A status as tonic shows it.
fn of_grpc(code: &str, message: &str) -> String {
    format!("grpc request error: code: '{code}', message: \"{message}\"")
}

fn java(scenario: Scenario) -> Value {
    match scenario {
        Scenario::Lock => json!({
            "key": "NAME/LEASE",
            "same_key_again": true,
            "waited": true,
            "unknown_lease": format!("UNKNOWN: {NO_LEASE}"),
        }),
        Scenario::Expire => json!({ "late_keepalive": NO_LEASE }),
        Scenario::Elect => json!({
            "leaderless": "NoLeaderException",
            "leader": "one again",
            "late_proclaim": "NotLeaderException",
        }),
        Scenario::Watch => json!({ "compacted": COMPACTED }),
        _ => json!({}),
    }
}

fn etcdctl(scenario: Scenario) -> Value {
    match scenario {
        Scenario::Lock => json!({
            "key": "NAME/LEASE",
            "waited": true,
            "holder_exits": 0,
            "waiter_exits": 0,
            "child_exits": [0, 7, 255],
            "child_is_told": true,
        }),
        Scenario::Expire => json!({ "late_keepalive": format!("Error: {NO_LEASE}") }),
        Scenario::Elect => json!({
            "observed": ["one", "two"],
            "leader_exits": 0,
            "listener_exits": 0,
        }),
        Scenario::Watch => json!({
            "watch_exits": 130,
            "commands": ["PUT 1", "PUT 2", "DELETE"],
            "compacted": format!(
                "watch was canceled ({COMPACTED}) Error: watch is canceled by the server"
            ),
        }),
        _ => json!({}),
    }
}

fn plain_json(scenario: Scenario) -> Value {
    match scenario {
        Scenario::Lock => json!({ "key": "NAME/LEASE", "waited": true }),
        Scenario::Expire => json!({ "late_keepalive": "no TTL" }),
        Scenario::Elect => json!({
            "leaderless": "500: election: no leader",
            "leader": "one again",
            "late_proclaim": "500: election: not leader",
        }),
        Scenario::Watch => json!({ "compacted": "created True, canceled True +1" }),
        _ => json!({}),
    }
}

fn python_etcd3(scenario: Scenario) -> Value {
    match scenario {
        Scenario::Expire => json!({ "late_keepalive": 0 }),
        Scenario::Watch => json!({ "compacted": "RevisionCompactedError +1" }),
        other => python(other),
    }
}

fn python_etcd3gw(scenario: Scenario) -> Value {
    match scenario {
        Scenario::Expire => json!({ "late_keepalive": -1 }),
        other => python(other),
    }
}

fn python(scenario: Scenario) -> Value {
    match scenario {
        Scenario::Lock => json!({
            "key": "/locks/NAME",
            "while_held": false,
            "is_acquired": [true, false],
            "refreshed_ttl": 600,
            "released": [true, false],
        }),
        Scenario::Lease => json!({
            "granted_ttl": 100,
            "remains": true,
            "holds_its_key": true,
            "refreshed_ttl": 100,
            "key_is_gone": true,
            "ttl_when_gone": -1,
        }),
        _ => json!({}),
    }
}

fn node(scenario: Scenario) -> Value {
    match scenario {
        Scenario::Lock => json!({
            "key": "NAME",
            "while_held": "EtcdLockFailedError",
        }),
        Scenario::Expire => json!({ "late_keepalive": "EtcdLeaseInvalidError" }),
        Scenario::Elect => json!({
            "leaderless": "nobody",
            "leader": "one again",
            "late_proclaim": "NotCampaigningError",
        }),
        Scenario::Watch => json!({ "compacted": "Watcher canceled: " }),
        _ => json!({}),
    }
}
