//! Commands against a real store in a temporary directory, without a runtime.

use std::sync::Arc;

use futures::FutureExt;
use latchd_proto::etcdserverpb::{
    AlarmRequest, AlarmType, Compare, DeleteRangeRequest, PutRequest, RangeRequest, RangeResponse,
    RequestOp, TxnRequest, TxnResponse,
    alarm_request::AlarmAction,
    compare::{CompareResult, CompareTarget, TargetUnion},
    range_request::{SortOrder, SortTarget},
    request_op::Request,
    response_op::Response,
};

use super::apply;
use crate::command::{Command, Lane, Reply};
use crate::error::{Error, Result};
use crate::mvcc::history::ReplayBudget;
use crate::mvcc::open::{Opened, open};
use crate::mvcc::state::LeaseKind;
use crate::mvcc::write::{Batch, LeaseEffect, Written};
use crate::mvcc::{Change, KeyRange};
use crate::types::{LeaseId, Revision, Ttl};

const TTL: Ttl = Ttl { millis: 10_000 };

/// A store, and what its last batch did.
struct Fixture {
    opened: Opened,
    last: Written,
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        Fixture {
            opened: open(dir.path()).unwrap(),
            last: Written::default(),
            dir,
        }
    }

    fn reopen(self) -> Fixture {
        let Fixture { opened, dir, .. } = self;
        drop(opened);
        Fixture {
            opened: open(dir.path()).unwrap(),
            last: Written::default(),
            dir,
        }
    }

    /// Applies commands as one batch.
    fn batch(&mut self, commands: Vec<Command>) -> Vec<Result<Reply>> {
        let Opened { store, state, .. } = &mut self.opened;
        let txn = store.begin().unwrap();
        let mut batch = Batch::new(&txn, state, store.published()).unwrap();
        let replies = commands
            .into_iter()
            .map(|command| apply(&mut batch, command, Lane::Client))
            .collect();
        self.last = batch.finish();
        if self.last.dirty {
            txn.commit().unwrap();
            store.publish(state).unwrap();
        }
        replies
    }

    fn run(&mut self, command: Command) -> Result<Reply> {
        self.batch(vec![command]).remove(0)
    }

    fn put(&mut self, key: &'static str, value: &'static str) {
        self.run(Command::Put(put_of(key, value))).unwrap();
    }

    fn txn(&mut self, request: TxnRequest) -> Result<TxnResponse> {
        match self.run(Command::Txn(request))? {
            Reply::Txn(response) => Ok(response),
            other => panic!("{other:?}"),
        }
    }

    fn range(&self, request: &RangeRequest) -> Result<RangeResponse> {
        self.opened.store.range(request).now_or_never().unwrap()
    }

    fn keys_at(&self, revision: i64) -> Result<Vec<String>> {
        let response = self.range(&RangeRequest {
            revision,
            ..everything()
        })?;
        Ok(response
            .kvs
            .iter()
            .map(|kv| text(&kv.key, &kv.value))
            .collect())
    }

    fn revision(&self) -> i64 {
        self.opened.store.revision().0
    }

    fn changes(&self) -> &[Arc<Change>] {
        &self.last.changes
    }
}

fn text(key: &[u8], value: &[u8]) -> String {
    format!(
        "{}={}",
        String::from_utf8_lossy(key),
        String::from_utf8_lossy(value)
    )
}

fn everything() -> RangeRequest {
    RangeRequest {
        key: "\0".into(),
        range_end: "\0".into(),
        ..Default::default()
    }
}

fn put_of(key: &'static str, value: &'static str) -> PutRequest {
    PutRequest {
        key: key.into(),
        value: value.into(),
        ..Default::default()
    }
}

fn leased(key: &'static str, lease: i64) -> Command {
    Command::Put(PutRequest {
        lease,
        ..put_of(key, "")
    })
}

fn grant(id: i64) -> Command {
    Command::Grant {
        id: LeaseId(id),
        ttl: TTL,
        kind: LeaseKind::Etcd,
    }
}

fn delete(key: &'static str, end: &'static str) -> DeleteRangeRequest {
    DeleteRangeRequest {
        key: key.into(),
        range_end: end.into(),
        prev_kv: true,
    }
}

fn op(request: Request) -> RequestOp {
    RequestOp {
        request: Some(request),
    }
}

fn created(key: &'static str, revision: i64) -> Compare {
    Compare {
        result: CompareResult::Equal as i32,
        target: CompareTarget::Create as i32,
        key: key.into(),
        target_union: Some(TargetUnion::CreateRevision(revision)),
        ..Default::default()
    }
}

