//! The transactions that a lock is made of, and how to read their answers. No I/O here.

use etcd_client::{
    Compare, CompareOp, GetOptions, GetResponse, KeyValue, PutOptions, ResponseHeader, SortOrder,
    SortTarget, Txn, TxnOp, TxnOpResponse, TxnResponse,
};

use crate::error::{Error, Result};
use crate::types::{LeaseId, Revision};

/// What a contender found when it joined.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    /// The create revision of the own key; `None` if there is none.
    pub(crate) token: Option<Revision>,
    /// Whether the own key is the oldest under the lock's directory.
    pub(crate) is_first: bool,
    /// The revision at which all this held.
    pub(crate) at: Revision,
}

/// What a look at the own key and at those before it found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// The own key is gone, or another one is in its place.
    Gone,
    /// Nothing is older.
    First { at: Revision },
    /// The youngest of the older keys: its end is what to wait for.
    Behind { key: Vec<u8>, at: Revision },
}

/// Puts the own key unless it is there, and looks who is first.
///
/// A key that is there already is left from an attempt whose answer got lost. It is as good as
/// new, so this may be sent again after any failure.
pub(crate) fn join(directory: &str, key: &str, lease: LeaseId) -> Txn {
    Txn::new()
        .when([created_at(key, Revision(0))])
        .and_then([put(key, lease), oldest(directory)])
        .or_else([TxnOp::get(key, None), oldest(directory)])
}

/// Puts the own key only if nothing at all is under the directory: etcd compares every key of a
/// range, and a range without keys passes. Otherwise it writes nothing.
pub(crate) fn join_if_free(directory: &str, key: &str, lease: LeaseId) -> Txn {
    Txn::new()
        .when([created_at(directory, Revision(0)).with_prefix()])
        .and_then([put(key, lease), oldest(directory)])
        .or_else([TxnOp::get(key, None), oldest(directory)])
}

/// Whether the own key is still the one created at `token`, and what is before it: in one Txn, so
/// that a grant rests on a single revision.
pub(crate) fn look(directory: &str, key: &str, token: Revision) -> Txn {
    let last_older = GetOptions::new()
        .with_prefix()
        .with_sort(SortTarget::Create, SortOrder::Descend)
        .with_max_create_revision(token.0 - 1)
        .with_limit(1)
        .with_keys_only();
    Txn::new()
        .when([created_at(key, token)])
        .and_then([TxnOp::get(directory, Some(last_older))])
}

/// Whether the own key is still the one created at `token`.
pub(crate) fn look_at_own(key: &str, token: Revision) -> Txn {
    Txn::new().when([created_at(key, token)])
}

/// Deletes the key if it is still the one created at `token`.
pub(crate) fn delete(key: &str, token: Revision) -> Txn {
    Txn::new()
        .when([created_at(key, token)])
        .and_then([TxnOp::delete(key, None)])
}

fn created_at(key: &str, revision: Revision) -> Compare {
    Compare::create_revision(key, CompareOp::Equal, revision.0)
}

fn put(key: &str, lease: LeaseId) -> TxnOp {
    TxnOp::put(key, "", Some(PutOptions::new().with_lease(lease.0)))
}

fn oldest(directory: &str) -> TxnOp {
    let options = GetOptions::new()
        .with_prefix()
        .with_sort(SortTarget::Create, SortOrder::Ascend)
        .with_limit(1)
        .with_keys_only();
    TxnOp::get(directory, Some(options))
}

/// Reads the answer to [`join`] or [`join_if_free`].
pub(crate) fn read_joined(answer: &TxnResponse, key: &str) -> Result<Joined> {
    let at = revision(answer.header())?;
    let mut answers = answer.op_responses().into_iter();
    let token = match answers.next() {
        Some(TxnOpResponse::Put(_)) => Some(at),
        Some(TxnOpResponse::Get(own)) => own.kvs().first().map(created),
        _ => {
            return Err(Error::Malformed {
                missing: "answer about the own key",
            });
        }
    };
    let oldest = first_key(answers.next())?;
    let is_first = token.is_some() && oldest.as_deref() == Some(key.as_bytes());
    Ok(Joined {
        token,
        is_first,
        at,
    })
}

/// Reads the answer to [`look`].
pub(crate) fn read_look(answer: &TxnResponse) -> Result<Look> {
    if !answer.succeeded() {
        return Ok(Look::Gone);
    }
    let at = revision(answer.header())?;
    Ok(match first_key(answer.op_responses().into_iter().next())? {
        Some(key) => Look::Behind { key, at },
        None => Look::First { at },
    })
}

/// The create revision of the only key of the answer, if it is there.
pub(crate) fn read_token(answer: &GetResponse) -> Option<Revision> {
    answer.kvs().first().map(created)
}

/// The revision that the answer belongs to.
pub(crate) fn revision(header: Option<&ResponseHeader>) -> Result<Revision> {
    let header = header.ok_or(Error::Malformed { missing: "header" })?;
    Ok(Revision(header.revision()))
}

fn first_key(answer: Option<TxnOpResponse>) -> Result<Option<Vec<u8>>> {
    match answer {
        Some(TxnOpResponse::Get(found)) => Ok(found.kvs().first().map(|kv| kv.key().to_vec())),
        _ => Err(Error::Malformed {
            missing: "range of the lock's keys",
        }),
    }
}

fn created(kv: &KeyValue) -> Revision {
    Revision(kv.create_revision())
}
