//! A lock for a number of holders at a time.

use std::time::Duration;

use crate::error::Result;
use crate::guard::Guard;
use crate::lock::{Lock, tagged};
use crate::session::Session;
use crate::types::Mode;

/// A lock by name that a number of holders may have at a time, each with a permit; made by
/// [`Session::semaphore`], cheap to clone.
///
/// Turns are first come, first served. Holders of a [`Mutex`](crate::Mutex) or
/// [`RwLock`](crate::RwLock) of the name exclude permits, and the other way round. The number of
/// permits is the same for all who use the name at a time:
/// [`OtherPermits`](crate::Error::OtherPermits) says that somebody uses it with another one. Other
/// errors are those of [`Mutex`](crate::Mutex)'s methods.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let server = latchd::Server::start(latchd::Config::local(dir.path().into())).await?;
/// # let endpoint = format!("http://{}", server.addresses()[0]);
/// # let client = latchd_client::Client::connect([endpoint], Default::default()).await?;
/// # let session = client.session(std::time::Duration::from_secs(10)).await?;
/// let gpus = session.semaphore("gpus", 4);
/// let permit = gpus.acquire().await?;
/// // one of at most four
/// permit.unlock().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Semaphore(Lock);

impl Semaphore {
    pub(crate) fn new(session: Session, name: String, permits: u32) -> Self {
        let mode = Mode::Permit { of: permits };
        Semaphore(Lock::new(session, vec![name], mode))
    }

    /// The semaphore's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.names()[0]
    }

    /// How many may hold it at a time.
    #[must_use]
    pub fn permits(&self) -> u32 {
        match self.0.mode() {
            Mode::Permit { of } => of,
            Mode::Exclusive | Mode::Shared => 1,
        }
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// As [`Mutex::lock`](crate::Mutex::lock), and
    /// [`OtherPermits`](crate::Error::OtherPermits).
    pub async fn acquire(&self) -> Result<Guard> {
        self.0.wait().await
    }

    /// Takes a permit if there is one, and nobody waits.
    ///
    /// # Errors
    /// As [`Mutex::try_lock`](crate::Mutex::try_lock), and
    /// [`OtherPermits`](crate::Error::OtherPermits).
    pub async fn try_acquire(&self) -> Result<Guard> {
        self.0.attempt().await
    }

    /// Waits for a permit no longer than `limit`.
    ///
    /// # Errors
    /// As [`Mutex::lock_timeout`](crate::Mutex::lock_timeout), and
    /// [`OtherPermits`](crate::Error::OtherPermits).
    pub async fn acquire_timeout(&self, limit: Duration) -> Result<Guard> {
        self.0.wait_for(limit).await
    }
}

tagged!(Semaphore);
