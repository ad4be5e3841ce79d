//! Two servers side by side, and a clean keyspace on either for each case.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use latchd_proto::etcdserverpb::{
    LeaseLeasesRequest, MemberListRequest, RangeRequest, StatusRequest,
};
use tonic::transport::{Channel, Endpoint};

use super::{
    requests::{delete_range, everything, revoke},
    session::Session,
};
use crate::{
    server::{Server, Spec},
    target::Kind,
    wait::{SOON, until, within},
};

/// Flags of every server that is started: compaction is the cases' own business,
/// and nothing of what is compared depends on fsync.
const FLAGS: &[&str] = &["--auto-compaction-retention=0", "--unsafe-no-fsync"];

/// What etcd 3.7 writes its data as; a fresh one raises it a moment after it is ready.
const STORAGE_VERSION: &str = "3.7.0";

/// The tested server and the reference.
pub struct Pair {
    /// The server that is judged.
    pub tested: Side,
    /// The one that is right.
    pub reference: Side,
}

/// Where one of the servers comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// One of this kind is started.
    Start(Kind),
    /// One runs at this URL.
    Given(String),
}

/// One server.
pub struct Side {
    url: String,
    own: Vec<(String, &'static str)>,
    server: Option<Server>,
}

impl Pair {
    /// Two servers; those that are started get these flags.
    ///
    /// # Errors
    /// When one of them does not start or does not answer.
    pub async fn open(tested: &Source, reference: &Source, flags: &[String]) -> Result<Self> {
        let (tested, reference) =
            tokio::try_join!(Side::open(tested, flags), Side::open(reference, flags))?;
        Ok(Self { tested, reference })
    }

    /// Fails when a server that was started has ended or panicked.
    ///
    /// # Errors
    /// When that is so.
    pub fn must_be_well(&mut self) -> Result<()> {
        self.tested.must_be_well().context("the tested server")?;
        self.reference.must_be_well().context("the reference")
    }
}

impl Side {
    async fn open(source: &Source, flags: &[String]) -> Result<Self> {
        let (url, server) = match source {
            Source::Given(url) => (url.clone(), None),
            Source::Start(kind) => {
                let flags = FLAGS
                    .iter()
                    .map(|&flag| flag.to_owned())
                    .chain(flags.to_vec());
                let server = flags.fold(Spec::of(*kind)?, Spec::flag).start().await?;
                (server.spec().url(), Some(server))
            }
        };
        let mut side = Self {
            url,
            own: Vec::new(),
            server,
        };
        side.settle(matches!(source, Source::Start(Kind::Etcd)))
            .await?;
        Ok(side)
    }

    /// Waits until it is what it stays, and learns what is its own.
    async fn settle(&mut self, is_fresh_etcd: bool) -> Result<()> {
        let mut session = Session::new(self.connect().await?, &self.url, 0);
        if is_fresh_etcd {
            until("the storage version", async || {
                let status = session.quietly(StatusRequest {}).await?;
                Ok(status.storage_version == STORAGE_VERSION)
            })
            .await?;
        }
        let members = session.quietly(MemberListRequest { linearizable: true });
        let members = members.await?.members;
        let [member] = members.as_slice() else {
            bail!(
                "{} is a cluster of {}: only single servers are compared",
                self.url,
                members.len()
            );
        };
        let bare = |url: &String| url.split("://").last().unwrap_or_default().to_owned();
        let mut own = vec![(bare(&self.url), "<client>")];
        own.extend(
            member
                .client_ur_ls
                .iter()
                .map(|url| (bare(url), "<client>")),
        );
        own.extend(member.peer_ur_ls.iter().map(|url| (bare(url), "<peer>")));
        own.push((member.name.clone(), "<name>"));
        own.retain(|(text, _)| !text.is_empty());
        self.own = own;
        Ok(())
    }

    /// What the member calls itself and its addresses, and the words for them.
    #[must_use]
    pub fn own(&self) -> &[(String, &'static str)] {
        &self.own
    }

    /// Fails when there are keys or leases.
    ///
    /// # Errors
    /// When that is so.
    pub async fn must_be_empty(&self) -> Result<()> {
        let mut session = Session::new(self.connect().await?, &self.url, 0);
        let keys = session.quietly(count()).await?.count;
        let leases = session.quietly(LeaseLeasesRequest {}).await?.leases.len();
        ensure!(
            keys == 0 && leases == 0,
            "{} holds {keys} keys and {leases} leases, and the cases delete all there is: \
             give them an empty server, or say --wipe",
            self.url
        );
        Ok(())
    }

    /// A session with a connection of its own, on an emptied keyspace; and the
    /// revision that it begins with.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn session(&self) -> Result<(Session, i64)> {
        let channel = self.connect().await?;
        let mut session = Session::new(channel.clone(), &self.url, 0);
        let first = wipe(&mut session).await?;
        Ok((Session::new(channel, &self.url, first), first))
    }

    async fn connect(&self) -> Result<Channel> {
        let endpoint =
            Endpoint::from_shared(self.url.clone())?.connect_timeout(Duration::from_secs(10));
        let url = &self.url;
        within(SOON, "a connection", async {
            endpoint
                .connect()
                .await
                .with_context(|| format!("cannot connect to {url}"))
        })
        .await
    }

    fn must_be_well(&mut self) -> Result<()> {
        match &mut self.server {
            Some(server) => server.must_be_well(),
            None => Ok(()),
        }
    }
}

/// Deletes all keys and leases; returns the revision.
async fn wipe(session: &mut Session) -> Result<i64> {
    for lease in session.quietly(LeaseLeasesRequest {}).await?.leases {
        // One that has just ended by itself is as well.
        let _ = session.quietly(revoke(lease.id)).await;
    }
    session
        .quietly(delete_range(&b"\0"[..], &b"\0"[..]))
        .await?;
    let left = session.quietly(count()).await?;
    ensure!(left.count == 0, "{} keys appeared again", left.count);
    Ok(left.header.context("no header")?.revision)
}

fn count() -> RangeRequest {
    RangeRequest {
        count_only: true,
        ..everything()
    }
}
