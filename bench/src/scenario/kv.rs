//! Put and Get, of 32 bytes on a key of the client's own.

use crate::wire::Wire;
use anyhow::{Context, Result, ensure};
use latchd_proto::etcdserverpb::{PutRequest, RangeRequest, kv_client::KvClient};

/// What is put, and what the floor answers to a Get.
pub const VALUE: &[u8; 32] = b"what a lock guards is not inside";

/// Overwrites its key.
pub struct Putter {
    kv: KvClient<Wire>,
    request: PutRequest,
}

impl Putter {
    /// One for `key`.
    pub fn prepare(channel: Wire, key: String) -> Self {
        Self {
            kv: KvClient::new(channel),
            request: PutRequest {
                key: key.into(),
                value: VALUE.as_slice().into(),
                ..Default::default()
            },
        }
    }

    /// One Put.
    pub async fn operate(&mut self) -> Result<()> {
        let put = self.kv.put(self.request.clone()).await;
        put.context("Put")?;
        Ok(())
    }
}

/// Reads its key, linearizably, as clients do unless told otherwise.
pub struct Getter {
    kv: KvClient<Wire>,
    request: RangeRequest,
}

impl Getter {
    /// One for `key`, which is there from now on.
    pub async fn prepare(channel: Wire, key: String) -> Result<Self> {
        let request = RangeRequest {
            key: key.clone().into(),
            ..Default::default()
        };
        Putter::prepare(channel.clone(), key).operate().await?;
        Ok(Self {
            kv: KvClient::new(channel),
            request,
        })
    }

    /// One Range of one key.
    pub async fn operate(&mut self) -> Result<()> {
        let range = self.kv.range(self.request.clone()).await;
        let found = range.context("Range")?.into_inner().kvs;
        ensure!(
            found.first().is_some_and(|kv| kv.value == VALUE.as_slice()),
            "Range: the value is not what was put"
        );
        Ok(())
    }
}
