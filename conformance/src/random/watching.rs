//! Open watches, and whether they were told exactly what happened.

use std::collections::BTreeSet;

use latchd_proto::{
    etcdserverpb::{WatchCreateRequest, WatchResponse},
    mvccpb::Event,
};

use super::{side::Side, streams::StreamId};
use crate::model::Model;

/// How often a server may say that it has told everything before it is believed. A notification may
/// be late and mean less than it seems to; the next one is then the true one.
const ASSURANCES: usize = 3;

/// A watch that is open.
#[derive(Debug)]
pub struct Watching {
    /// Its stream.
    pub on: StreamId,
    /// Its ID on the stream.
    pub id: i64,
    request: WatchCreateRequest,
    /// The revision from which on it has not been compared.
    pub next: i64,
}

impl Watching {
    /// One that has just been created.
    #[must_use]
    pub fn new(on: StreamId, id: i64, request: WatchCreateRequest, next: i64) -> Self {
        Self {
            on,
            id,
            request,
            next,
        }
    }

    /// etcd says nothing of a stream's progress as long as a watch of it starts in the future.
    fn has_begun(&self, now: i64) -> bool {
        self.request.start_revision <= now
    }
}

/// Waits until a server has told `watches` everything, and compares that with the model. Returns
/// how many events there were.
///
/// # Errors
/// What was wrong.
pub async fn compare(
    side: &mut Side,
    model: &Model,
    watches: &[&Watching],
    forgiving: bool,
) -> Result<usize, String> {
    let mut came: Vec<Vec<WatchResponse>> = vec![Vec::new(); watches.len()];
    let mut judged = Ok(0);
    for _ in 0..ASSURANCES {
        await_all(side, model, watches).await?;
        for (came, watching) in came.iter_mut().zip(watches) {
            came.extend(side.streams.take(watching.on, watching.id));
        }
        judged = judge_all(side, model, watches, &came, forgiving);
        if judged.is_ok() {
            break;
        }
    }
    judged
}

async fn await_all(side: &mut Side, model: &Model, watches: &[&Watching]) -> Result<(), String> {
    let now = model.revision();
    let begun = watches.iter().filter(|watching| watching.has_begun(now));
    let streams: BTreeSet<StreamId> = begun.map(|watching| watching.on).collect();
    for on in streams {
        let told = side.streams.told_up_to(on, now).await;
        told.map_err(|error| format!("{}: stream {on:?}: {error:#}", side.name()))?;
    }
    Ok(())
}

fn judge_all(
    side: &Side,
    model: &Model,
    watches: &[&Watching],
    came: &[Vec<WatchResponse>],
    forgiving: bool,
) -> Result<usize, String> {
    let forgiving = forgiving && side.shares_events();
    let mut events = 0;
    for (came, watching) in came.iter().zip(watches) {
        let expected = model.events(&watching.request, watching.next);
        events += expected.len();
        let judged = judge(came, watching, &expected, model.revision(), forgiving);
        judged.map_err(|wrong| {
            let (name, request) = (side.name(), &watching.request);
            format!("{name}: {wrong}\nwatch: {request:?}\nmodel: {expected:?}\n{name}: {came:?}")
        })?;
    }
    Ok(events)
}

/// Whether what came is what was expected, in messages as they ought to be.
fn judge(
    came: &[WatchResponse],
    watching: &Watching,
    expected: &[Event],
    now: i64,
    forgiving: bool,
) -> Result<(), &'static str> {
    let mut told = 0;
    let mut events = Vec::with_capacity(expected.len());
    for response in came {
        let revisions: Vec<i64> = response.events.iter().map(revision_of).collect();
        let (Some(first), Some(last)) = (revisions.first(), revisions.last()) else {
            return Err("a message without events");
        };
        if *first <= told {
            return Err("a revision twice, or in two messages");
        }
        told = *last;
        let revision = response.header.map_or(0, |header| header.revision);
        if revision < told || revision > now {
            return Err("a header that is not of this time");
        }
        if *response != bare(response, watching.id) {
            return Err("more in a message than events");
        }
        events.extend(response.events.iter().cloned());
    }
    if forgiving && !watching.request.prev_kv {
        events.iter_mut().for_each(|event| event.prev_kv = None);
    }
    if events != expected {
        return Err("other events than there were");
    }
    Ok(())
}

fn revision_of(event: &Event) -> i64 {
    event.kv.as_ref().map_or(0, |kv| kv.mod_revision)
}

/// The same message with its header and events alone.
fn bare(response: &WatchResponse, id: i64) -> WatchResponse {
    WatchResponse {
        header: response.header,
        watch_id: id,
        events: response.events.clone(),
        ..WatchResponse::default()
    }
}

#[cfg(test)]
mod tests {
    use latchd_proto::{etcdserverpb::ResponseHeader, mvccpb::KeyValue};

    use super::*;

    fn event(mod_revision: i64) -> Event {
        Event {
            kv: Some(KeyValue {
                mod_revision,
                ..KeyValue::default()
            }),
            ..Event::default()
        }
    }

    fn message(revisions: &[i64], header: i64) -> WatchResponse {
        WatchResponse {
            header: Some(ResponseHeader {
                revision: header,
                ..ResponseHeader::default()
            }),
            watch_id: 7,
            events: revisions.iter().copied().map(event).collect(),
            ..WatchResponse::default()
        }
    }

    fn judged(came: &[WatchResponse], expected: &[i64]) -> Result<(), &'static str> {
        let request = WatchCreateRequest::default();
        let watching = Watching::new(StreamId::Own(1), 7, request, 1);
        let expected: Vec<Event> = expected.iter().copied().map(event).collect();
        judge(came, &watching, &expected, 9, false)
    }

    #[test]
    fn whole_revisions_in_order_are_fine() {
        let came = [message(&[2, 3, 3], 3), message(&[5], 9)];
        assert_eq!(judged(&came, &[2, 3, 3, 5]), Ok(()));
        assert_eq!(judged(&[], &[]), Ok(()));
    }

    #[test]
    fn a_lost_event_or_one_too_many() {
        let wrong = Err("other events than there were");
        assert_eq!(judged(&[message(&[2], 2)], &[2, 3]), wrong);
        assert_eq!(judged(&[message(&[2, 3], 3)], &[2]), wrong);
    }

    #[test]
    fn a_revision_in_two_messages() {
        let came = [message(&[2], 2), message(&[2], 2)];
        assert_eq!(
            judged(&came, &[2, 2]),
            Err("a revision twice, or in two messages")
        );
    }

    #[test]
    fn a_header_from_the_past_or_the_future() {
        let wrong = Err("a header that is not of this time");
        assert_eq!(judged(&[message(&[3], 2)], &[3]), wrong);
        assert_eq!(judged(&[message(&[3], 10)], &[3]), wrong);
    }

    #[test]
    fn a_message_that_says_more() {
        let canceled = WatchResponse {
            canceled: true,
            ..message(&[2], 2)
        };
        assert_eq!(
            judged(&[canceled], &[2]),
            Err("more in a message than events")
        );
    }
}
