//! `/health`, `/livez` and `/readyz`, in etcd 3.7.1's words (`etcdhttp/health.go`).

use http::{Response, StatusCode};
use latchd_proto::etcdserverpb::{AlarmType, RangeRequest};
use serde_json::json;
use tonic::body::Body;
use url::form_urlencoded;

use super::{nosniff, respond};
use crate::error::Result;
use crate::metrics::METRICS;
use crate::service::member::ThisMember;

/// What `/livez` asks.
const LIVE: &[Check] = &[Check::SerializableRead];
/// What `/readyz` asks, in the order that it tells.
const READY: &[Check] = &[
    Check::DataCorruption,
    Check::SerializableRead,
    Check::LinearizableRead,
    Check::NonLearner,
];

/// One question about the server's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    DataCorruption,
    SerializableRead,
    LinearizableRead,
    NonLearner,
}

impl Check {
    fn name(self) -> &'static str {
        match self {
            Check::DataCorruption => "data_corruption",
            Check::SerializableRead => "serializable_read",
            Check::LinearizableRead => "linearizable_read",
            Check::NonLearner => "non_learner",
        }
    }

    async fn run(self, member: &ThisMember) -> std::result::Result<(), String> {
        match self {
            Check::DataCorruption => no_corruption(member),
            // One member: every read is linearizable.
            Check::SerializableRead | Check::LinearizableRead => {
                read(member).await.map_err(|error| error.to_string())
            }
            Check::NonLearner => Ok(()),
        }
    }
}

fn no_corruption(member: &ThisMember) -> std::result::Result<(), String> {
    let corrupt = member
        .alarms()
        .iter()
        .any(|alarm| alarm.alarm() == AlarmType::Corrupt);
    if corrupt {
        Err("alarm activated: CORRUPT".into())
    } else {
        Ok(())
    }
}

async fn read(member: &ThisMember) -> Result<()> {
    let any_key = RangeRequest {
        key: vec![0].into(),
        limit: 1,
        keys_only: true,
        ..Default::default()
    };
    member.backend().range(&any_key).await.map(drop)
}

/// The values that a query gives a name.
fn values(query: &str, name: &str) -> Vec<String> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    let named = pairs.filter(|(key, value)| key == name && !value.is_empty());
    named.map(|(_, value)| value.into_owned()).collect()
}

/// `/health?exclude=ALARM`: whether alarms are quiet and a read succeeds.
pub async fn health(member: &ThisMember, query: &str) -> Response<Body> {
    let reason = match unhealthy(member, &values(query, "exclude")).await {
        Ok(None) => {
            METRICS.health_success.inc();
            return told_health(StatusCode::OK, "true", "");
        }
        Ok(Some(alarm)) => format!("ALARM {alarm}"),
        Err(error) => format!("RANGE ERROR:{error}"),
    };
    METRICS.health_failures.inc();
    told_health(StatusCode::SERVICE_UNAVAILABLE, "false", &reason)
}

/// The first alarm that is raised and not excluded.
async fn unhealthy(member: &ThisMember, excluded: &[String]) -> Result<Option<&'static str>> {
    let alarms = member.alarms();
    let names = alarms.iter().map(|alarm| alarm.alarm().as_str_name());
    let raised = names
        .into_iter()
        .find(|name| !excluded.iter().any(|x| x == name));
    if raised.is_none() {
        read(member).await?;
    }
    Ok(raised)
}

fn told_health(status: StatusCode, health: &str, reason: &str) -> Response<Body> {
    let body = json!({"health": health, "reason": reason}).to_string();
    let response = respond(status, "text/plain; charset=utf-8", body);
    if status.is_success() {
        response
    } else {
        nosniff(response)
    }
}

/// Whether `path` is `/livez`, `/readyz` or one check of theirs.
#[must_use]
pub fn is_check(path: &str) -> bool {
    let among = |checks: &[Check], prefix: &str| {
        path.strip_prefix(prefix).is_some_and(|rest| {
            let names = checks.iter().map(|check| check.name());
            rest.is_empty()
                || names
                    .into_iter()
                    .any(|name| rest.strip_prefix('/') == Some(name))
        })
    };
    among(LIVE, "/livez") || among(READY, "/readyz")
}

/// `/livez…`, if `path` is one.
pub async fn livez(member: &ThisMember, path: &str, query: &str) -> Option<Response<Body>> {
    checks(member, LIVE, path.strip_prefix("/livez")?, query).await
}

/// `/readyz…`, if `path` is one.
pub async fn readyz(member: &ThisMember, path: &str, query: &str) -> Option<Response<Body>> {
    checks(member, READY, path.strip_prefix("/readyz")?, query).await
}

/// Runs all checks but the excluded ones, or with `rest` just the one that it names.
async fn checks(
    member: &ThisMember,
    all: &[Check],
    rest: &str,
    query: &str,
) -> Option<Response<Body>> {
    let excluded = values(query, "exclude");
    let wanted: Vec<Check> = match rest.strip_prefix('/') {
        None if rest.is_empty() => {
            let kept = |check: &Check| !excluded.iter().any(|name| name == check.name());
            all.iter().copied().filter(kept).collect()
        }
        None => return None,
        Some(name) => vec![*all.iter().find(|check| check.name() == name)?],
    };
    let (passed, report) = run_all(member, &wanted).await;
    Some(told_checks(passed, &report, query))
}

async fn run_all(member: &ThisMember, checks: &[Check]) -> (bool, String) {
    let (mut passed, mut report) = (true, String::new());
    for check in checks {
        match check.run(member).await {
            Ok(()) => report.push_str(&format!("[+]{} ok\n", check.name())),
            Err(reason) => {
                passed = false;
                report.push_str(&format!("[-]{} failed: {reason}\n", check.name()));
            }
        }
    }
    (passed, report)
}

fn told_checks(passed: bool, report: &str, query: &str) -> Response<Body> {
    let text = "text/plain; charset=utf-8";
    if !passed {
        let failed = respond(StatusCode::SERVICE_UNAVAILABLE, text, format!("{report}\n"));
        return nosniff(failed);
    }
    let verbose = form_urlencoded::parse(query.as_bytes()).any(|(key, _)| key == "verbose");
    let body = if verbose {
        format!("{report}ok\n")
    } else {
        "ok\n".to_owned()
    };
    nosniff(respond(StatusCode::OK, text, body))
}
