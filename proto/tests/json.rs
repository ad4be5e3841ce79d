//! The JSON mapping is the one that etcd's gateway speaks.

use latchd_proto::{
    authpb::{Permission, permission},
    etcdserverpb::{
        AlarmType, AuthRoleGrantPermissionRequest, Compare, HashKvResponse, LeaseGrantRequest,
        LeaseTimeToLiveResponse, Member, PutRequest, RangeRequest, RangeResponse, RequestOp,
        ResponseHeader, ResponseOp, SnapshotResponse, StatusResponse, TxnRequest, TxnResponse,
        WatchCreateRequest, WatchRequest, WatchResponse,
        compare::{CompareResult, CompareTarget, TargetUnion},
        range_request::{SortOrder, SortTarget},
        request_op::Request,
        response_op::Response,
        watch_create_request::FilterType,
        watch_request::RequestUnion,
    },
    mvccpb::{Event, KeyValue, event::EventType},
    v3electionpb::{LeaderKey, ProclaimRequest},
    v3lockpb::LockRequest,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

fn to_json(message: &impl Serialize) -> Value {
    serde_json::to_value(message).expect("serializes")
}

/// From text, as requests come, and not from a `Value`: serde treats numbers differently.
fn from_json<M: DeserializeOwned>(json: Value) -> M {
    serde_json::from_str(&json.to_string()).expect("deserializes")
}

fn refused<M: DeserializeOwned>(json: &str) -> bool {
    serde_json::from_str::<M>(json).is_err()
}

/// `message` becomes exactly `json`, and `json` becomes `message`.
fn both_ways<M: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    message: M,
    json: Value,
) {
    assert_eq!(to_json(&message), json);
    assert_eq!(from_json::<M>(json), message);
}

#[test]
fn integers_of_64_bits_go_out_as_strings() {
    both_ways(
        ResponseHeader {
            cluster_id: u64::MAX,
            member_id: 10501334649042878790,
            revision: i64::MIN,
            raft_term: 2,
        },
        json!({
            "cluster_id": "18446744073709551615",
            "member_id": "10501334649042878790",
            "revision": "-9223372036854775808",
            "raft_term": "2",
        }),
    );
}

