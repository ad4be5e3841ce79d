//! Clients that watch, and reconnect where they were.

use anyhow::{Result, bail};
use latchd_proto::etcdserverpb::{
    WatchCreateRequest, WatchProgressRequest, WatchRequest, watch_request::RequestUnion,
};
use tokio::sync::watch;

use super::{
    api::{Api, WatchStream},
    client::Surroundings,
    recorder::{Piece, Recorder},
    wire,
};
use crate::history::{
    record::{Stream, Told, Watcher},
    request::{Revision, Span},
};

/// What to watch and how.
pub struct Plan {
    /// What violations call it.
    pub name: &'static str,
    /// Which keys.
    pub span: Span,
    /// From which revision; 0 for what comes from now on.
    pub from: Revision,
    /// Whether to ask what the keys were before.
    pub prev: bool,
    /// Reconnect after so many responses; 0 to stay.
    pub reconnect_after: usize,
    /// Ask how far the watch is after every so many responses; 0 never to ask.
    pub progress_every: usize,
}

/// Watches until it has been told of the last revision, which `end` tells once
/// there is one, and records it all.
///
/// # Errors
/// When the server ends the watch.
pub async fn watch(
    plan: Plan,
    mut around: Surroundings,
    mut end: watch::Receiver<Option<Revision>>,
) -> Result<()> {
    let mut watcher = Watcher {
        name: plan.name.to_owned(),
        span: plan.span.clone(),
        prev: plan.prev,
        to_the_end: true,
        streams: Vec::new(),
    };
    let watched = follow(&plan, &mut watcher, &mut around, &mut end).await;
    around.recorder.note(Piece::Watcher(watcher));
    watched
}

async fn follow(
    plan: &Plan,
    watcher: &mut Watcher,
    around: &mut Surroundings,
    end: &mut watch::Receiver<Option<Revision>>,
) -> Result<()> {
    let mut from = plan.from;
    loop {
        around.until_up().await;
        let mut api = Api::new(&around.url)?;
        let stream = listen(plan, from, &mut api, &around.recorder, end).await;
        if let Some(reason) = stream.told.iter().find_map(|told| told.canceled.clone()) {
            watcher.streams.push(stream);
            bail!("watch `{}` was cancelled: {reason}", plan.name);
        }
        from = resume(&stream);
        watcher.streams.push(stream);
        if end.borrow().is_some_and(|end| from > end) {
            return Ok(());
        }
    }
}

/// Where to go on after a stream: behind the last revision that it told.
fn resume(stream: &Stream) -> Revision {
    let told = stream.told.iter();
    let known = told.map(|told| match (told.created, stream.from) {
        // That a watch is there says nothing of the revisions that it asked for.
        (true, 1..) => 0,
        _ => told.up_to() + 1,
    });
    known.max().unwrap_or(0).max(stream.from)
}

/// One stream, until it breaks or there is enough of it.
async fn listen(
    plan: &Plan,
    from: Revision,
    api: &mut Api,
    recorder: &Recorder,
    end: &mut watch::Receiver<Option<Revision>>,
) -> Stream {
    let mut stream = Stream {
        opened: recorder.now(),
        from,
        told: Vec::new(),
    };
    let create = create(&plan.span, from, plan.prev);
    let Ok(mut connection) = api.watch(create).await else {
        return stream;
    };
    loop {
        tokio::select! {
            told = next(&mut connection, recorder) => match told {
                Some(told) => stream.told.push(told),
                None => return stream,
            },
            changed = end.changed() => if changed.is_err() { return stream },
        }
        let count = stream.told.len();
        let all = end.borrow().is_some_and(|end| resume(&stream) > end);
        let tired = plan.reconnect_after > 0 && count > plan.reconnect_after;
        let canceled = stream
            .told
            .last()
            .is_some_and(|told| told.canceled.is_some());
        if all || tired || canceled {
            return stream;
        }
        if plan.progress_every > 0 && count.is_multiple_of(plan.progress_every) {
            // A stream that has ended says so itself.
            let _ = connection.ask.send(progress());
        }
    }
}

/// The next response, or none when the stream broke.
pub async fn next(connection: &mut WatchStream, recorder: &Recorder) -> Option<Told> {
    let response = connection.told.message().await.ok()??;
    Some(wire::told(recorder.now(), response))
}

/// The request for a watch.
#[must_use]
pub fn create(span: &Span, from: Revision, prev: bool) -> WatchRequest {
    let create = WatchCreateRequest {
        key: span.key.clone().into(),
        range_end: span.end.clone().into(),
        start_revision: from,
        prev_kv: prev,
        ..WatchCreateRequest::default()
    };
    WatchRequest {
        request_union: Some(RequestUnion::CreateRequest(create)),
    }
}

fn progress() -> WatchRequest {
    let ask = RequestUnion::ProgressRequest(WatchProgressRequest {});
    WatchRequest {
        request_union: Some(ask),
    }
}
