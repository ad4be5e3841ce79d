//! Decisions: a command and a store go in, an answer comes out.
//!
//! No clock, no channel, no network. A command is checked whole before its first write; after it,
//! only a bug or a failing disk can stop it, and both stop the process.

pub mod alarm;
mod kv;
mod lease;
pub mod txn;

#[cfg(test)]
mod tests;

use crate::command::{Command, Lane, Reply};
use crate::error::Result;
use crate::mvcc::write::Batch;

/// How many rows of history one [`Command::Trim`] frees; writers wait no longer than that takes.
const TRIM_ROWS: usize = 10_000;

/// Applies one command. What it wrote becomes one revision; an error means that it wrote nothing.
pub fn apply(batch: &mut Batch<'_>, command: Command, lane: Lane) -> Result<Reply> {
    let answer = match lane {
        Lane::Client => alarm::check(batch, &command).and_then(|()| dispatch(batch, command)),
        Lane::CleanUp => dispatch(batch, command),
    };
    assert!(
        answer.is_ok() || batch.revision() == batch.base_revision(),
        "a command failed after its first write: {answer:?}"
    );
    batch.end_command();
    answer
}

fn dispatch(batch: &mut Batch<'_>, command: Command) -> Result<Reply> {
    match command {
        // The applier does it itself, when no transaction is open.
        Command::Defragment => Ok(Reply::Defragment),
        Command::Alarm(request) => alarm::alarm(batch, &request).map(Reply::Alarm),
        Command::SetPeerUrls(urls) => batch.set_peer_urls(urls).map(|()| Reply::SetPeerUrls),
        Command::Put(request) => kv::put(batch, &request).map(Reply::Put),
        Command::DeleteRange(request) => kv::delete_range(batch, &request).map(Reply::DeleteRange),
        Command::Txn(request) => txn::txn(batch, &request).map(Reply::Txn),
        Command::Compact(revision) => kv::compact(batch, revision, true).map(Reply::Compact),
        Command::AutoCompact(revision) => kv::compact(batch, revision, false).map(Reply::Compact),
        Command::Trim => batch.trim(TRIM_ROWS).map(|more| Reply::Trim { more }),
        Command::Grant { id, ttl, kind } => lease::grant(batch, id, ttl, kind).map(Reply::Grant),
        Command::Revoke(id) => lease::revoke(batch, id).map(Reply::Revoke),
        Command::LeaseKeys(id) => lease::keys(batch, id).map(Reply::LeaseKeys),
    }
}
