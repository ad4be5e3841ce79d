//! What holds locks, and everything that hangs on it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex as Guarded;

use crate::ask::Tag;
use crate::client::Client;
use crate::error::Result;
use crate::etcd;
use crate::lane::{Keeper, Lane, Seat, flatten};
use crate::latchd;
use crate::multi::MultiLock;
use crate::mutex::Mutex;
use crate::rw_lock::RwLock;
use crate::semaphore::Semaphore;
use crate::types::{LeaseId, Loss, ServerKind};

/// How many lanes may idle beside the first one.
const MOST_SPARE: usize = 4;

/// How a session is to be.
///
/// ```
/// use std::time::Duration;
/// use latchd_client::SessionOptions;
///
/// let options = SessionOptions::new(Duration::from_secs(5))
///     .with_owner("worker 7")
///     .with_label("host", "h1");
/// ```
#[derive(Clone, Debug)]
pub struct SessionOptions {
    pub(crate) ttl: Duration,
    pub(crate) grace: Option<Duration>,
    pub(crate) is_bound: bool,
    pub(crate) tag: Tag,
}

impl SessionOptions {
    /// `ttl` is how long the session's locks outlive this process if it dies or cannot be reached: on
    /// a latchd from 100 ms, on an etcd in whole seconds (rounded up), and at least 2 of them. What was
    /// granted is [`Session::ttl`].
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        SessionOptions {
            ttl,
            grace: None,
            is_bound: false,
            tag: Tag::default(),
        }
    }

    /// How long the session outlives its connection, if that is longer than the TTL; on a latchd. It
    /// is resumed in the background on a new connection, or after the server's restart, and what it
    /// held is still held. On an etcd it is the TTL.
    ///
    /// The session's TTL becomes no less than this.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// Ends the session as soon as its connection is lost: the locks of a process that dies are free
    /// within milliseconds, and a broken connection loses them. For connections to a latchd without a
    /// proxy between. On an etcd the TTL has to pass.
    #[must_use]
    pub fn released_on_disconnect(mut self) -> Self {
        self.is_bound = true;
        self
    }

    /// What the session's locks call their owner, unless a lock says otherwise: for people and tools.
    ///
    /// On a latchd it is also whose hold or wait it is when deadlocks are looked for. So give one owner
    /// to what takes its locks one after the other, such as a worker: if it holds one lock and waits for
    /// another, and others do so the other way round, the youngest wait ends with
    /// [`Deadlock`](crate::Error::Deadlock). Tasks that hand guards to one another, or wait for one
    /// another's, need owners of their own; a lock without an owner takes no part in this.
    #[must_use]
    pub fn with_owner(mut self, owner: impl Into<String>) -> Self {
        self.tag.owner = Some(owner.into());
        self
    }

    /// A label of the session's locks, for people and tools.
    #[must_use]
    pub fn with_label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tag.labels.insert(key.into(), value.into());
        self
    }
}

/// What holds locks: a lease that is kept alive in the background; cheap to clone.
///
/// It ends with [`close`](Session::close), or when it is [`lost`](Session::lost). When the last
/// handle, lock and guard of it are dropped, it is ended in the background.
///
/// Every call that locks has a place of its own in the queue, also among the tasks that share a
/// session. On a latchd, which gives a lease one place for a name, a second task that wants the same
/// name at the same time gets a lease beside the session's first.
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    options: SessionOptions,
    main: Arc<Lane>,
    others: Guarded<Vec<Arc<Lane>>>,
}

impl Session {
    /// Opens it in a task of its own: should the caller give up, what comes out of it is dropped
    /// there, and so ended.
    pub(crate) async fn open(client: Client, options: SessionOptions) -> Result<Session> {
        let main = open_lane(&client, &options).await?;
        Ok(Session {
            shared: Arc::new(Shared {
                client,
                options,
                main: Arc::new(main),
                others: Guarded::default(),
            }),
        })
    }

    /// A lock by name, to be taken on this session. Nothing is sent yet.
    #[must_use]
    pub fn mutex(&self, name: impl Into<String>) -> Mutex {
        Mutex::new(self.clone(), name.into())
    }

    /// A lock by name for many readers or one writer. Nothing is sent yet.
    #[must_use]
    pub fn rw_lock(&self, name: impl Into<String>) -> RwLock {
        RwLock::new(self.clone(), name.into())
    }

    /// A lock by name that `permits` may hold at a time: 1 to 1,000,000, and the same for all who use
    /// the name. Nothing is sent yet.
    #[must_use]
    pub fn semaphore(&self, name: impl Into<String>, permits: u32) -> Semaphore {
        Semaphore::new(self.clone(), name.into(), permits)
    }

    /// Several locks, to be taken together or not at all. Nothing is sent yet.
    #[must_use]
    pub fn multi_lock<N: Into<String>>(&self, names: impl IntoIterator<Item = N>) -> MultiLock {
        let names = names.into_iter().map(Into::into);
        MultiLock::new(self.clone(), names.collect())
    }

