//! lock and unlock in Dreadlock's protocol, each client on a connection and a name of its own.

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Longer than any answer.
const ANSWER: usize = 64;

/// A client of Dreadlock.
pub struct LineLocker {
    stream: TcpStream,
    lock: String,
    unlock: String,
}

impl LineLocker {
    /// Takes and releases the lock `name` through a loopback port.
    pub async fn prepare(port: u16, name: &str) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let mut locker = Self {
            stream,
            lock: format!("lock {name} 60000\r\n"),
            unlock: format!("unlock {name}\r\n"),
        };
        // The first lock opens the session.
        locker.operate().await?;
        Ok(locker)
    }

    /// One operation.
    pub async fn operate(&mut self) -> Result<()> {
        ask(&mut self.stream, &self.lock, b"l locked\r\n").await?;
        ask(&mut self.stream, &self.unlock, b"u unlocked\r\n").await
    }
}

async fn ask(stream: &mut TcpStream, line: &str, expected: &[u8]) -> Result<()> {
    stream.write_all(line.as_bytes()).await?;
    let mut answer = [0; ANSWER];
    let mut heard = 0;
    while !answer[..heard].ends_with(b"\n") {
        let read = stream.read(&mut answer[heard..]).await?;
        ensure!(read > 0, "the server hung up on {line:?}");
        heard += read;
    }
    ensure!(
        answer[..heard] == *expected,
        "{line:?}: {}",
        std::str::from_utf8(&answer[..heard]).context("the answer is no text")?
    );
    Ok(())
}
