//! What the model is sure of. That etcd does the same is shown by `tests/random.rs`.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use latchd_proto::{
    etcdserverpb::{
        CompactionRequest, Compare, DeleteRangeRequest, LeaseGrantRequest, LeaseLeasesResponse,
        LeaseRevokeRequest, LeaseTimeToLiveRequest, PutRequest, RangeRequest, RangeResponse,
        RequestOp, TxnRequest, TxnResponse, WatchCreateRequest,
        compare::{CompareResult, CompareTarget, TargetUnion},
        range_request::{SortOrder, SortTarget},
        request_op::Request as Operation,
        response_op::Response as Outcome,
        watch_create_request::FilterType,
    },
    mvccpb::Event,
    v3electionpb::{CampaignRequest, LeaderKey, LeaderRequest, ProclaimRequest, ResignRequest},
    v3lockpb::{LockRequest, UnlockRequest},
};
use tonic::Code;

use super::{Failure, Model, Request, Response, Waiter, WatchStream};

impl Model {
    fn must(&mut self, request: &Request) -> Response {
        self.apply(request).unwrap()
    }

    /// Puts a key on a lease; returns the revision.
    fn puts(&mut self, key: &'static str, value: &'static str, lease: i64) -> i64 {
        self.must(&Request::Put(put_of(key, value, lease)));
        self.revision()
    }

    fn deletes(&mut self, key: &'static str, end: &'static str) -> i64 {
        match self.must(&Request::DeleteRange(delete_of(key, end))) {
            Response::DeleteRange(response) => response.deleted,
            other => panic!("{other:?}"),
        }
    }

    fn reads(&mut self, request: RangeRequest) -> Result<RangeResponse, Failure> {
        match self.apply(&Request::Range(request))? {
            Response::Range(response) => Ok(response),
            other => panic!("{other:?}"),
        }
    }

    fn runs(&mut self, request: TxnRequest) -> Result<TxnResponse, Failure> {
        match self.apply(&Request::Txn(request))? {
            Response::Txn(response) => Ok(response),
            other => panic!("{other:?}"),
        }
    }

    fn grants(&mut self, id: i64) {
        let ttl = 100 * id;
        self.must(&Request::LeaseGrant(LeaseGrantRequest { id, ttl }));
    }

    fn compacts(&mut self, revision: i64) -> Result<(), Failure> {
        let physical = false;
        let request = CompactionRequest { revision, physical };
        self.apply(&Request::Compact(request)).map(drop)
    }

    fn locks(&mut self, name: &'static str, lease: i64) -> Response {
        let name = name.into();
        self.must(&Request::Lock(LockRequest { name, lease }))
    }

    fn waits_for(&mut self, name: &'static str, lease: i64) -> Waiter {
        match self.locks(name, lease) {
            Response::Waiting(waiter) => waiter,
            other => panic!("{other:?}"),
        }
    }

    fn unlocks(&mut self, key: &'static str) {
        let key = key.into();
        self.must(&Request::Unlock(UnlockRequest { key }));
    }
}

fn put_of(key: &'static str, value: &'static str, lease: i64) -> PutRequest {
    PutRequest {
        key: key.into(),
        value: value.into(),
        lease,
        ..PutRequest::default()
    }
}

fn delete_of(key: &'static str, end: &'static str) -> DeleteRangeRequest {
    DeleteRangeRequest {
        key: key.into(),
        range_end: end.into(),
        ..DeleteRangeRequest::default()
    }
}

fn range_of(key: &'static str, end: &'static str) -> RangeRequest {
    RangeRequest {
        key: key.into(),
        range_end: end.into(),
        ..RangeRequest::default()
    }
}

fn everything() -> RangeRequest {
    range_of("\0", "\0")
}

fn keys(response: &RangeResponse) -> Vec<&str> {
    let keys = response.kvs.iter();
    keys.map(|kv| std::str::from_utf8(&kv.key).unwrap())
        .collect()
}

fn ops(operations: impl IntoIterator<Item = Operation>) -> Vec<RequestOp> {
    let op = |operation| RequestOp {
        request: Some(operation),
    };
    operations.into_iter().map(op).collect()
}

fn txn(success: impl IntoIterator<Item = Operation>) -> TxnRequest {
    TxnRequest {
        success: ops(success),
        ..TxnRequest::default()
    }
}

