//! Put and Get, of 32 bytes on a key of the client's own.

use crate::wire::Wire;
use anyhow::{Context, Result, ensure};
use latchd_proto::etcdserverpb::{PutRequest, RangeRequest, kv_client::KvClient};

/// What is put, and what the floor answers to a Get.
pub const VALUE: &[u8; 32] = b"what a lock guards is not inside";

/// Overwrites its keys, one after the other.
pub struct Putter {
    kv: KvClient<Wire>,
    requests: Ring<PutRequest>,
}

impl Putter {
    /// One for `key`.
    pub fn prepare(wire: Wire, key: String) -> Self {
        Self::among(wire, [key].into_iter())
    }

    /// One for all of these keys, over and over.
    pub fn among(wire: Wire, keys: impl Iterator<Item = String>) -> Self {
        Self {
            kv: KvClient::new(wire),
            requests: Ring::of(keys.map(put)),
        }
    }

    /// One Put.
    pub async fn operate(&mut self) -> Result<()> {
        let request = self.requests.next().context("no keys")?;
        self.kv.put(request).await.context("Put")?;
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
    kv: KvClient<Wire>,
    requests: Ring<RangeRequest>,
}

impl Getter {
    /// One for `key`, which is there from now on.
    pub async fn prepare(wire: Wire, key: String) -> Result<Self> {
        let mut putter = Putter::prepare(wire.clone(), key.clone());
        putter.operate().await?;
        Ok(Self::among(wire, [key].into_iter()))
    }

    /// One for all of these keys, over and over.
    pub fn among(wire: Wire, keys: impl Iterator<Item = String>) -> Self {
        Self {
            kv: KvClient::new(wire),
            requests: Ring::of(keys.map(get)),
        }
    }

    /// One Range of one key.
    pub async fn operate(&mut self) -> Result<()> {
        let request = self.requests.next().context("no keys")?;
        let range = self.kv.range(request).await;
        let found = range.context("Range")?.into_inner().kvs;
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
struct Ring<T> {
    requests: Vec<T>,
    turn: usize,
}

impl<T: Clone> Ring<T> {
    fn of(requests: impl Iterator<Item = T>) -> Self {
        Self {
            requests: requests.collect(),
            turn: 0,
        }
    }

    /// None if there is not a single one.
    fn next(&mut self) -> Option<T> {
        if self.turn == self.requests.len() {
            self.turn = 0;
        }
        let next = self.requests.get(self.turn).cloned();
        self.turn += 1;
        next
    }
}
