//! Waiting in line: for whom, and until when. A wake-up means "look again", never "granted".

use std::collections::BTreeMap;

use bytes::Bytes;
use latchd_proto::etcdserverpb::{
    RangeRequest,
    range_request::{SortOrder, SortTarget},
};
use latchd_proto::mvccpb::event::EventType;
use latchd_proto::mvccpb::{Event, KeyValue};

use super::ask::{Ask, Wanted};
use super::keys::{Mode, mode_of};
use super::refusal::{Refusal, Result, shown};
use super::rule::Older;
use super::txns::line;
use crate::backend::Backend;
use crate::mvcc::KeyRange;
use crate::service::requests::just;
use crate::service::turn::{deletes, end_of};
use crate::types::{Revision, WatchId};
use crate::watch::{Delivery, Watches};

/// The keys of a line that lie directly in `dir`, with their last segments. `latchd.v1` looks at no
/// others.
pub fn direct<'a>(
    dir: &'a Bytes,
    line: &'a [KeyValue],
) -> impl Iterator<Item = (&'a KeyValue, &'a [u8])> {
    line.iter().filter_map(|kv| {
        let segment = kv.key.strip_prefix(dir.as_ref())?;
        (!segment.contains(&b'/')).then_some((kv, segment))
    })
}

/// For whom a key waits.
#[derive(Debug, PartialEq, Eq)]
enum Ahead {
    /// Until this key is gone: the last in the way.
    Key(Bytes),
    /// Until enough of these are gone.
    Any(BTreeMap<Bytes, Mode>),
}

/// A place in several lines.
pub struct Line<'a> {
    backend: &'a Backend,
    ask: &'a Ask,
    created: Revision,
    watches: Option<Watches>,
}