fn put(key: &'static str) -> Operation {
    Operation::RequestPut(put_of(key, "", 0))
}

fn delete(key: &'static str, end: &'static str) -> Operation {
    Operation::RequestDeleteRange(delete_of(key, end))
}

fn failed<T: std::fmt::Debug>(answer: Result<T, Failure>) -> (Code, String) {
    let failure = answer.unwrap_err();
    (failure.code, failure.message)
}

fn failure(code: Code, message: &str) -> (Code, String) {
    (code, message.to_owned())
}

fn abc() -> Model {
    let mut model = Model::new();
    model.grants(7);
    model.puts("a", "3", 7); // 2
    model.puts("b", "2", 0); // 3
    model.puts("c", "1", 0); // 4
    model.puts("a", "3", 7); // 5
    model
}

#[test]
fn versions_and_revisions_count_from_the_creation() {
    let mut model = abc();
    let found = model.reads(range_of("a", "")).unwrap();
    let kv = &found.kvs[0];
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (2, 5, 2));
    assert_eq!((kv.lease, model.deletes("a", "")), (7, 1));
    model.puts("a", "", 0);
    let found = model.reads(range_of("a", "")).unwrap();
    let kv = &found.kvs[0];
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (7, 7, 1));
}

#[test]
fn what_deletes_nothing_is_no_revision() {
    let mut model = abc();
    assert_eq!(model.deletes("x", "z"), 0);
    assert_eq!(model.revision(), 5);
    assert_eq!(model.deletes("a", "c"), 2);
    assert_eq!(model.revision(), 6);
}

#[test]
fn ranges_end_before_their_end() {
    let mut model = abc();
    let mut read = |key, end| keys(&model.reads(range_of(key, end)).unwrap()).join("");
    assert_eq!(read("a", ""), "a");
    assert_eq!(read("a", "c"), "ab");
    assert_eq!(read("b", "\0"), "bc");
    assert_eq!(read("b", "a"), "");
}

#[test]
fn the_past_is_there_until_it_is_compacted() {
    let mut model = abc();
    model.deletes("b", "");
    let at = |revision| RangeRequest {
        revision,
        ..everything()
    };
    assert_eq!(keys(&model.reads(at(3)).unwrap()), ["a", "b"]);
    assert_eq!(model.reads(at(3)).unwrap().header.unwrap().revision, 6);
    assert_eq!(keys(&model.reads(at(-1)).unwrap()), ["a", "c"]);
    model.compacts(4).unwrap();
    assert_eq!(keys(&model.reads(at(4)).unwrap()), ["a", "b", "c"]);
    let compacted = failure(
        Code::OutOfRange,
        "etcdserver: mvcc: required revision has been compacted",
    );
    assert_eq!(failed(model.reads(at(3))), compacted);
    assert_eq!(failed(model.compacts(4)), compacted);
    let future = failure(
        Code::OutOfRange,
        "etcdserver: mvcc: required revision is a future revision",
    );
    assert_eq!(failed(model.reads(at(7))), future);
    assert_eq!(failed(model.compacts(7)), future);
}

#[test]
fn a_range_filters_sorts_and_then_limits() {
    let mut model = abc();
    let by_value = RangeRequest {
        sort_target: SortTarget::Value as i32,
        sort_order: SortOrder::Ascend as i32,
        limit: 2,
        ..everything()
    };
    let found = model.reads(by_value.clone()).unwrap();
    assert_eq!(
        (keys(&found), found.more, found.count),
        (vec!["c", "b"], true, 3)
    );
    // Without an order the limit comes first, and leaves one more to sort.
    let unordered = RangeRequest {
        sort_order: SortOrder::None as i32,
        limit: 1,
        ..by_value.clone()
    };
    assert_eq!(keys(&model.reads(unordered).unwrap()), ["b"]);
    let filtered = RangeRequest {
        min_mod_revision: 4,
        max_create_revision: 3,
        ..by_value
    };
    let found = model.reads(filtered).unwrap();
    assert_eq!(
        (keys(&found), found.more, found.count),
        (vec!["a"], false, 3)
    );
}

