//! What tests ask of `latchd.v1`, which etcd does not have.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use latchd_proto::latchd::v1::{self, AcquireRequest, Hold, Mode, locks_client};
use tokio::task::JoinHandle;
use tonic::{Status, transport::Channel};

use crate::wait::{SOON, within};

/// Its client.
pub type LocksClient = locks_client::LocksClient<Channel>;

/// An Acquire on its way.
pub type Waiter = JoinHandle<Result<v1::AcquireResponse, Status>>;

/// A client with a connection of its own.
///
/// # Errors
/// When the server does not answer.
pub async fn connect(url: &str) -> Result<LocksClient> {
    let endpoint = Channel::from_shared(url.to_owned())?;
    within(SOON, "a connection", async {
        Ok(LocksClient::new(endpoint.connect().await?))
    })
    .await
}

/// An Acquire of one name, alone and without a wait, on a lease.
#[must_use]
pub fn exclusive(name: &str, lease: i64) -> AcquireRequest {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    AcquireRequest {
        names: vec![name.to_owned().into()],
        session: lease,
        request_id: format!("c{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        ..Default::default()
    }
}

/// An Acquire of each mode that there is.
#[must_use]
pub fn each_mode(name: &str, lease: i64) -> [AcquireRequest; 3] {
    let shared = AcquireRequest {
        mode: Mode::Shared as i32,
        ..exclusive(name, lease)
    };
    let permit = AcquireRequest {
        mode: Mode::Semaphore as i32,
        permits: 2,
        ..exclusive(name, lease)
    };
    [exclusive(name, lease), shared, permit]
}

/// The same, but it waits for ever.
#[must_use]
pub fn waiting(request: AcquireRequest) -> AcquireRequest {
    AcquireRequest {
        wait_ms: -1,
        ..request
    }
}

/// Begins an Acquire as a task of its own.
#[must_use]
pub fn begin(locks: &LocksClient, request: AcquireRequest) -> Waiter {
    let mut locks = locks.clone();
    tokio::spawn(async move { Ok(locks.acquire(request).await?.into_inner()) })
}

/// What an Acquire was granted.
///
/// # Errors
/// When it is refused, or not granted soon.
pub async fn granted(waiter: Waiter) -> Result<Hold> {
    let granted = within(SOON, "a grant", async { Ok(waiter.await??) }).await?;
    granted.holds.into_iter().next().context("nothing granted")
}

/// Why an Acquire was refused.
///
/// # Errors
/// When it is granted, or not answered soon.
pub async fn refused(waiter: Waiter) -> Result<Status> {
    let answer = within(SOON, "a refusal", async { Ok(waiter.await?) }).await?;
    answer.err().context("it was granted")
}

/// Lets a hold go.
///
/// # Errors
/// When it is not held.
pub async fn release(locks: &LocksClient, lease: i64, hold: Hold) -> Result<()> {
    let request = v1::ReleaseRequest {
        session: lease,
        holds: vec![hold],
        ..Default::default()
    };
    locks.clone().release(request).await?;
    Ok(())
}

/// A refusal's word for programs; its code where there is none.
#[must_use]
pub fn reason(status: &Status) -> String {
    let word = status.metadata().get("latchd-reason");
    word.and_then(|word| word.to_str().ok())
        .map_or_else(|| status.code().to_string(), str::to_owned)
}
