//! The pages that monitors and clients ask for, outside of the gateway.

use anyhow::Result;
use http::Method;
use latchd_proto::etcdserverpb::{AlarmRequest, StatusRequest};
use serde_json::{Value, json};

use crate::suite::{Case, Http, Session};

/// Pages, and how each is asked for.
const PAGES: &[&str] = &[
    "/version",
    "/version?pretty",
    "/version/",
    "/health",
    "/health?serializable=true",
    "/health?serializable=false",
    "/health?exclude=NOSPACE",
    "/health?exclude=nonsense&exclude=CORRUPT",
    "/health?exclude=",
    "/health/",
    "/health/x",
    "/livez",
    "/livez?verbose",
    "/livez?verbose=false",
    "/livez?exclude=serializable_read",
    "/livez?verbose&exclude=serializable_read",
    "/livez?exclude=nonsense",
    "/livez?verbose&exclude=nonsense",
    "/livez?exclude=",
    "/livez/serializable_read",
    "/livez/serializable_read?verbose",
    "/livez/data_corruption",
    "/livez/nonsense",
    "/livez/",
    "/livez/serializable_read/",
    "/readyz",
    "/readyz?verbose",
    "/readyz?verbose&exclude=data_corruption",
    "/readyz?verbose&exclude=data_corruption&exclude=non_learner",
    "/readyz?verbose&exclude=data_corruption,non_learner",
    "/readyz?exclude=nonsense",
    "/readyz/data_corruption",
    "/readyz/data_corruption?verbose",
    "/readyz/serializable_read",
    "/readyz/linearizable_read",
    "/readyz/linearizable_read?verbose",
    "/readyz/non_learner",
    "/readyz/nonsense",
    "/readyz/",
    "/livezx",
    "/",
    "/nonsense",
    "/v2/keys",
    "/VERSION",
    "//version",
    "/./version",
    "/debug",
    "/debug/pprof/",
    "/debug/requests",
    "/metrics/nonsense",
];

pub fn cases() -> Vec<Case> {
    let page = |path: &&'static str| {
        let path = *path;
        Case::new(format!("GET {path}"), async move |s: &mut Session| {
            page_of(s, path).await
        })
    };
    let mut cases: Vec<Case> = PAGES.iter().map(page).collect();
    for method in [
        "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "NONSENSE",
    ] {
        cases.push(Case::new(
            format!("{method} of every page"),
            async move |s: &mut Session| every_page_by(s, method).await,
        ));
    }
    cases.extend([
        Case::new("what a script's origin may do", async |s: &mut Session| {
            let from = |path| Http::get(path).header("origin", "http://elsewhere");
            s.http(from("/version")).await?;
            s.http(from("/nonsense")).await?;
            Ok(())
        }),
        Case::new("a body that nobody asked for", async |s: &mut Session| {
            s.http(Http::get("/health").body("x")).await?;
            Ok(())
        }),
        Case::new("an alarm is seen, and may be excluded", alarmed),
        Case::new("a corrupt server is not ready", corrupt),
        Case::new("debug/vars has what a process is", debug_vars),
        Case::new("metrics are text", metrics),
    ]);
    cases
}

/// A page; its lines in order, for etcd runs its checks in the order of a hash table.
async fn page_of(s: &mut Session, path: &str) -> Result<()> {
    let (mut answer, body) = s.fetch(&Http::get(path)).await?;
    answer["body"] = match body.as_str() {
        Some(text) if text.starts_with('[') => {
            let mut lines: Vec<&str> = text.split("\\n").collect();
            lines.sort_unstable();
            json!(lines)
        }
        _ => body,
    };
    s.note(&format!("GET {path}"), Value::Null, answer);
    Ok(())
}

async fn every_page_by(s: &mut Session, method: &str) -> Result<()> {
    let method = Method::from_bytes(method.as_bytes())?;
    for path in [
        "/version",
        "/health",
        "/livez",
        "/readyz",
        "/readyz/non_learner",
        "/nonsense",
    ] {
        s.http(Http::new(method.clone(), path)).await?;
    }
    Ok(())
}

const PLACES: [&str; 8] = [
    "/health",
    "/health?exclude=NOSPACE",
    "/health?exclude=CORRUPT",
    "/health?exclude=NOSPACE&exclude=CORRUPT",
    "/livez?verbose",
    "/readyz?verbose",
    "/readyz",
    "/readyz/data_corruption",
];

async fn with_alarms(s: &mut Session, alarms: &[i32]) -> Result<()> {
    let header = s.quietly(StatusRequest {}).await?.header;
    let member_id = header.unwrap_or_default().member_id;
    let request = |action, alarm| AlarmRequest {
        action,
        member_id,
        alarm,
    };
    for alarm in alarms {
        s.quietly(request(1, *alarm)).await?;
    }
    for path in PLACES {
        page_of(s, path).await?;
    }
    for alarm in alarms {
        s.quietly(request(2, *alarm)).await?;
    }
    s.http(Http::get("/health")).await?;
    Ok(())
}

async fn alarmed(s: &mut Session) -> Result<()> {
    with_alarms(s, &[1]).await
}

async fn corrupt(s: &mut Session) -> Result<()> {
    with_alarms(s, &[2]).await
}

/// Its numbers are the process's own; compared is which of etcd's there are.
async fn debug_vars(s: &mut Session) -> Result<()> {
    let (head, body) = s.fetch(&Http::get("/debug/vars")).await?;
    s.note("GET /debug/vars", Value::Null, head);
    let has = ["cmdline", "file_descriptor_limit"].map(|name| body.get(name).is_some());
    s.note("it has", Value::Null, json!(has));
    Ok(())
}

/// Each server counts its own; compared is that they are text, and etcd's main names.
async fn metrics(s: &mut Session) -> Result<()> {
    let (head, body) = s.fetch(&Http::get("/metrics")).await?;
    let kind = head["headers"]["content-type"].as_str().unwrap_or_default();
    let kind = kind.starts_with("text/plain; version=0.0.4");
    s.note("GET /metrics", Value::Null, json!([head["status"], kind]));
    let names = [
        "etcd_server_has_leader 1",
        "etcd_server_is_leader 1",
        "etcd_server_version{server_version=\"3.7.1\"} 1",
    ];
    let text = body.as_str().unwrap_or_default().replace("\\\"", "\"");
    let has = names.map(|name| text.contains(name));
    s.note("it has", json!(names), json!(has));
    Ok(())
}