#[test]
fn keys_only_knows_leases_only_where_it_sorts_by_value() {
    let mut model = abc();
    let keys_only = RangeRequest {
        keys_only: true,
        ..range_of("a", "")
    };
    let found = model.reads(keys_only.clone()).unwrap();
    assert_eq!((found.kvs[0].value.len(), found.kvs[0].lease), (0, 0));
    let by_value = RangeRequest {
        sort_target: SortTarget::Value as i32,
        ..keys_only
    };
    assert_eq!(model.reads(by_value).unwrap().kvs[0].lease, 7);
}

#[test]
fn counting_leaves_the_keys_out() {
    let mut model = abc();
    let count = RangeRequest {
        count_only: true,
        limit: 1,
        ..everything()
    };
    let found = model.reads(count).unwrap();
    assert_eq!((found.kvs.len(), found.more, found.count), (0, false, 3));
}

#[test]
fn a_put_keeps_what_it_is_asked_to() {
    let mut model = abc();
    let keep = |key: &'static str| {
        Request::Put(PutRequest {
            key: key.into(),
            ignore_value: true,
            ignore_lease: true,
            prev_kv: true,
            ..PutRequest::default()
        })
    };
    let Response::Put(response) = model.must(&keep("a")) else {
        panic!();
    };
    assert_eq!(response.prev_kv.unwrap().mod_revision, 5);
    let kept = model.get(b"a").unwrap();
    assert_eq!(
        (&kept.value[..], kept.lease, kept.version),
        (&b"3"[..], 7, 3)
    );
    assert_eq!(
        failed(model.apply(&keep("x"))),
        failure(Code::InvalidArgument, "etcdserver: key not found")
    );
    assert_eq!(
        failed(model.apply(&Request::Put(put_of("x", "", 9)))),
        failure(Code::NotFound, "etcdserver: requested lease not found")
    );
}

#[test]
fn malformed_requests_change_nothing() {
    let mut model = abc();
    let before = model.clone();
    let invalid = |what: &str| failure(Code::InvalidArgument, &format!("etcdserver: {what}"));
    assert_eq!(
        failed(model.reads(RangeRequest::default())),
        invalid("key is not provided")
    );
    let unknown = RangeRequest {
        sort_order: 9,
        ..everything()
    };
    assert_eq!(failed(model.reads(unknown)), invalid("invalid sort option"));
    let both = PutRequest {
        ignore_value: true,
        ..put_of("a", "x", 0)
    };
    let both = Request::Put(both);
    assert_eq!(failed(model.apply(&both)), invalid("value is provided"));
    let nothing = TxnRequest {
        success: vec![RequestOp { request: None }],
        ..TxnRequest::default()
    };
    assert_eq!(failed(model.runs(nothing)), invalid("key not found"));
    let too_many = txn((0..129).map(|_| delete("a", "")));
    assert_eq!(
        failed(model.runs(too_many)),
        invalid("too many operations in txn request")
    );
    let nested = txn([Operation::RequestTxn(txn((0..128).map(|_| put("a"))))]);
    assert_eq!(
        failed(model.runs(nested)),
        invalid("too many operations in txn request")
    );
    assert_eq!(model, before);
}

#[test]
fn a_txn_writes_no_key_twice() {
    let mut model = abc();
    let duplicate = failure(
        Code::InvalidArgument,
        "etcdserver: duplicate key given in txn request",
    );
    let nested = |success, failure| {
        Operation::RequestTxn(TxnRequest {
            success: ops(success),
            failure: ops(failure),
            ..TxnRequest::default()
        })
    };
    for twice in [
        vec![put("x"), put("x")],
        vec![put("b"), delete("a", "c")],
        vec![put("x"), nested(vec![], vec![put("x")])],
        vec![
            nested(vec![delete("x", "")], vec![]),
            nested(vec![put("x")], vec![]),
        ],
    ] {
        assert_eq!(failed(model.runs(txn(twice))), duplicate);
    }
    for once in [
        vec![delete("a", ""), delete("a", "")],
        vec![nested(vec![put("x")], vec![put("x")])],
        // Seen in this order alone.
        vec![
            nested(vec![put("x")], vec![]),
            nested(vec![delete("x", "")], vec![]),
        ],
        vec![delete("a", "\0"), put("x")],
    ] {
        model.runs(txn(once)).unwrap();
    }
}

