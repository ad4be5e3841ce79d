//! A TCP relay in front of a server that notes when the client spoke, and
//! whether the server has answered.
//!
//! A client that only holds a lock says nothing but its keepalives. The relay
//! sees the first byte of each before the server does, so a lease cannot end
//! earlier than the last such moment that was answered, plus its TTL. One that
//! was not answered proves nothing: the server may have found the connection
//! closed before it came to it.

use std::time::Duration;

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
    time::Instant,
};

use crate::wait::{SOON, within};

/// What comes within this time after the last chunk belongs to the same burst:
/// a keepalive with the acknowledgements of HTTP/2 that follow its answer.
const QUIET: Duration = Duration::from_millis(200);

/// A client that spoke.
#[derive(Clone, Copy, Debug)]
struct Burst {
    at: Instant,
    answered: bool,
}

type Bursts = watch::Sender<Vec<Burst>>;

/// The relay; it serves one connection after another until it is dropped.
pub struct Proxy {
    address: String,
    bursts: watch::Receiver<Vec<Burst>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Relays to `server`, a `host:port`.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start(server: String) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (noted, bursts) = watch::channel(Vec::new());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A broken connection is the business of those who use it.
                let _ = relay(client, &server, &noted).await;
            }
        });
        Ok(Self {
            address,
            bursts,
            task,
        })
    }

    /// Where clients connect: `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits until the client has spoken, and been answered, `n` more times.
    ///
    /// # Errors
    /// When it does not.
    pub async fn more_answers(&mut self, n: usize) -> Result<()> {
        let wanted = self.bursts.borrow().len() + n;
        within(SOON, "the client to speak", async {
            let enough = |all: &Vec<Burst>| all.iter().skip(wanted - 1).any(|b| b.answered);
            self.bursts.wait_for(enough).await?;
            Ok(())
        })
        .await
    }

    /// When the client last began to say something that was answered.
    #[must_use]
    pub fn last_answered(&self) -> Option<Instant> {
        let bursts = self.bursts.borrow();
        Some(bursts.iter().rev().find(|b| b.answered)?.at)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Relays one connection until both directions are closed.
async fn relay(client: TcpStream, server: &str, bursts: &Bursts) -> Result<()> {
    let server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    client.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut last = None;
    let spoken = |at| {
        if last.is_none_or(|last| at - last > QUIET) {
            let answered = false;
            bursts.send_modify(|all| all.push(Burst { at, answered }));
        }
        last = Some(at);
    };
    tokio::try_join!(
        pump(from_client, to_server, spoken),
        pump(from_server, to_client, |_| mark_answered(bursts)),
    )?;
    Ok(())
}

fn mark_answered(bursts: &Bursts) {
    bursts.send_if_modified(|all| {
        let open = all.last_mut().filter(|burst| !burst.answered);
        open.map(|burst| burst.answered = true).is_some()
    });
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut note: impl FnMut(Instant),
) -> Result<()> {
    let mut chunk = vec![0; 16 * 1024];
    loop {
        let n = from.read(&mut chunk).await?;
        if n == 0 {
            return Ok(to.shutdown().await?);
        }
        note(Instant::now());
        to.write_all(&chunk[..n]).await?;
    }
}