#[test]
fn a_key_counts_its_versions_and_begins_anew_after_a_delete() {
    let mut f = Fixture::new();
    f.put("k", "1");
    f.put("k", "2");
    let kv = f.range(&everything()).unwrap().kvs.remove(0);
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (2, 3, 2));
    f.run(Command::DeleteRange(delete("k", ""))).unwrap();
    f.put("k", "3");
    let kv = f.range(&everything()).unwrap().kvs.remove(0);
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (5, 5, 1));
}

#[test]
fn a_delete_that_finds_nothing_is_no_revision_and_no_commit() {
    let mut f = Fixture::new();
    let Reply::DeleteRange(response) = f.run(Command::DeleteRange(delete("k", ""))).unwrap() else {
        panic!()
    };
    assert_eq!(
        (response.deleted, response.header.unwrap().revision),
        (0, 1)
    );
    assert!(!f.last.dirty && f.revision() == 1);
}

#[test]
fn each_command_of_a_batch_is_a_revision_and_sees_those_before() {
    let mut f = Fixture::new();
    let replies = f.batch(vec![
        Command::Put(put_of("k", "1")),
        Command::Put(PutRequest {
            prev_kv: true,
            ..put_of("k", "2")
        }),
        leased("other", 99),
    ]);
    let Ok(Reply::Put(second)) = &replies[1] else {
        panic!()
    };
    assert_eq!(second.prev_kv.as_ref().unwrap().value, "1");
    assert_eq!(replies[2], Err(Error::LeaseNotFound));
    let revisions: Vec<_> = f.changes().iter().map(|change| change.revision.0).collect();
    assert_eq!(revisions, [2, 3]);
}

#[test]
fn every_revision_can_be_read_until_it_is_compacted() {
    let mut f = Fixture::new();
    f.put("a", "1"); // 2
    f.put("b", "1"); // 3
    f.put("a", "2"); // 4
    f.run(Command::DeleteRange(delete("b", ""))).unwrap(); // 5
    f.put("b", "3"); // 6
    let history = [
        (2, vec!["a=1"]),
        (3, vec!["a=1", "b=1"]),
        (4, vec!["a=2", "b=1"]),
        (5, vec!["a=2"]),
        (6, vec!["a=2", "b=3"]),
    ];
    for (revision, keys) in &history {
        assert_eq!(f.keys_at(*revision).unwrap(), *keys, "revision {revision}");
    }
    assert_eq!(f.keys_at(7), Err(Error::FutureRevision));
    f.run(Command::Compact(Revision(4))).unwrap();
    f.run(Command::Trim).unwrap();
    assert_eq!(f.keys_at(3), Err(Error::Compacted));
    let mut f = f.reopen();
    for (revision, keys) in &history[2..] {
        assert_eq!(f.keys_at(*revision).unwrap(), *keys, "revision {revision}");
    }
    assert_eq!(f.run(Command::Compact(Revision(4))), Err(Error::Compacted));
    assert_eq!(
        f.run(Command::Compact(Revision(7))),
        Err(Error::FutureRevision)
    );
}

#[test]
fn trimming_leaves_the_live_keys_and_the_revision() {
    let mut f = Fixture::new();
    f.put("a", "1");
    f.put("a", "2");
    f.run(Command::Compact(Revision(3))).unwrap();
    assert_eq!(f.run(Command::Trim).unwrap(), Reply::Trim { more: false });
    let f = f.reopen();
    assert_eq!(f.revision(), 3);
    assert_eq!(f.keys_at(0).unwrap(), ["a=2"]);
    let snapshot = f.opened.store.snapshot().now_or_never().unwrap();
    let mut rows = 0;
    snapshot
        .view()
        .each_event(Revision(0), |_, _| {
            rows += 1;
            Ok(true)
        })
        .unwrap();
    assert_eq!(rows, 1, "the compacted revision's own row stays");
}

#[test]
fn a_range_in_a_txn_sees_the_put_before_it() {
    let mut f = Fixture::new();
    let mine = RangeRequest {
        sort_target: SortTarget::Create as i32,
        sort_order: SortOrder::Ascend as i32,
        limit: 1,
        key: "job/".into(),
        range_end: "job0".into(),
        ..Default::default()
    };
    f.run(grant(7)).unwrap();
    let response = f
        .txn(TxnRequest {
            compare: vec![created("job/7", 0)],
            success: vec![
                op(Request::RequestPut(PutRequest {
                    lease: 7,
                    ..put_of("job/7", "")
                })),
                op(Request::RequestRange(mine)),
            ],
            failure: Vec::new(),
        })
        .unwrap();
    let Some(Response::ResponseRange(range)) = &response.responses[1].response else {
        panic!()
    };
    assert_eq!((range.kvs[0].create_revision, range.count), (2, 1));
    assert_eq!(range.header.as_ref().unwrap().revision, 2);
    assert_eq!(response.header.unwrap().revision, 2);
}

