//! Elections: who leads, what the leader says, and when that changes.

use std::collections::VecDeque;
use std::time::Duration;

use etcd_client::{
    Event, EventType, GetOptions, KeyValue, SortOrder, SortTarget, WatchOptions, WatchStream,
};

use crate::ask::Wait;
use crate::client::{Client, patiently};
use crate::error::{Error, Result};
use crate::etcd::{Claim, change, revision};
use crate::guard::Guard;
use crate::keys::{directory, segment_in};
use crate::lock::Lock;
use crate::retry::Backoff;
use crate::session::Session;
use crate::types::{LeaseId, Loss, Mode, Revision};

/// An election by name; made by [`Client::election`], cheap to clone.
///
/// Its keys are those of a lock of the same name, and the leader's key has the leader's value. So Go's
/// `concurrency.Election`, etcd's Election service and this crate lead one another's elections, on a
/// latchd and on an etcd alike.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let server = latchd::Server::start(latchd::Config::local(dir.path().into())).await?;
/// # let endpoint = format!("http://{}", server.addresses()[0]);
/// # let client = latchd_client::Client::connect([endpoint], Default::default()).await?;
/// use std::time::Duration;
///
/// let session = client.session(Duration::from_secs(10)).await?;
/// let election = client.election("scheduler");
/// let leadership = election.campaign(&session, "host-7").await?;
/// leadership.proclaim("host-7, ready").await?;
/// let leader = election.leader().await?.expect("somebody leads");
/// assert_eq!(leader.value, b"host-7, ready");
/// leadership.resign().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Election {
    client: Client,
    name: String,
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leader {
    /// The leader's key.
    pub key: String,
    /// The create revision of the key: rises from leader to leader, and so is a fencing token.
    pub token: Revision,
    /// The session or lease that leads.
    pub lease: LeaseId,
    /// What the leader has said.
    pub value: Vec<u8>,
}

/// That this process leads. Dropping it resigns in the background.
#[must_use = "dropping it resigns"]
#[derive(Debug)]
pub struct Leadership {
    guard: Guard,
}

/// The leaders of an election, one after the other.
pub struct Observer {
    election: Election,
    /// The leader's key as it changes.
    following: Option<WatchStream>,
    /// What was told last: a leader, as of a revision of its key.
    last: Option<(Revision, i64)>,
    told: VecDeque<Leader>,
}

impl Election {
    pub(crate) fn new(client: Client, name: String) -> Election {
        Election { client, name }
    }

    /// The election's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits until this session leads, first come, first served; `value` is what others see then.
    ///
    /// Dropping the future leaves no key.
    ///
    /// # Errors
    /// As [`Mutex::lock`](crate::Mutex::lock).
    pub async fn campaign(
        &self,
        session: &Session,
        value: impl Into<Vec<u8>>,
    ) -> Result<Leadership> {
        let granted = self.stand(session, value.into(), Wait::Ever).await?;
        // A wait for ever ends with the grant, or an error.
        granted.ok_or_else(|| self.not_leader())
    }

    /// Leads if nobody else does or waits to; `None` otherwise, and nothing was written.
    ///
    /// # Errors
    /// As [`Mutex::lock`](crate::Mutex::lock).
    pub async fn try_campaign(
        &self,
        session: &Session,
        value: impl Into<Vec<u8>>,
    ) -> Result<Option<Leadership>> {
        self.stand(session, value.into(), Wait::No).await
    }

    async fn stand(
        &self,
        session: &Session,
        value: Vec<u8>,
        wait: Wait,
    ) -> Result<Option<Leadership>> {
        let names = vec![self.name.clone()];
        let lock = Lock::new(session.clone(), names, Mode::Exclusive);
        lock.ask().check()?;
        let seat = session.seat(lock.names()).await?;
        let granted = Claim::new(seat, lock.ask(), value).acquire(wait).await?;
        Ok(granted.map(|granted| Leadership {
            guard: Guard::on_etcd(&lock, granted),
        }))
    }

    /// Who leads now, if anybody does.
    ///
    /// # Errors
    /// [`Unreachable`](Error::Unreachable) or [`Refused`](Error::Refused).
    pub async fn leader(&self) -> Result<Option<Leader>> {
        let after = self.client.request_timeout();
        let look = || async { Ok(self.look().await?.0) };
        Ok(patiently(after, look).await?.map(|kv| leader(&kv)))
    }

    /// Follows the leaders: first the one that there is, or the first that there will be; then each
    /// change of the leader or of what it says.
    ///
    /// # Errors
    /// As [`leader`](Election::leader).
    pub async fn observe(&self) -> Result<Observer> {
        // So that what would be refused for ever is refused at once.
        self.leader().await?;
        Ok(Observer {
            election: self.clone(),
            following: None,
            last: None,
            told: VecDeque::new(),
        })
    }

    /// The leader's key, and the revision at which it was.
    async fn look(&self) -> Result<(Option<KeyValue>, Revision)> {
        let dir = directory(&self.name);
        let by_age = || {
            GetOptions::new()
                .with_prefix()
                .with_sort(SortTarget::Create, SortOrder::Ascend)
        };
        let mut kv = self.client.kv();
        let mut found = kv.get(dir.as_str(), Some(by_age().with_limit(1))).await?;
        let is_direct = |kv: &KeyValue| segment_in(dir.as_bytes(), kv.key()).is_some();
        if found.kvs().first().is_some_and(|kv| !is_direct(kv)) {
            // A key that lies deeper leads nothing here, but may hide one that does.
            found = kv.get(dir.as_str(), Some(by_age())).await?;
        }
        let at = revision(found.header())?;
        Ok((found.take_kvs().into_iter().find(is_direct), at))
    }