#[test]
fn a_txn_decides_before_and_reads_in_between() {
    let mut model = abc();
    let inner = TxnRequest {
        compare: vec![created(b"x", 0)],
        success: ops([Operation::RequestRange(range_of("x", ""))]),
        ..TxnRequest::default()
    };
    let response = model
        .runs(txn([
            put("x"),
            Operation::RequestTxn(inner),
            delete("a", ""),
        ]))
        .unwrap();
    assert_eq!(
        (response.header.unwrap().revision, model.revision()),
        (6, 6)
    );
    let Some(Outcome::ResponseTxn(inner)) = &response.responses[1].response else {
        panic!();
    };
    // It did not see the Put when it was decided, and did when it read.
    assert!(inner.succeeded);
    assert_eq!(inner.header.unwrap().revision, 0);
    let Some(Outcome::ResponseRange(range)) = &inner.responses[0].response else {
        panic!();
    };
    assert_eq!(
        (keys(range), range.header.unwrap().revision),
        (vec!["x"], 6)
    );
}

fn created(key: &'static [u8], revision: i64) -> Compare {
    Compare {
        result: CompareResult::Equal as i32,
        target: CompareTarget::Create as i32,
        key: Bytes::from_static(key),
        target_union: Some(TargetUnion::CreateRevision(revision)),
        ..Compare::default()
    }
}

#[test]
fn compares_of_ranges_and_of_what_is_not_there() {
    let mut model = abc();
    let mut holds = |compare| {
        let compare = vec![compare];
        let request = TxnRequest {
            compare,
            ..TxnRequest::default()
        };
        model.runs(request).unwrap().succeeded
    };
    let value = |key: &'static str, value: &'static str, result| Compare {
        result: result as i32,
        target: CompareTarget::Value as i32,
        key: key.into(),
        target_union: Some(TargetUnion::Value(value.into())),
        ..Compare::default()
    };
    assert!(holds(created(b"x", 0)));
    assert!(!holds(value("x", "", CompareResult::Equal)));
    assert!(!holds(value("x", "", CompareResult::NotEqual)));
    let all = Compare {
        range_end: "c".into(),
        ..value("a", "1", CompareResult::Greater)
    };
    assert!(holds(all.clone()));
    let one_too_many = Compare {
        range_end: "\0".into(),
        ..all
    };
    assert!(!holds(one_too_many));
    // What is named for another target counts as zero.
    let other = Compare {
        target: CompareTarget::Lease as i32,
        ..created(b"b", 3)
    };
    assert!(holds(other));
}

#[test]
fn a_txn_that_would_crash_etcd_is_refused() {
    let mut model = abc();
    let keep = PutRequest {
        ignore_value: true,
        ..put_of("b", "", 0)
    };
    let request = txn([delete("a", "\0"), Operation::RequestPut(keep.clone())]);
    assert!(model.crashes_etcd(&Request::Txn(request.clone())));
    let before = model.clone();
    assert!(model.runs(request).is_err());
    assert_eq!(model, before);
    let other_order = txn([Operation::RequestPut(keep), delete("a", "\0")]);
    assert!(!model.crashes_etcd(&Request::Txn(other_order)));
}

#[test]
fn a_compaction_that_would_crash_etcd_later_is_known() {
    let mut model = abc();
    model.runs(txn([delete("b", "\0"), put("b")])).unwrap();
    model.puts("b", "", 0);
    let compact = |revision| {
        Request::Compact(CompactionRequest {
            revision,
            physical: false,
        })
    };
    assert_eq!(model.revision(), 7);
    let crashes = [5, 6, 7].map(|revision| model.crashes_etcd(&compact(revision)));
    assert_eq!(crashes, [false, true, false]);
}