#[test]
fn a_txn_that_cannot_be_done_whole_writes_nothing() {
    let mut f = Fixture::new();
    let request = TxnRequest {
        success: vec![
            op(Request::RequestPut(put_of("a", "1"))),
            op(Request::RequestPut(PutRequest {
                lease: 99,
                ..put_of("b", "1")
            })),
        ],
        ..Default::default()
    };
    assert_eq!(f.txn(request), Err(Error::LeaseNotFound));
    assert_eq!((f.revision(), f.keys_at(0).unwrap().len()), (1, 0));
}

#[test]
fn nested_txns_decide_on_the_state_before_and_write_one_revision() {
    let mut f = Fixture::new();
    let nested = TxnRequest {
        compare: vec![created("a", 0)],
        success: vec![op(Request::RequestPut(put_of("b", "absent")))],
        failure: vec![op(Request::RequestPut(put_of("b", "present")))],
    };
    let response = f
        .txn(TxnRequest {
            success: vec![
                op(Request::RequestPut(put_of("a", "1"))),
                op(Request::RequestTxn(nested)),
            ],
            ..Default::default()
        })
        .unwrap();
    assert_eq!(response.header.unwrap().revision, 2);
    assert_eq!(f.keys_at(0).unwrap(), ["a=1", "b=absent"]);
    assert_eq!((f.changes().len(), f.changes()[0].events.len()), (1, 2));
}

#[test]
fn compares_on_missing_keys_and_on_ranges() {
    let mut f = Fixture::new();
    f.put("r/1", "x");
    f.put("r/2", "y");
    let mut holds = |compare: Compare| {
        let request = TxnRequest {
            compare: vec![compare],
            ..Default::default()
        };
        f.txn(request).unwrap().succeeded
    };
    let value = |key: &'static str, value: &'static str, result: CompareResult| Compare {
        result: result as i32,
        target: CompareTarget::Value as i32,
        key: key.into(),
        target_union: Some(TargetUnion::Value(value.into())),
        ..Default::default()
    };
    assert!(holds(created("missing", 0)));
    assert!(!holds(value("missing", "", CompareResult::Equal)));
    assert!(!holds(value("missing", "", CompareResult::NotEqual)));
    let over_range = |compare: Compare| Compare {
        range_end: "r0".into(),
        ..compare
    };
    assert!(holds(over_range(value("r/", "z", CompareResult::Less))));
    assert!(!holds(over_range(value("r/", "x", CompareResult::Equal))));
    assert!(!holds(over_range(created("r/", 0))));
}

#[test]
fn a_revoke_deletes_its_keys_sorted_in_one_revision() {
    let mut f = Fixture::new();
    f.run(grant(7)).unwrap();
    assert_eq!(f.run(grant(7)), Err(Error::LeaseExists));
    for key in ["b", "a", "moved", "detached"] {
        f.run(leased(key, 7)).unwrap();
    }
    f.run(grant(8)).unwrap();
    f.run(leased("moved", 8)).unwrap();
    f.run(leased("detached", 0)).unwrap();
    let mut f = f.reopen();
    assert_eq!(
        f.run(Command::LeaseKeys(LeaseId(7))).unwrap(),
        Reply::LeaseKeys(vec!["a".into(), "b".into()])
    );
    f.run(Command::Revoke(LeaseId(7))).unwrap();
    let deleted: Vec<_> = f.changes()[0]
        .events
        .iter()
        .map(|event| event.key.clone())
        .collect();
    assert_eq!(deleted, ["a", "b"]);
    assert_eq!(f.last.leases, [LeaseEffect::Revoked(LeaseId(7))]);
    assert_eq!(
        f.run(Command::Revoke(LeaseId(7))),
        Err(Error::LeaseNotFound)
    );
    assert_eq!(f.keys_at(0).unwrap(), ["detached=", "moved="]);
}

#[test]
fn ignoring_a_value_or_a_lease_keeps_what_is_there() {
    let mut f = Fixture::new();
    let keep = |value: bool, lease: bool| {
        Command::Put(PutRequest {
            ignore_value: value,
            ignore_lease: lease,
            ..put_of("k", "")
        })
    };
    assert_eq!(f.run(keep(true, false)), Err(Error::KeyNotFound));
    f.run(grant(7)).unwrap();
    f.run(Command::Put(PutRequest {
        lease: 7,
        ..put_of("k", "v")
    }))
    .unwrap();
    f.run(keep(true, true)).unwrap();
    let kv = f.range(&everything()).unwrap().kvs.remove(0);
    assert_eq!((kv.value.as_ref(), kv.lease, kv.version), (&b"v"[..], 7, 2));
    f.run(keep(true, false)).unwrap();
    assert_eq!(f.range(&everything()).unwrap().kvs[0].lease, 0);
}

