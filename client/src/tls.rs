//! How a server proves who it is, and this client.

mod unverified;

use std::fmt;

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::error::{Error, Result};
use unverified::Unverified;

/// TLS towards the servers: by default with the system's roots and without a client certificate.
///
/// ```no_run
/// use latchd_client::{Options, Tls};
///
/// # fn example() -> std::io::Result<()> {
/// let tls = Tls::new()
///     .with_ca_pem(std::fs::read("ca.pem")?)
///     .with_identity_pem(std::fs::read("client.pem")?, std::fs::read("client-key.pem")?);
/// let options = Options::default().with_tls(tls);
/// # let _ = options;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Tls {
    ca: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
    server_name: Option<String>,
    is_unverified: bool,
}

impl Tls {
    /// As by default.
    #[must_use]
    pub fn new() -> Tls {
        Tls::default()
    }

    /// The certificates that servers' certificates must go back to, in PEM; they take the place of the
    /// system's.
    #[must_use]
    pub fn with_ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca = Some(pem.into());
        self
    }

    /// This client's certificate (with what it goes back to, if need be) and its key, in PEM.
    #[must_use]
    pub fn with_identity_pem(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.identity = Some((certificate.into(), key.into()));
        self
    }

    /// The name that servers' certificates must be for, if it is not the endpoint's host.
    #[must_use]
    pub fn with_server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Takes any certificate of a server, as `etcdctl --insecure-skip-tls-verify` does. Whoever is
    /// between can then read and change everything, and grant any lock: it is for looking for what is
    /// wrong with certificates. [`with_ca_pem`](Tls::with_ca_pem) has no effect beside it.
    #[must_use]
    pub fn with_verification_skipped(mut self) -> Self {
        self.is_unverified = true;
        self
    }

    /// The endpoint, over TLS.
    pub(crate) fn apply(&self, endpoint: Endpoint) -> Result<Endpoint> {
        let config = self.config();
        let secured = match self.is_unverified {
            true => endpoint.tls_config_with_verifier(config, Unverified::new()),
            false => endpoint.tls_config(config),
        };
        secured.map_err(|error| Error::Invalid {
            what: format!(
                "the TLS options: {}; give certificates and keys in PEM",
                cause(&error)
            ),
        })
    }

    fn config(&self) -> ClientTlsConfig {
        let mut config = match &self.ca {
            _ if self.is_unverified => ClientTlsConfig::new(),
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        if let Some((certificate, key)) = &self.identity {
            config = config.identity(Identity::from_pem(certificate, key));
        }
        match &self.server_name {
            Some(name) => config.domain_name(name),
            None => config,
        }
    }
}

/// What lies at the bottom: tonic's own text is only "transport error".
fn cause(error: &dyn std::error::Error) -> String {
    error
        .source()
        .map_or_else(|| error.to_string(), |source| source.to_string())
}

/// Without the key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("own_ca", &self.ca.is_some())
            .field("identity", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .field("unverified", &self.is_unverified)
            .finish()
    }
}
