//! Checksums of the store, to compare with themselves: before and after a restore, say. They are not
//! etcd's, whose hashes are over its own file format.

use std::ops::ControlFlow;

use bytes::Bytes;
use crc32fast::Hasher;

use super::codec::encode_record;
use super::key_range::KeyRange;
use super::store::Snapshot;
use crate::error::{Error, Result};
use crate::types::Revision;

/// A checksum of every key as of `revision` (0: now), and that revision.
pub fn hash_keys(snapshot: &Snapshot, revision: Revision) -> Result<(u32, Revision)> {
    let revision = match revision {
        Revision(0) => snapshot.revision,
        asked if asked > snapshot.revision => return Err(Error::FutureRevision),
        // etcd makes no difference between a negative revision and a time before the first key.
        asked if asked.0 < 0 => return Ok((begun(asked).finalize(), asked)),
        asked if asked < snapshot.compacted => return Err(Error::Compacted),
        asked => asked,
    };
    let everything = KeyRange::from_wire(&Bytes::from_static(b"\0"), &Bytes::from_static(b"\0"));
    let mut hasher = begun(revision);
    let mut buffer = Vec::new();
    snapshot
        .view()
        .each_record(&everything, Some(revision), |key, record| {
            buffer.clear();
            encode_record(&record.decode()?, &mut buffer);
            hasher.update(&(key.len() as u64).to_le_bytes());
            hasher.update(key);
            hasher.update(&(buffer.len() as u64).to_le_bytes());
            hasher.update(&buffer);
            Ok(ControlFlow::Continue(()))
        })?;
    Ok((hasher.finalize(), revision))
}

/// A checksum that differs from revision to revision, also when the keys are the same again.
fn begun(revision: Revision) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.update(&revision.0.to_le_bytes());
    hasher
}

/// A checksum of every key now and of all history that is kept.
pub fn hash_all(snapshot: &Snapshot) -> Result<u32> {
    let (keys, _) = hash_keys(snapshot, snapshot.revision)?;
    let mut hasher = Hasher::new_with_initial(keys);
    snapshot.view().each_event(Revision(0), |revision, row| {
        hasher.update(&revision.0.to_le_bytes());
        hasher.update(row);
        Ok(true)
    })?;
    Ok(hasher.finalize())
}
