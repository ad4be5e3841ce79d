//! Several locks at once.

use std::time::Duration;

use crate::error::Result;
use crate::guard::Guard;
use crate::lock::{Lock, tagged};
use crate::session::Session;
use crate::types::Mode;

/// Several locks that are taken together: in all queues at one revision, and held once all are
/// granted. So two that want the same names in another order never wait for one another. Made by
/// [`Session::multi_lock`], cheap to clone.
///
/// 1 to 64 names, none twice, and none of them a directory that another one lies in (`a` and `a/b`).
/// Errors are those of [`Mutex`](crate::Mutex)'s methods.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let server = latchd::Server::start(latchd::Config::local(dir.path().into())).await?;
/// # let endpoint = format!("http://{}", server.addresses()[0]);
/// # let client = latchd_client::Client::connect([endpoint], Default::default()).await?;
/// # let session = client.session(std::time::Duration::from_secs(10)).await?;
/// let accounts = session.multi_lock(["account/1", "account/2"]);
/// let both = accounts.lock().await?;
/// println!("one token for both: {}", both.fencing_token());
/// both.unlock().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MultiLock(Lock);

impl MultiLock {
    pub(crate) fn new(session: Session, names: Vec<String>) -> Self {
        MultiLock(Lock::new(session, names, Mode::Exclusive))
    }

    /// Takes all of them in this mode; exclusive unless set.
    #[must_use]
    pub fn with_mode(self, mode: Mode) -> Self {
        MultiLock(self.0.with_mode(mode))
    }

    /// The locks' names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        self.0.names()
    }

    /// Waits until all are held.
    ///
    /// # Errors
    /// As [`Mutex::lock`](crate::Mutex::lock).
    pub async fn lock(&self) -> Result<Guard> {
        self.0.wait().await
    }

    /// Takes all of them if all are to be had at once, and none otherwise.
    ///
    /// # Errors
    /// As [`Mutex::try_lock`](crate::Mutex::try_lock).
    pub async fn try_lock(&self) -> Result<Guard> {
        self.0.attempt().await
    }

    /// Waits until all are held, no longer than `limit`.
    ///
    /// # Errors
    /// As [`Mutex::lock_timeout`](crate::Mutex::lock_timeout).
    pub async fn lock_timeout(&self, limit: Duration) -> Result<Guard> {
        self.0.wait_for(limit).await
    }
}

tagged!(MultiLock);
