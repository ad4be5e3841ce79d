//! The sessions whose streams are open here, and what their streams must tell.

use std::collections::HashMap;
use std::sync::Arc;

use latchd_proto::latchd::v1::session_response::{Lost, ended::Reason};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::ask::Holder;
use crate::metrics::METRICS;
use crate::types::LeaseId;

/// Something for the client of a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// A hold is gone.
    Lost(Lost),
    /// The session is over here.
    Ended(Reason),
}

/// A handle to them; cheap to clone.
#[derive(Clone, Default)]
pub struct Sessions(Arc<Mutex<HashMap<LeaseId, Open>>>);

struct Open {
    epoch: i64,
    /// Holds at most a notice for each hold of the session, and one more.
    notices: mpsc::UnboundedSender<Notice>,
}

impl Sessions {
    /// A stream has opened or resumed a session. Of two, the one with the earlier epoch is told that
    /// the session was resumed.
    #[must_use]
    pub fn connect(&self, holder: Holder) -> mpsc::UnboundedReceiver<Notice> {
        let (notices, receiver) = mpsc::unbounded_channel();
        let mut sessions = self.0.lock();
        let resumed = Notice::Ended(Reason::Resumed);
        if let Some(open) = sessions.get_mut(&holder.lease) {
            let mut earlier = notices;
            if open.epoch < holder.epoch {
                open.epoch = holder.epoch;
                earlier = std::mem::replace(&mut open.notices, earlier);
            }
            // Nobody may be listening any more.
            let _ = earlier.send(resumed);
            return receiver;
        }
        let epoch = holder.epoch;
        sessions.insert(holder.lease, Open { epoch, notices });
        METRICS.sessions.inc();
        receiver
    }

    /// The stream of that epoch has ended.
    pub fn disconnect(&self, holder: Holder) {
        let mut sessions = self.0.lock();
        let ours = |open: &Open| open.epoch == holder.epoch;
        if sessions.get(&holder.lease).is_some_and(ours) {
            sessions.remove(&holder.lease);
            METRICS.sessions.dec();
        }
    }

    /// A session has that epoch: whoever has it with an earlier one has lost it.
    pub fn resumed(&self, holder: Holder) {
        if let Some(open) = self.0.lock().get(&holder.lease)
            && open.epoch < holder.epoch
        {
            let _ = open.notices.send(Notice::Ended(Reason::Resumed));
        }
    }

    /// Whether a session has a stream.
    #[must_use]
    pub fn is_connected(&self, lease: LeaseId) -> bool {
        self.0.lock().contains_key(&lease)
    }

    /// A session has lost a hold.
    pub fn lost(&self, lease: LeaseId, lost: Lost) {
        self.tell(lease, Notice::Lost(lost));
    }

    /// A session is over.
    pub fn ended(&self, lease: LeaseId) {
        self.tell(lease, Notice::Ended(Reason::Expired));
    }

    fn tell(&self, lease: LeaseId, notice: Notice) {
        if let Some(open) = self.0.lock().get(&lease) {
            let _ = open.notices.send(notice);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(epoch: i64) -> Holder {
        Holder {
            lease: LeaseId(7),
            epoch,
        }
    }

    #[test]
    fn of_two_streams_the_one_with_the_later_epoch_stays() {
        for order in [[2, 3], [3, 2]] {
            let sessions = Sessions::default();
            let mut streams = order.map(|epoch| (epoch, sessions.connect(holder(epoch))));
            streams.sort_by_key(|(epoch, _)| *epoch);
            let [(_, earlier), (_, later)] = &mut streams;
            assert_eq!(earlier.try_recv(), Ok(Notice::Ended(Reason::Resumed)));
            sessions.disconnect(holder(2));
            sessions.ended(LeaseId(7));
            assert_eq!(later.try_recv(), Ok(Notice::Ended(Reason::Expired)));
            sessions.disconnect(holder(3));
            assert!(!sessions.is_connected(LeaseId(7)));
        }
    }
}
