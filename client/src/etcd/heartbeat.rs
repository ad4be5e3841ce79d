//! The beat that keeps a lease alive: when to send, how long to wait, when to give up. How a beat is
//! sent is [`lease_stream`](super::lease_stream)'s.

use std::time::Duration;

use crate::clock::{self, sleep_until, until};
use crate::retry::Backoff;
use crate::types::Loss;
use crate::vitals::Vitals;

/// What became of one heartbeat.
#[derive(Debug)]
pub(crate) enum Beat {
    /// The server counts this TTL anew, from no earlier than the beat was sent.
    Renewed(Duration),
    /// The server does not know the lease.
    Gone,
    /// Nobody knows; try again.
    Failed,
}

/// Sends heartbeats.
pub(crate) trait Pulse: Send + 'static {
    /// Sends one and waits for its answer. When it is dropped half-way, a late answer must not be
    /// taken for the next one's.
    fn beat(&mut self) -> impl Future<Output = Beat> + Send;
}

/// Beats every third of `ttl` until the session is lost, and says why it is. `vitals` has the
/// deadline that the grant gave.
pub(crate) async fn keep_alive(mut pulse: impl Pulse, vitals: &Vitals, mut ttl: Duration) -> Loss {
    let mut backoff = Backoff::new();
    let mut next = vitals.deadline() - ttl + ttl / 3;
    loop {
        sleep_until(next).await;
        let (sent, deadline) = (clock::now(), vitals.deadline());
        if sent >= deadline {
            return Loss::NotRenewed;
        }
        let patience = (sent + ttl / 3).min(deadline);
        match until(patience, pulse.beat()).await {
            Some(Beat::Gone) => return Loss::Expired,
            Some(Beat::Renewed(renewed)) => {
                if !vitals.renew(sent + renewed) {
                    return Loss::NotRenewed;
                }
                ttl = renewed;
                next = sent + ttl / 3;
                backoff.reset();
            }
            Some(Beat::Failed) | None => next = (clock::now() + backoff.step()).min(deadline),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::future::pending;
    use tokio::time::sleep;

    use crate::clock::Moment;

    const TTL: Duration = Duration::from_secs(9);
    const SECOND: Duration = Duration::from_secs(1);

    enum Step {
        Renew,
        RenewAfter(Duration),
        Gone,
        Fail,
        Hang,
    }

    /// Plays its steps, then fails for ever; notes when each beat was sent.
    struct Script {
        start: Moment,
        steps: VecDeque<Step>,
        sent: tokio::sync::mpsc::UnboundedSender<Duration>,
    }

    impl Pulse for Script {
        async fn beat(&mut self) -> Beat {
            let _ = self.sent.send(self.start.elapsed());
            match self.steps.pop_front().unwrap_or(Step::Fail) {
                Step::Renew => Beat::Renewed(TTL),
                Step::RenewAfter(delay) => {
                    sleep(delay).await;
                    Beat::Renewed(TTL)
                }
                Step::Gone => Beat::Gone,
                Step::Fail => Beat::Failed,
                Step::Hang => pending().await,
            }
        }
    }

    /// Why and when the session was lost, and when beats were sent.
    async fn play(steps: impl Into<VecDeque<Step>>) -> (Loss, Duration, Vec<Duration>) {
        let start = clock::now();
        let (sent, mut beats) = tokio::sync::mpsc::unbounded_channel();
        let script = Script {
            start,
            steps: steps.into(),
            sent,
        };
        let loss = keep_alive(script, &Vitals::new(start + TTL), TTL).await;
        let lasted = start.elapsed();
        let mut sent = Vec::new();
        while let Some(at) = beats.recv().await {
            sent.push(at);
        }
        (loss, lasted, sent)
    }

    #[tokio::test(start_paused = true)]
    async fn beats_every_third_of_the_ttl() {
        let (loss, _, sent) = play([Step::Renew, Step::Renew, Step::Gone]).await;
        assert_eq!(loss, Loss::Expired);
        assert_eq!(sent, [3 * SECOND, 6 * SECOND, 9 * SECOND]);
    }

    #[tokio::test(start_paused = true)]
    async fn lost_at_the_deadline_when_nothing_answers() {
        let (loss, lasted, sent) = play([]).await;
        assert_eq!((loss, lasted), (Loss::NotRenewed, TTL));
        assert!(sent.len() > 5, "it tries again in time: {sent:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_counts_from_when_the_heartbeat_was_sent() {
        let (loss, lasted, _) = play([Step::RenewAfter(2 * SECOND)]).await;
        assert_eq!((loss, lasted), (Loss::NotRenewed, 3 * SECOND + TTL));
    }

    #[tokio::test(start_paused = true)]
    async fn a_beat_that_hangs_is_given_up_and_sent_again() {
        let (loss, _, sent) = play([Step::Hang, Step::Renew, Step::Gone]).await;
        assert_eq!(loss, Loss::Expired);
        assert_eq!(sent[1], 6 * SECOND + Duration::from_millis(20));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_after_the_deadline_does_not_revive() {
        let (loss, lasted, _) = play([Step::Hang, Step::RenewAfter(5 * SECOND)]).await;
        assert_eq!((loss, lasted), (Loss::NotRenewed, TTL));
    }
}