    /// Does `work` while holding the lock `name`, and drops it half-way if the lock is being lost;
    /// see [`Guard::run`](crate::Guard::run).
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let server = latchd::Server::start(latchd::Config::local(dir.path().into())).await?;
    /// # let endpoint = format!("http://{}", server.addresses()[0]);
    /// # let client = latchd_client::Client::connect([endpoint], Default::default()).await?;
    /// # let session = client.session(std::time::Duration::from_secs(10)).await?;
    /// let rows = session.run_exclusive("reports/nightly", async { 42 }).await?;
    /// # let _ = rows;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Mutex::lock`] and [`Guard::run`](crate::Guard::run).
    pub async fn run_exclusive<T>(
        &self,
        name: impl Into<String>,
        work: impl Future<Output = T>,
    ) -> Result<T> {
        self.mutex(name).lock().await?.run(work).await
    }

    /// The client that opened it.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.shared.client
    }

    /// The lease under the session.
    #[must_use]
    pub fn lease(&self) -> LeaseId {
        self.shared.main.lease()
    }

    /// The TTL that the server granted.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        self.shared.main.ttl()
    }

    /// Whether the session is over. It looks at the clock, so the answer is right also in a
    /// process that was stopped past the deadline, or a machine that slept, and has just woken up.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.shared.main.loss().is_some()
    }

    /// Resolves when the session is over: the server said so, it could not be renewed before its
    /// deadline (counted from when the last answered heartbeat was sent), or it was closed. On an
    /// etcd, a revoked lease shows at the next heartbeat, within a third of the TTL.
    pub async fn lost(&self) -> Loss {
        self.shared.main.vitals().lost().await
    }

    /// As [`lost`](Session::lost), but also `notice` before the deadline if no heartbeat has been
    /// answered by then: time to stop what needs the session, in order.
    ///
    /// A healthy session is renewed when two thirds of its TTL are left, so `notice` must be well
    /// below that; half the TTL is a good most.
    pub async fn lost_with_notice(&self, notice: Duration) -> Loss {
        self.shared.main.vitals().lost_with_notice(notice).await
    }

    /// Ends the session, which frees every lock held on it. One that is over already is no error.
    ///
    /// Once called, it goes on even if the future is dropped.
    ///
    /// # Errors
    /// [`NoAnswer`](crate::Error::NoAnswer) if no server answers within the request timeout: the
    /// session then ends with its TTL.
    pub async fn close(self) -> Result<()> {
        let others = std::mem::take(&mut *self.shared.others.lock());
        let lanes = others.iter().chain([&self.shared.main]);
        let closing = futures::future::join_all(lanes.map(|lane| lane.close())).await;
        closing.into_iter().collect()
    }

    pub(crate) fn tag(&self) -> &Tag {
        &self.shared.options.tag
    }

    /// Where these names can be contended for now.
    pub(crate) async fn seat(&self, names: &[String]) -> Result<Seat> {
        if let Some(loss) = self.shared.main.loss() {
            return Err(self.shared.main.lost_error(loss));
        }
        let lane = match self.find_lane(names) {
            Some(lane) => lane,
            None => self.shared.main.unless_lost(self.add_lane(names)).await?,
        };
        Ok(Seat::new(lane, names.to_vec(), self.keeper()))
    }

    /// On an etcd any number of keys can lie on a lease.
    fn find_lane(&self, names: &[String]) -> Option<Arc<Lane>> {
        let main = &self.shared.main;
        if main.client().server() == ServerKind::Etcd || main.reserve(names) {
            return Some(main.clone());
        }
        let others = self.shared.others.lock();
        let mut lanes = others.iter().filter(|lane| lane.loss().is_none());
        lanes.find(|lane| lane.reserve(names)).cloned()
    }

    async fn add_lane(&self, names: &[String]) -> Result<Arc<Lane>> {
        let lane = Arc::new(open_lane(self.client(), &self.shared.options).await?);
        lane.reserve(names);
        self.shared.others.lock().push(lane.clone());
        Ok(lane)
    }

    /// Keeps the session, and lets lanes go that nobody needs.
    fn keeper(&self) -> Keeper {
        let shared = self.shared.clone();
        Arc::new(move || shared.tidy())
    }
}

impl Shared {
    /// Ends lanes that are over, and those that idle beyond a few. They are dropped outside of the
    /// lock.
    fn tidy(&self) {
        let mut spare = 0;
        let mut is_done = |lane: &mut Arc<Lane>| {
            spare += usize::from(lane.is_idle());
            lane.loss().is_some() || (lane.is_idle() && spare > MOST_SPARE)
        };
        let done: Vec<Arc<Lane>> = self.others.lock().extract_if(.., &mut is_done).collect();
        drop(done);
    }
}

/// In a task of its own: should the caller give up, what comes out of it is dropped there.
async fn open_lane(client: &Client, options: &SessionOptions) -> Result<Lane> {
    let (client, options) = (client.clone(), options.clone());
    let opening = async move {
        match client.server() {
            ServerKind::Latchd => latchd::open(client, &options).await,
            ServerKind::Etcd => etcd::open(client, options.ttl).await,
        }
    };
    flatten(tokio::spawn(opening).await)
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("lease", &self.lease())
            .field("ttl", &self.ttl())
            .field("loss", &self.shared.main.loss())
            .finish_non_exhaustive()
    }
}
