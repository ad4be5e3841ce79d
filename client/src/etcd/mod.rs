//! Sessions and locks on a plain etcd: leases, transactions and watches, nothing else.
//!
//! `requests` are the transactions, `answers` what the server's answers mean; `claim` is a contender's keys from the
//! first put to the last delete, which `undo` does; `watch` waits for keys to go; `heartbeat` and
//! `lease_stream` keep the lease.

mod answers;
mod claim;
mod heartbeat;
mod lease_stream;
mod requests;
mod undo;
mod watch;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use answers::revision;
pub(crate) use claim::{Claim, Granted};
pub(crate) use requests::{change, delete};

use crate::client::Client;
use crate::clock;
use crate::error::{Error, Result};
use crate::lane::Lane;
use crate::retry::Backoff;
use crate::types::LeaseId;
use crate::vitals::Vitals;
use lease_stream::LeaseStream;

/// Grants a lease and keeps it alive.
pub(crate) async fn open(client: Client, ttl: Duration) -> Result<Lane> {
    let give_up = clock::now() + client.request_timeout();
    let mut backoff = Backoff::new();
    loop {
        let sent = clock::now();
        let granted = client.lease().grant(whole_seconds(ttl), None).await;
        match granted.map_err(Error::from) {
            Ok(granted) => {
                let ttl = Duration::from_secs(granted.ttl().unsigned_abs());
                let vitals = Arc::new(Vitals::new(sent + ttl));
                return Ok(start(client, LeaseId(granted.id()), ttl, vitals));
            }
            Err(error) if error.is_unreachable() && clock::now() < give_up => {
                backoff.pause().await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn start(client: Client, lease: LeaseId, ttl: Duration, vitals: Arc<Vitals>) -> Lane {
    let pulse = LeaseStream::new(client.lease(), lease, ttl);
    let beating = vitals.clone();
    let heart = tokio::spawn(async move {
        let loss = heartbeat::keep_alive(pulse, &beating, ttl).await;
        tracing::debug!(%lease, %loss, "the session is lost");
        beating.lose(loss);
    });
    Lane::new(client, lease, ttl, vitals, heart.abort_handle(), None)
}

/// etcd counts TTLs in seconds.
fn whole_seconds(ttl: Duration) -> i64 {
    let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
    i64::try_from(seconds.max(1)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ttls_are_rounded_up() {
        let cases = [(0, 1), (1, 1), (1000, 1), (1001, 2), (9999, 10)];
        for (millis, seconds) in cases {
            let ttl = Duration::from_millis(millis);
            assert_eq!(whole_seconds(ttl), seconds, "{millis} ms");
        }
    }
}
