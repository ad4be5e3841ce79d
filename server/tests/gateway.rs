//! The JSON gateway on a whole server. What is expected here was seen on etcd 3.7.1.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod common;

use std::net::SocketAddr;

use bytes::Bytes;
use common::json::{Gateway, b64};
use common::{Fixture, keys_under, soon, until_count};
use http::Request;
use http_body_util::Full;
use latchd::http::Cors;
use serde_json::{Value, json};

fn gateway(fixture: &Fixture) -> Gateway {
    Gateway(fixture.server().addresses()[0])
}

async fn grant(gateway: Gateway) -> String {
    let granted = gateway.post("/v3/lease/grant", json!({"TTL": 60})).await;
    granted["ID"].as_str().unwrap().to_owned()
}

/// A request with one more header.
fn with_header(path: &str, name: &str, value: &str, body: &Value) -> Request<Full<Bytes>> {
    let body = Full::new(Bytes::from(body.to_string()));
    Request::post(path).header(name, value).body(body).unwrap()
}

#[tokio::test]
async fn keys_and_values() {
    let fixture = Fixture::start().await;
    let gateway = gateway(&fixture);
    let put = json!({"key": b64("a"), "value": b64("1")});
    let put = gateway.post("/v3/kv/put", put).await;
    assert_eq!(put["header"]["revision"], "2");
    let range = gateway
        .post("/v3beta/kv/range", json!({"key": b64("a")}))
        .await;
    let kv = json!({
        "key": b64("a"), "value": b64("1"),
        "create_revision": "2", "mod_revision": "2", "version": "1",
    });
    assert_eq!(range["kvs"], json!([kv]));
    assert_eq!(range["count"], "1");
    let txn = json!({
        "compare": [{"key": b64("a"), "target": "VALUE", "value": b64("1")}],
        "success": [
            {"request_put": {"key": b64("a"), "value": b64("2"), "prev_kv": true}},
            {"requestRange": {"key": b64("a")}},
        ],
    });
    let txn = gateway.post("/v3/kv/txn", txn).await;
    assert_eq!(txn["succeeded"], true);
    let [put, range] = &txn["responses"].as_array().unwrap()[..] else {
        panic!("{txn}");
    };
    assert_eq!(put["response_put"]["prev_kv"], kv);
    assert_eq!(range["response_range"]["kvs"][0]["value"], b64("2"));
    let deleted = gateway
        .post("/v3/kv/deleterange", json!({"key": b64("a")}))
        .await;
    assert_eq!(deleted["deleted"], "1");
    gateway
        .post("/v3/kv/compaction", json!({"revision": "4"}))
        .await;
    let old = json!({"key": b64("a"), "revision": 2});
    let text = "etcdserver: mvcc: required revision has been compacted";
    assert_eq!(
        gateway.refusal("/v3/kv/range", old).await,
        (400, json!({"code": 11, "message": text}))
    );
}

#[tokio::test]
async fn refusals_have_etcds_statuses() {
    let fixture = Fixture::start().await;
    let gateway = gateway(&fixture);
    let put_twice = json!({"success": [
        {"request_put": {"key": b64("a")}},
        {"request_put": {"key": b64("a")}},
    ]});
    for (path, body, status, code, message) in [
        (
            "/v3/kv/range",
            json!({}),
            400,
            3,
            "etcdserver: key is not provided",
        ),
        (
            "/v3/kv/txn",
            put_twice,
            400,
            3,
            "etcdserver: duplicate key given in txn request",
        ),
        (
            "/v3/lease/revoke",
            json!({"ID": 7}),
            404,
            5,
            "etcdserver: requested lease not found",
        ),
        (
            "/v3/lease/grant",
            json!({"TTL": "9000000001"}),
            400,
            11,
            "etcdserver: too large lease TTL",
        ),
        (
            "/v3/election/leader",
            json!({"name": b64("e")}),
            500,
            2,
            "election: no leader",
        ),
        (
            "/v3/auth/authenticate",
            json!({}),
            400,
            9,
            "etcdserver: authentication is not enabled",
        ),
        ("/v3/kv/nope", json!({}), 404, 5, "Not Found"),
        ("/v3/", json!({}), 404, 5, "Not Found"),
        ("/v3beta/nope", json!({}), 404, 5, "Not Found"),
        (
            "/v3/auth/user/add",
            json!({}),
            501,
            12,
            "latchd: Auth.UserAdd is not implemented yet",
        ),
    ] {
        let refused = gateway.refusal(path, body).await;
        assert_eq!(
            refused,
            (status, json!({"code": code, "message": message})),
            "{path}"
        );
    }
    let answer = gateway.send("/v3alpha/kv/range", "{}").await;
    assert_eq!(
        (answer.status, &answer.text[..]),
        (404, "404 page not found\n")
    );
}

