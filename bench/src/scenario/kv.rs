//! Put and Get, of 32 bytes on a key of the client's own.

use anyhow::{Context, Result, ensure};
use latchd_proto::etcdserverpb::{PutRequest, PutResponse, RangeRequest, RangeResponse};
use tonic::codegen::Bytes;

use crate::wire::{Call, Wire, framed};

/// What is put, and what the floor answers to a Get.
pub const VALUE: &[u8; 32] = b"what a lock guards is not inside";

/// Overwrites its keys, one after the other.
pub struct Putter {
    call: Call<PutResponse>,
    requests: Ring,
}

impl Putter {
    /// One for `key`.
    pub fn prepare(wire: Wire, key: String) -> Result<Self> {
        Self::among(wire, [key].into_iter())
    }

    /// One for all of these keys, over and over.
    pub fn among(wire: Wire, keys: impl Iterator<Item = String>) -> Result<Self> {
        Ok(Self {
            call: Call::new(&wire, "/etcdserverpb.KV/Put")?,
            requests: Ring::of(keys.map(|key| framed(&put(key)))),
        })
    }

    /// One Put.
    pub async fn operate(&mut self) -> Result<()> {
        let request = self.requests.next().context("no keys")?;
        self.call.send(request).await.context("Put")?;
        Ok(())
    }
}

fn put(key: String) -> PutRequest {
    PutRequest {
        key: key.into(),
        value: VALUE.as_slice().into(),
        ..Default::default()
    }
}

/// Reads its keys, one after the other, linearizably, as clients do unless told otherwise.
pub struct Getter {
    call: Call<RangeResponse>,
    requests: Ring,
}

impl Getter {
    /// One for `key`, which is there from now on.
    pub async fn prepare(wire: Wire, key: String) -> Result<Self> {
        let mut putter = Putter::prepare(wire.clone(), key.clone())?;
        putter.operate().await?;
        Self::among(wire, [key].into_iter())
    }

    /// One for all of these keys, over and over.
    pub fn among(wire: Wire, keys: impl Iterator<Item = String>) -> Result<Self> {
        Ok(Self {
            call: Call::new(&wire, "/etcdserverpb.KV/Range")?,
            requests: Ring::of(keys.map(|key| framed(&get(key)))),
        })
    }

    /// One Range of one key.
    pub async fn operate(&mut self) -> Result<()> {
        let request = self.requests.next().context("no keys")?;
        let range = self.call.send(request).await;
        let found = range.context("Range")?.kvs;
        ensure!(
            found.first().is_some_and(|kv| kv.value == VALUE.as_slice()),
            "Range: the value is not what was put"
        );
        Ok(())
    }
}

fn get(key: String) -> RangeRequest {
    RangeRequest {
        key: key.into(),
        ..Default::default()
    }
}

/// Requests that are sent one after the other, and over again.
struct Ring {
    requests: Vec<Bytes>,
    turn: usize,
}

impl Ring {
    fn of(requests: impl Iterator<Item = Bytes>) -> Self {
        Self {
            requests: requests.collect(),
            turn: 0,
        }
    }

    /// None if there is not a single one.
    fn next(&mut self) -> Option<Bytes> {
        if self.turn == self.requests.len() {
            self.turn = 0;
        }
        let next = self.requests.get(self.turn).cloned();
        self.turn += 1;
        next
    }
}
