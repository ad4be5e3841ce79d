//! A lock that nobody else wants, as Go's `concurrency.Mutex` takes it and lets it go.

use anyhow::{Context, Result, ensure};
use latchd_proto::etcdserverpb::{
    Compare, DeleteRangeRequest, DeleteRangeResponse, PutRequest, RangeRequest, RequestOp,
    TxnRequest, TxnResponse,
    compare::{CompareResult, CompareTarget, TargetUnion},
    range_request::{SortOrder, SortTarget},
    request_op::Request,
};
use tonic::codegen::Bytes;

use super::grant;
use crate::wire::{Call, Wire, framed};

/// Takes and deletes a key of its own, over and over.
pub struct TxnLocker {
    txn: Call<TxnResponse>,
    lock: Bytes,
    delete: Call<DeleteRangeResponse>,
    unlock: Bytes,
}

impl TxnLocker {
    /// One with a lease of its own, for the lock `name`.
    pub async fn prepare(wire: Wire, name: &str) -> Result<Self> {
        let lease = grant(wire.clone()).await?;
        let key = format!("{name}/{lease:x}");
        let lock = framed(&lock(name, &key, lease));
        let unlock = DeleteRangeRequest {
            key: key.into(),
            ..Default::default()
        };
        Ok(Self {
            txn: Call::new(&wire, "/etcdserverpb.KV/Txn")?,
            lock,
            delete: Call::new(&wire, "/etcdserverpb.KV/DeleteRange")?,
            unlock: framed(&unlock),
        })
    }

    /// The Txn that takes it, and the DeleteRange that lets it go.
    pub async fn operate(&mut self) -> Result<()> {
        let taken = self.txn.send(self.lock.clone()).await.context("Txn")?;
        ensure!(taken.succeeded, "Txn: the key was there already");
        let freed = self.delete.send(self.unlock.clone()).await;
        let deleted = freed.context("DeleteRange")?.deleted;
        ensure!(deleted == 1, "DeleteRange: the key was gone");
        Ok(())
    }
}

/// If the key is not there: put it, else get it; either way, who came first?
fn lock(name: &str, key: &str, lease: i64) -> TxnRequest {
    let put = PutRequest {
        key: key.to_owned().into(),
        lease,
        ..Default::default()
    };
    let get = RangeRequest {
        key: key.to_owned().into(),
        ..Default::default()
    };
    TxnRequest {
        compare: vec![is_absent(key)],
        success: vec![op(Request::RequestPut(put)), first(name)],
        failure: vec![op(Request::RequestRange(get)), first(name)],
    }
}

fn is_absent(key: &str) -> Compare {
    Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Create.into(),
        key: key.to_owned().into(),
        target_union: Some(TargetUnion::CreateRevision(0)),
        ..Default::default()
    }
}

/// The oldest key under `name/`; `0` is the byte after `/`.
fn first(name: &str) -> RequestOp {
    op(Request::RequestRange(RangeRequest {
        key: format!("{name}/").into(),
        range_end: format!("{name}0").into(),
        limit: 1,
        sort_order: SortOrder::Ascend.into(),
        sort_target: SortTarget::Create.into(),
        ..Default::default()
    }))
}

fn op(request: Request) -> RequestOp {
    RequestOp {
        request: Some(request),
    }
}
