//! What the server listens on: TCP ports and the socket files of `unix://`.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream as BlockingUnixStream;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream, lookup_host};
use url::Url;

use crate::config::{plain, socket_path};
use crate::metrics::METRICS;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// How long a connection may be silent before its other end is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(30);

/// A place that is listened on.
pub struct Listener {
    url: Url,
    socket: Socket,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// A socket file of ours, removed when dropped.
struct SocketFile {
    path: PathBuf,
    /// Its device and inode: whoever replaced it keeps theirs.
    identity: (u64, u64),
}

/// A client's connection.
pub enum Connection {
    /// Over TCP.
    Tcp(TcpStream),
    /// Through a socket file.
    Unix(UnixStream),
}

impl Listener {
    /// Listens at `url`; a socket file that nobody listens on is replaced.
    pub async fn bind(url: &Url, reuse_port: bool) -> io::Result<Listener> {
        let socket = match socket_path(url) {
            Some(path) => bind_unix(&path)?,
            None => Socket::Tcp(bind_tcp(url, reuse_port).await?),
        };
        let url = url.clone();
        Ok(Listener { url, socket })
    }

    /// The next connection, and what to call its other end.
    pub async fn accept(&self) -> io::Result<(Connection, String)> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Answers are small and somebody waits for each.
                let _ = stream.set_nodelay(true);
                let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive());
                Ok((Connection::Tcp(stream), peer.to_string()))
            }
            Socket::Unix(listener, file) => {
                let (stream, _) = listener.accept().await?;
                Ok((Connection::Unix(stream), file.path.display().to_string()))
            }
        }
    }

    /// The address, of a TCP port.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix(..) => None,
        }
    }

    /// The URL, with the port that the system chose where it was 0.
    #[must_use]
    pub fn url(&self) -> String {
        let Some(address) = self.address() else {
            return plain(&self.url);
        };
        // The url crate would hide a port 80.
        let host = self.url.host_str().unwrap_or_default();
        format!("{}://{host}:{}", self.url.scheme(), address.port())
    }
}

/// How a host that vanished is found out where nothing else asks: a waiter over HTTP/1.1 says
/// nothing and hears nothing until it has its lock. (etcd: every 30 s.)
fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(SILENCE)
        .with_interval(SILENCE / 3)
        .with_retries(3)
}

async fn bind_tcp(url: &Url, reuse_port: bool) -> io::Result<TcpListener> {
    // The brackets of an IPv6 address belong to the URL.
    let host = match url.host_str().unwrap_or_default().trim_matches(['[', ']']) {
        // Go listens on the IPv4 address of that name, which is what clients then dial.
        "localhost" => "127.0.0.1",
        host => host,
    };
    let port = url.port_or_known_default().unwrap_or_default();
    let mut refused = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in lookup_host((host, port)).await? {
        match listen_tcp(address, reuse_port) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn listen_tcp(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Connections of a process before us that are not forgotten yet don't matter.
    socket.set_reuseaddr(true)?;
    if reuse_port {
        socket.set_reuseport(true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn bind_unix(path: &Path) -> io::Result<Socket> {
    remove_stale(path)?;
    let listener = UnixListener::bind(path)?;
    let path = path.to_owned();
    let identity = identity_of(&path)?;
    Ok(Socket::Unix(listener, SocketFile { path, identity }))
}

/// Removes the socket file of a server that is gone, and nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        let text = "there is a file that is not a socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    match BlockingUnixStream::connect(path) {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(error) => Err(error),
    }
}

fn identity_of(path: &Path) -> io::Result<(u64, u64)> {
    let file = path.symlink_metadata()?;
    Ok((file.dev(), file.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity_of(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Connection {
    /// Waits until the other end has said something, and looks at it without taking it: how many
    /// bytes are in `head`, or `None` for a socket file, where looking is not possible.
    pub async fn peek(&self, head: &mut [u8]) -> io::Result<Option<usize>> {
        match self {
            Connection::Tcp(stream) => stream.peek(head).await.map(Some),
            Connection::Unix(stream) => stream.readable().await.map(|()| None),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = match self.get_mut() {
            Connection::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Connection::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        METRICS
            .bytes_received
            .inc_by((buffer.filled().len() - before) as u64);
        read
    }
}

/// Counts what was written.
fn sent(written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
    if let Poll::Ready(Ok(bytes)) = &written {
        METRICS.bytes_sent.inc_by(*bytes as u64);
    }
    written
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        sent(match self.get_mut() {
            Connection::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Connection::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        })
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        sent(match self.get_mut() {
            Connection::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Connection::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Connection::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Connection::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Connection::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Connection::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(path: &Path) -> Url {
        Url::parse(&format!("unix://{}", path.display())).unwrap()
    }

    #[tokio::test]
    async fn a_socket_file_comes_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = Listener::bind(&url(&path), false).await.unwrap();
        assert!(path.exists());
        let second = Listener::bind(&url(&path), false).await.map(drop);
        assert_eq!(second.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_one_is_replaced_and_a_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        Listener::bind(&url(&path), false).await.unwrap();
        std::fs::write(&path, "a letter").unwrap();
        let refused = Listener::bind(&url(&path), false).await.map(drop);
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"a letter");
    }

    #[tokio::test]
    async fn a_silent_connection_is_asked_after() {
        let url = Url::parse("http://127.0.0.1:0").unwrap();
        let listener = Listener::bind(&url, false).await.unwrap();
        let address = listener.address().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (Ok(_client), Ok((Connection::Tcp(stream), _))) = (client, accepted) else {
            panic!("no connection over TCP");
        };
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), SILENCE);
    }

    #[tokio::test]
    async fn the_url_has_the_port() {
        let url = Url::parse("http://127.0.0.1:0").unwrap();
        let listener = Listener::bind(&url, false).await.unwrap();
        let port = listener.address().unwrap().port();
        assert_eq!(listener.url(), format!("http://127.0.0.1:{port}"));
    }
}
