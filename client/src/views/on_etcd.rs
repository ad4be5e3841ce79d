//! What an etcd's keys tell.

use etcd_client::GetOptions;

use super::line::Lines;
use super::types::{Contender, Lock};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::etcd::{delete, revision};
use crate::types::Revision;

/// How many keys are read at a time.
const PIECE: i64 = 1000;

/// All lines of names that begin so, and the revision at which they were read.
pub(super) async fn list(client: &Client, prefix: &[u8]) -> Result<(Lines, Revision)> {
    let mut lines = Lines::default();
    let end = end_of(prefix);
    let mut from = match prefix.is_empty() {
        true => b"\0".to_vec(),
        false => prefix.to_vec(),
    };
    let mut at = None;
    loop {
        let piece = GetOptions::new()
            .with_range(end.as_slice())
            .with_limit(PIECE)
            .with_revision(at.map_or(0, |Revision(at)| at));
        let found = client.kv().get(from, Some(piece)).await?;
        let at = *at.get_or_insert(revision(found.header())?);
        for kv in found.kvs() {
            lines.put(kv);
        }
        match found.kvs().last() {
            Some(last) if found.more() => from = [last.key(), b"\0"].concat(),
            _ => return Ok((lines, at)),
        }
    }
}

pub(super) async fn show(client: &Client, name: &[u8]) -> Result<Option<Lock>> {
    let directory = [name, b"/"].concat();
    Ok(list(client, &directory).await?.0.lock(name))
}

pub(super) async fn verify(client: &Client, name: &[u8], token: Revision) -> Result<bool> {
    Ok(show(client, name).await?.is_some_and(|lock| {
        let mut holders = lock.holders.iter();
        holders.any(|holder| holder.token == token)
    }))
}

pub(super) async fn force_release(
    client: &Client,
    name: &[u8],
    token: Revision,
) -> Result<Contender> {
    let not_held = || Error::NotHeld {
        key: String::from_utf8_lossy(name).into_owned(),
    };
    let lock = show(client, name).await?.ok_or_else(not_held)?;
    let contenders = lock.holders.into_iter().chain(lock.waiting);
    let found = contenders.into_iter().find(|each| each.token == token);
    let contender = found.ok_or_else(not_held)?;
    let deleted = client.kv().txn(delete(&contender.key, token)).await?;
    match deleted.succeeded() {
        true => Ok(contender),
        false => Err(not_held()),
    }
}

/// The first key after all that begin so; for no prefix, etcd's word for the end.
fn end_of(prefix: &[u8]) -> Vec<u8> {
    let Some(last) = prefix.iter().rposition(|byte| *byte != 0xff) else {
        return b"\0".to_vec();
    };
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends() {
        assert_eq!(end_of(b"a/"), b"a0");
        assert_eq!(end_of(b"a\xff"), b"b");
        assert_eq!(end_of(b""), b"\0");
        assert_eq!(end_of(b"\xff\xff"), b"\0");
    }
}