#[test]
fn a_lease_takes_its_keys_along_in_one_revision() {
    let mut model = abc();
    model.grants(3);
    model.puts("b", "", 7);
    model.puts("a", "", 3);
    let keys_of = |model: &mut Model, id| {
        let request = LeaseTimeToLiveRequest { id, keys: true };
        match model.must(&Request::LeaseTimeToLive(request)) {
            Response::LeaseTimeToLive(response) => (response.ttl, response.keys),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(keys_of(&mut model, 7), (700, vec!["b".into()]));
    let Response::LeaseLeases(LeaseLeasesResponse { leases, .. }) =
        model.must(&Request::LeaseLeases)
    else {
        panic!();
    };
    assert_eq!(
        leases.iter().map(|lease| lease.id).collect::<Vec<_>>(),
        [3, 7]
    );
    model.puts("c", "", 7);
    let revoke = Request::LeaseRevoke(LeaseRevokeRequest { id: 7 });
    let revision = model.revision();
    model.must(&revoke);
    assert_eq!(model.revision(), revision + 1);
    assert_eq!(keys(&model.reads(everything()).unwrap()), ["a"]);
    assert_eq!(
        failed(model.apply(&revoke)),
        failure(Code::NotFound, "etcdserver: requested lease not found")
    );
    assert_eq!(keys_of(&mut model, 7), (-1, vec![]));
    // One without keys is no revision.
    let revision = model.deletes("a", "") + model.revision() - 1;
    model.must(&Request::LeaseRevoke(LeaseRevokeRequest { id: 3 }));
    assert_eq!(model.revision(), revision);
}

#[test]
fn ttls_have_bounds() {
    let mut model = Model::new();
    let mut grant =
        |id, ttl| match model.apply(&Request::LeaseGrant(LeaseGrantRequest { id, ttl }))? {
            Response::LeaseGrant(response) => Ok(response.ttl),
            other => panic!("{other:?}"),
        };
    assert_eq!(grant(1, -5).unwrap(), 2);
    assert_eq!(grant(2, 9_000_000_000).unwrap(), 9_000_000_000);
    assert_eq!(
        failed(grant(2, 9_000_000_001)),
        failure(Code::OutOfRange, "etcdserver: too large lease TTL")
    );
    assert_eq!(
        failed(grant(2, 10)),
        failure(Code::FailedPrecondition, "etcdserver: lease already exists")
    );
}

#[test]
fn the_oldest_holds_and_the_others_follow_in_order() {
    let mut model = Model::new();
    (1..=3).for_each(|id| model.grants(id));
    let Response::Lock(held) = model.locks("n", 1) else {
        panic!();
    };
    assert_eq!(
        (&held.key[..], held.header.unwrap().revision),
        (&b"n/1"[..], 2)
    );
    let (second, third) = (model.waits_for("n", 2), model.waits_for("n", 3));
    assert_eq!((second.created, third.created), (3, 4));
    model.unlocks("n/2");
    assert_eq!((model.turn(&second), model.turn(&third)), (None, None));
    model.unlocks("n/1");
    // The second lost its key while it waited.
    assert_eq!(
        model.turn(&second),
        Some(Err(Failure::unknown("mutex: session is expired")))
    );
    let Some(Ok(Response::Lock(granted))) = model.turn(&third) else {
        panic!();
    };
    assert_eq!(granted.header.unwrap().revision, 6);
}

#[test]
fn a_lock_waits_for_all_under_its_name() {
    let mut model = Model::new();
    (1..=2).for_each(|id| model.grants(id));
    model.puts("n/deep/er", "", 0);
    let waiter = model.waits_for("n", 1);
    assert!(matches!(model.locks("n/other", 2), Response::Lock(_)));
    model.give_up(&waiter);
    assert_eq!(model.get(b"n/1"), None);
    assert_eq!(
        failed(model.apply(&Request::Lock(LockRequest {
            name: "n".into(),
            lease: 9
        }))),
        failure(Code::Unknown, "etcdserver: requested lease not found")
    );
}

#[test]
fn an_election_has_values_and_guards() {
    let mut model = Model::new();
    (1..=2).for_each(|id| model.grants(id));
    let campaign = |lease, value: &'static str| {
        Request::Campaign(CampaignRequest {
            name: "n".into(),
            lease,
            value: value.into(),
        })
    };
    let leader = Request::Leader(LeaderRequest { name: "n".into() });
    assert_eq!(
        failed(model.apply(&leader)),
        failure(Code::Unknown, "election: no leader")
    );
    let Response::Campaign(won) = model.must(&campaign(1, "one")) else {
        panic!();
    };
    let key = won.leader.unwrap();
    assert_eq!((&key.key[..], key.rev), (&b"n/1"[..], 2));
    let Response::Waiting(second) = model.must(&campaign(2, "two")) else {
        panic!();
    };
    assert!(second.is_campaign());
    // Again, with another value: it keeps its place.
    model.must(&campaign(1, "uno"));
    let Response::Leader(found) = model.must(&leader) else {
        panic!();
    };
    assert_eq!(&found.kv.unwrap().value[..], b"uno");
    let stale = LeaderKey {
        rev: 1,
        ..key.clone()
    };
    let proclaim = |leader: Option<LeaderKey>| {
        Request::Proclaim(ProclaimRequest {
            leader,
            value: "x".into(),
        })
    };
    assert_eq!(
        failed(model.apply(&proclaim(Some(stale.clone())))),
        failure(Code::Unknown, "election: not leader")
    );
    assert_eq!(
        failed(model.apply(&proclaim(None))),
        failure(Code::Unknown, "\"leader\" field must be provided")
    );
    model.must(&proclaim(Some(key.clone())));
    let resign = |leader| Request::Resign(ResignRequest { leader });
    model.must(&resign(Some(stale)));
    assert_eq!(model.turn(&second), None);
    model.must(&resign(Some(key)));
    assert!(matches!(
        model.turn(&second),
        Some(Ok(Response::Campaign(_)))
    ));
}

fn watch_of(key: &'static str, end: &'static str) -> WatchCreateRequest {
    WatchCreateRequest {
        key: key.into(),
        range_end: end.into(),
        ..WatchCreateRequest::default()
    }
}

/// Of each event: its key, its revision, whether it is a deletion, and the revision of what was
/// there before.
fn told(events: &[Event]) -> Vec<(&str, i64, bool, Option<i64>)> {
    let told = events.iter().map(|event| {
        let kv = event.kv.as_ref().unwrap();
        let previous = event.prev_kv.as_ref().map(|kv| kv.mod_revision);
        let key = std::str::from_utf8(&kv.key).unwrap();
        (key, kv.mod_revision, event.r#type == 1, previous)
    });
    told.collect()
}

#[test]
fn a_watch_is_told_each_change_of_its_range() {
    let mut model = abc();
    model.deletes("a", "c");
    let all = watch_of("a", "c");
    assert_eq!(
        told(&model.events(&all, 3)),
        [
            ("b", 3, false, None),
            ("a", 5, false, None),
            ("a", 6, true, None),
            ("b", 6, true, None)
        ]
    );
    let deletes = WatchCreateRequest {
        filters: vec![FilterType::Noput as i32],
        prev_kv: true,
        ..watch_of("", "\0")
    };
    assert_eq!(
        told(&model.events(&deletes, 1)),
        [("a", 6, true, Some(5)), ("b", 6, true, Some(3))]
    );
}

#[test]
fn what_was_before_is_that_of_the_revision_before_if_kept() {
    let mut model = abc();
    model
        .runs(txn([put("a"), put("x"), delete("a", "\0")]))
        .unwrap();
    let with_previous = WatchCreateRequest {
        prev_kv: true,
        ..watch_of("a", "\0")
    };
    let of_txn = [
        ("a", 6, false, Some(5)),
        ("x", 6, false, None),
        ("a", 6, true, Some(5)),
        ("b", 6, true, Some(3)),
        ("c", 6, true, Some(4)),
        ("x", 6, true, None),
    ];
    assert_eq!(told(&model.events(&with_previous, 6)), of_txn);
    model.compacts(6).unwrap();
    let without = of_txn.map(|(key, revision, deleted, _)| (key, revision, deleted, None));
    assert_eq!(told(&model.events(&with_previous, 6)), without);
}

#[test]
fn watches_get_ids_and_reasons() {
    let model = abc();
    let mut stream = WatchStream::default();
    let mut create = |request: WatchCreateRequest| {
        let response = stream.create(&model, &request);
        assert!(response.created);
        (response.watch_id, response.cancel_reason)
    };
    let with_id = |watch_id| WatchCreateRequest {
        watch_id,
        ..watch_of("a", "")
    };
    assert_eq!(create(with_id(1)), (1, String::new()));
    assert_eq!(create(with_id(0)), (0, String::new()));
    assert_eq!(create(with_id(0)), (2, String::new()));
    let refused = |reason: &str| (-1, reason.to_owned());
    assert_eq!(
        create(with_id(1)),
        refused("mvcc: duplicate watch ID provided on the WatchStream")
    );
    assert_eq!(
        create(watch_of("b", "a")),
        refused("mvcc: watcher range is empty")
    );
    let past = WatchCreateRequest {
        start_revision: -1,
        ..watch_of("a", "")
    };
    assert_eq!(
        create(past),
        refused("etcdserver: mvcc: required revision has been compacted")
    );
    assert!(stream.cancel(&model, 2).unwrap().canceled);
    assert_eq!(stream.cancel(&model, 2), None);
}