    async fn watch(&self, key: &[u8], since: Revision, is_prefix: bool) -> Result<WatchStream> {
        let options = WatchOptions::new().with_start_revision(since.0);
        let options = match is_prefix {
            true => options.with_prefix(),
            false => options,
        };
        Ok(self.client.watch_client().watch(key, Some(options)).await?)
    }

    fn not_leader(&self) -> Error {
        Error::NotLeader {
            name: self.name.clone(),
        }
    }
}

impl Leadership {
    /// The leader's key.
    #[must_use]
    pub fn key(&self) -> &str {
        self.guard.key()
    }

    /// The create revision of the key: higher than that of every leader before.
    #[must_use]
    pub fn fencing_token(&self) -> Revision {
        self.guard.fencing_token()
    }

    /// The session that leads.
    #[must_use]
    pub fn session(&self) -> &Session {
        self.guard.session()
    }

    /// Whether its lease is over; see [`Session::is_lost`].
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.guard.is_lost()
    }

    /// Resolves when it leads no more; see [`Guard::lost`].
    pub async fn lost(&self) -> Loss {
        self.guard.lost().await
    }

    /// As [`lost`](Leadership::lost), but also `notice` before the deadline if nothing renews the
    /// lease until then; see [`Session::lost_with_notice`].
    pub async fn lost_with_notice(&self, notice: Duration) -> Loss {
        self.guard.lost_with_notice(notice).await
    }

    /// Says something else than before.
    ///
    /// # Errors
    /// [`NotLeader`](Error::NotLeader) if it leads no more; [`Unreachable`](Error::Unreachable) if no
    /// server answers within the request timeout.
    pub async fn proclaim(&self, value: impl Into<Vec<u8>>) -> Result<()> {
        let (client, value) = (self.session().client(), value.into());
        let lease = self.guard.lease();
        let change = || async {
            let txn = change(self.key(), self.fencing_token(), value.clone(), lease);
            Ok(client.kv().txn(txn).await?.succeeded())
        };
        match patiently(client.request_timeout(), change).await? {
            true => Ok(()),
            false => Err(self.not_leader()),
        }
    }

    /// Does `work` while it leads, and resigns; drops `work` when the leadership is being lost. See
    /// [`Guard::run`].
    ///
    /// # Errors
    /// [`LockLost`](Error::LockLost), as [`Guard::run`].
    pub async fn run<T>(self, work: impl Future<Output = T>) -> Result<T> {
        self.guard.run(work).await
    }

    /// Leads no more, and lets the next one lead.
    ///
    /// # Errors
    /// [`NotLeader`](Error::NotLeader) if it was not the leader any more; else as [`Guard::unlock`].
    pub async fn resign(self) -> Result<()> {
        let not_leader = self.not_leader();
        match self.guard.unlock().await {
            Err(Error::NotHeld { .. }) => Err(not_leader),
            done => done,
        }
    }

    fn not_leader(&self) -> Error {
        Error::NotLeader {
            name: self.guard.name().to_owned(),
        }
    }
}

impl Observer {
    /// The next leader, or the next thing that the leader says. It waits while nobody leads, and while
    /// no server can be reached. What came and went between two looks may be left out.
    ///
    /// # Errors
    /// [`Refused`](Error::Refused) and [`WatchEnded`](Error::WatchEnded).
    pub async fn next(&mut self) -> Result<Leader> {
        let mut backoff = Backoff::new();
        loop {
            if let Some(leader) = self.told.pop_front() {
                return Ok(leader);
            }
            match self.go_on().await {
                Ok(()) => backoff.reset(),
                Err(error) if error.is_unreachable() => {
                    self.following = None;
                    backoff.pause().await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn go_on(&mut self) -> Result<()> {
        let Some(stream) = &mut self.following else {
            return self.find().await;
        };
        let Some(response) = stream.message().await? else {
            return Err(etcd_client::Error::WatchError("the stream ended".into()).into());
        };
        if response.canceled() {
            // Compacted or not: a look tells.
            self.following = None;
            return Ok(());
        }
        for event in response.events() {
            match said(event) {
                Some(kv) => self.tell(kv),
                None => self.following = None,
            }
        }
        Ok(())
    }

    /// Follows who leads now, or waits for a sign of somebody who does.
    async fn find(&mut self) -> Result<()> {
        let (found, at) = self.election.look().await?;
        let since = at.next();
        match found {
            Some(kv) => {
                self.following = Some(self.election.watch(kv.key(), since, false).await?);
                self.tell(&kv);
            }
            None => {
                let dir = directory(&self.election.name);
                let mut stream = self.election.watch(dir.as_bytes(), since, true).await?;
                // The first response says that it has begun.
                while let Some(response) = stream.message().await? {
                    if response.canceled() || !response.events().is_empty() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Unless it was told before.
    fn tell(&mut self, kv: &KeyValue) {
        let new = (Revision(kv.create_revision()), kv.mod_revision());
        if self.last < Some(new) {
            self.last = Some(new);
            self.told.push_back(leader(kv));
        }
    }
}

fn said(event: &Event) -> Option<&KeyValue> {
    match event.event_type() {
        EventType::Put => event.kv(),
        EventType::Delete => None,
    }
}

fn leader(kv: &KeyValue) -> Leader {
    Leader {
        key: String::from_utf8_lossy(kv.key()).into_owned(),
        token: Revision(kv.create_revision()),
        lease: LeaseId(kv.lease()),
        value: kv.value().to_vec(),
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observer")
            .field("name", &self.election.name)
            .finish_non_exhaustive()
    }
}
