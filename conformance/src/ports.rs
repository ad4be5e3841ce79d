//! Free loopback ports.
//!
//! They lie below the range from which Linux picks the local ports of outgoing
//! connections (32768 and up by default). A port of that range may be taken by
//! somebody's connection while a killed server is down, and a client that keeps
//! reconnecting to it may even end up connected to itself.

use std::{
    net::{TcpListener, UdpSocket},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context, Result};

const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// How many ports this process has tried.
static TRIED: AtomicU32 = AtomicU32::new(0);

/// UDP's ports of the same numbers, which nobody uses. While they are bound, no other process picks
/// one of ours, be it before a server listens on it.
static MARKS: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());

/// A port that nobody listens on. This process never gets it a second time, and
/// none that runs beside it gets it while this one lives.
///
/// # Errors
/// When all are taken.
pub fn free() -> Result<u16> {
    let start = std::process::id().wrapping_mul(97);
    (0..COUNT)
        .map(|_| start.wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed)))
        .filter_map(|n| u16::try_from(FIRST + n % COUNT).ok())
        .find(|port| is_ours(*port))
        .context("no free port")
}

fn is_ours(port: u16) -> bool {
    let Ok(mark) = UdpSocket::bind(("127.0.0.1", port)) else {
        return false;
    };
    let free = TcpListener::bind(("127.0.0.1", port)).is_ok();
    if free {
        let mut marks = MARKS.lock().unwrap_or_else(PoisonError::into_inner);
        marks.push(mark);
    }
    free
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
