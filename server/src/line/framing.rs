//! Lines over a connection, in both directions, within bounds.
//!
//! An idle connection has no buffer: bytes are read into the stack first. A client that sends more
//! than can be kept is not read from any further, and one that does not read its answers is not
//! asked for more: each costs itself alone.

use std::mem::MaybeUninit;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};

use crate::clock;
use crate::socket::Connection;

/// How much is read at a time, in bytes.
const PIECE: usize = 2048;
/// How much is kept of what a client says ahead, in bytes; a longest line has room in any case.
const AHEAD: usize = 16 << 10;
/// How long a client may leave its answers unread.
const STALLED: Duration = Duration::from_secs(30);
/// How long a client may take to see that it was sent away.
const GOODBYE: Duration = Duration::from_secs(1);
/// How often a client is looked after of whom nothing more can be kept.
const LOOK: Duration = Duration::from_millis(100);

/// Something to read lines from and write answers to.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {
    /// Whether the other end has closed, however much of what it said is not read yet.
    fn is_closed(&self) -> bool;
}

impl Wire for Connection {
    fn is_closed(&self) -> bool {
        let ready = match self {
            Connection::Tcp(stream) => now(stream.ready(Interest::READABLE)),
            Connection::Unix(stream) => now(stream.ready(Interest::READABLE)),
        };
        match ready {
            Some(Ok(ready)) => ready.is_read_closed(),
            Some(Err(_)) => true,
            None => false,
        }
    }
}

fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    futures::FutureExt::now_or_never(future)
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// A line, without its LF.
    Line(Vec<u8>),
    /// More than a line may have.
    TooLong,
    /// Nothing more: the client has closed, or the connection broke.
    Gone,
}

/// A connection, line by line.
pub struct Lines<W> {
    wire: W,
    heard: BytesMut,
    answers: Vec<u8>,
    /// Bytes of a line, its end aside.
    most: usize,
    gone: bool,
}

impl<W: Wire> Lines<W> {
    /// Lines of at most so many bytes.
    #[must_use]
    pub fn new(wire: W, most: usize) -> Lines<W> {
        Lines {
            wire,
            heard: BytesMut::new(),
            answers: Vec::new(),
            most,
            gone: false,
        }
    }

    /// The next line. Answers are sent before it is waited for.
    pub async fn next(&mut self) -> Heard {
        loop {
            if let Some(heard) = self.take() {
                return heard;
            }
            if self.gone || !self.flush().await {
                return Heard::Gone;
            }
            self.read().await;
        }
    }

    /// A line that is here already, its two bytes of end not counted.
    fn take(&mut self) -> Option<Heard> {
        match self.heard.iter().position(|byte| *byte == b'\n') {
            Some(end) if end <= self.most + 1 => {
                let line = self.heard[..end].to_vec();
                self.heard.advance(end + 1);
                if self.heard.is_empty() {
                    self.heard = BytesMut::new();
                }
                Some(Heard::Line(line))
            }
            None if self.heard.len() <= self.most + 1 => None,
            _ => Some(Heard::TooLong),
        }
    }

    /// Adds to the answers.
    pub fn answer(&mut self, text: &str) {
        self.answers.extend_from_slice(text.as_bytes());
        self.answers.extend_from_slice(b"\r\n");
    }

    /// Sends the answers; `false` if nobody takes them.
    pub async fn flush(&mut self) -> bool {
        if self.answers.is_empty() {
            return true;
        }
        let sent = clock::timeout(STALLED, self.wire.write_all(&self.answers)).await;
        self.answers = Vec::new();
        self.gone |= !matches!(sent, Ok(Ok(())));
        !self.gone
    }

    /// Resolves when the client has gone; keeps what it says meanwhile.
    pub async fn gone(&mut self) {
        while !self.gone {
            if self.heard.len() < self.room() {
                self.read().await;
            } else if self.wire.is_closed() {
                self.gone = true;
            } else {
                clock::sleep(LOOK).await;
            }
        }
    }

    fn room(&self) -> usize {
        AHEAD.max(self.most + 2)
    }

    /// Reads a piece.
    async fn read(&mut self) {
        let piece = PIECE.min(self.room().saturating_sub(self.heard.len()));
        let (wire, heard) = (&mut self.wire, &mut self.heard);
        let read = std::future::poll_fn(|task| {
            let mut space = [MaybeUninit::uninit(); PIECE];
            let mut buffer = ReadBuf::uninit(&mut space[..piece]);
            let read = Pin::new(&mut *wire).poll_read(task, &mut buffer);
            heard.extend_from_slice(buffer.filled());
            read.map_ok(|()| buffer.filled().len())
        });
        if matches!(read.await, Ok(0) | Err(_)) {
            self.gone = true;
        }
    }

    /// Sends what there is to say, and closes once the client has seen it.
    pub async fn close(mut self) {
        if self.flush().await {
            let goodbye = async {
                let _ = self.wire.shutdown().await;
                // Closing with something unread would cost the client what it has not read yet.
                self.heard = BytesMut::new();
                while !self.gone {
                    self.read().await;
                    self.heard.clear();
                }
            };
            let _ = clock::timeout(GOODBYE, goodbye).await;
        }
    }

    /// The same without patience, for when there are too many already.
    pub async fn close_at_once(mut self) {
        if self.flush().await {
            let _ = self.wire.shutdown().await;
            now(self.read());
        }
    }
}
