//! "1,000 random histories per rule family against R0": many contenders for each name, all at once, who
//! take, wait, give up, are dropped and expire. Afterwards everything that was granted is held against
//! what the keys were at the revision of the grant.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use etcd_client::{EventType, WatchOptions};
use futures::future::join_all;
use latchd::backend::Backend;
use latchd::service::locks::Keeper;
use latchd::types::LeaseId;
use latchd_proto::etcdserverpb::{DeleteRangeRequest, LeaseGrantRequest, PutRequest};
use latchd_proto::latchd::v1::{AcquireRequest, AcquireResponse, ReleaseRequest};

use crate::common::soon;
use crate::support::{Dice, Service, of, permit, shared};

/// How many histories a family has.
const HISTORIES: u64 = 1000;
/// How many of them are under way at once: they share commits.
const AT_ONCE: u64 = 100;
/// How many contend in each, and how often.
const CONTENDERS: u64 = 4;
const TURNS: usize = 1;

/// The ways to ask.
#[derive(Clone, Copy)]
enum Way {
    Exclusive,
    Shared,
    Permit,
    Several,
}

/// Histories of a kind.
struct Family {
    seed: u64,
    ways: &'static [Way],
    /// Whether etcd's clients and odd keys come in between.
    others: bool,
}

/// One who contends.
struct Contender {
    keeper: Keeper,
    dice: Dice,
    family: &'static Family,
    name: String,
    lease: LeaseId,
}

impl Contender {
    async fn play(mut self) -> Vec<AcquireResponse> {
        self.lease = grant(self.backend()).await;
        let mut granted = Vec::new();
        for _ in 0..TURNS {
            match self.dice.below(8) {
                0 if self.family.others => self.be_someone_else().await,
                _ => granted.extend(self.turn().await),
            }
        }
        granted
    }

    fn backend(&self) -> &Backend {
        self.keeper.backend()
    }

    /// Asks, and if that succeeds lets go in one way or another.
    async fn turn(&mut self) -> Option<AcquireResponse> {
        let mut request = self.request();
        request.wait_ms = [0, -1, -1, 1, 3][self.dice.below(5)];
        let patience = match self.dice.below(3) {
            0 => Duration::from_micros(self.dice.below(3000).try_into().unwrap()),
            _ => crate::common::PATIENCE,
        };
        let asked = tokio::time::timeout(patience, self.keeper.acquire(request));
        let granted = match asked.await {
            Ok(Ok(granted)) => granted,
            Ok(Err(refusal)) => {
                let allowed = ["held", "timeout", "already-held"];
                assert!(allowed.contains(&refusal.reason()), "{refusal}");
                return None;
            }
            Err(_) => {
                assert!(patience < crate::common::PATIENCE, "it waits for ever");
                return None;
            }
        };
        for _ in 0..self.dice.below(20) {
            tokio::task::yield_now().await;
        }
        self.let_go(&granted).await;
        Some(granted)
    }

    fn request(&mut self) -> AcquireRequest {
        let (name, lease) = (self.name.clone(), self.lease.0);
        match self.family.ways[self.dice.below(self.family.ways.len())] {
            Way::Exclusive => of(&[&name], lease),
            Way::Shared => shared(&name, lease),
            Way::Permit => permit(&name, 2, lease),
            Way::Several => {
                let parts = ["a", "b", "c", "d"].map(|part| format!("{name}-{part}"));
                let skipped = self.dice.below(4);
                let mut set: Vec<&str> = parts.iter().map(String::as_str).collect();
                set.remove(skipped);
                set.rotate_left(self.dice.below(3));
                of(&set, lease)
            }
        }
    }

    async fn let_go(&mut self, granted: &AcquireResponse) {
        match self.dice.below(4) {
            0 => {
                self.backend().lease_revoke(self.lease).await.unwrap();
                self.lease = grant(self.backend()).await;
            }
            1 => {
                let request = ReleaseRequest {
                    session: self.lease.0,
                    request_id: granted.request_id.clone(),
                    ..Default::default()
                };
                self.keeper.release(request).await.unwrap();
            }
            _ => {
                let request = ReleaseRequest {
                    session: self.lease.0,
                    holds: granted.holds.clone(),
                    ..Default::default()
                };
                self.keeper.release(request).await.unwrap();
            }
        }
    }

    /// Puts what another client might, and takes it away.
    async fn be_someone_else(&mut self) {
        let lease = grant(self.backend()).await;
        let (key, lease) = match self.dice.below(4) {
            0 => (format!("{}/odd-{:x}", self.name, lease.0), 0),
            1 => (format!("{}/deep/{:x}", self.name, lease.0), lease.0),
            _ => (format!("{}/{:x}", self.name, lease.0), lease.0),
        };
        let key = Bytes::from(key);
        let put = PutRequest {
            key: key.clone(),
            lease,
            ..Default::default()
        };
        self.backend().put(put).await.unwrap();
        for _ in 0..self.dice.below(50) {
            tokio::task::yield_now().await;
        }
        let delete = DeleteRangeRequest {
            key,
            ..Default::default()
        };
        self.backend().delete_range(delete).await.unwrap();
    }
}

async fn grant(backend: &Backend) -> LeaseId {
    let request = LeaseGrantRequest {
        ttl: 600,
        ..Default::default()
    };
    LeaseId(backend.lease_grant(request).await.unwrap().id)
}

