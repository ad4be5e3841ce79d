//! The lies: at least one for each family, small ones.

mod services;

use latchd_proto::etcdserverpb::{
    CompactionRequest, DeleteRangeResponse, LeaseKeepAliveResponse, LeaseTimeToLiveResponse,
    PutResponse, RangeRequest, RangeResponse, RangeStreamResponse, TxnRequest, TxnResponse,
    response_op::Response,
};
use tonic::Code;

use crate::fault::{Fault, Lie, answers, codes, hears, says};

const RANGE: &str = "/etcdserverpb.KV/Range";
const TXN: &str = "/etcdserverpb.KV/Txn";
const COMPACT: &str = "/etcdserverpb.KV/Compact";

/// All of them.
pub fn all() -> Vec<Fault> {
    let parts = [kv(), txn(), compact(), lease(), errors(), services::all()];
    parts.into_iter().flatten().collect()
}

fn fault(name: &'static str, cases: &'static str, lie: Lie) -> Fault {
    Fault { name, cases, lie }
}

fn kv() -> Vec<Fault> {
    vec![
        fault(
            "a range does not say that there is more",
            "kv/range: the first by key *",
            answers(RANGE, |range: &mut RangeResponse| range.more = false),
        ),
        fault(
            "equals are the other way round",
            "kv/range: all by value *",
            answers(RANGE, |range: &mut RangeResponse| {
                let equal = range
                    .kvs
                    .windows(2)
                    .position(|kvs| kvs[0].value == kvs[1].value);
                if let Some(at) = equal {
                    range.kvs.swap(at, at + 1);
                }
            }),
        ),
        fault(
            "a limit comes before a filter",
            "kv/range: by mod revision *",
            hears(RANGE, |range: &mut RangeRequest| {
                if range.limit > 0 {
                    range.min_mod_revision = 0;
                }
            }),
        ),
        fault(
            "a stream of a range forgets one key",
            "kv/range stream: 3*",
            answers(
                "/etcdserverpb.KV/RangeStream",
                |part: &mut RangeStreamResponse| {
                    if let Some(range) = &mut part.range_response
                        && range.kvs.len() > 1
                    {
                        range.kvs.pop();
                    }
                },
            ),
        ),
        fault(
            "a put's revision is one too small",
            "kv/put: plain",
            answers("/etcdserverpb.KV/Put", |put: &mut PutResponse| {
                put.header
                    .iter_mut()
                    .for_each(|header| header.revision -= 1);
            }),
        ),
        fault(
            "a delete counts one too many",
            "kv/delete: an end *",
            answers(
                "/etcdserverpb.KV/DeleteRange",
                |delete: &mut DeleteRangeResponse| {
                    delete.deleted += i64::from(delete.deleted > 1);
                },
            ),
        ),
    ]
}

fn txn() -> Vec<Fault> {
    vec![
        fault(
            "a compare with a missing key holds",
            "txn/compare: value *",
            answers(TXN, |txn: &mut TxnResponse| {
                txn.succeeded |= txn.responses.is_empty();
                let found_nothing = txn.responses.iter().any(|op| match &op.response {
                    Some(Response::ResponseRange(range)) => range.count == 1,
                    _ => false,
                });
                txn.succeeded |= found_nothing;
            }),
        ),
        fault(
            "what is inside has no header",
            "txn/do: a read *",
            answers(TXN, |txn: &mut TxnResponse| {
                for op in &mut txn.responses {
                    if let Some(Response::ResponseRange(range)) = &mut op.response {
                        range.header = None;
                    }
                }
            }),
        ),
        fault(
            "only the first operation is done",
            "txn/do: three puts",
            hears(TXN, |txn: &mut TxnRequest| txn.success.truncate(1)),
        ),
    ]
}

fn compact() -> Vec<Fault> {
    vec![fault(
        "one revision too few is taken away",
        "compact/at the last *",
        hears(COMPACT, |compact: &mut CompactionRequest| {
            compact.revision -= 1
        }),
    )]
}

fn lease() -> Vec<Fault> {
    vec![
        fault(
            "a keepalive answers one second less",
            "lease/keepalive: a lease",
            answers(
                "/etcdserverpb.Lease/LeaseKeepAlive",
                |answer: &mut LeaseKeepAliveResponse| answer.ttl -= i64::from(answer.ttl > 0),
            ),
        ),
        fault(
            "a lease does not tell its last key",
            "lease/keys: *",
            answers(
                "/etcdserverpb.Lease/LeaseTimeToLive",
                |answer: &mut LeaseTimeToLiveResponse| drop(answer.keys.pop()),
            ),
        ),
    ]
}

fn errors() -> Vec<Fault> {
    vec![
        fault(
            "an error has another code",
            "errors/key is not provided",
            codes(RANGE, Code::Unknown),
        ),
        fault(
            "an error has other words",
            "errors/required revision is a future revision",
            says(
                RANGE,
                "etcdserver: mvcc: required revision is in the future",
            ),
        ),
    ]
}