#[tokio::test]
async fn only_post_is_answered() {
    let fixture = Fixture::start().await;
    let gateway = gateway(&fixture);
    for method in ["GET", "PUT", "DELETE", "PATCH", "NOPE"] {
        let request = Request::builder().method(method).uri("/v3/kv/range");
        let answer = gateway.ask(request.body(Full::default()).unwrap()).await;
        let told = json!({"code": 12, "message": "Method Not Allowed"});
        assert_eq!((answer.status, answer.json()), (501, told), "{method}");
    }
}

#[tokio::test]
async fn browsers_are_told_what_they_may_do() {
    let open = Fixture::start().await;
    let preflight = |path: &str| {
        let request = Request::builder().method("OPTIONS").uri(path);
        let request = request.header("origin", "http://a:1");
        request.body(Full::default()).unwrap()
    };
    for path in ["/v3/kv/range", "/version", "/nope"] {
        let answer = gateway(&open).ask(preflight(path)).await;
        assert_eq!((answer.status, &answer.text[..]), (200, ""), "{path}");
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
        let methods = "POST, GET, OPTIONS, PUT, DELETE";
        assert_eq!(answer.headers["access-control-allow-methods"], methods);
    }
    let answer = gateway(&open).send("/v3/kv/range", "junk").await;
    assert_eq!(answer.headers["access-control-allow-origin"], "*");

    for (origins, told) in [
        ("http://a:1,http://b:1", Some("http://a:1")),
        ("http://c:1", None),
    ] {
        let named = Fixture::start_with(|config| config.cors = Cors::parse(origins).unwrap());
        let answer = gateway(&named.await).ask(preflight("/v3/kv/range")).await;
        let allowed = answer.headers.get("access-control-allow-origin");
        assert_eq!(
            allowed.map(|origin| origin.to_str().unwrap()),
            told,
            "{origins}"
        );
    }
}

#[tokio::test]
async fn bodies_that_are_no_message() {
    let fixture = Fixture::start().await;
    let gateway = gateway(&fixture);
    let range = |body: &'static str| gateway.send("/v3/kv/range", body);
    for body in [
        "{",
        "junk",
        "null",
        "[]",
        "1",
        "\"x\"",
        "{\"key\":1}",
        "{\"key\":\"!\"}",
        "{\"limit\":9223372036854775808}",
        "{\"key\":\"YQ==\",\"key\":\"YQ==\"}",
        "{\"key\":[]}",
    ] {
        let answer = range(body).await;
        assert_eq!(
            (answer.status, answer.json()["code"].clone()),
            (400, json!(3)),
            "{body}"
        );
    }
    // No body is an empty message; what follows one is passed over.
    assert_eq!(
        range("").await.json()["message"],
        "etcdserver: key is not provided"
    );
    for body in [
        "{\"key\":\"YQ==\"} junk",
        "{\"key\":\"YQ==\"}}",
        "\n {\"key\":\"YQ\"}{",
    ] {
        assert_eq!(range(body).await.status, 200, "{body}");
    }
}

#[tokio::test]
async fn any_content_type_is_json() {
    let fixture = Fixture::start().await;
    let gateway = gateway(&fixture);
    for kind in [
        "text/plain",
        "application/grpc",
        "application/x-www-form-urlencoded",
        "x",
    ] {
        let body = json!({"key": b64("a")});
        let answer = gateway
            .ask(with_header("/v3/kv/range", "content-type", kind, &body))
            .await;
        assert_eq!(answer.status, 200, "{kind}: {}", answer.text);
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(
            answer.headers["grpc-metadata-content-type"],
            "application/grpc"
        );
    }
}

