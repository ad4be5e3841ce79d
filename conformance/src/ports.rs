//! Free loopback ports.
//!
//! They lie below the range from which Linux picks the local ports of outgoing
//! connections (32768 and up by default). A port of that range may be taken by
//! somebody's connection while a killed server is down, and a client that keeps
//! reconnecting to it may even end up connected to itself.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result};

const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// How many ports this process has tried.
static TRIED: AtomicU32 = AtomicU32::new(0);

/// A port that nobody listens on. This process never gets it a second time, and
/// test binaries that run side by side begin at different ones.
///
/// # Errors
/// When all are taken.
pub fn free() -> Result<u16> {
    let start = std::process::id().wrapping_mul(97);
    (0..COUNT)
        .map(|_| start.wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed)))
        .filter_map(|n| u16::try_from(FIRST + n % COUNT).ok())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .context("no free port")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    #[test]
    fn a_port_is_given_once() {
        let ports: Vec<u16> = (0..20).map(|_| super::free().unwrap()).collect();
        let distinct: std::collections::BTreeSet<u16> = ports.iter().copied().collect();
        assert_eq!(distinct.len(), ports.len(), "{ports:?}");
    }
}
