//! The signals that are passed on to the command.

use std::fs;
use std::future::poll_fn;
use std::io;
use std::task::Poll;

use nix::sys::signal::Signal;
use tokio::signal::unix::{self, SignalKind, signal};

const FORWARDED: [Signal; 6] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// Catches signals from when it is made, for good.
pub struct Signals(Vec<(Signal, unix::Signal)>);

impl Signals {
    /// A signal that is ignored stays so, also for the command: that is what nohup(1) is for.
    pub fn catch() -> io::Result<Signals> {
        let ignored = ignored(&fs::read_to_string("/proc/self/status").unwrap_or_default());
        let heeded = FORWARDED
            .into_iter()
            .filter(|&number| ignored & bit(number) == 0);
        let catch = |caught| Ok((caught, signal(SignalKind::from_raw(caught as i32))?));
        Ok(Signals(heeded.map(catch).collect::<io::Result<_>>()?))
    }

    /// The next one that arrives.
    pub async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (caught, stream) in &mut self.0 {
                if stream.poll_recv(context).is_ready() {
                    return Poll::Ready(*caught);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// The set of ignored signals in a `/proc/PID/status`; none if it does not say.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

fn bit(signal: Signal) -> u64 {
    1 << (signal as u32 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read() {
        let status = "Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n";
        assert_eq!(ignored(status), bit(Signal::SIGHUP) | bit(Signal::SIGPIPE));
        assert_eq!(ignored(""), 0);
    }
}
