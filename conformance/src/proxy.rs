//! A TCP relay in front of a server that notes when the client said something,
//! and whether the server has answered.
//!
//! A client that only holds a lock says nothing but its keepalives. The relay
//! sees each before the server does, so a lease cannot end earlier than the last
//! such moment that was answered, plus its TTL. One that was not answered proves
//! nothing: the server may have found the connection closed before it came to it.
//!
//! To say something is to send a DATA frame of HTTP/2: acknowledgements and pings,
//! which come whenever they like, are nothing.

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

/// What a client begins a connection with, before its first frame.
const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
/// The length, the type, the flags and the stream of a frame.
const HEAD: usize = 9;
const DATA: u8 = 0;

/// What a client said.
#[derive(Clone, Copy, Debug)]
struct Said {
    at: Instant,
    answered: bool,
}

type AllSaid = watch::Sender<Vec<Said>>;

/// One direction of a connection, cut into frames.
struct Frames {
    /// How many bytes come before the next head.
    skip: usize,
    /// What there is of that.
    head: Vec<u8>,
}

impl Frames {
    fn after(skip: usize) -> Self {
        let head = Vec::with_capacity(HEAD);
        Self { skip, head }
    }

    /// How many DATA frames with something in them begin in the next bytes.
    fn data_in(&mut self, mut bytes: &[u8]) -> usize {
        let mut found = 0;
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let (more, rest) = bytes.split_at(bytes.len().min(HEAD - self.head.len()));
            self.head.extend(more);
            bytes = rest;
            if let [a, b, c, kind, ..] = self.head[..]
                && self.head.len() == HEAD
            {
                self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
                found += usize::from(kind == DATA && self.skip > 0);
                self.head.clear();
            }
        }
        found
    }
}

/// The relay; it serves one connection after another until it is dropped.
pub struct Proxy {
    address: String,
    said: watch::Receiver<Vec<Said>>,
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
        let (noted, said) = watch::channel(Vec::new());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A broken connection is the business of those who use it.
                let _ = relay(client, &server, &noted).await;
            }
        });
        Ok(Self {
            address,
            said,
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
        let wanted = self.said.borrow().len() + n;
        within(SOON, "the client to speak", async {
            let enough = |all: &Vec<Said>| all.iter().skip(wanted - 1).any(|said| said.answered);
            self.said.wait_for(enough).await?;
            Ok(())
        })
        .await
    }

    /// When the client last began to say something that was answered.
    #[must_use]
    pub fn last_answered(&self) -> Option<Instant> {
        let said = self.said.borrow();
        Some(said.iter().rev().find(|said| said.answered)?.at)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Relays one connection until both directions are closed.
async fn relay(client: TcpStream, server: &str, said: &AllSaid) -> Result<()> {
    let server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    client.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (mut asked, mut answered) = (Frames::after(PREFACE), Frames::after(0));
    let note_asked = |at, bytes: &[u8]| {
        for _ in 0..asked.data_in(bytes) {
            let answered = false;
            said.send_modify(|all| all.push(Said { at, answered }));
        }
    };
    let note_answered = |_, bytes: &[u8]| {
        if answered.data_in(bytes) > 0 {
            mark_answered(said);
        }
    };
    tokio::try_join!(
        pump(from_client, to_server, note_asked),
        pump(from_server, to_client, note_answered),
    )?;
    Ok(())
}

fn mark_answered(said: &AllSaid) {
    said.send_if_modified(|all| {
        let open = all.last_mut().filter(|said| !said.answered);
        open.map(|said| said.answered = true).is_some()
    });
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut note: impl FnMut(Instant, &[u8]),
) -> Result<()> {
    let mut chunk = vec![0; 16 * 1024];
    loop {
        let n = from.read(&mut chunk).await?;
        if n == 0 {
            return Ok(to.shutdown().await?);
        }
        note(Instant::now(), &chunk[..n]);
        to.write_all(&chunk[..n]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, 0, 0, 0, 0, 1];
        // Bytes that would be heads of DATA frames, were they heads.
        frame.extend(vec![0; usize::from(length)]);
        frame
    }

    #[test]
    fn what_is_said_is_counted_however_it_is_cut() {
        let mut bytes = vec![0; PREFACE];
        for (kind, length) in [(4, 30), (DATA, 5), (8, 4), (6, 8), (DATA, 0), (DATA, 200)] {
            bytes.extend(frame(kind, length));
        }
        for size in 1..bytes.len() {
            let mut frames = Frames::after(PREFACE);
            let found: usize = bytes.chunks(size).map(|part| frames.data_in(part)).sum();
            assert_eq!(found, 2, "in pieces of {size}");
        }
    }
}
