//! TLS for the line doors, with the server's certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error as ThisError;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{Error as RustlsError, ServerConfig};
use tokio_rustls::server::TlsStream;

use super::framing::Wire;
use crate::clock;
use crate::config::DoorTls;
use crate::socket::Connection;

/// How long a client may take to agree on keys.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Why the certificate is of no use.
#[derive(Debug, ThisError)]
pub enum TlsError {
    /// A file cannot be read as what it should be.
    #[error("{path}: {error}; give PEM files with --cert-file and --key-file", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        error: PemError,
    },
    /// They do not go together, or are of a kind that nobody knows.
    #[error("the files of --cert-file and --key-file: {0}")]
    Pair(RustlsError),
}

/// What makes TLS of connections: TLS 1.2 and 1.3, without certificates of clients.
pub fn acceptor(files: &DoorTls) -> Result<TlsAcceptor, TlsError> {
    let fault = |path: &Path, error| TlsError::File {
        path: path.to_owned(),
        error,
    };
    let chain = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fault(&files.cert, error))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| fault(&files.key, error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            let builder = builder.with_no_client_auth();
            builder.with_single_cert(chain, key)
        });
    Ok(TlsAcceptor::from(Arc::new(config.map_err(TlsError::Pair)?)))
}

/// Agrees on keys with a client, in a task of its own: that is work, and others of the door are not
/// to wait for it. None for a client that does not get it done.
pub async fn agree(acceptor: TlsAcceptor, wire: Connection) -> Option<TlsStream<Connection>> {
    let agreeing = clock::timeout(HANDSHAKE, acceptor.accept(wire));
    let agreed = tokio::spawn(agreeing).await;
    agreed.ok()?.ok()?.ok()
}

impl Wire for TlsStream<Connection> {
    fn is_closed(&self) -> bool {
        self.get_ref().0.is_closed()
    }
}
