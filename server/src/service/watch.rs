//! The Watch stream's protocol: IDs, answers to creation and cancelling, progress, fragments.
//!
//! Order and texts are etcd 3.7.1's (`v3rpc/watch.go`): `created` comes first, then events; a
//! failed creation is `created` and `canceled` under ID -1; nothing follows a `canceled`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use latchd_proto::etcdserverpb::{
    ResponseHeader, WatchCreateRequest, WatchRequest, WatchResponse,
    watch_create_request::FilterType, watch_request::RequestUnion,
};
use prost::Message;

use crate::backend::Backend;
use crate::clock::{self, Instant};
use crate::error::{Error, Result};
use crate::mvcc::KeyRange;
use crate::types::{Revision, WatchId};
use crate::watch::{Delivery, Filters, WatchSpec, Watches};

const EMPTY_RANGE: &str = "mvcc: watcher range is empty";
const DUPLICATE_ID: &str = "mvcc: duplicate watch ID provided on the WatchStream";

/// How a stream behaves, apart from what is asked on it.
#[derive(Clone, Copy, Debug)]
pub struct WatchOptions {
    /// How often watches that asked for it are told that nothing happened (etcd: 10 min).
    pub progress_interval: Duration,
    /// Responses larger than this are cut for watches that asked for fragments, in bytes.
    pub fragment_bytes: usize,
}

/// One Watch stream.
pub struct WatchSession<R> {
    backend: Backend,
    options: WatchOptions,
    requests: R,
    /// The client has said all that it will; its watches go on (as in etcd).
    half_closed: bool,
    watches: Watches,
    extras: BTreeMap<WatchId, Extras>,
    next_id: i64,
    next_progress: Instant,
    ready: VecDeque<WatchResponse>,
}

/// What the protocol keeps of a watch beside what [`Watches`] does.
#[derive(Clone, Copy, Debug)]
struct Extras {
    fragment: bool,
    progress: Option<Progress>,
}

/// Whether a watch has been told something since the last progress tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Due,
    Told,
}

impl<R, E> WatchSession<R>
where
    R: Stream<Item = std::result::Result<WatchRequest, E>> + Unpin,
{
    /// A stream whose client sends `requests`.
    pub fn new(backend: Backend, options: WatchOptions, requests: R) -> WatchSession<R> {
        WatchSession {
            watches: backend.watches(),
            next_progress: clock::now() + jittered(options.progress_interval),
            backend,
            options,
            requests,
            half_closed: false,
            extras: BTreeMap::new(),
            next_id: 0,
            ready: VecDeque::new(),
        }
    }

    /// The next response; an error ends the stream.
    pub async fn next(&mut self) -> Result<WatchResponse> {
        loop {
            if let Some(response) = self.ready.pop_front() {
                return Ok(response);
            }
            tokio::select! {
                request = self.requests.next(), if !self.half_closed => match request {
                    Some(Ok(request)) => self.handle(request),
                    Some(Err(_)) => return Err(Error::WatchCanceled),
                    None => self.half_closed = true,
                },
                delivery = self.watches.next() => self.deliver(delivery?),
                () = clock::sleep_until(self.next_progress) => self.tick(),
            }
        }
    }

    fn handle(&mut self, request: WatchRequest) {
        match request.request_union {
            Some(RequestUnion::CreateRequest(create)) => self.create(create),
            Some(RequestUnion::CancelRequest(cancel)) => self.cancel(WatchId(cancel.watch_id)),
            Some(RequestUnion::ProgressRequest(_)) => self.watches.ask_progress(),
            // etcd lets it pass, too.
            None => {}
        }
    }

    fn create(&mut self, create: WatchCreateRequest) {
        if create.start_revision < 0 {
            return self.refuse(&Error::Compacted.to_string());
        }
        let spec = spec_of(&create);
        if spec.range.is_empty() {
            return self.refuse(EMPTY_RANGE);
        }
        let Some(id) = self.free_id(create.watch_id) else {
            return self.refuse(DUPLICATE_ID);
        };
        let revision = self.watches.create(id, spec);
        let extras = Extras {
            fragment: create.fragment,
            progress: create.progress_notify.then_some(Progress::Due),
        };
        self.extras.insert(id, extras);
        self.ready.push_back(WatchResponse {
            created: true,
            ..self.response(id, revision)
        });
    }

    /// The ID that the client asked for, or the next one if it left the choice (0) to us.
    fn free_id(&mut self, asked: i64) -> Option<WatchId> {
        if asked != 0 {
            let id = WatchId(asked);
            return (!self.watches.contains(id)).then_some(id);
        }
        while self.watches.contains(WatchId(self.next_id)) {
            self.next_id += 1;
        }
        self.next_id += 1;
        Some(WatchId(self.next_id - 1))
    }

    fn refuse(&mut self, reason: &str) {
        let revision = Revision(self.backend.header().revision);
        self.ready.push_back(WatchResponse {
            created: true,
            canceled: true,
            cancel_reason: reason.to_owned(),
            ..self.response(WatchId::INVALID, revision)
        });
    }

    fn cancel(&mut self, id: WatchId) {
        if !self.watches.cancel(id) {
            return;
        }
        self.extras.remove(&id);
        let revision = Revision(self.backend.header().revision);
        self.ready.push_back(WatchResponse {
            canceled: true,
            ..self.response(id, revision)
        });
    }

    fn deliver(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Events {
                watch,
                revision,
                events,
            } => {
                let response = WatchResponse {
                    events,
                    ..self.response(watch, revision)
                };
                self.send_events(watch, response);
            }
            Delivery::Compacted { watch, compacted } => {
                self.extras.remove(&watch);
                // No reason and no revision, as etcd says it.
                self.ready.push_back(WatchResponse {
                    canceled: true,
                    compact_revision: compacted.0,
                    ..self.response(watch, Revision(0))
                });
            }
            Delivery::Progress(revision) => {
                self.ready
                    .push_back(self.response(WatchId::INVALID, revision));
            }
            Delivery::WatchProgress(watch, revision) => {
                self.ready.push_back(self.response(watch, revision));
            }
        }
    }

    fn send_events(&mut self, watch: WatchId, response: WatchResponse) {
        let fragment = match self.extras.get_mut(&watch) {
            Some(extras) => {
                extras.progress = extras.progress.map(|_| Progress::Told);
                extras.fragment
            }
            None => false,
        };
        if fragment {
            self.ready
                .extend(fragments(response, self.options.fragment_bytes));
        } else {
            self.ready.push_back(response);
        }
    }

    fn tick(&mut self) {
        self.next_progress = clock::now() + jittered(self.options.progress_interval);
        let mut due = Vec::new();
        for (id, extras) in &mut self.extras {
            if extras.progress == Some(Progress::Due) {
                due.push(*id);
            }
            extras.progress = extras.progress.map(|_| Progress::Due);
        }
        for id in due {
            if let Some(delivery) = self.watches.progress_of(id) {
                self.deliver(delivery);
            }
        }
    }

    fn response(&self, watch: WatchId, revision: Revision) -> WatchResponse {
        WatchResponse {
            header: Some(ResponseHeader {
                revision: revision.0,
                ..self.backend.header()
            }),
            watch_id: watch.0,
            ..Default::default()
        }
    }
}

