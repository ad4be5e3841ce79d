//! How to connect.

use std::fmt;
use std::time::Duration;

use etcd_client::ConnectOptions;

/// HTTP/2 pings, while there are streams: below 5 s, etcd cuts the connection for too many pings.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long a ping may go unanswered before the connection is given up.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// How to connect, and how long to wait for answers.
///
/// ```
/// # use std::time::Duration;
/// let options = latchd_client::Options::default().with_request_timeout(Duration::from_secs(2));
/// ```
#[derive(Clone)]
pub struct Options {
    user: Option<(String, String)>,
    connect_timeout: Duration,
    request_timeout: Duration,
}

impl Options {
    /// The user and password, for a server with authentication. Expired tokens are renewed.
    #[must_use]
    pub fn with_user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.user = Some((name.into(), password.into()));
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

    pub(crate) fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    pub(crate) fn to_etcd(&self) -> ConnectOptions {
        let options = ConnectOptions::new()
            .with_connect_timeout(self.connect_timeout)
            .with_timeout(self.request_timeout)
            .with_keep_alive(PING_INTERVAL, PING_TIMEOUT)
            .with_keep_alive_while_idle(false)
            // A member that lost its cluster then says so, instead of keeping us waiting.
            .with_require_leader(true);
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
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
        }
    }
}

/// Without the password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("user", &self.user.as_ref().map(|(name, _)| name))
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
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
