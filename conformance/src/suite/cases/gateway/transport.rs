//! Paths, methods, content types and headers.

use anyhow::Result;
use http::Method;

use crate::suite::{Case, Http, Session, put};

/// Where nothing is, or not so.
const PATHS: &[&str] = &[
    "/v3",
    "/v3/",
    "/v3/kv",
    "/v3/kv/",
    "/v3/kv/nonsense",
    "/v3/kv/range/",
    "/v3/kv/range/x",
    "/v3//kv/range",
    "/v3/KV/range",
    "/v3/kv/%72ange",
    "/v3/kv/range?key=YQ==",
    "/v3/kv/range:x",
    "/v3alpha/kv/range",
    "/v2/kv/range",
    "/v3/etcdserverpb.KV/Range",
    "/v3beta",
    "/v3beta/",
    "/v3beta/nonsense",
];

/// A path and a good body of each service, under the name of old.
const OLD: &[(&str, &str)] = &[
    ("/v3beta/kv/range", r#"{"key":"<k>"}"#),
    ("/v3beta/kv/put", r#"{"key":"<k>"}"#),
    ("/v3beta/lease/grant", r#"{"TTL":60,"ID":7}"#),
    ("/v3beta/lease/timetolive", r#"{"ID":7}"#),
    ("/v3beta/lock/lock", r#"{"name":"<job>","lease":7}"#),
    ("/v3beta/election/leader", r#"{"name":"<job>"}"#),
    ("/v3beta/cluster/member/list", "{}"),
    ("/v3beta/maintenance/status", "{}"),
];

pub fn cases() -> Vec<Case> {
    let path = |path: &&'static str| {
        let path = *path;
        Case::new(format!("path: {path}"), async move |s: &mut Session| {
            s.call(put("k", "1")).await;
            let body = s.filled(r#"{"key":"<k>"}"#);
            s.http_code(Http::post(path, &body)).await
        })
    };
    let mut cases: Vec<Case> = PATHS.iter().map(path).collect();
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        cases.push(Case::new(
            format!("method: {method}"),
            async move |s: &mut Session| by(s, method).await,
        ));
    }
    cases.extend([
        Case::new("path: all of old", async |s: &mut Session| {
            for (path, body) in OLD {
                let body = s.filled(body);
                s.http_code(Http::post(path, &body)).await?;
            }
            Ok(())
        }),
        Case::new("content types mean nothing", content_types),
        Case::new(
            "headers: what is asked for as gRPC's",
            async |s: &mut Session| {
                let get = s.filled(r#"{"key":"<k>"}"#);
                for (name, value) in [
                    ("grpc-metadata-x", "y"),
                    ("grpc-metadata-hasleader", "true"),
                    ("accept", "text/plain"),
                    ("accept-encoding", "br"),
                    ("origin", "http://elsewhere"),
                    ("authorization", "nonsense"),
                    ("grpc-timeout", "5S"),
                ] {
                    let request = Http::post("/v3/kv/range", &get).header(name, value);
                    s.http(request).await?;
                }
                Ok(())
            },
        ),
        Case::new(
            "headers: a deadline that is none",
            async |s: &mut Session| {
                for deadline in ["x", "5", "S", "123456789S", "-1S"] {
                    let request = Http::post("/v3/kv/range", "{}").header("grpc-timeout", deadline);
                    s.http_code(request).await?;
                }
                Ok(())
            },
        ),
    ]);
    cases
}

async fn by(s: &mut Session, method: &str) -> Result<()> {
    let method = Method::from_bytes(method.as_bytes())?;
    for path in [
        "/v3/kv/range",
        "/v3/watch",
        "/v3/lease/keepalive",
        "/v3/nonsense",
    ] {
        s.http(Http::new(method.clone(), path)).await?;
    }
    Ok(())
}

async fn content_types(s: &mut Session) -> Result<()> {
    s.call(put("k", "1")).await;
    let body = s.filled(r#"{"key":"<k>"}"#);
    for content_type in [
        "application/json",
        "application/json; charset=utf-8",
        "application/x-www-form-urlencoded",
        "text/plain",
        "application/octet-stream",
        "nonsense",
        "",
    ] {
        let request = Http::post("/v3/kv/range", &body).header("content-type", content_type);
        s.http(request).await?;
    }
    Ok(())
}