fn spec_of(create: &WatchCreateRequest) -> WatchSpec {
    // "\0" is the smallest key, so an empty key with a range end means "from the first on".
    let key = match create.key.as_ref() {
        [] => Bytes::from_static(b"\0"),
        _ => create.key.clone(),
    };
    let has = |filter: FilterType| create.filters.contains(&(filter as i32));
    WatchSpec {
        range: KeyRange::from_wire(&key, &create.range_end),
        start: (create.start_revision > 0).then_some(Revision(create.start_revision)),
        filters: Filters {
            no_put: has(FilterType::Noput),
            no_delete: has(FilterType::Nodelete),
        },
        previous: create.prev_kv,
    }
}

/// Up to a tenth more, so that streams that began together do not stay together (as in etcd).
fn jittered(interval: Duration) -> Duration {
    interval + interval.mul_f64(rand::random_range(0.0..0.1))
}

/// Cuts a response into pieces below `limit` bytes, each with at least one event; all but the last
/// say `fragment`.
fn fragments(whole: WatchResponse, limit: usize) -> Vec<WatchResponse> {
    if whole.events.len() < 2 || whole.encoded_len() < limit {
        return vec![whole];
    }
    let empty = WatchResponse {
        fragment: true,
        events: Vec::new(),
        ..whole.clone()
    };
    let base = empty.encoded_len();
    let mut pieces: Vec<WatchResponse> = Vec::new();
    let mut size = limit;
    for event in whole.events {
        // A key, its length and its tag: five bytes at most beside the event itself.
        let weight = event.encoded_len() + 6;
        if size + weight >= limit {
            pieces.push(empty.clone());
            size = base;
        }
        size += weight;
        if let Some(piece) = pieces.last_mut() {
            piece.events.push(event);
        }
    }
    if let Some(last) = pieces.last_mut() {
        last.fragment = false;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchd_proto::mvccpb::{Event, KeyValue};

    fn event(bytes: usize) -> Event {
        Event {
            kv: Some(KeyValue {
                key: vec![b'k'; bytes].into(),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn fragments_are_small_and_whole_together() {
        let whole = WatchResponse {
            events: (0..10).map(|_| event(100)).collect(),
            ..Default::default()
        };
        let pieces = fragments(whole.clone(), 300);
        assert!(pieces.len() >= 5 && pieces.iter().all(|piece| piece.encoded_len() < 300));
        let (last, others) = pieces.split_last().unwrap();
        assert!(!last.fragment && others.iter().all(|piece| piece.fragment));
        assert_eq!(
            pieces.iter().map(|piece| piece.events.len()).sum::<usize>(),
            10
        );
        assert_eq!(fragments(whole.clone(), 1 << 20), [whole]);
    }

    #[test]
    fn an_event_that_is_too_large_still_goes_out() {
        let whole = WatchResponse {
            events: vec![event(1000), event(10)],
            ..Default::default()
        };
        assert_eq!(fragments(whole, 300).len(), 2);
    }
}
