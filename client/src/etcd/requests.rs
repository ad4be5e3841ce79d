//! The transactions that a lock is made of on a plain etcd. What their answers mean is
//! [`answers`](super::answers)'.

use etcd_client::{Compare, CompareOp, GetOptions, PutOptions, SortOrder, SortTarget, Txn, TxnOp};

use crate::types::{LeaseId, Mode, Revision};

/// One name of a contender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The name with its `/`.
    pub(crate) directory: String,
    /// The key that contends there.
    pub(crate) key: String,
}

/// Somebody who contends for one name, or for several at once.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    /// At least one.
    pub(crate) places: Vec<Place>,
    pub(crate) mode: Mode,
    pub(crate) lease: LeaseId,
    /// The value of the keys.
    pub(crate) value: Vec<u8>,
}

/// How much of those before is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// What is mostly enough.
    Usual,
    /// All of them.
    Whole,
}

/// Puts the own keys at the ends of their queues unless they are there, and looks who is first.
///
/// Keys that are there already are left from an attempt whose answer got lost. They are as good as
/// new, so this may be sent again after any failure.
pub(crate) fn join(contender: &Contender) -> Txn {
    let looks = contender
        .places
        .iter()
        .map(|place| first_look(&place.directory, contender.mode));
    Txn::new()
        .when([created_at(contender.places[0].key.as_str(), Revision(0))])
        .and_then(puts(contender).chain(looks).collect::<Vec<_>>())
        .or_else(own_keys(contender))
}

/// Puts the own keys only if nothing at all is under their directories: etcd compares every key of a
/// range, and a range without keys passes. Otherwise it writes nothing.
pub(crate) fn take_if_alone(contender: &Contender) -> Txn {
    take_if(contender, |place| {
        created_at(place.directory.as_str(), Revision(0)).with_prefix()
    })
}

/// Puts the own keys only if nothing was put under their directories after `seen`.
pub(crate) fn take_if_unchanged(contender: &Contender, seen: Revision) -> Txn {
    take_if(contender, |place| {
        let before = seen.next().0;
        Compare::mod_revision(place.directory.as_str(), CompareOp::Less, before).with_prefix()
    })
}

fn take_if(contender: &Contender, condition: impl Fn(&Place) -> Compare) -> Txn {
    let lines = contender.places.iter().map(|place| whole(&place.directory));
    Txn::new()
        .when(contender.places.iter().map(condition).collect::<Vec<_>>())
        .and_then(puts(contender).collect::<Vec<_>>())
        .or_else(lines.collect::<Vec<_>>())
}

/// Whether the own keys are still those created at `token`, and what is before them: in one Txn, so
/// that a grant rests on a single revision.
pub(crate) fn look(contender: &Contender, token: Revision, depth: Depth) -> Txn {
    let older = contender
        .places
        .iter()
        .map(|place| older(&place.directory, contender.mode, token, depth));
    Txn::new()
        .when(all_created_at(contender, token))
        .and_then(older.collect::<Vec<_>>())
}

/// Whether the own keys are still those created at `token`.
pub(crate) fn look_at_own(contender: &Contender, token: Revision) -> Txn {
    Txn::new().when(all_created_at(contender, token))
}

/// Reads the own keys.
pub(crate) fn read_own(contender: &Contender) -> Txn {
    Txn::new().and_then(own_keys(contender))
}

/// Deletes all keys if they are still those created at `token`.
pub(crate) fn delete_all(contender: &Contender, token: Revision) -> Txn {
    let places = contender.places.iter();
    let deletes = places.map(|place| TxnOp::delete(place.key.as_str(), None));
    Txn::new()
        .when(all_created_at(contender, token))
        .and_then(deletes.collect::<Vec<_>>())
}

/// Deletes a key if it is still the one created at `token`.
pub(crate) fn delete(key: &[u8], token: Revision) -> Txn {
    Txn::new()
        .when([created_at(key, token)])
        .and_then([TxnOp::delete(key, None)])
}

/// Changes the value of a key that is still the one created at `token`.
pub(crate) fn change(key: &str, token: Revision, value: Vec<u8>, lease: LeaseId) -> Txn {
    let on_lease = PutOptions::new().with_lease(lease.0);
    Txn::new()
        .when([created_at(key, token)])
        .and_then([TxnOp::put(key, value, Some(on_lease))])
}

fn all_created_at(contender: &Contender, token: Revision) -> Vec<Compare> {
    let places = contender.places.iter();
    places
        .map(|place| created_at(place.key.as_str(), token))
        .collect()
}

fn created_at(key: impl Into<Vec<u8>>, revision: Revision) -> Compare {
    Compare::create_revision(key, CompareOp::Equal, revision.0)
}

fn puts(contender: &Contender) -> impl Iterator<Item = TxnOp> {
    contender.places.iter().map(|place| {
        let on_lease = PutOptions::new().with_lease(contender.lease.0);
        let value = contender.value.as_slice();
        TxnOp::put(place.key.as_str(), value, Some(on_lease))
    })
}

fn own_keys(contender: &Contender) -> Vec<TxnOp> {
    let places = contender.places.iter();
    let keys_only = || Some(GetOptions::new().with_keys_only());
    places
        .map(|place| TxnOp::get(place.key.as_str(), keys_only()))
        .collect()
}

fn by_create(order: SortOrder) -> GetOptions {
    GetOptions::new()
        .with_prefix()
        .with_sort(SortTarget::Create, order)
        .with_keys_only()
}

fn whole(directory: &str) -> TxnOp {
    TxnOp::get(directory, Some(by_create(SortOrder::Ascend)))
}

/// What tells whether a key that was put in the same Txn is granted.
fn first_look(directory: &str, mode: Mode) -> TxnOp {
    match mode {
        // The oldest is the own one, or somebody is before it.
        Mode::Exclusive => TxnOp::get(directory, Some(by_create(SortOrder::Ascend).with_limit(1))),
        Mode::Shared | Mode::Permit { .. } => whole(directory),
    }
}

fn older(directory: &str, mode: Mode, token: Revision, depth: Depth) -> TxnOp {
    let older = by_create(SortOrder::Descend).with_max_create_revision(token.0 - 1);
    let is_last_enough = mode == Mode::Exclusive && depth == Depth::Usual;
    TxnOp::get(
        directory,
        Some(if is_last_enough {
            older.with_limit(1)
        } else {
            older
        }),
    )
}
