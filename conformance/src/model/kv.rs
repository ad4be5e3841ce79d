//! Range, Put, DeleteRange and Compact; the parts that a Txn uses as well are free functions.

use bytes::Bytes;
use latchd_proto::{
    etcdserverpb::{
        CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest,
        PutResponse, RangeRequest, RangeResponse,
    },
    mvccpb::KeyValue,
};
use tonic::Code;

use super::{
    Failure, Model, header_at, range,
    store::{Span, Store, Writer},
    validate,
};

pub(super) fn compacted() -> Failure {
    Failure::of(
        Code::OutOfRange,
        "mvcc: required revision has been compacted",
    )
}

pub(super) fn future() -> Failure {
    Failure::of(
        Code::OutOfRange,
        "mvcc: required revision is a future revision",
    )
}

impl Model {
    pub(super) fn range(&self, request: &RangeRequest) -> Result<RangeResponse, Failure> {
        validate::range(request)?;
        read(&self.store, self.revision(), request)
    }

    pub(super) fn range_stream(&self, request: &RangeRequest) -> Result<RangeResponse, Failure> {
        validate::range_stream(request)?;
        read(&self.store, self.revision(), request)
    }

    pub(super) fn put(&mut self, request: &PutRequest) -> Result<PutResponse, Failure> {
        validate::put(request)?;
        self.check_put(request)?;
        Ok(put(&mut self.store.write(), request))
    }

    pub(super) fn delete_range(
        &mut self,
        request: &DeleteRangeRequest,
    ) -> Result<DeleteRangeResponse, Failure> {
        validate::delete_range(request)?;
        Ok(delete_range(&mut self.store.write(), request))
    }

    pub(super) fn compact(
        &mut self,
        request: &CompactionRequest,
    ) -> Result<CompactionResponse, Failure> {
        if request.revision <= self.compacted() {
            return Err(compacted());
        }
        if request.revision > self.revision() {
            return Err(future());
        }
        self.store.compact(request.revision);
        Ok(CompactionResponse {
            header: self.header(),
        })
    }

    /// Whether a Put finds what it needs: its lease, and the key of which it keeps something.
    pub(super) fn check_put(&self, request: &PutRequest) -> Result<(), Failure> {
        if request.lease != 0 && !self.leases.contains_key(&request.lease) {
            return Err(super::lease::not_found());
        }
        let keeps = request.ignore_value || request.ignore_lease;
        if keeps && !self.store.live().contains_key(&request.key) {
            return Err(Failure::of(Code::InvalidArgument, "key not found"));
        }
        Ok(())
    }
}

/// A Range when `now` is the present revision.
pub(super) fn read(
    store: &Store,
    now: i64,
    request: &RangeRequest,
) -> Result<RangeResponse, Failure> {
    if request.revision > now {
        return Err(future());
    }
    // Zero and less mean the present.
    let revision = if request.revision > 0 {
        request.revision
    } else {
        now
    };
    if revision < store.compacted() {
        return Err(compacted());
    }
    Ok(RangeResponse {
        header: header_at(now),
        ..range::read(request, &store.at(revision))
    })
}

/// A Put that was checked.
pub(super) fn put(writer: &mut Writer<'_>, request: &PutRequest) -> PutResponse {
    let old = writer.store().live().get(&request.key).cloned();
    let (mut value, mut lease) = (request.value.clone(), request.lease);
    if let Some(old) = &old {
        if request.ignore_value {
            value = old.value.clone();
        }
        if request.ignore_lease {
            lease = old.lease;
        }
    }
    writer.put(&request.key, value, lease);
    PutResponse {
        header: header_at(writer.revision()),
        prev_kv: old.filter(|_| request.prev_kv),
    }
}

pub(super) fn delete_range(
    writer: &mut Writer<'_>,
    request: &DeleteRangeRequest,
) -> DeleteRangeResponse {
    let span = Span::new(&request.key, &request.range_end);
    let live = writer.store().live().values();
    let found: Vec<KeyValue> = live.filter(|kv| span.contains(&kv.key)).cloned().collect();
    delete_all(writer, found.iter().map(|kv| kv.key.clone()));
    DeleteRangeResponse {
        header: header_at(writer.revision()),
        deleted: found.len() as i64,
        prev_kvs: if request.prev_kv { found } else { Vec::new() },
    }
}

pub(super) fn delete_all(writer: &mut Writer<'_>, keys: impl IntoIterator<Item = Bytes>) {
    for key in keys {
        writer.delete(&key);
    }
}