impl Family {
    async fn check(&'static self) {
        let mut service = Service::without_sync().await;
        let backend = service.fixture.server().backend().clone();
        let keeper = Keeper::new(backend.clone());
        let mut granted = Vec::new();
        for first in (0..HISTORIES).step_by(AT_ONCE.try_into().unwrap()) {
            let mut playing = Vec::new();
            for number in 0..AT_ONCE * CONTENDERS {
                let contender = Contender {
                    dice: Dice::new(self.seed + first * CONTENDERS + number),
                    name: format!("h/{}", first + number % AT_ONCE),
                    lease: LeaseId::NONE,
                    keeper: keeper.clone(),
                    family: self,
                };
                playing.push(tokio::spawn(contender.play()));
            }
            for played in join_all(playing).await {
                granted.extend(played.unwrap());
            }
        }
        keeper.settled().await;
        let changes = changes(&mut service).await;
        let held = Judge::default().judge(&changes, granted);
        assert!(held > usize::try_from(HISTORIES).unwrap(), "{held}");
    }
}

/// A key put for the first time at a revision, or deleted.
struct Change {
    revision: i64,
    key: String,
    created: bool,
}

/// Everything that ever happened to lock keys, in its order.
async fn changes(service: &mut Service) -> Vec<Change> {
    let now = service.etcd.get("h/", None).await.unwrap();
    let now = now.header().unwrap().revision();
    let options = WatchOptions::new().with_prefix().with_start_revision(1);
    let mut watch = service.etcd.watch("h/", Some(options)).await.unwrap();
    service.etcd.put("h/end", "", None).await.unwrap();
    let mut changes = Vec::new();
    loop {
        let response = soon(watch.message()).await.unwrap().unwrap();
        for event in response.events() {
            let kv = event.kv().unwrap();
            if kv.mod_revision() > now {
                return changes;
            }
            let created = event.event_type() == EventType::Put;
            assert!(!created || kv.version() == 1, "no key is put twice");
            changes.push(Change {
                revision: kv.mod_revision(),
                key: kv.key_str().unwrap().to_owned(),
                created,
            });
        }
    }
}

/// What the keys were, one revision after the other.
#[derive(Default)]
struct Judge {
    /// Directory, then create revision and last segment.
    lines: BTreeMap<String, BTreeSet<(i64, String)>>,
    created: BTreeMap<String, i64>,
    /// The last exclusive token of each name.
    tokens: BTreeMap<String, i64>,
}

impl Judge {
    /// Returns how many holds there were.
    fn judge(mut self, changes: &[Change], mut granted: Vec<AcquireResponse>) -> usize {
        granted.sort_by_key(|granted| granted.revision);
        let (mut changes, mut held) = (changes.iter().peekable(), 0);
        for granted in granted {
            while let Some(change) = changes.next_if(|c| c.revision <= granted.revision) {
                self.enter(change);
            }
            for hold in &granted.holds {
                let key = std::str::from_utf8(&hold.key).unwrap();
                self.check(key, hold.token);
                held += 1;
            }
        }
        changes.for_each(|change| self.enter(change));
        assert!(self.created.is_empty(), "keys are left: {:?}", self.created);
        held
    }

    fn enter(&mut self, change: &Change) {
        let (dir, segment) = change.key.rsplit_once('/').unwrap();
        let line = self.lines.entry(dir.to_owned()).or_default();
        if change.created {
            line.insert((change.revision, segment.to_owned()));
            self.created.insert(change.key.clone(), change.revision);
        } else {
            let created = self.created.remove(&change.key).unwrap();
            line.remove(&(created, segment.to_owned()));
        }
    }

    /// "R0 holds and the own key exists with the same create revision."
    fn check(&mut self, key: &str, token: i64) {
        assert_eq!(self.created.get(key), Some(&token), "{key} is not there");
        let (dir, segment) = key.rsplit_once('/').unwrap();
        let line = &self.lines[dir];
        let older: Vec<&str> = line
            .iter()
            .filter(|(created, _)| *created < token)
            .map(|(_, segment)| segment.as_str())
            .collect();
        let all = |tag: &str| older.iter().all(|segment| segment.starts_with(tag));
        let granted = match &segment[..2] {
            "~r" => all("~r."),
            "~s" => all("~s2.") && older.len() < 2,
            _ => older.is_empty(),
        };
        assert!(granted, "{key} was granted behind {older:?}");
        let last = self.tokens.entry(dir.to_owned()).or_default();
        assert!(token > *last, "the token fell: {token} after {last}");
        if segment.starts_with("~x") {
            *last = token;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exclusive_histories() {
    static FAMILY: Family = Family {
        seed: 1 << 20,
        ways: &[Way::Exclusive],
        others: false,
    };
    FAMILY.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shared_histories() {
    static FAMILY: Family = Family {
        seed: 2 << 20,
        ways: &[Way::Exclusive, Way::Shared, Way::Shared],
        others: false,
    };
    FAMILY.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permit_histories() {
    static FAMILY: Family = Family {
        seed: 3 << 20,
        ways: &[Way::Permit],
        others: false,
    };
    FAMILY.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_of_all_modes_among_other_clients() {
    static FAMILY: Family = Family {
        seed: 4 << 20,
        ways: &[Way::Exclusive, Way::Shared, Way::Permit],
        others: true,
    };
    FAMILY.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_of_several_names() {
    static FAMILY: Family = Family {
        seed: 5 << 20,
        ways: &[Way::Several],
        others: false,
    };
    FAMILY.check().await;
}
