//! etcd's messages to and from the plain data of a history.

use latchd_proto::{
    etcdserverpb::{
        Compare as PbCompare, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse,
        RangeRequest, RangeResponse, RequestOp, ResponseHeader, ResponseOp, TxnRequest,
        TxnResponse, WatchResponse,
        compare::{CompareTarget, TargetUnion},
        range_request::{SortOrder, SortTarget},
        request_op, response_op,
    },
    mvccpb,
};

use crate::history::{
    record::{Moment, Told},
    request::{Compare, Event, Kv, Look, Order, Request, Response, Revision, Span, Target},
};

/// The revision in a header.
#[must_use]
pub fn revision(header: Option<&ResponseHeader>) -> Revision {
    header.map_or(0, |header| header.revision)
}

/// A Range.
#[must_use]
pub fn range(look: &Look) -> RangeRequest {
    let mut request = RangeRequest {
        key: look.span.key.clone().into(),
        range_end: look.span.end.clone().into(),
        revision: look.revision,
        serializable: look.serializable,
        limit: look.limit,
        max_create_revision: look.max_create,
        ..RangeRequest::default()
    };
    let order = match look.order {
        Order::Key => return request,
        Order::OldestFirst => SortOrder::Ascend,
        Order::NewestFirst => SortOrder::Descend,
    };
    request.set_sort_order(order);
    request.set_sort_target(SortTarget::Create);
    request
}

/// A Put.
#[must_use]
pub fn put(key: &str, value: &str, lease: i64, prev: bool) -> PutRequest {
    PutRequest {
        key: key.to_owned().into(),
        value: value.to_owned().into(),
        lease,
        prev_kv: prev,
        ..PutRequest::default()
    }
}

/// A DeleteRange.
#[must_use]
pub fn delete(span: &Span, prev: bool) -> DeleteRangeRequest {
    DeleteRangeRequest {
        key: span.key.clone().into(),
        range_end: span.end.clone().into(),
        prev_kv: prev,
    }
}

/// A Txn.
#[must_use]
pub fn txn(compares: &[Compare], then: &[Request], or_else: &[Request]) -> TxnRequest {
    TxnRequest {
        compare: compares.iter().map(compare).collect(),
        success: then.iter().filter_map(part).collect(),
        failure: or_else.iter().filter_map(part).collect(),
    }
}

fn compare(compare: &Compare) -> PbCompare {
    let (target, union) = match &compare.equals {
        Target::Create(create) => (CompareTarget::Create, TargetUnion::CreateRevision(*create)),
        Target::Modified(modified) => (CompareTarget::Mod, TargetUnion::ModRevision(*modified)),
        Target::Value(value) => (
            CompareTarget::Value,
            TargetUnion::Value(value.clone().into()),
        ),
    };
    PbCompare {
        target: target.into(),
        key: compare.key.clone().into(),
        target_union: Some(union),
        ..PbCompare::default()
    }
}

/// A part of a Txn; leases and locks cannot be one.
fn part(request: &Request) -> Option<RequestOp> {
    use request_op::Request as Part;
    let part = match request {
        Request::Range(look) => Part::RequestRange(range(look)),
        Request::Put {
            key,
            value,
            lease,
            prev,
        } => Part::RequestPut(put(key, value, *lease, *prev)),
        Request::Delete { span, prev } => Part::RequestDeleteRange(delete(span, *prev)),
        Request::Txn {
            compares,
            then,
            or_else,
        } => Part::RequestTxn(txn(compares, then, or_else)),
        _ => return None,
    };
    Some(RequestOp {
        request: Some(part),
    })
}

/// The answer to a Range.
#[must_use]
pub fn ranged(response: RangeResponse) -> Response {
    Response::Range {
        kvs: response.kvs.into_iter().map(kv).collect(),
        count: response.count,
        more: response.more,
    }
}

/// The answer to a Put.
#[must_use]
pub fn did_put(response: PutResponse) -> Response {
    Response::Put {
        prev: response.prev_kv.map(kv),
    }
}

/// The answer to a DeleteRange.
#[must_use]
pub fn did_delete(response: DeleteRangeResponse) -> Response {
    Response::Delete {
        deleted: response.deleted,
        prevs: response.prev_kvs.into_iter().map(kv).collect(),
    }
}

/// The answer to a Txn.
#[must_use]
pub fn did_txn(response: TxnResponse) -> Response {
    let parts = response.responses.into_iter().filter_map(did_part);
    Response::Txn {
        succeeded: response.succeeded,
        responses: parts.collect(),
    }
}

fn did_part(part: ResponseOp) -> Option<Response> {
    use response_op::Response as Part;
    Some(match part.response? {
        Part::ResponseRange(response) => ranged(response),
        Part::ResponsePut(response) => did_put(response),
        Part::ResponseDeleteRange(response) => did_delete(response),
        Part::ResponseTxn(response) => did_txn(response),
    })
}

/// A response of a watch stream.
#[must_use]
pub fn told(at: Moment, response: WatchResponse) -> Told {
    let compacted = response.compact_revision;
    let reason = response.cancel_reason;
    Told {
        at,
        revision: revision(response.header.as_ref()),
        created: response.created,
        canceled: response
            .canceled
            .then(|| format!("`{reason}`, compacted up to {compacted}")),
        events: response.events.into_iter().map(event).collect(),
    }
}

fn event(event: mvccpb::Event) -> Event {
    Event {
        deleted: event.r#type() == mvccpb::event::EventType::Delete,
        kv: event.kv.map(kv).unwrap_or_default(),
        prev: event.prev_kv.map(kv),
    }
}

fn kv(kv: mvccpb::KeyValue) -> Kv {
    Kv {
        key: text(&kv.key),
        value: text(&kv.value),
        create: kv.create_revision,
        modified: kv.mod_revision,
        version: kv.version,
        lease: kv.lease,
    }
}

/// Keys and values as text. What is none was not written by these clients, and
/// equals nothing that was.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
