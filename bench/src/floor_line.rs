//! The floor of the line doors: it answers Dreadlock's commands at once and stores nothing.
//!
//! What it needs for an operation is what a line and an answer over TCP cost here. Its answers are
//! those of real ones; they are not true: everybody holds every lock.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Serves until the process is ended.
///
/// # Errors
/// When the address is taken.
pub async fn serve(listen: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            // A client that goes ends it.
            let _ = answer(stream).await;
        });
    }
}

async fn answer(mut stream: TcpStream) -> Result<()> {
    let mut heard = Vec::with_capacity(1024);
    let mut said = Vec::with_capacity(1024);
    while stream.read_buf(&mut heard).await? > 0 {
        while let Some(end) = heard.iter().position(|byte| *byte == b'\n') {
            let locks = heard[..end].starts_with(b"lock ");
            said.extend_from_slice(if locks {
                b"l locked\r\n"
            } else {
                b"u unlocked\r\n"
            });
            heard.drain(..=end);
        }
        stream.write_all(&said).await?;
        said.clear();
    }
    Ok(())
}
