//! The servers that programs run on.

use std::time::Duration;

use anyhow::Result;

use super::side::{Fault, Side, Target};
use crate::{
    server::{Server, Spec},
    target::Kind,
};

/// Where a server comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// It is started, and ended afterwards.
    Start(Kind),
    /// It runs at this URL. It may be an etcd, with etcd's flaws.
    Given(String),
}

/// Servers that a program runs on side by side, connected.
pub struct Lane {
    /// Those to compare, the one under test first.
    pub sides: Vec<Side>,
    servers: Vec<Server>,
}

impl Lane {
    /// Connects to a server under test and to a reference. `fault` is what the first one is broken
    /// by.
    ///
    /// # Errors
    /// When one does not start or does not answer.
    pub async fn open(
        tested: &Source,
        reference: &Source,
        fault: Fault,
        patience: Duration,
    ) -> Result<Self> {
        let mut lane = Self {
            sides: Vec::new(),
            servers: Vec::new(),
        };
        lane.add("tested", tested, fault, patience).await?;
        lane.add("reference", reference, Fault::default(), patience)
            .await?;
        Ok(lane)
    }

    async fn add(
        &mut self,
        role: &str,
        source: &Source,
        fault: Fault,
        patience: Duration,
    ) -> Result<()> {
        let (url, kind) = match source {
            Source::Start(kind) => {
                let server = start(*kind).await?;
                let url = server.spec().url();
                self.servers.push(server);
                (url, *kind)
            }
            Source::Given(url) => (url.clone(), Kind::Etcd),
        };
        let target = Target {
            name: match source {
                Source::Start(kind) => format!("{role} ({kind:?})").to_lowercase(),
                Source::Given(url) => format!("{role} ({url})"),
            },
            url,
            shares_events: kind == Kind::Etcd,
            fault,
        };
        self.sides.push(Side::connect(&target, patience).await?);
        Ok(())
    }

    /// Fails when a server that it started has ended or panicked.
    ///
    /// # Errors
    /// When that is so.
    pub fn must_be_well(&mut self) -> Result<()> {
        self.servers.iter_mut().try_for_each(Server::must_be_well)
    }
}

/// Nothing here looks at what is on disk, and history is compacted by programs alone.
async fn start(kind: Kind) -> Result<Server> {
    Spec::of(kind)?
        .flag("--unsafe-no-fsync")
        .flag("--auto-compaction-retention=0")
        .start()
        .await
}
