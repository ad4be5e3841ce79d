//! The same service at `/v1/locks/…`, by the JSON mapping of etcd's gateway.

use serde_json::json;

use crate::common::json::{Gateway, b64};
use crate::common::socket::Socket;
use crate::support::{Service, exclusive, granted};

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
    assert_eq!(extended.await["ttl_ms"], "600000");
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

/// The request ends with its body, so a session over plain HTTP is opened with a grace, and lives on
/// by Extend; Resume works as over gRPC. A bound one ends with the answer.
#[tokio::test]
async fn a_session_over_json() {
    let service = Service::start().await;
    let gateway = Gateway(service.fixture.server().addresses()[0]);
    let path = "/v1/locks/session";
    let open = json!({"open": {"ttl_ms": 30000}});
    let mut stream = gateway.open(path, open).await;
    let opened = stream.result().await["opened"].take();
    assert_eq!(opened["epoch"], "1");
    assert!(stream.next().await.is_none(), "nothing more was asked");
    let session = |epoch| json!({"session": opened["session"], "epoch": epoch});
    let extended = gateway.post("/v1/locks/extend", session("1")).await;
    assert_eq!(extended["valid_for_ms"], "30000");
    let mut acquire = session("1");
    acquire["names"] = json!([b64("job")]);
    let granted = gateway.post("/v1/locks/acquire", acquire.clone()).await;
    let token = &opened["resume_token"];
    let resume = json!({"resume": {"session": opened["session"], "resume_token": token}});
    let mut stream = gateway.open(path, resume).await;
    let resumed = stream.result().await["opened"].take();
    assert_eq!(resumed["epoch"], "2");
    assert_eq!(resumed["holds"], granted["holds"]);
    let (status, refusal) = gateway.refusal("/v1/locks/acquire", acquire).await;
    assert_eq!((status, &refusal["code"]), (403, &json!(7)));
    let mut bound = gateway
        .open(path, json!({"open": {"ttl_ms": 30000, "bound": true}}))
        .await;
    let opened = bound.result().await["opened"].take();
    assert!(bound.next().await.is_none());
    let extend = json!({"session": opened["session"], "epoch": "1"});
    until_refused(&gateway, extend).await;
}

async fn until_refused(gateway: &Gateway, extend: serde_json::Value) {
    while gateway
        .send("/v1/locks/extend", extend.to_string())
        .await
        .status
        != 404
    {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Over a WebSocket a session is what it is over gRPC: heartbeats, news of what is lost, and the end
/// with the connection.
#[tokio::test]
async fn a_session_over_a_websocket() {
    let mut service = Service::start().await;
    let gateway = Gateway(service.fixture.server().addresses()[0]);
    let mut socket = Socket::open(&service.fixture, "/v1/locks/session").await;
    let open = json!({"open": {"ttl_ms": 60000, "bound": true}});
    socket.say(open).await;
    let opened = socket.result().await["opened"].take();
    socket.say(json!({"heartbeat": {}})).await;
    assert_eq!(socket.result().await["alive"]["valid_for_ms"], "60000");
    let acquire = |name: &str| {
        let names = [b64(name)];
        json!({"names": names, "session": opened["session"], "epoch": "1"})
    };
    let forced = gateway.post("/v1/locks/acquire", acquire("forced")).await;
    let force = json!({"name": b64("forced"), "token": forced["holds"][0]["token"]});
    gateway.post("/v1/locks/force-release", force).await;
    let lost = socket.result().await["lost"].take();
    assert_eq!(
        (&lost["hold"], &lost["how"]),
        (&forced["holds"][0], &json!("FORCED"))
    );
    gateway.post("/v1/locks/acquire", acquire("job")).await;
    let lease = service.lease().await;
    let next = service.queue(exclusive("job", lease), 2).await;
    drop(socket);
    granted(next).await;
    let mut closed = Socket::open(&service.fixture, "/v1/locks/session").await;
    closed.say(json!({"open": {"ttl_ms": 60000}})).await;
    closed.result().await;
    closed.say(json!({"close": {}})).await;
    // CLOSED is the first of its kind, which JSON leaves out.
    assert_eq!(closed.result().await, json!({"ended": {}}));
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
