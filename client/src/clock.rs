//! The clock that deadlines are counted on: it goes on while the machine sleeps, and nobody sets it.

use std::future::poll_fn;
use std::ops::{Add, Sub};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// tokio's timers stand still while the machine sleeps, so nobody sleeps longer at a stretch.
const STRETCH: Duration = Duration::from_millis(500);

/// A moment of this clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(Duration);

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, time: Duration) -> Moment {
        Moment(self.0.saturating_add(time))
    }
}

/// No moment is before the clock's first one.
impl Sub<Duration> for Moment {
    type Output = Moment;

    fn sub(self, time: Duration) -> Moment {
        Moment(self.0.saturating_sub(time))
    }
}

impl Moment {
    /// How long it is until then; nothing once it has passed.
    pub(crate) fn left(self) -> Duration {
        self.0.saturating_sub(now().0)
    }

    /// How long ago it was.
    #[cfg(test)]
    pub(crate) fn elapsed(self) -> Duration {
        now().0.saturating_sub(self.0)
    }
}

/// Now, by CLOCK_BOOTTIME.
#[cfg(all(not(test), any(target_os = "linux", target_os = "android")))]
pub(crate) fn now() -> Moment {
    from_system(rustix::time::ClockId::Boottime)
}

/// Now, by the monotonic clock; macOS has one that goes on while it sleeps.
#[cfg(all(not(test), unix, not(any(target_os = "linux", target_os = "android"))))]
pub(crate) fn now() -> Moment {
    from_system(rustix::time::ClockId::Monotonic)
}

#[cfg(all(not(test), unix))]
fn from_system(clock: rustix::time::ClockId) -> Moment {
    let time = rustix::time::clock_gettime(clock);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    // Neither is ever negative on these clocks.
    Moment(Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0)))
}

/// Now, since the first look at this clock. In this crate's own tests it is tokio's clock, which they
/// can pause.
#[cfg(any(test, not(unix)))]
pub(crate) fn now() -> Moment {
    use std::sync::LazyLock;
    use tokio::time::Instant;

    static FIRST: LazyLock<std::time::Instant> = LazyLock::new(|| Instant::now().into_std());
    Moment(Instant::now().into_std().saturating_duration_since(*FIRST))
}

/// Resolves at `moment`. It looks at the clock whenever it is polled, so whoever polls it first after
/// a long stop learns that the moment has passed.
pub(crate) async fn sleep_until(moment: Moment) {
    loop {
        let left = moment.left();
        if left.is_zero() {
            return;
        }
        let mut stretch = pin!(tokio::time::sleep(left.min(STRETCH)));
        poll_fn(|cx| {
            if moment.left().is_zero() {
                return Poll::Ready(());
            }
            stretch.as_mut().poll(cx)
        })
        .await;
    }
}

/// Does `work` until it is done or `moment` has come; done at the last moment is done.
pub(crate) async fn until<T>(moment: Moment, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = sleep_until(moment) => None,
    }
}

/// Milliseconds of Unix time, for people to read in a lock's note; nothing is decided by it.
#[allow(clippy::disallowed_methods, reason = "it is a label, not a deadline")]
pub(crate) fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sleeps_are_as_long_as_asked() {
        let start = now();
        sleep_until(start + Duration::from_millis(1300)).await;
        assert_eq!(start.elapsed(), Duration::from_millis(1300));
        sleep_until(start).await;
        assert_eq!(start.elapsed(), Duration::from_millis(1300));
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_is_done_at_the_last_moment_is_done() {
        let end = now() + Duration::from_secs(1);
        assert_eq!(until(end, sleep_until(end)).await, Some(()));
        assert_eq!(until(end, std::future::pending::<()>()).await, None);
    }
}