impl<'a> Line<'a> {
    /// The place of keys that were created at `created`.
    #[must_use]
    pub fn new(backend: &'a Backend, ask: &'a Ask, created: Revision) -> Line<'a> {
        Line {
            backend,
            ask,
            created,
            watches: None,
        }
    }

    /// Waits until R0 has come true for each key. It stays true for as long as the key exists.
    pub async fn until_granted(&mut self) -> Result<()> {
        let ask = self.ask;
        for wanted in &ask.wanted {
            while let Some((ahead, seen)) = self.ahead(wanted).await? {
                self.follow(wanted, ahead, seen).await?;
            }
        }
        Ok(())
    }

    /// Whether R0 is true for each key now.
    pub async fn is_granted(&self) -> Result<bool> {
        for wanted in &self.ask.wanted {
            if self.ahead(wanted).await?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Who is ahead of the key, and as of which revision; none if it is granted.
    async fn ahead(&self, wanted: &Wanted) -> Result<Option<(Ahead, Revision)>> {
        if self.ask.mode == Mode::Exclusive {
            let request = RangeRequest {
                limit: 1,
                sort_order: SortOrder::Descend as i32,
                ..self.older(&wanted.dir)
            };
            let mut response = self.backend.range(&request).await?;
            let seen = Revision(response.header.map_or(0, |header| header.revision));
            let Some(kv) = response.kvs.pop() else {
                return Ok(None);
            };
            if direct(&wanted.dir, std::slice::from_ref(&kv))
                .next()
                .is_some()
            {
                return Ok(Some((Ahead::Key(kv.key), seen)));
            }
            // A deeper key is in no way, but may hide one that is.
        }
        let response = self.backend.range(&self.older(&wanted.dir)).await?;
        let seen = Revision(response.header.map_or(0, |header| header.revision));
        let older = direct(&wanted.dir, &response.kvs);
        let older = older.map(|(kv, segment)| (kv.key.clone(), mode_of(segment)));
        Ok(in_the_way(self.ask.mode, older.collect()).map(|ahead| (ahead, seen)))
    }

    /// Everything below a directory that is older.
    fn older(&self, dir: &Bytes) -> RangeRequest {
        RangeRequest {
            sort_target: SortTarget::Create as i32,
            max_create_revision: self.created.0 - 1,
            ..line(dir)
        }
    }

    /// Waits until what was ahead at `seen` may be gone. An error means that an own key is gone.
    async fn follow(&mut self, wanted: &Wanted, ahead: Ahead, seen: Revision) -> Result<()> {
        let target = self.target();
        let own = self.ask.wanted.iter().map(|wanted| wanted.key.clone());
        let (backend, created) = (self.backend, self.created);
        let watches = self.watches.get_or_insert_with(|| {
            let mut watches = backend.watches();
            for (id, key) in (0..).zip(own) {
                watches.create(WatchId(id), deletes(KeyRange::single(key), created.next()));
            }
            watches
        });
        let range = match &ahead {
            Ahead::Key(key) => KeyRange::single(key.clone()),
            Ahead::Any(_) => KeyRange::from_wire(&wanted.dir, &end_of(&wanted.dir)),
        };
        watches.create(target, deletes(range, seen.next()));
        let followed = self.follow_target(target, ahead).await;
        if let Some(watches) = &mut self.watches {
            watches.cancel(target);
        }
        followed
    }

    async fn follow_target(&mut self, target: WatchId, mut ahead: Ahead) -> Result<()> {
        while let Some(watches) = &mut self.watches {
            match watches.next().await? {
                Delivery::Events { watch, events, .. } if watch == target => {
                    if is_past(&mut ahead, self.ask.mode, &events) {
                        return Ok(());
                    }
                }
                Delivery::Events { watch, .. } => return Err(self.lost(watch)),
                // History went while we caught up: only a look at the keys can tell now.
                Delivery::Compacted { watch, .. } if watch == target => return Ok(()),
                Delivery::Compacted { watch, .. } => self.watch_own(watch).await?,
                Delivery::Progress(_) | Delivery::WatchProgress(..) => {}
            }
        }
        Ok(())
    }

    /// Watches an own key anew, if it is still there.
    async fn watch_own(&mut self, watch: WatchId) -> Result<()> {
        let Some(key) = self.own(watch).map(|wanted| wanted.key.clone()) else {
            return Ok(());
        };
        let response = self.backend.range(&just(&key)).await?;
        let present = response.kvs.first().map(|kv| Revision(kv.create_revision));
        if present != Some(self.created) {
            return Err(self.lost(watch));
        }
        let seen = Revision(response.header.map_or(0, |header| header.revision));
        if let Some(watches) = &mut self.watches {
            watches.create(watch, deletes(KeyRange::single(key), seen.next()));
        }
        Ok(())
    }

    /// The ID of the watch of what is ahead; own keys have those before it.
    fn target(&self) -> WatchId {
        WatchId(i64::try_from(self.ask.wanted.len()).unwrap_or(i64::MAX))
    }

    fn own(&self, watch: WatchId) -> Option<&Wanted> {
        self.ask.wanted.get(usize::try_from(watch.0).ok()?)
    }

    fn lost(&self, watch: WatchId) -> Refusal {
        let name = self.own(watch).map(|wanted| shown(&wanted.name));
        let lease = self.ask.holder.lease;
        match self.backend.lease_left(lease) {
            Some(_) => Refusal::Lost(name.unwrap_or_default()),
            None => Refusal::NoSession(lease),
        }
    }
}

/// Whom a key of this mode waits for behind `older`, which are in the order of the line; none if it
/// is granted.
fn in_the_way(mode: Mode, mut older: Vec<(Bytes, Mode)>) -> Option<Ahead> {
    match mode {
        Mode::Exclusive => older.pop().map(|(key, _)| Ahead::Key(key)),
        Mode::Shared => {
            let mut others = older.into_iter().rev();
            let last = others.find(|(_, mode)| *mode != Mode::Shared);
            last.map(|(key, _)| Ahead::Key(key))
        }
        Mode::Permit(_) => {
            let older: BTreeMap<Bytes, Mode> = older.into_iter().collect();
            (!admits(&older, mode)).then_some(Ahead::Any(older))
        }
    }
}

fn admits(older: &BTreeMap<Bytes, Mode>, mode: Mode) -> bool {
    let mut sum = Older::default();
    older.values().for_each(|mode| sum.add(*mode));
    sum.admit(mode)
}

/// Whether these deletes may have let the key in.
fn is_past(ahead: &mut Ahead, mode: Mode, events: &[Event]) -> bool {
    let mut deleted = events
        .iter()
        .filter(|event| event.r#type == EventType::Delete as i32);
    match ahead {
        Ahead::Key(_) => deleted.next().is_some(),
        Ahead::Any(older) => {
            for event in deleted {
                if let Some(kv) = &event.kv {
                    older.remove(&kv.key);
                }
            }
            admits(older, mode)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn older(keys: &[(&str, Mode)]) -> Vec<(Bytes, Mode)> {
        let keys = keys.iter();
        keys.map(|(key, mode)| (Bytes::copy_from_slice(key.as_bytes()), *mode))
            .collect()
    }

    /// Rule: "Who wakes: exclusive waits on its last older key, shared on the last older key that is
    /// not shared, a permit on any older key of the name."
    #[test]
    fn who_wakes() {
        let (x, r, s) = (Mode::Exclusive, Mode::Shared, Mode::Permit(2));
        let mixed = || older(&[("a", x), ("b", r), ("c", x), ("d", r)]);
        assert_eq!(in_the_way(x, mixed()), Some(Ahead::Key("d".into())));
        assert_eq!(in_the_way(r, mixed()), Some(Ahead::Key("c".into())));
        assert_eq!(in_the_way(r, older(&[("b", r)])), None);
        let permits = older(&[("a", s), ("b", s)]);
        let any: BTreeMap<Bytes, Mode> = permits.iter().cloned().collect();
        assert_eq!(in_the_way(s, permits), Some(Ahead::Any(any)));
        assert_eq!(in_the_way(s, older(&[("a", s)])), None);
    }

    /// A permit freed out of order lets the next in.
    #[test]
    fn any_permit_that_goes_lets_the_next_in() {
        let s = Mode::Permit(2);
        let delete = |key: &'static str| Event {
            r#type: EventType::Delete as i32,
            kv: Some(KeyValue {
                key: key.into(),
                ..Default::default()
            }),
            prev_kv: None,
        };
        for gone in ["a", "b"] {
            let mut ahead = in_the_way(s, older(&[("a", s), ("b", s)])).unwrap();
            assert!(!is_past(&mut ahead, s, &[delete("elsewhere")]));
            assert!(is_past(&mut ahead, s, &[delete(gone)]));
        }
    }
}
