//! The same service at `/v1/locks/…`, by the JSON mapping of etcd's gateway.

use serde_json::json;

use crate::common::json::{Gateway, b64};
use crate::support::Service;

#[tokio::test]
async fn a_lock_over_json() {
    let mut service = Service::start().await;
    let gateway = Gateway(service.fixture.server().addresses()[0]);
    let lease = service.lease().await.to_string();
    let acquire = json!({"names": [b64("job")], "session": lease, "request_id": "a1"});
    let granted = gateway.post("/v1/locks/acquire", acquire).await;
    let hold = &granted["holds"][0];
    assert_eq!(
        (&hold["name"], &hold["token"]),
        (&json!(b64("job")), &json!("2"))
    );
    let verify = json!({"name": b64("job"), "token": "2"});
    let verified = gateway.post("/v1/locks/verify", verify).await;
    assert_eq!(verified["held"], true);
    let listed = gateway.post("/v1/locks/list", json!({})).await;
    assert_eq!(listed["locks"][0]["holders"][0]["request_id"], "a1");
    let extended = gateway.post("/v1/locks/extend", json!({"session": lease}));
    assert_eq!(extended.await["ttl_ms"], "60000");
    let again = json!({"names": [b64("job")], "mode": "SHARED", "session": lease});
    let (status, refusal) = gateway.refusal("/v1/locks/acquire", again).await;
    assert_eq!((status, &refusal["code"]), (409, &json!(6)));
    let mut watch = gateway.open("/v1/locks/watch", json!({})).await;
    assert_eq!(watch.result().await["snapshot"], true);
    let force = json!({"name": b64("job"), "token": 2});
    let forced = gateway.post("/v1/locks/force-release", force).await;
    assert_eq!(
        forced["contender"]["owner"],
        format!("{:x}", lease.parse::<i64>().unwrap())
    );
    assert_eq!(watch.result().await["events"][0]["kind"], "FORCED");
    let release = json!({"session": lease, "holds": [hold]});
    let (status, _) = gateway.refusal("/v1/locks/release", release).await;
    assert_eq!(status, 404);
    let past = gateway.post("/v1/locks/history", json!({})).await;
    assert_eq!(past["holds"][0]["how"], "FORCED");
}

/// The request ends with its body, so a session over plain HTTP is opened with a grace, and extended.
#[tokio::test]
async fn a_session_over_json() {
    let service = Service::start().await;
    let gateway = Gateway(service.fixture.server().addresses()[0]);
    let open = json!({"open": {"ttl_ms": 30000}});
    let mut stream = gateway.open("/v1/locks/session", open).await;
    let opened = stream.result().await["opened"].take();
    assert_eq!(opened["epoch"], "1");
    drop(stream);
    let session = json!({"session": opened["session"], "epoch": "1"});
    let extended = gateway.post("/v1/locks/extend", session).await;
    assert_eq!(extended["valid_for_ms"], "30000");
}

/// Only what is called as it is written.
#[tokio::test]
async fn other_paths_are_nowhere() {
    let service = Service::start().await;
    let gateway = Gateway(service.fixture.server().addresses()[0]);
    for path in [
        "/v1/locks/nope",
        "/v1/locks/acquire/",
        "/v3/locks/acquire",
        "/v1/nope",
    ] {
        assert_eq!(gateway.send(path, "{}").await.status, 404, "{path}");
    }
}
