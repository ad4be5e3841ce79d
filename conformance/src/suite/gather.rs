//! Several messages of a watch stream at once, where one by one would say too much:
//! etcd promises an order for each watch, and none between the watches.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use latchd_proto::etcdserverpb::{WatchRequest, WatchResponse};
use prost::Message;
use serde_json::Value;

use super::{
    requests::{create, progress, put, watch_key},
    session::{PATIENCE, Session, decoded, json_of},
    stream::Stream,
};

/// A stream of watches.
pub type Watches = Stream<WatchRequest, WatchResponse>;

/// How long a request for progress may go unanswered before it is sent again: etcd
/// drops it while a watch on the stream is behind.
const ASK_AGAIN: Duration = Duration::from_millis(200);

impl Session {
    /// Receives until `enough`, then writes down all of it, one watch after the other.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn gather(
        &mut self,
        watches: &mut Watches,
        mut enough: impl FnMut(&[WatchResponse]) -> bool,
    ) -> Result<()> {
        let mut all = Vec::new();
        while !enough(&all) {
            all.push(self.unseen(watches).await?.0);
        }
        self.one_after_the_other(&watches.name, all);
        Ok(())
    }

    /// As [`Session::drain`], for a stream on which etcd answers no request for progress:
    /// with a watch that it never told of. Another watch must not see the key `~`.
    ///
    /// # Errors
    /// When the end does not come.
    pub async fn finish_by_an_event(&mut self, watches: &mut Watches) -> Result<()> {
        let mut all = Vec::new();
        watches.send_raw(create(watch_key("~")).encode_to_vec().into());
        let last = loop {
            let message = self.unseen(watches).await?.0;
            let created = message.created.then_some(message.watch_id);
            all.push(message);
            if let Some(id) = created {
                break id;
            }
        };
        self.quietly(put("~", "")).await?;
        while !all
            .last()
            .is_some_and(|it| it.watch_id == last && !it.created)
        {
            all.push(self.unseen(watches).await?.0);
        }
        self.one_after_the_other(&watches.name, all);
        Ok(())
    }

    fn one_after_the_other(&mut self, name: &str, mut all: Vec<WatchResponse>) {
        all.sort_by_key(|message| message.watch_id);
        for message in all {
            let what = format!("Watch ({name}), watch {}", message.watch_id);
            self.note(&what, Value::Null, json_of(&message));
        }
    }

    /// Writes down all that a stream has to say for now. Nothing that comes after it
    /// is of use: more answers like its last one may follow.
    ///
    /// # Errors
    /// When that does not come.
    pub async fn drain(&mut self, watches: &mut Watches) -> Result<()> {
        let what = format!("Watch ({}) to its end", watches.name);
        for _ in 0..PATIENCE.as_millis() / ASK_AGAIN.as_millis() {
            watches.send_raw(progress().encode_to_vec().into());
            while let Ok(next) = tokio::time::timeout(ASK_AGAIN, self.unseen(watches)).await {
                let (message, shown) = next?;
                self.note(&what, Value::Null, shown);
                if is_progress(&message) {
                    return Ok(());
                }
            }
        }
        anyhow::bail!("{what}: a request for progress is never answered")
    }

    /// The next message, and how it would be shown; nothing is written down.
    ///
    /// # Errors
    /// When none comes.
    pub async fn unseen(&mut self, watches: &mut Watches) -> Result<(WatchResponse, Value)> {
        let came = tokio::time::timeout(PATIENCE, watches.next_raw());
        let frame = came.await.context("nothing came")??;
        let frame = frame.context("the stream ended")?;
        let (message, shown) = decoded::<WatchResponse>(&frame);
        ensure!(message.is_ok(), "it cannot be decoded: {shown}");
        Ok((message?, shown))
    }
}

/// Whether a message tells how far the whole stream is.
fn is_progress(message: &WatchResponse) -> bool {
    message.watch_id == -1 && !message.created && message.events.is_empty()
}
