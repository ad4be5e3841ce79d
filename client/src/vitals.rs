//! Whether a session lives, and until when it may be relied on.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::clock::{self, Moment};
use crate::types::Loss;

/// What the heartbeat knows and everybody asks. Once lost, lost for good.
pub(crate) struct Vitals {
    /// The lock also orders every look at the clock, so that nobody is told "lost" before a
    /// renewal and "alive" after it.
    deadline: Mutex<Moment>,
    loss: watch::Sender<Option<Loss>>,
}

impl Vitals {
    pub(crate) fn new(deadline: Moment) -> Self {
        Vitals {
            deadline: Mutex::new(deadline),
            loss: watch::Sender::new(None),
        }
    }

    pub(crate) fn deadline(&self) -> Moment {
        *self.deadline.lock()
    }

    /// Moves the deadline, never back. False, and too late, if the old one has passed.
    pub(crate) fn renew(&self, until: Moment) -> bool {
        let mut deadline = self.deadline.lock();
        if self.check(*deadline).is_some() {
            return false;
        }
        *deadline = until.max(*deadline);
        true
    }

    /// The first loss is the one that counts.
    pub(crate) fn lose(&self, loss: Loss) {
        self.loss
            .send_if_modified(|known| known.is_none() && known.replace(loss).is_none());
    }

    /// Why it is lost, if it is; looks at the clock, so it needs no task to have run.
    pub(crate) fn loss(&self) -> Option<Loss> {
        let deadline = self.deadline.lock();
        self.check(*deadline)
    }

    fn check(&self, deadline: Moment) -> Option<Loss> {
        if clock::now() >= deadline {
            self.lose(Loss::NotRenewed);
        }
        *self.loss.borrow()
    }

    /// Resolves when it is lost. Each poll looks at the clock: in a process that was stopped past the
    /// deadline, whoever is polled first knows.
    pub(crate) async fn lost(&self) -> Loss {
        let mut losses = self.loss.subscribe();
        let mut told = pin!(losses.wait_for(Option::is_some));
        poll_fn(|cx| match self.loss() {
            Some(loss) => Poll::Ready(loss),
            // The sender is ours and lives as long as we do.
            None => told.as_mut().poll(cx).map(|_| Loss::Closed),
        })
        .await
    }

    /// Resolves when it is lost, or `notice` before the deadline if nothing renews it until then.
    pub(crate) async fn lost_with_notice(&self, notice: Duration) -> Loss {
        loop {
            let deadline = self.deadline();
            tokio::select! {
                biased;
                loss = self.lost() => return loss,
                () = clock::sleep_until(deadline - notice) => if self.deadline() == deadline {
                    return Loss::NotRenewed;
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn no_renewal_after_the_deadline() {
        let start = clock::now();
        let vitals = Vitals::new(start + SECOND);
        tokio::time::advance(SECOND).await;
        assert!(!vitals.renew(start + 5 * SECOND));
        assert_eq!(vitals.loss(), Some(Loss::NotRenewed));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_loss_counts() {
        let vitals = Vitals::new(clock::now() + SECOND);
        vitals.lose(Loss::Expired);
        vitals.lose(Loss::Closed);
        assert_eq!(vitals.lost().await, Loss::Expired);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_knows_at_the_first_poll_after_the_deadline() {
        let vitals = Vitals::new(clock::now() + SECOND);
        let mut lost = pin!(vitals.lost());
        assert!(futures::poll!(&mut lost).is_pending());
        tokio::time::advance(SECOND).await;
        assert_eq!(futures::poll!(&mut lost), Poll::Ready(Loss::NotRenewed));
    }

    #[tokio::test(start_paused = true)]
    async fn notice_is_given_before_the_deadline_that_was_renewed() {
        let start = clock::now();
        let vitals = Vitals::new(start + 10 * SECOND);
        let renewal = async {
            clock::sleep_until(start + 3 * SECOND).await;
            assert!(vitals.renew(start + 13 * SECOND));
        };
        let (loss, ()) = tokio::join!(vitals.lost_with_notice(4 * SECOND), renewal);
        assert_eq!(loss, Loss::NotRenewed);
        assert_eq!(start.elapsed(), 9 * SECOND);
        assert_eq!(vitals.loss(), None);
    }
}
