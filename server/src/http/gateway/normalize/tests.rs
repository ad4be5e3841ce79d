//! What is read and what is refused; each line was tried on etcd 3.7.1's gateway.

use std::fmt::Debug;

use super::*;
use latchd_proto::etcdserverpb::compare::TargetUnion;
use latchd_proto::etcdserverpb::request_op::Request;
use latchd_proto::etcdserverpb::{
    Compare, LeaseGrantRequest, MemberAddRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
    WatchCreateRequest, WatchRequest,
};
use latchd_proto::v3electionpb::ProclaimRequest;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use serde::Serialize;

fn read<M: Message + Default>(json: &str) -> Result<M, Malformed> {
    let rust = std::any::type_name::<M>();
    let (path, name) = rust.rsplit_once("::").unwrap();
    let package = path.rsplit("::").next().unwrap();
    let shape = SHAPES.message(&format!(".{package}.{name}")).unwrap();
    encoded(shape, json).map(|wire| M::decode(&wire[..]).unwrap())
}

fn range(json: &str) -> RangeRequest {
    read(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn refusal<M: Message + Default + Debug>(json: &str) -> String {
    read::<M>(json).expect_err(json).to_string()
}

#[test]
fn numbers_in_every_form() {
    for json in [
        "7",
        "\"7\"",
        "7.0",
        "\"7.00\"",
        "70e-1",
        "\"0.7e1\"",
        "\"7 apples\"",
    ] {
        let read = range(&format!("{{\"limit\":{json}}}"));
        assert_eq!(read.limit, 7, "{json}");
    }
    let exact = 0x7fff_ffff_ffff_fffd_i64;
    for json in [
        format!("{exact}"),
        format!("\"{exact}\""),
        format!("{exact}.0"),
    ] {
        let grant: LeaseGrantRequest = read(&format!("{{\"ID\":{json},\"TTL\":-1}}")).unwrap();
        assert_eq!((grant.id, grant.ttl), (exact, -1), "{json}");
    }
    for json in [
        "1.5",
        "\"x\"",
        "\"\"",
        "\" 7\"",
        "\"7x\"",
        "9223372036854775808",
        "true",
        "[]",
    ] {
        let told = refusal::<RangeRequest>(&format!("{{\"limit\":{json}}}"));
        assert!(
            told.starts_with("invalid value for int64 field limit: "),
            "{told}"
        );
    }
}

#[test]
fn null_sets_nothing() {
    let all = r#"{"key":null,"limit":null,"sort_order":null,"serializable":null,"x":null}"#;
    assert_eq!(range(all), RangeRequest::default());
    let txn: TxnRequest = read(r#"{"success":null,"compare":[]}"#).unwrap();
    assert_eq!(txn, TxnRequest::default());
    let proclaim: ProclaimRequest = read(r#"{"leader":null}"#).unwrap();
    assert_eq!(proclaim.leader, None);
    // It is no element of a list.
    refusal::<TxnRequest>(r#"{"success":[null]}"#);
    refusal::<MemberAddRequest>(r#"{"peerURLs":[null]}"#);
    refusal::<WatchRequest>(r#"{"create_request":{"filters":[null]}}"#);
}

#[test]
fn enums_by_name_and_number_known_or_not() {
    for (json, order) in [
        ("\"DESCEND\"", 2),
        ("2", 2),
        ("2.0", 2),
        ("9", 9),
        ("-1", -1),
        ("\"SIDEWAYS\"", 0),
        ("\"descend\"", 0),
        ("\"2\"", 0),
    ] {
        let read = range(&format!("{{\"sort_order\":{json}}}"));
        assert_eq!(read.sort_order, order, "{json}");
    }
    for json in ["1.5", "true", "{}", "2147483648"] {
        refusal::<RangeRequest>(&format!("{{\"sort_order\":{json}}}"));
    }
    // In a list, a name that is not known is left out.
    let filters = r#"{"filters":["NOPUT","NOTHING",1,7]}"#;
    let create: WatchCreateRequest = read(filters).unwrap();
    assert_eq!(create.filters, [0, 1, 7]);
}

#[test]
fn bytes_in_either_base64() {
    for (json, key) in [
        ("Zm9v", &b"foo"[..]),
        ("Zm8=", b"fo"),
        ("Zm8", b"fo"),
        ("Zg==", b"f"),
        ("Zg", b"f"),
        ("+//+", &[0xfb, 0xff, 0xfe]),
        ("-__-", &[0xfb, 0xff, 0xfe]),
        ("", b""),
        ("Zh", b"f"),
        ("Zm9v\\n", b"foo"),
        ("Zm\\r\\n9v", b"foo"),
        ("\\u005am9v", b"foo"),
    ] {
        assert_eq!(range(&format!("{{\"key\":\"{json}\"}}")).key, key, "{json}");
    }
    for json in [
        "\"!\"",
        "\"Zm9v=\"",
        "\"Zg=\"",
        "\"Z\"",
        "\"+_==\"",
        "\"Zg===\"",
        "7",
        "true",
    ] {
        let told = refusal::<RangeRequest>(&format!("{{\"key\":{json}}}"));
        assert!(
            told.starts_with("invalid value for bytes field key: "),
            "{told}"
        );
    }
}

#[test]
fn either_name_but_once() {
    assert_eq!(
        range(r#"{"rangeEnd":"YQ=="}"#),
        range(r#"{"range_end":"YQ=="}"#)
    );
    let twice = refusal::<RangeRequest>(r#"{"rangeEnd":"YQ==","range_end":"YQ=="}"#);
    assert!(
        twice.starts_with("duplicate field \"range_end\""),
        "{twice}"
    );
    refusal::<RangeRequest>(r#"{"limit":null,"limit":1}"#);
    let emoji = range(r#"{"x":"\ud83d\ude00","limit":1}"#);
    assert_eq!(emoji.limit, 1);
    refusal::<RangeRequest>(r#"{"x":["\ud83d"]}"#);
    // Who is not known may come as often as it likes.
    range(r#"{"x":1,"x":2,"Key":"a"}"#);
}

#[test]
fn one_of_a_oneof() {
    let compare: Compare = read(r#"{"target":"MOD","modRevision":"3"}"#).unwrap();
    assert_eq!(compare.target_union, Some(TargetUnion::ModRevision(3)));
    // Set, though to what it is anyway.
    let compare: Compare = read(r#"{"version":0}"#).unwrap();
    assert_eq!(compare.target_union, Some(TargetUnion::Version(0)));
    let compare: Compare = read(r#"{"version":null,"lease":1}"#).unwrap();
    assert_eq!(compare.target_union, Some(TargetUnion::Lease(1)));
    let two = refusal::<Compare>(r#"{"version":1,"mod_revision":1}"#);
    assert!(
        two.starts_with("\"mod_revision\": its oneof is already set"),
        "{two}"
    );
    refusal::<WatchRequest>(r#"{"create_request":{},"cancel_request":{}}"#);
    let put: RequestOp = read(r#"{"request_put":{}}"#).unwrap();
    assert_eq!(
        put.request,
        Some(Request::RequestPut(PutRequest::default()))
    );
}

#[test]
fn only_what_the_field_is() {
    for json in [
        "null",
        "[]",
        "1",
        "\"x\"",
        "",
        "{",
        "{]",
        "{}}",
        "{\"key\"}",
        "{\"key\":}",
        "{,}",
        "{\"key\":\"YQ==\",}",
        "{'key':1}",
        "{\"key\":{}}",
        "{\"key\":[\"YQ==\"]}",
        "{\"serializable\":1}",
        "{\"serializable\":\"true\"}",
        "{\"limit\":01}",
        "{\"x\":junk}",
        "{\"limit\":+1}",
        "{\"key\":\"\u{1}\"}",
        "{\"key\":\"\\x\"}",
        "{\"key\":\"\\ud800\"}",
    ] {
        refusal::<RangeRequest>(json);
    }
    refusal::<TxnRequest>(r#"{"success":{}}"#);
    refusal::<TxnRequest>(r#"{"success":[[]]}"#);
    refusal::<TxnRequest>(r#"{"success":[{"request_put":[]}]}"#);
    refusal::<MemberAddRequest>(r#"{"peerURLs":"http://a:1"}"#);
    refusal::<MemberAddRequest>(r#"{"peerURLs":[1]}"#);
}

#[test]
fn depth_is_bounded_where_it_means_something() {
    let nested = |levels: usize| {
        let open = r#"{"success":[{"request_txn":"#.repeat(levels);
        format!("{open}{{}}{}", "}]}".repeat(levels))
    };
    read::<TxnRequest>(&nested(30)).unwrap();
    for levels in [100, 100_000] {
        let told = refusal::<TxnRequest>(&nested(levels));
        assert!(told.starts_with("recursion limit exceeded"), "{told}");
    }
    // What is passed over may be as deep as it likes.
    range(&format!(
        "{{\"x\":{}{}}}",
        "[".repeat(9000),
        "]".repeat(9000)
    ));
}

/// Any JSON, with the names of real fields and values that some of them take.
fn any_json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|each| each.to_string()),
        any::<i64>().prop_map(|each| each.to_string()),
        any::<u64>().prop_map(|each| format!("\"{each}\"")),
        any::<f64>().prop_map(|each| format!("{each:e}")),
        "[A-Za-z0-9+/]{0,8}={0,2}".prop_map(|each| format!("\"{each}\"")),
        "(DESCEND|MOD|EQUAL|NOPUT|CREATE|ON)".prop_map(|each| format!("\"{each}\"")),
        any::<String>().prop_map(|each| serde_json::to_string(&each).unwrap()),
    ];
    let name = "(key|range_?end|limit|success|compare|request_put|requestRange|request_txn|value\
        |sort_order|sortTarget|lease|mod_revision|version|target|result|prev_kv|create_request\
        |filters|watch_id|x)";
    scalar.prop_recursive(6, 60, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(","))),
            vec((name, inner), 0..4).prop_map(|all| {
                let pairs: Vec<String> = all.iter().map(|(k, v)| format!("{k:?}:{v}")).collect();
                format!("{{{}}}", pairs.join(" ,"))
            }),
        ]
    })
}

fn any_bytes() -> impl Strategy<Value = bytes::Bytes> {
    vec(any::<u8>(), 0..20).prop_map(Into::into)
}

fn any_range() -> impl Strategy<Value = RangeRequest> {
    let keys = (any_bytes(), any_bytes());
    let numbers = (any::<i64>(), any::<i64>(), 0..3i32, 0..5i32);
    (keys, numbers, any::<bool>()).prop_map(|((key, range_end), numbers, flag)| RangeRequest {
        key,
        range_end,
        limit: numbers.0,
        max_create_revision: numbers.1,
        sort_order: numbers.2,
        sort_target: numbers.3,
        serializable: flag,
        ..Default::default()
    })
}

fn any_compare() -> impl Strategy<Value = Compare> {
    let target = prop_oneof![
        any::<i64>().prop_map(TargetUnion::Version),
        any::<i64>().prop_map(TargetUnion::CreateRevision),
        any_bytes().prop_map(TargetUnion::Value),
    ];
    (0..4i32, 0..5i32, any_bytes(), proptest::option::of(target)).prop_map(
        |(result, target, key, target_union)| Compare {
            result,
            target,
            key,
            target_union,
            ..Default::default()
        },
    )
}

fn any_txn() -> impl Strategy<Value = TxnRequest> {
    let op = |request| RequestOp {
        request: Some(request),
    };
    let range = any_range().prop_map(move |each| op(Request::RequestRange(each)));
    let leaf =
        (vec(any_compare(), 0..3), vec(range, 0..3)).prop_map(|(compare, success)| TxnRequest {
            compare,
            success,
            failure: Vec::new(),
        });
    leaf.prop_recursive(4, 16, 2, move |inner| {
        vec(
            inner.prop_map(move |txn| op(Request::RequestTxn(txn))),
            0..3,
        )
        .prop_map(|failure| TxnRequest {
            failure,
            ..Default::default()
        })
    })
}

fn comes_back<M>(message: &M) -> Result<(), TestCaseError>
where
    M: Message + Default + Serialize + PartialEq + Debug,
{
    let json = serde_json::to_string(message).unwrap();
    prop_assert_eq!(&read::<M>(&json).unwrap(), message, "{}", json);
    Ok(())
}

proptest! {
    #[test]
    fn any_json_is_survived(json in any_json()) {
        let _ = (read::<TxnRequest>(&json), read::<WatchRequest>(&json));
    }

    #[test]
    fn any_text_is_survived(text: String) {
        let _ = (read::<TxnRequest>(&text), read::<RangeRequest>(&format!("{{\"key\":{text}}}")));
    }

    #[test]
    fn what_pbjson_writes_comes_back(range in any_range(), txn in any_txn()) {
        comes_back(&range)?;
        comes_back(&txn)?;
    }

    /// Whatever was read is the same when pbjson has written it, where pbjson can.
    #[test]
    fn what_was_read_is_stable(json in any_json()) {
        if let Ok(txn) = read::<TxnRequest>(&json)
            && serde_json::to_string(&txn).is_ok()
        {
            comes_back(&txn)?;
        }
    }
}
