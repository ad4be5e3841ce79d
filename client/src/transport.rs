//! The way to the servers: one at a time, the next one when that fails, and no request unanswered for
//! ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceExt};

use crate::error::{Error, Result};
use crate::options::Options;

/// An HTTP request that carries a gRPC call.
pub type Request = http::Request<tonic::body::Body>;
/// An HTTP response that carries the answer to a gRPC call.
pub type Response = http::Response<tonic::body::Body>;
/// The way to the servers, as tower layers see it.
pub type Transport = BoxCloneSyncService<Request, Response, Status>;

/// HTTP/2 pings, while there are streams: below 5 s, etcd cuts the connection for too many pings.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long a ping may go unanswered before the connection is given up.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Calls that are answered when it is somebody's turn.
const PATIENT: [&str; 4] = [
    "/latchd.v1.Locks/Acquire",
    "/v3lockpb.Lock/Lock",
    "/v3electionpb.Election/Campaign",
    "/v3electionpb.Election/Observe",
];

/// The way to servers of one cluster. Connections are made when they are needed.
pub(crate) fn to_servers<E: AsRef<str>>(endpoints: &[E], options: &Options) -> Result<Transport> {
    let channels = endpoints
        .iter()
        .map(|url| Ok(endpoint(url.as_ref(), options)?.connect_lazy()))
        .collect::<Result<Vec<Channel>>>()?;
    if channels.is_empty() {
        return invalid("there are no endpoints; give one at least, such as http://127.0.0.1:2379");
    }
    let failover = Failover {
        channels: channels.into(),
        current: Arc::default(),
        limit: options.request_timeout,
    };
    Ok(options.wrap(Transport::new(failover)))
}

fn endpoint(url: &str, options: &Options) -> Result<Endpoint> {
    let is_secure = wants_tls(url, options)?;
    let scheme = if is_secure { "https" } else { "http" };
    let full = match url.contains("://") || url.starts_with("unix:") {
        true => url.to_owned(),
        false => format!("{scheme}://{url}"),
    };
    let endpoint = Endpoint::from_shared(full).map_err(|_| Error::Invalid {
        what: format!(
            "the endpoint {url:?}; write http://HOST:PORT, https://HOST:PORT or unix:///PATH"
        ),
    })?;
    let endpoint = endpoint
        .connect_timeout(options.connect_timeout)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(false);
    match is_secure {
        true => secure(endpoint, options),
        false => Ok(endpoint),
    }
}

#[cfg(feature = "tls")]
fn wants_tls(url: &str, options: &Options) -> Result<bool> {
    if options.tls.is_some() && (url.starts_with("http://") || url.starts_with("unix:")) {
        return invalid(format!(
            "TLS options with the endpoint {url:?}; write https://HOST:PORT, or leave them out"
        ));
    }
    Ok(options.tls.is_some() || url.starts_with("https://"))
}

#[cfg(not(feature = "tls"))]
fn wants_tls(url: &str, _: &Options) -> Result<bool> {
    if url.starts_with("https://") {
        return invalid(format!(
            "the endpoint {url:?}: this program was built without latchd-client's feature `tls`"
        ));
    }
    Ok(false)
}

#[cfg(feature = "tls")]
fn secure(endpoint: Endpoint, options: &Options) -> Result<Endpoint> {
    options.tls.clone().unwrap_or_default().apply(endpoint)
}

#[cfg(not(feature = "tls"))]
fn secure(endpoint: Endpoint, _: &Options) -> Result<Endpoint> {
    Ok(endpoint)
}

fn invalid<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::Invalid { what: what.into() })
}

/// The same, as `etcd_client` takes it.
pub(crate) fn for_etcd(transport: Transport) -> etcd_client::Channel {
    let transport = transport.map_err(BoxError::from);
    etcd_client::Channel::Custom(BoxCloneSyncService::new(transport))
}

/// Sends everything to one endpoint until that fails, and then to the next one: a session's stream
/// and the requests on it share a connection.
#[derive(Clone)]
struct Failover {
    channels: Arc<[Channel]>,
    /// Counts failures; which channel it is follows from it.
    current: Arc<AtomicUsize>,
    limit: Duration,
}

impl Service<Request> for Failover {
    type Response = Response;
    type Error = Status;
    type Future = BoxFuture<'static, std::result::Result<Response, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.clone().send(request).boxed()
    }
}

impl Failover {
    async fn send(self, request: Request) -> std::result::Result<Response, Status> {
        let current = self.current.load(Relaxed);
        let channel = self.channels[current % self.channels.len()].clone();
        let is_patient = PATIENT.contains(&request.uri().path());
        let sending = channel.oneshot(request);
        let answer = match is_patient {
            true => sending.await.map_err(broken),
            false => match tokio::time::timeout(self.limit, sending).await {
                Ok(answer) => answer.map_err(broken),
                Err(_) => Err(no_answer(self.limit)),
            },
        };
        if is_away(&answer) {
            let next = current.wrapping_add(1);
            // Of several that failed there, one is enough to go on.
            let _ = self
                .current
                .compare_exchange(current, next, Relaxed, Relaxed);
        }
        answer
    }
}

fn broken(error: tonic::transport::Error) -> Status {
    Status::from_error(error.into())
}

fn no_answer(limit: Duration) -> Status {
    Status::deadline_exceeded(format!("the server did not answer within {limit:?}"))
}

/// Whether another server may do better: there was no answer, or that this one can't serve.
fn is_away(answer: &std::result::Result<Response, Status>) -> bool {
    match answer {
        Err(_) => true,
        Ok(response) => {
            let unavailable = Status::from_header_map(response.headers());
            unavailable.is_some_and(|status| status.code() == Code::Unavailable)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(url: &str) -> String {
        let endpoint = endpoint(url, &Options::default()).expect(url);
        endpoint.uri().to_string()
    }

    #[test]
    fn endpoints_as_people_write_them() {
        assert_eq!(uri("127.0.0.1:2379"), "http://127.0.0.1:2379/");
        assert_eq!(uri("http://h:1"), "http://h:1/");
        assert!(endpoint("unix:///run/latchd", &Options::default()).is_ok());
        for bad in ["", "http://", "http://a b:1"] {
            let refused = endpoint(bad, &Options::default());
            assert!(matches!(refused, Err(Error::Invalid { .. })), "{bad:?}");
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn tls_is_for_https() {
        let options = Options::default().with_tls(crate::Tls::new().with_ca_pem(""));
        assert!(matches!(
            endpoint("http://h:1", &options),
            Err(Error::Invalid { .. })
        ));
        assert_eq!(wants_tls("h:1", &options).ok(), Some(true));
        assert_eq!(
            wants_tls("https://h:1", &Options::default()).ok(),
            Some(true)
        );
        assert_eq!(wants_tls("h:1", &Options::default()).ok(), Some(false));
    }
}
