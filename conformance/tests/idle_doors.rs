//! What an idle connection of a line door takes. In a file of its own, so that no other test runs
//! beside it.
#![allow(missing_docs)]

use anyhow::{Result, ensure};
use latchd_conformance::{ports, server::Spec, target::Kind};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const CONNECTIONS: usize = 10_000;
/// Bytes for each.
const MOST: u64 = 10 << 10;

/// A connection that has asked something and been answered.
async fn connect(port: u16, line: &str, answer: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(line.as_bytes()).await?;
    let mut heard = vec![0; answer.len()];
    stream.read_exact(&mut heard).await?;
    ensure!(heard == answer.as_bytes(), "{line:?}: {heard:?}");
    Ok(stream)
}

/// With a session, each keeps a lease and its record as well, for which there is no limit.
#[tokio::test]
async fn ten_thousand_idle_connections() -> Result<()> {
    for (flag, line, answer, limited) in [
        (
            "listen-dreadlock",
            "unlock nothing\r\n",
            "e not locked\r\n",
            true,
        ),
        ("listen-elock", "echo hello\n", "200 hello\r\n", true),
        (
            "listen-dreadlock",
            "lock taken 0\r\n",
            "t timeout\r\n",
            false,
        ),
    ] {
        let port = ports::free()?;
        let spec = Spec::of(Kind::Latchd)?
            .flag(format!("--{flag}=127.0.0.1:{port}"))
            .flag("--unsafe-no-fsync");
        let mut server = spec.start().await?;
        let _holder = match limited {
            true => None,
            false => Some(connect(port, "lock taken 0\r\n", "l locked\r\n").await?),
        };
        // What the first of its kind takes is taken once.
        let mut idle = vec![connect(port, line, answer).await?];
        let before = server.process().resident_bytes()?;
        while idle.len() <= CONNECTIONS {
            idle.push(connect(port, line, answer).await?);
        }
        let after = server.process().resident_bytes()?;
        let each = (after - before) / CONNECTIONS as u64;
        println!("--{flag}, after {line:?}: {each} bytes for each of {CONNECTIONS}");
        ensure!(!limited || each <= MOST, "{each} bytes for each");
    }
    Ok(())
}
