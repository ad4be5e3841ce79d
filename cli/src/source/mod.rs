//! Where views come from: the client library, which asks a latchd by its own service and makes what
//! it can of the keys of an etcd.

mod convert;

use latchd_client::proto::latchd::v1;
use latchd_client::{Client, Error, Locks, Revision};
use tonic::{Code, Status};

use crate::bytes::show;
use crate::exit::Failure;
use crate::model::{Contender, Deadlock, History, Lock, SessionInfo, Told};

/// A connection to look through.
#[derive(Clone)]
pub struct Source(Client);

/// First everything there is, then what becomes of it.
pub struct Watch(latchd_client::LockWatch);

impl Source {
    pub fn new(client: Client) -> Source {
        Source(client)
    }

    /// Whether the server can tell of deadlocks, sessions and history.
    pub fn is_latchd(&self) -> bool {
        self.0.is_latchd()
    }

    /// Every lock whose name begins with `prefix`.
    pub async fn list(&self, prefix: &[u8]) -> Result<Vec<Lock>, Failure> {
        let listed = self.0.list(prefix).await?;
        Ok(listed.into_iter().map(convert::lock).collect())
    }

    /// One lock, if anybody holds or awaits it.
    pub async fn show(&self, name: &[u8]) -> Result<Option<Lock>, Failure> {
        Ok(self.0.show(name).await?.map(convert::lock))
    }

    pub async fn watch(&self, prefix: &[u8]) -> Result<Watch, Failure> {
        Ok(Watch(self.0.watch(prefix).await?))
    }

    pub async fn history(&self, prefix: &[u8], limit: u32) -> Result<History, Failure> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(convert::history(self.0.history(prefix, limit).await?))
    }

    pub async fn sessions(&self) -> Result<Vec<SessionInfo>, Failure> {
        let sessions = self.0.sessions().await?;
        Ok(sessions.into_iter().map(convert::session).collect())
    }

    /// Those that nobody has resolved.
    pub async fn deadlocks(&self) -> Result<Vec<Deadlock>, Failure> {
        let deadlocks = self.0.deadlocks().await?;
        Ok(deadlocks.into_iter().map(convert::deadlock).collect())
    }

    pub async fn verify(&self, name: &[u8], token: i64) -> Result<bool, Failure> {
        Ok(self.0.verify(name, Revision(token)).await?)
    }

    /// Takes it away from whoever has it.
    pub async fn force_release(&self, name: &[u8], token: i64) -> Result<Contender, Failure> {
        match self.0.force_release(name, Revision(token)).await {
            Ok(forced) => Ok(convert::contender(forced)),
            Err(Error::NotHeld { .. }) => Err(nobody(name, token)),
            Err(error) => Err(error.into()),
        }
    }

    /// Releases it in the name of its holder, who is not told that it lost anything.
    pub async fn release(&self, name: &[u8], token: i64) -> Result<Contender, Failure> {
        let locks = self.0.locks().ok_or_else(|| {
            Failure::No(
                "an etcd cannot tell a release from a loss, so a lock is released only by its \
                 holder, when the command ends; --force --token takes it away"
                    .into(),
            )
        })?;
        let lock = self.show(name).await?.unwrap_or_default();
        let mut contenders = lock.holders.into_iter().chain(lock.waiting);
        let own = contenders.find(|contender| contender.token == token);
        let own = own.ok_or_else(|| nobody(name, token))?;
        self.release_own(locks, name, &own).await?;
        Ok(own)
    }

    async fn release_own(
        &self,
        mut locks: Locks,
        name: &[u8],
        own: &Contender,
    ) -> Result<(), Failure> {
        let sessions = self.sessions().await?;
        let session = sessions.iter().find(|session| session.id == own.session);
        let request = v1::ReleaseRequest {
            session: own.session.0,
            // A lease has none.
            epoch: session.map_or(0, |session| session.epoch),
            holds: vec![v1::Hold {
                name: name.to_vec().into(),
                key: own.key.clone().into(),
                token: own.token,
            }],
            request_id: String::new(),
        };
        match locks.release(request).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::NotFound => Err(nobody(name, own.token)),
            Err(status) => Err(refused(status)),
        }
    }
}

impl Watch {
    /// The next thing. After a broken connection, that is everything there is once more.
    pub async fn next(&mut self) -> Result<Told, Failure> {
        loop {
            if let Some(told) = convert::told(self.0.next().await?) {
                return Ok(told);
            }
        }
    }
}

fn nobody(name: &[u8], token: i64) -> Failure {
    let name = show(name);
    Failure::No(format!(
        "nobody holds or awaits {name:?} with the token {token}; `latchctl show` tells who does"
    ))
}

fn refused(status: Status) -> Failure {
    Failure::Client(Error::from(etcd_client::Error::GRpcStatus(status)))
}
