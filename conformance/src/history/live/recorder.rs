//! The clock of a recording, and what has been recorded so far.

use std::sync::Arc;

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use crate::history::record::{History, Hold, Moment, Op, Restart, Snapshot, Watcher};

/// Where all clients record; clones record into the same history.
#[derive(Clone)]
pub struct Recorder {
    start: Instant,
    pieces: mpsc::UnboundedSender<Piece>,
    answered: Arc<watch::Sender<u64>>,
}

/// The recorded pieces, to be made one history at the end.
pub struct Recording {
    pieces: mpsc::UnboundedReceiver<Piece>,
    answered: watch::Receiver<u64>,
}

/// One thing recorded.
pub enum Piece {
    /// A request.
    Op(Op),
    /// A watcher that has come to its end.
    Watcher(Watcher),
    /// A lock that was granted, with its end if it had one.
    Hold(Hold),
    /// A kill and a start.
    Restart(Restart),
}

impl Recorder {
    /// Begins a recording.
    #[must_use]
    pub fn begin() -> (Self, Recording) {
        let (sender, pieces) = mpsc::unbounded_channel();
        let (answered, count) = watch::channel(0);
        let recorder = Self {
            start: Instant::now(),
            pieces: sender,
            answered: Arc::new(answered),
        };
        let recording = Recording {
            pieces,
            answered: count,
        };
        (recorder, recording)
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Moment {
        let since = self.start.elapsed().as_nanos();
        Moment(u64::try_from(since).unwrap_or(u64::MAX))
    }

    /// Records something.
    pub fn note(&self, piece: Piece) {
        if let Piece::Op(op) = &piece
            && op.answer().is_some()
        {
            self.answered.send_modify(|count| *count += 1);
        }
        // Whoever records after the end of the recording is not listened to.
        let _ = self.pieces.send(piece);
    }
}

impl Recording {
    /// How many requests have been answered.
    #[must_use]
    pub fn answered(&self) -> watch::Receiver<u64> {
        self.answered.clone()
    }

    /// All that was recorded until now.
    #[must_use]
    pub fn finish(mut self, start: Snapshot, end: i64) -> History {
        let mut history = History {
            start,
            end,
            ..History::default()
        };
        while let Ok(piece) = self.pieces.try_recv() {
            match piece {
                Piece::Op(op) => history.ops.push(op),
                Piece::Watcher(watcher) => history.watchers.push(watcher),
                Piece::Hold(hold) => history.holds.push(hold),
                Piece::Restart(restart) => history.restarts.push(restart),
            }
        }
        history
    }
}
