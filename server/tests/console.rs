//! The web console over a real port: who gets it, and who gets what etcd says there.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod common;

use bytes::Bytes;
use common::Fixture;
use common::json::{Answer, Gateway};
use http::{Request, header};
use http_body_util::Full;

async fn ask(fixture: &Fixture, method: &str, path: &str, accept: Option<&str>) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(accept) = accept {
        request = request.header(header::ACCEPT, accept);
    }
    let request = request.body(Full::<Bytes>::default()).unwrap();
    Gateway(fixture.server().addresses()[0]).ask(request).await
}

#[tokio::test]
async fn a_browser_gets_the_page_and_all_that_it_names() {
    let fixture = Fixture::start().await;
    let page = ask(&fixture, "GET", "/", Some("text/html,*/*;q=0.8")).await;
    assert_eq!(page.status, 200);
    assert_eq!(
        page.headers[header::CONTENT_TYPE],
        "text/html; charset=utf-8"
    );
    let policy = page.headers[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap();
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let quoted = page
        .text
        .split('"')
        .filter(|part| part.starts_with("console/"));
    let files: Vec<&str> = quoted.collect();
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let got = ask(&fixture, "GET", &format!("/{file}"), None).await;
        assert_eq!(got.status, 200, "{file}");
        assert_eq!(got.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert!(!got.text.is_empty(), "{file}");
    }
}

#[tokio::test]
async fn head_is_the_same_without_the_page() {
    let fixture = Fixture::start().await;
    let page = ask(&fixture, "GET", "/", Some("text/html")).await;
    let head = ask(&fixture, "HEAD", "/", Some("text/html")).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    for name in [header::CONTENT_LENGTH, header::ETAG, header::CONTENT_TYPE] {
        assert_eq!(head.headers[&name], page.headers[&name], "{name}");
    }
}

#[tokio::test]
async fn everybody_else_is_told_what_etcd_says() {
    let fixture = Fixture::start().await;
    for (method, path, accept) in [
        ("GET", "/", None),
        ("GET", "/", Some("*/*")),
        ("GET", "/", Some("application/json")),
        ("POST", "/", Some("text/html")),
        ("GET", "/console", Some("text/html")),
        ("GET", "/console/x/app/main.js", Some("text/html")),
        ("GET", "/nope", Some("text/html")),
    ] {
        let answer = ask(&fixture, method, path, accept).await;
        let told = (answer.status, answer.text.as_str());
        assert_eq!(
            told,
            (404, "404 page not found\n"),
            "{method} {path} {accept:?}"
        );
    }
    let version = ask(&fixture, "GET", "/version", Some("text/html")).await;
    assert!(version.json()["etcdserver"].is_string());
}

#[tokio::test]
async fn without_the_gateway_there_is_nothing_to_show() {
    let fixture = Fixture::start_with(|config| config.grpc_gateway = false).await;
    let page = ask(&fixture, "GET", "/", Some("text/html")).await;
    assert_eq!(page.status, 404);
}