#[tokio::test]
async fn identifiers_of_63_bits_are_exact() {
    let fixture = Fixture::start().await;
    let gateway = gateway(&fixture);
    for (bare, id) in [(true, i64::MAX), (false, i64::MAX - 1)] {
        let asked = if bare {
            json!(id)
        } else {
            json!(id.to_string())
        };
        let granted = gateway
            .post("/v3/lease/grant", json!({"ID": asked, "TTL": "60"}))
            .await;
        assert_eq!(
            (&granted["ID"], &granted["TTL"]),
            (&json!(id.to_string()), &json!("60"))
        );
    }
    let listed = gateway.post("/v3/lease/leases", json!({})).await;
    let ids: Vec<&str> = listed["leases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["ID"].as_str().unwrap())
        .collect();
    assert!(ids.contains(&"9223372036854775807") && ids.contains(&"9223372036854775806"));
}

#[tokio::test]
async fn leases_under_both_paths() {
    let fixture = Fixture::start().await;
    let gateway = gateway(&fixture);
    let id = grant(gateway).await;
    gateway
        .post("/v3/kv/put", json!({"key": b64("k"), "lease": id}))
        .await;
    for path in ["/v3/lease/timetolive", "/v3/kv/lease/timetolive"] {
        let told = gateway.post(path, json!({"ID": id, "keys": true})).await;
        assert_eq!(
            (&told["grantedTTL"], &told["keys"]),
            (&json!("60"), &json!([b64("k")]))
        );
    }
    for path in ["/v3/lease/leases", "/v3/kv/lease/leases"] {
        let told = gateway.post(path, json!({})).await;
        assert_eq!(told["leases"], json!([{"ID": id}]));
    }
    gateway.post("/v3/kv/lease/revoke", json!({"ID": id})).await;
    let gone = gateway
        .post("/v3/lease/timetolive", json!({"ID": id}))
        .await;
    assert_eq!(gone["TTL"], "-1");
}

#[tokio::test]
async fn a_keepalive_ends_after_its_reply() {
    let fixture = Fixture::start().await;
    let gateway = gateway(&fixture);
    let id = grant(gateway).await;
    let mut kept = gateway.open("/v3/lease/keepalive", json!({"ID": id})).await;
    let result = kept.result().await;
    assert_eq!((&result["ID"], &result["TTL"]), (&json!(id), &json!("60")));
    assert_eq!(kept.next().await, None);
    // A reply for each request, up to the first that is none.
    let twice = format!("{{\"ID\":\"{id}\"}} {{\"ID\":1}},{{\"ID\":2}}");
    let mut kept = gateway.open("/v3/lease/keepalive", twice).await;
    assert_eq!(kept.result().await["ID"], json!(id));
    assert_eq!(kept.result().await["TTL"], Value::Null);
    assert_eq!(kept.next().await, None);
    for nothing in ["", "junk", "{\"ID\":\"x\"}"] {
        let answer = gateway.send("/v3/lease/keepalive", nothing).await;
        assert_eq!((answer.status, &answer.text[..]), (200, ""), "{nothing}");
    }
}

#[tokio::test]
async fn a_watch_stays_open() {
    let fixture = Fixture::start().await;
    let gateway = gateway(&fixture);
    let create = json!({"create_request": {"key": b64("w")}});
    let mut watch = gateway.open("/v3/watch", format!("{create}{create}")).await;
    assert_eq!(watch.status(), 200);
    let created = watch.result().await;
    assert_eq!(
        (&created["created"], created.get("watch_id")),
        (&json!(true), None)
    );
    assert_eq!(watch.result().await["watch_id"], "1");
    gateway
        .post("/v3/kv/put", json!({"key": b64("w"), "value": b64("1")}))
        .await;
    gateway
        .post("/v3/kv/deleterange", json!({"key": b64("w")}))
        .await;
    let mut first = Vec::new();
    while first.len() < 2 {
        let response = watch.result().await;
        if response.get("watch_id").is_none() {
            first.extend(response["events"].as_array().unwrap().clone());
        }
    }
    assert_eq!(first[0].get("type"), None);
    assert_eq!(first[0]["kv"]["value"], b64("1"));
    assert_eq!(
        first[1],
        json!({"type": "DELETE", "kv": {"key": b64("w"), "mod_revision": "3"}})
    );
}

#[tokio::test]
async fn a_watch_that_cannot_be() {
    let fixture = Fixture::start().await;
    let gateway = gateway(&fixture);
    let backwards = json!({"create_request": {"key": b64("b"), "range_end": b64("a")}});
    let mut watch = gateway.open("/v3/watch", backwards).await;
    let refused = watch.result().await;
    assert_eq!(refused["watch_id"], "-1");
    assert_eq!(refused["cancel_reason"], "mvcc: watcher range is empty");
}

#[tokio::test]
async fn time_is_up() {
    let fixture = Fixture::start().await;
    let gateway = gateway(&fixture);
    let create = json!({"create_request": {"key": b64("w")}});
    let late = json!({"code": 4, "message": "context deadline exceeded"});
    let ask = |path, time, body: &Value| gateway.ask(with_header(path, "grpc-timeout", time, body));
    let answer = ask("/v3/watch", "5S", &create).await;
    assert_eq!(answer.status, 200);
    let last: Value = serde_json::from_str(answer.text.lines().nth(1).unwrap()).unwrap();
    assert_eq!(last, json!({"error": late}));
    let nobody = json!({"name": b64("e")});
    let answer = ask("/v3/election/observe", "300m", &nobody).await;
    assert_eq!(
        (answer.status, answer.json()),
        (504, json!({"error": late}))
    );
    let answer = ask("/v3/kv/range", "1n", &json!({"key": b64("a")})).await;
    assert_eq!((answer.status, answer.json()), (504, late.clone()));
    let answer = ask("/v3/kv/range", "soon", &json!({"key": b64("a")})).await;
    assert_eq!(
        (answer.status, &answer.json()["message"]),
        (400, &json!("invalid grpc-timeout: soon"))
    );
    // A waiter whose time is up leaves no key.
    let (one, two) = (grant(gateway).await, grant(gateway).await);
    gateway
        .post("/v3/lock/lock", json!({"name": b64("l"), "lease": one}))
        .await;
    let answer = ask(
        "/v3/lock/lock",
        "300m",
        &json!({"name": b64("l"), "lease": two}),
    )
    .await;
    assert_eq!((answer.status, answer.json()), (504, late));
    until_count(&mut fixture.client().await, "l/", 1).await;
}

#[tokio::test]
async fn a_waiter_that_disconnects_leaves_no_key() {
    let fixture = Fixture::start().await;
    let gateway = gateway(&fixture);
    let mut client = fixture.client().await;
    for (path, name) in [("/v3/lock/lock", "l"), ("/v3/election/campaign", "e")] {
        let prefix = format!("{name}/");
        let ask = |lease| json!({"name": b64(name), "lease": lease});
        let held = gateway.post(path, ask(grant(gateway).await)).await;
        assert!(held["header"]["revision"].is_string(), "{held}");
        let waiting = gateway.send_only(path, ask(grant(gateway).await)).await;
        until_count(&mut client, &prefix, 2).await;
        drop(waiting);
        until_count(&mut client, &prefix, 1).await;
    }
}

#[tokio::test]
async fn locks() {
    let fixture = Fixture::start().await;
    let gateway = gateway(&fixture);
    let lease = grant(gateway).await;
    let locked = gateway
        .post("/v3/lock/lock", json!({"name": b64("l"), "lease": lease}))
        .await;
    let key = format!("l/{:x}", lease.parse::<i64>().unwrap());
    assert_eq!(locked["key"], b64(&key));
    let waiting = gateway;
    let next = tokio::spawn(async move {
        waiting
            .post("/v3/lock/lock", json!({"name": b64("l")}))
            .await
    });
    let mut client = fixture.client().await;
    until_count(&mut client, "l/", 2).await;
    gateway
        .post("/v3/lock/unlock", json!({"key": b64(&key)}))
        .await;
    soon(next).await.unwrap();
    assert_eq!(keys_under(&mut client, "l/").await.len(), 1);
}

#[tokio::test]
async fn elections() {
    let fixture = Fixture::start().await;
    let gateway = gateway(&fixture);
    let name = b64("e");
    let observing = gateway;
    let observed = tokio::spawn(async move {
        let body = json!({"name": b64("e")});
        let mut leaders = observing.open("/v3/election/observe", body).await;
        let mut values = Vec::new();
        while values.last() != Some(&json!(b64("2"))) {
            values.push(leaders.result().await["kv"]["value"].clone());
        }
        values
    });
    let campaign = json!({"name": name, "lease": grant(gateway).await, "value": b64("1")});
    let won = gateway.post("/v3/election/campaign", campaign).await;
    let leader = gateway
        .post("/v3/election/leader", json!({"name": name}))
        .await;
    assert_eq!(leader["kv"]["value"], b64("1"));
    let proclaim = json!({"leader": won["leader"], "value": b64("2")});
    gateway
        .post("/v3/election/proclaim", proclaim.clone())
        .await;
    // It need not see every value, but always the latest.
    assert!(soon(observed).await.unwrap().len() <= 2);
    gateway
        .post("/v3/election/resign", json!({"leader": won["leader"]}))
        .await;
    let told = json!({"code": 2, "message": "election: not leader"});
    assert_eq!(
        gateway.refusal("/v3/election/proclaim", proclaim).await,
        (500, told)
    );
    let told = json!({"code": 2, "message": "\"leader\" field must be provided"});
    assert_eq!(
        gateway.refusal("/v3/election/resign", "{}").await,
        (500, told)
    );
}

#[tokio::test]
async fn what_the_server_is() {
    let fixture = Fixture::start().await;
    let gateway = gateway(&fixture);
    let listed = gateway.post("/v3/cluster/member/list", json!({})).await;
    let id = listed["members"][0]["ID"].clone();
    assert_eq!(
        listed["members"][0]["clientURLs"],
        json!([fixture.endpoint()])
    );
    let status = gateway.post("/v3/maintenance/status", json!({})).await;
    assert_eq!(status["leader"], id);
    let moved = gateway.post(
        "/v3/maintenance/transfer-leadership",
        json!({"targetID": id}),
    );
    assert_eq!(moved.await, json!({}));
    assert_eq!(
        gateway.post("/v3/maintenance/defragment", json!({})).await,
        json!({})
    );
    let raise = json!({"action": "ACTIVATE", "memberID": id, "alarm": "NOSPACE"});
    let raised = gateway.post("/v3/maintenance/alarm", raise).await;
    assert_eq!(
        raised["alarms"],
        json!([{"memberID": id, "alarm": "NOSPACE"}])
    );
    let told = json!({"code": 8, "message": "etcdserver: mvcc: database space exceeded"});
    let put = json!({"key": b64("a")});
    assert_eq!(gateway.refusal("/v3/kv/put", put).await, (429, told));
    let told = json!({"error": {
        "code": 12, "message": "latchd: Maintenance.Snapshot is not implemented yet",
    }});
    assert_eq!(
        gateway.refusal("/v3/maintenance/snapshot", "{}").await,
        (501, told)
    );
}

#[tokio::test]
async fn large_requests() {
    let fixture = Fixture::start().await;
    let gateway = gateway(&fixture);
    let put = |bytes: usize| json!({"key": b64("a"), "value": b64(vec![0; bytes])});
    gateway.post("/v3/kv/put", put(1_500_000)).await;
    let told = json!({"code": 3, "message": "etcdserver: request is too large"});
    assert_eq!(
        gateway.refusal("/v3/kv/put", put(1_600_000)).await,
        (400, told)
    );
    let text = "grpc: received message larger than max (2200008 vs. 2097152)";
    let told = json!({"code": 8, "message": text});
    assert_eq!(
        gateway.refusal("/v3/kv/put", put(2_200_000)).await,
        (429, told)
    );
    let (status, told) = gateway.refusal("/v3/kv/put", put(20_000_000)).await;
    assert_eq!((status, &told["code"]), (429, &json!(8)), "{told}");
    // Spaces do not count as long as they hold nothing.
    let spaces = format!("{}{{\"key\":\"YQ==\"}}", " ".repeat(10_000_000));
    assert_eq!(gateway.send("/v3/kv/range", spaces).await.status, 200);
}

#[tokio::test]
async fn the_gateway_is_one_client() {
    let fixture = Fixture::start_with(|config| config.connections.max_streams = Some(1)).await;
    let gateway = gateway(&fixture);
    let create = json!({"create_request": {"key": b64("w")}});
    let mut watch = gateway.open("/v3/watch", create).await;
    watch.result().await;
    let put = json!({"key": b64("w")});
    let late = gateway
        .ask(with_header("/v3/kv/put", "grpc-timeout", "200m", &put))
        .await;
    assert_eq!(late.status, 504);
    let mut waiting = tokio::spawn(async move { gateway.post("/v3/kv/put", put).await });
    // gRPC's own clients have a share of their own.
    let mut client = fixture.client().await;
    client.put("a", "b", None).await.unwrap();
    assert!(futures::poll!(&mut waiting).is_pending());
    drop(watch);
    soon(waiting).await.unwrap();
}

/// The count of a kind of call, from /metrics.
async fn counted(gateway: Gateway, labels: &str) -> u64 {
    let request = Request::get("/metrics").body(Full::default()).unwrap();
    let text = gateway.ask(request).await.text;
    let line = text.lines().find(|line| line.starts_with(labels));
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn calls_are_counted_as_grpcs() {
    let fixture = Fixture::start().await;
    let gateway = gateway(&fixture);
    let promote = "{grpc_code=\"NotFound\",grpc_method=\"MemberPromote\",\
        grpc_service=\"etcdserverpb.Cluster\",grpc_type=\"unary\"}";
    let handled = format!("grpc_server_handled_total{promote}");
    let before = counted(gateway, &handled).await;
    gateway
        .refusal("/v3/cluster/member/promote", "{\"ID\":1}")
        .await;
    assert_eq!(counted(gateway, &handled).await, before + 1);
}

#[tokio::test]
async fn streams_end_when_the_server_does() {
    let mut fixture = Fixture::start().await;
    let gateway = gateway(&fixture);
    let create = json!({"create_request": {"key": b64("w")}});
    let mut watch = gateway.open("/v3/watch", create).await;
    watch.result().await;
    let lease = grant(gateway).await;
    gateway
        .post("/v3/lock/lock", json!({"name": b64("l"), "lease": lease}))
        .await;
    let waiting = tokio::spawn(async move {
        gateway
            .refusal("/v3/lock/lock", json!({"name": b64("l")}))
            .await
    });
    until_count(&mut fixture.client().await, "l/", 2).await;
    soon(fixture.stop()).await;
    let stopped = json!({"code": 14, "message": "etcdserver: server stopped"});
    assert_eq!(watch.next().await, Some(json!({"error": stopped})));
    assert_eq!(watch.next().await, None);
    assert_eq!(soon(waiting).await.unwrap(), (503, stopped));
}

#[tokio::test]
async fn where_there_is_a_gateway() {
    let fixture = Fixture::start_with(|config| config.grpc_gateway = false).await;
    let answer = gateway(&fixture).send("/v3/kv/range", "{}").await;
    assert_eq!(
        (answer.status, &answer.text[..]),
        (404, "404 page not found\n")
    );

    let apart = Fixture::start_with(|config| {
        config.listen_client_http_urls = vec!["http://127.0.0.1:0".parse().unwrap()];
    })
    .await;
    let http: SocketAddr = apart.server().http_addresses()[0];
    let body = json!({"key": b64("a")});
    Gateway(http).post("/v3/kv/range", body).await;
}

/// Random bytes, some of them JSON's.
fn noise(length: usize) -> Vec<u8> {
    const MARKS: &[u8] = b"{}[]\":,\\ntu0e.-/ \n";
    let random = |_| match rand::random_range(0..4) {
        0 => rand::random(),
        _ => MARKS[rand::random_range(0..MARKS.len())],
    };
    (0..length).map(random).collect()
}

#[tokio::test]
async fn noise_is_refused_cleanly() {
    let fixture = Fixture::start().await;
    let gateway = gateway(&fixture);
    for path in [
        "/v3/kv/txn",
        "/v3/kv/range",
        "/v3/lease/timetolive",
        "/v3/maintenance/snapshot",
    ] {
        for _ in 0..100 {
            let mut body = noise(rand::random_range(1..200));
            if rand::random() {
                body.insert(0, b'{');
            }
            let answer = gateway.send(path, body.clone()).await;
            let shown = String::from_utf8_lossy(&body);
            if answer.status == 400 {
                assert_eq!(answer.json()["code"], 3, "{shown}");
            } else {
                // By chance an empty object, or nothing but spaces.
                assert!(
                    matches!(answer.status, 200 | 501),
                    "{shown}: {}",
                    answer.text
                );
            }
        }
    }
    let put = json!({"key": b64("a")});
    gateway.post("/v3/kv/put", put).await;
}