#[test]
fn filters_and_sorting_come_before_the_limit() {
    let mut f = Fixture::new();
    for (key, value) in [("a", "3"), ("b", "1"), ("c", "2"), ("a", "4")] {
        f.put(key, value);
    }
    let keys = |request: RangeRequest| {
        let response = f.range(&request).unwrap();
        let keys: Vec<_> = response.kvs.iter().map(|kv| kv.key.clone()).collect();
        (keys, response.more, response.count)
    };
    let by_value = RangeRequest {
        sort_target: SortTarget::Value as i32,
        sort_order: SortOrder::Descend as i32,
        limit: 2,
        ..everything()
    };
    assert_eq!(keys(by_value), (vec!["a".into(), "c".into()], true, 3));
    let recent = RangeRequest {
        min_mod_revision: 4,
        ..everything()
    };
    assert_eq!(keys(recent), (vec!["a".into(), "c".into()], false, 3));
    // Without an order, etcd cuts to one more than the limit first and sorts what is left.
    let unordered = RangeRequest {
        sort_target: SortTarget::Value as i32,
        limit: 1,
        ..everything()
    };
    assert_eq!(keys(unordered), (vec!["b".into()], true, 3));
    let counted = RangeRequest {
        count_only: true,
        limit: 1,
        ..everything()
    };
    assert_eq!(keys(counted), (vec![], false, 3));
}

#[test]
fn alarms_are_raised_and_disarmed_and_survive_a_restart() {
    let mut f = Fixture::new();
    let alarm = |action: AlarmAction, alarm: AlarmType| {
        Command::Alarm(AlarmRequest {
            action: action as i32,
            member_id: 7,
            alarm: alarm as i32,
        })
    };
    let listed = |reply: Result<Reply>| match reply {
        Ok(Reply::Alarm(response)) => response.alarms.iter().map(|a| a.alarm()).collect(),
        other => panic!("{other:?}"),
    };
    let none: [AlarmType; 0] = [];
    f.put("k", "v");
    let raised: Vec<_> = listed(f.run(alarm(AlarmAction::Activate, AlarmType::Nospace)));
    assert_eq!(raised, [AlarmType::Nospace]);
    let mut f = f.reopen();
    assert_eq!(f.run(Command::Put(put_of("k", "w"))), Err(Error::NoSpace));
    assert_eq!(f.run(grant(7)), Err(Error::NoSpace));
    assert!(
        f.run(Command::DeleteRange(delete("k", ""))).is_ok(),
        "deleting makes room"
    );
    let raised: Vec<_> = listed(f.run(alarm(AlarmAction::Get, AlarmType::None)));
    assert_eq!(raised, [AlarmType::Nospace]);
    f.run(alarm(AlarmAction::Activate, AlarmType::Corrupt))
        .unwrap();
    assert_eq!(
        f.run(Command::DeleteRange(delete("k", ""))),
        Err(Error::Corrupt)
    );
    for kind in [AlarmType::Nospace, AlarmType::Corrupt] {
        let disarmed: Vec<_> = listed(f.run(alarm(AlarmAction::Deactivate, kind)));
        assert_eq!(disarmed, [kind]);
        let again: Vec<_> = listed(f.run(alarm(AlarmAction::Deactivate, kind)));
        assert_eq!(again, none);
    }
    f.put("k", "x");
}

#[test]
fn a_replay_never_cuts_a_revision() {
    let mut f = Fixture::new();
    let many = |value: &'static str| TxnRequest {
        success: ["a", "b", "c"]
            .map(|key| op(Request::RequestPut(put_of(key, value))))
            .into(),
        ..Default::default()
    };
    f.txn(many("1")).unwrap();
    f.txn(many("2")).unwrap();
    let snapshot = f.opened.store.snapshot().now_or_never().unwrap();
    let all = KeyRange::from_wire(&"\0".into(), &"\0".into());
    let budget = ReplayBudget {
        rows: 1,
        bytes: 1 << 20,
    };
    let first = snapshot.view().replay(&all, Revision(2), budget).unwrap();
    assert_eq!((first.changes.len(), first.changes[0].events.len()), (1, 3));
    assert_eq!(first.last, Revision(2));
    let second = snapshot.view().replay(&all, Revision(3), budget).unwrap();
    assert_eq!(
        (second.changes[0].revision, second.last),
        (Revision(3), Revision(3))
    );
}
