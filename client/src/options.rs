//! How to connect.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::ConnectOptions;
use tower::{BoxError, Layer, Service, ServiceExt};

#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::transport::{Request, Response, Transport};
use crate::types::ServerKind;

type Wrap = dyn Fn(Transport) -> Transport + Send + Sync;

/// How to connect, and how long to wait for answers.
///
/// ```
/// # use std::time::Duration;
/// let options = latchd_client::Options::default().with_request_timeout(Duration::from_secs(2));
/// ```
#[derive(Clone)]
pub struct Options {
    pub(crate) user: Option<(String, String)>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) server: Option<ServerKind>,
    layers: Vec<Arc<Wrap>>,
}

impl Options {
    /// The user and password, for a server with authentication. Expired tokens are renewed. A server
    /// without authentication does not mind, as with etcd's own tools.
    #[must_use]
    pub fn with_user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.user = Some((name.into(), password.into()));
        self
    }

    /// Connects over TLS: endpoints are `https://HOST:PORT` or `HOST:PORT`. Without this, `https://`
    /// goes by [`Tls::default`].
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// How long to try to open a connection to one endpoint; 5 s unless set.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long one request may go unanswered, and how long a call that cannot reach a server
    /// keeps trying; 5 s unless set. Waiting for a lock's turn is not bounded by it.
    #[must_use]
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// What the servers are. Unless set, [`Client::connect`](crate::Client::connect) asks.
    ///
    /// A latchd also does as an etcd: then it sees plain keys and leases, and sessions have no grace
    /// and whole seconds.
    #[must_use]
    pub fn with_server(mut self, kind: ServerKind) -> Self {
        self.server = Some(kind);
        self
    }

    /// A [tower](https://docs.rs/tower) layer around every request and its answer; of several, the
    /// one given last is the outermost.
    ///
    /// ```
    /// use latchd_client::{Options, Request};
    /// use tower::util::MapRequestLayer;
    ///
    /// let named = MapRequestLayer::new(|mut request: Request| {
    ///     let name = http::HeaderValue::from_static("nightly");
    ///     request.headers_mut().insert("x-job", name);
    ///     request
    /// });
    /// let options = Options::default().with_layer(named);
    /// ```
    #[must_use]
    pub fn with_layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<Transport> + Send + Sync + 'static,
        L::Service: Service<Request, Response = Response> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Error: Into<BoxError>,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        self.layers.push(Arc::new(move |inner| {
            let wrapped = layer.layer(inner);
            Transport::new(wrapped.map_err(|error| tonic::Status::from_error(error.into())))
        }));
        self
    }

    pub(crate) fn wrap(&self, transport: Transport) -> Transport {
        let wrap = |inner, wrap: &Arc<Wrap>| wrap(inner);
        self.layers.iter().fold(transport, wrap)
    }

    /// What `etcd_client` has to know; connecting is done here.
    pub(crate) fn to_etcd(&self) -> ConnectOptions {
        // A member that lost its cluster then says so, instead of keeping us waiting.
        let options = ConnectOptions::new().with_require_leader(true);
        match &self.user {
            Some((name, password)) => options
                .with_user(name, password)
                .with_auto_token_refresh(true),
            None => options,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            user: None,
            #[cfg(feature = "tls")]
            tls: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
            server: None,
            layers: Vec::new(),
        }
    }
}

/// Without the password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Options");
        shown.field("user", &self.user.as_ref().map(|(name, _)| name));
        #[cfg(feature = "tls")]
        shown.field("tls", &self.tls);
        shown
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("server", &self.server)
            .field("layers", &self.layers.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let shown = format!("{:?}", Options::default().with_user("ann", "s3cret"));
        assert!(
            shown.contains("ann") && !shown.contains("s3cret"),
            "{shown}"
        );
    }
}