#[test]
fn integers_of_64_bits_come_in_as_strings_or_exact_numbers() {
    let lease = 0x7fff_ffff_ffff_fffe;
    for json in [
        json!({"ID": lease, "TTL": 60}),
        json!({"ID": lease.to_string(), "TTL": "60"}),
    ] {
        let grant: LeaseGrantRequest = from_json(json);
        assert_eq!(grant, LeaseGrantRequest { ttl: 60, id: lease });
    }
    let header: ResponseHeader = from_json(json!({"member_id": u64::MAX}));
    assert_eq!(header.member_id, u64::MAX);
    assert!(refused::<LeaseGrantRequest>(r#"{"TTL": "x"}"#));
    assert!(refused::<LeaseGrantRequest>(
        r#"{"TTL": "9223372036854775808"}"#
    ));
    assert!(refused::<LeaseGrantRequest>(r#"{"TTL": 1.5}"#));
}

#[test]
fn integers_of_32_bits_go_out_as_numbers() {
    both_ways(
        HashKvResponse {
            hash: u32::MAX,
            compact_revision: -1,
            ..Default::default()
        },
        json!({"hash": 4294967295u32, "compact_revision": "-1"}),
    );
}

#[test]
fn bytes_are_base64() {
    both_ways(
        PutRequest {
            key: "foo".into(),
            value: vec![0xfb, 0xff, 0xfe, 0].into(),
            ..Default::default()
        },
        json!({"key": "Zm9v", "value": "+//+AA=="}),
    );
    // The URL-safe alphabet and missing padding are fine.
    let put: PutRequest = from_json(json!({"key": "Zm8", "value": "-__-AA"}));
    assert_eq!(put.key, "fo");
    assert_eq!(put.value[..], [0xfb, 0xff, 0xfe, 0]);
    assert!(refused::<PutRequest>(r#"{"key": "!"}"#));
}

#[test]
fn enums_go_out_by_name() {
    both_ways(
        RangeRequest {
            sort_order: SortOrder::Descend.into(),
            sort_target: SortTarget::Create.into(),
            ..Default::default()
        },
        json!({"sort_order": "DESCEND", "sort_target": "CREATE"}),
    );
    both_ways(
        WatchCreateRequest {
            filters: vec![FilterType::Noput.into(), FilterType::Nodelete.into()],
            ..Default::default()
        },
        json!({"filters": ["NOPUT", "NODELETE"]}),
    );
    assert_eq!(to_json(&AlarmType::Nospace), json!("NOSPACE"));
}

#[test]
fn enums_come_in_by_name_or_number() {
    for json in [
        json!({"sort_order": 1, "sort_target": 4}),
        json!({"sortOrder": "ASCEND", "sortTarget": "VALUE"}),
    ] {
        let range: RangeRequest = from_json(json);
        assert_eq!(range.sort_order(), SortOrder::Ascend);
        assert_eq!(range.sort_target(), SortTarget::Value);
    }
    let watch: WatchCreateRequest = from_json(json!({"filters": [1, "NOPUT"]}));
    assert_eq!(watch.filters, [1, 0]);
}

#[test]
fn defaults_are_left_out() {
    assert_eq!(to_json(&RangeRequest::default()), json!({}));
    assert_eq!(to_json(&RangeResponse::default()), json!({}));
    assert_eq!(
        to_json(&Event {
            r#type: EventType::Put.into(),
            kv: None,
            prev_kv: None
        }),
        json!({})
    );
    // A message that is there and empty is not the same as none.
    both_ways(
        RangeResponse {
            header: Some(ResponseHeader::default()),
            ..Default::default()
        },
        json!({"header": {}}),
    );
    assert_eq!(
        from_json::<RangeRequest>(json!({})),
        RangeRequest::default()
    );
}

#[test]
fn names_go_out_as_etcd_spells_them() {
    both_ways(
        KeyValue {
            key: "k".into(),
            create_revision: 5,
            mod_revision: 9,
            version: 2,
            value: "v".into(),
            lease: 3,
        },
        json!({
            "key": "aw==",
            "create_revision": "5",
            "mod_revision": "9",
            "version": "2",
            "value": "dg==",
            "lease": "3",
        }),
    );
    both_ways(
        LeaseTimeToLiveResponse {
            header: None,
            id: 1,
            ttl: -1,
            granted_ttl: 3,
            keys: vec!["a".into(), "b".into()],
        },
        json!({"ID": "1", "TTL": "-1", "grantedTTL": "3", "keys": ["YQ==", "Yg=="]}),
    );
    both_ways(
        Member {
            id: 1,
            name: "m".into(),
            peer_ur_ls: vec!["http://p".into()],
            client_ur_ls: vec!["http://c".into()],
            is_learner: true,
        },
        json!({
            "ID": "1",
            "name": "m",
            "peerURLs": ["http://p"],
            "clientURLs": ["http://c"],
            "isLearner": true,
        }),
    );
    both_ways(
        StatusResponse {
            db_size: 1,
            db_size_in_use: 2,
            raft_index: 3,
            ..Default::default()
        },
        json!({"dbSize": "1", "dbSizeInUse": "2", "raftIndex": "3"}),
    );
    both_ways(
        AuthRoleGrantPermissionRequest {
            name: "r".into(),
            perm: Some(Permission {
                perm_type: permission::Type::Readwrite.into(),
                key: "a".into(),
                range_end: "b".into(),
            }),
        },
        json!({"name": "r", "perm": {"permType": "READWRITE", "key": "YQ==", "range_end": "Yg=="}}),
    );
}

#[test]
fn names_come_in_in_camel_case_too() {
    let range: RangeRequest = from_json(json!({
        "rangeEnd": "AA==",
        "keysOnly": true,
        "maxCreateRevision": "7",
        "sortOrder": "DESCEND",
    }));
    assert_eq!(
        range,
        RangeRequest {
            range_end: vec![0].into(),
            keys_only: true,
            max_create_revision: 7,
            sort_order: SortOrder::Descend.into(),
            ..Default::default()
        }
    );
    let part: SnapshotResponse = from_json(json!({"remainingBytes": "5", "blob": "eA=="}));
    assert_eq!(part.remaining_bytes, 5);
}

#[test]
fn unknown_fields_are_ignored() {
    let lock: LockRequest = from_json(json!({
        "name": "YQ==",
        "colour": {"deep": [1, {"er": null}]},
        "lease": 3,
        "Lease": 4,
    }));
    assert_eq!(
        lock,
        LockRequest {
            name: "a".into(),
            lease: 3
        }
    );
    let txn: TxnRequest = from_json(json!({"success": [{"requestPut": {"x": 1}, "y": 2}]}));
    assert_eq!(txn.success, [put_op(PutRequest::default())]);
}

#[test]
fn an_absent_message_may_be_null() {
    let proclaim: ProclaimRequest = from_json(json!({"leader": null, "value": "dg=="}));
    assert_eq!(
        proclaim,
        ProclaimRequest {
            leader: None,
            value: "v".into()
        }
    );
    both_ways(
        ProclaimRequest {
            leader: Some(LeaderKey {
                name: "n".into(),
                key: "n/1".into(),
                rev: 2,
                lease: 1,
            }),
            value: "v".into(),
        },
        json!({
            "leader": {"name": "bg==", "key": "bi8x", "rev": "2", "lease": "1"},
            "value": "dg==",
        }),
    );
}

fn put_op(put: PutRequest) -> RequestOp {
    RequestOp {
        request: Some(Request::RequestPut(put)),
    }
}

fn range_op(range: RangeRequest) -> RequestOp {
    RequestOp {
        request: Some(Request::RequestRange(range)),
    }
}

/// The transaction that etcd's Go client locks with, a nested one after it.
#[test]
fn a_lock_transaction() {
    both_ways(
        TxnRequest {
            compare: vec![Compare {
                result: CompareResult::Greater.into(),
                target: CompareTarget::Create.into(),
                key: "l/1".into(),
                target_union: Some(TargetUnion::CreateRevision(0)),
                range_end: Default::default(),
            }],
            success: vec![
                put_op(PutRequest {
                    key: "l/1".into(),
                    lease: 1,
                    ..Default::default()
                }),
                range_op(RangeRequest {
                    key: "l/".into(),
                    limit: 1,
                    ..Default::default()
                }),
            ],
            failure: vec![RequestOp {
                request: Some(Request::RequestTxn(TxnRequest {
                    success: vec![range_op(RangeRequest::default())],
                    ..Default::default()
                })),
            }],
        },
        json!({
            "compare": [{
                "result": "GREATER",
                "target": "CREATE",
                "key": "bC8x",
                "create_revision": "0",
            }],
            "success": [
                {"request_put": {"key": "bC8x", "lease": "1"}},
                {"request_range": {"key": "bC8=", "limit": "1"}},
            ],
            "failure": [{"request_txn": {"success": [{"request_range": {}}]}}],
        }),
    );
}

#[test]
fn every_target_of_a_comparison() {
    let cases = [
        (TargetUnion::Version(0), json!({"version": "0"})),
        (
            TargetUnion::CreateRevision(1),
            json!({"create_revision": "1"}),
        ),
        (TargetUnion::ModRevision(2), json!({"mod_revision": "2"})),
        (TargetUnion::Value("".into()), json!({"value": ""})),
        (TargetUnion::Lease(3), json!({"lease": "3"})),
    ];
    for (target, json) in cases {
        both_ways(
            Compare {
                target_union: Some(target),
                ..Default::default()
            },
            json,
        );
    }
    assert_eq!(
        from_json::<Compare>(json!({"target": "LEASE"})).target_union,
        None
    );
}

#[test]
fn one_of_several_means_one() {
    assert!(refused::<RequestOp>(
        r#"{"request_put": {}, "request_range": {}}"#
    ));
    assert_eq!(from_json::<RequestOp>(json!({})).request, None);
}

#[test]
fn what_a_transaction_answers() {
    both_ways(
        TxnResponse {
            header: Some(ResponseHeader {
                revision: 4,
                ..Default::default()
            }),
            succeeded: true,
            responses: vec![
                ResponseOp {
                    response: Some(Response::ResponsePut(Default::default())),
                },
                ResponseOp {
                    response: Some(Response::ResponseRange(RangeResponse {
                        kvs: vec![KeyValue {
                            key: "a".into(),
                            ..Default::default()
                        }],
                        count: 1,
                        ..Default::default()
                    })),
                },
                ResponseOp {
                    response: Some(Response::ResponseDeleteRange(Default::default())),
                },
                ResponseOp {
                    response: Some(Response::ResponseTxn(Default::default())),
                },
            ],
        },
        json!({
            "header": {"revision": "4"},
            "succeeded": true,
            "responses": [
                {"response_put": {}},
                {"response_range": {"kvs": [{"key": "YQ=="}], "count": "1"}},
                {"response_delete_range": {}},
                {"response_txn": {}},
            ],
        }),
    );
}

#[test]
fn a_watch() {
    both_ways(
        WatchRequest {
            request_union: Some(RequestUnion::CreateRequest(WatchCreateRequest {
                key: "a".into(),
                start_revision: 3,
                filters: vec![FilterType::Noput.into()],
                ..Default::default()
            })),
        },
        json!({"create_request": {"key": "YQ==", "start_revision": "3", "filters": ["NOPUT"]}}),
    );
    both_ways(
        WatchResponse {
            watch_id: -1,
            events: vec![Event {
                r#type: EventType::Delete.into(),
                kv: Some(KeyValue {
                    key: "a".into(),
                    mod_revision: 5,
                    ..Default::default()
                }),
                prev_kv: None,
            }],
            ..Default::default()
        },
        json!({
            "watch_id": "-1",
            "events": [{"type": "DELETE", "kv": {"key": "YQ==", "mod_revision": "5"}}],
        }),
    );
}

/// What the mapping refuses and etcd's gateway lets pass. A gateway that is to take these has to put
/// them right first; if one of these fails, the mapping has become more lenient, which is welcome.
#[test]
fn stricter_than_etcd() {
    assert!(refused::<RangeRequest>(r#"{"limit": null}"#));
    assert!(refused::<RangeRequest>(r#"{"key": null}"#));
    assert!(refused::<TxnRequest>(r#"{"success": null}"#));
    assert!(refused::<RangeRequest>(r#"{"limit": 1.0}"#));
    assert!(refused::<RangeRequest>(r#"{"limit": "1e3"}"#));
    assert!(refused::<RangeRequest>(r#"{"sort_order": 9}"#));
    assert!(refused::<RangeRequest>(r#"{"sort_order": "SIDEWAYS"}"#));
    assert!(refused::<RangeRequest>(r#"{"sort_order": null}"#));
    assert!(
        serde_json::to_value(RangeRequest {
            sort_order: 9,
            ..Default::default()
        })
        .is_err()
    );
}
