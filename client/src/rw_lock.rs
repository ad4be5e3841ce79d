//! A lock for many readers or one writer.

use std::time::Duration;

use crate::error::Result;
use crate::guard::Guard;
use crate::lock::{Lock, tagged};
use crate::session::Session;
use crate::types::Mode;

/// A lock by name for many readers or one writer; made by [`Session::rw_lock`], cheap to clone.
///
/// Turns are first come, first served: readers that come after a waiting writer wait behind it. A
/// writer is the same as a holder of a [`Mutex`](crate::Mutex) of that name, so it excludes every etcd
/// client, too; and etcd clients exclude readers.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let server = latchd::Server::start(latchd::Config::local(dir.path().into())).await?;
/// # let endpoint = format!("http://{}", server.addresses()[0]);
/// # let client = latchd_client::Client::connect([endpoint], Default::default()).await?;
/// # let session = client.session(std::time::Duration::from_secs(10)).await?;
/// let config = session.rw_lock("config");
/// let reader = config.read().await?;
/// reader.unlock().await?;
/// let writer = config.write().await?;
/// writer.unlock().await?;
/// # Ok(())
/// # }
/// ```
///
/// Errors are those of [`Mutex`](crate::Mutex)'s methods.
#[derive(Clone, Debug)]
pub struct RwLock(Lock);

impl RwLock {
    pub(crate) fn new(session: Session, name: String) -> Self {
        RwLock(Lock::new(session, vec![name], Mode::Shared))
    }

    /// The lock's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.names()[0]
    }

    /// Waits until everybody before it shares, too.
    ///
    /// # Errors
    /// As [`Mutex::lock`](crate::Mutex::lock).
    pub async fn read(&self) -> Result<Guard> {
        self.0.wait().await
    }

    /// Shares the lock if nobody holds it otherwise or waits for that.
    ///
    /// # Errors
    /// As [`Mutex::try_lock`](crate::Mutex::try_lock).
    pub async fn try_read(&self) -> Result<Guard> {
        self.0.attempt().await
    }

    /// Waits as [`read`](RwLock::read) does, no longer than `limit`.
    ///
    /// # Errors
    /// As [`Mutex::lock_timeout`](crate::Mutex::lock_timeout).
    pub async fn read_timeout(&self, limit: Duration) -> Result<Guard> {
        self.0.wait_for(limit).await
    }

    /// Waits for the lock alone.
    ///
    /// # Errors
    /// As [`Mutex::lock`](crate::Mutex::lock).
    pub async fn write(&self) -> Result<Guard> {
        self.writer().wait().await
    }

    /// Takes the lock alone if nobody holds it or waits for it.
    ///
    /// # Errors
    /// As [`Mutex::try_lock`](crate::Mutex::try_lock).
    pub async fn try_write(&self) -> Result<Guard> {
        self.writer().attempt().await
    }

    /// Waits as [`write`](RwLock::write) does, no longer than `limit`.
    ///
    /// # Errors
    /// As [`Mutex::lock_timeout`](crate::Mutex::lock_timeout).
    pub async fn write_timeout(&self, limit: Duration) -> Result<Guard> {
        self.writer().wait_for(limit).await
    }

    fn writer(&self) -> Lock {
        self.0.clone().with_mode(Mode::Exclusive)
    }
}

tagged!(RwLock);
