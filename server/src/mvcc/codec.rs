//! The bytes of a table's values. All integers are little-endian.
//!
//! ```text
//! record  := created i64 | modified i64 | version i64 | lease i64 | value …
//! event   := flags u8 | key_len u32 | key | [len u32 | record] | [len u32 | record]
//! lease   := ttl_millis i64 | kind u8
//! ```
//! An event's flags say which records follow: 1 the new version (a put), 2 the previous one.

use bytes::Bytes;

use super::change::{Event, Record};
use super::state::LeaseKind;
use crate::error::{Error, Result};
use crate::types::{LeaseId, Revision, Ttl};

const RECORD_HEAD: usize = 32;
const HAS_PUT: u8 = 1;
const HAS_PREVIOUS: u8 = 2;

/// Appends a record to `out`.
pub fn encode_record(record: &Record, out: &mut Vec<u8>) {
    out.reserve(RECORD_HEAD + record.value.len());
    for number in [
        record.created.0,
        record.modified.0,
        record.version,
        record.lease.0,
    ] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&record.value);
}

/// Reads a record; an error means a damaged file.
pub fn decode_record(bytes: &[u8]) -> Result<Record> {
    let mut input = Input(bytes);
    let record = Record {
        created: Revision(input.i64()?),
        modified: Revision(input.i64()?),
        version: input.i64()?,
        lease: LeaseId(input.i64()?),
        value: Bytes::new(),
    };
    Ok(Record {
        value: Bytes::copy_from_slice(input.0),
        ..record
    })
}

/// Appends an event to `out`.
pub fn encode_event(event: &Event, out: &mut Vec<u8>) {
    let flags =
        u8::from(event.put.is_some()) * HAS_PUT + u8::from(event.previous.is_some()) * HAS_PREVIOUS;
    out.push(flags);
    push_sized(out, event.key.len(), |out| {
        out.extend_from_slice(&event.key)
    });
    for record in [&event.put, &event.previous].into_iter().flatten() {
        push_sized(out, RECORD_HEAD + record.value.len(), |out| {
            encode_record(record, out);
        });
    }
}

/// Reads an event; an error means a damaged file.
pub fn decode_event(bytes: &[u8]) -> Result<Event> {
    let mut input = Input(bytes);
    let flags = input.u8()?;
    let key = Bytes::copy_from_slice(input.sized()?);
    let mut record = |flag: u8| match flags & flag {
        0 => Ok(None),
        _ => input.sized().and_then(decode_record).map(Some),
    };
    Ok(Event {
        put: record(HAS_PUT)?,
        previous: record(HAS_PREVIOUS)?,
        key,
    })
}

/// The key of an encoded event, without decoding the rest.
pub fn event_key(bytes: &[u8]) -> Result<&[u8]> {
    let mut input = Input(bytes);
    input.u8()?;
    input.sized()
}

/// A lease's row.
#[must_use]
pub fn encode_lease(ttl: Ttl, kind: LeaseKind) -> [u8; 9] {
    let mut out = [0; 9];
    out[..8].copy_from_slice(&ttl.millis.to_le_bytes());
    out[8] = kind as u8;
    out
}

/// Reads a lease's row; an error means a damaged file.
pub fn decode_lease(bytes: &[u8]) -> Result<(Ttl, LeaseKind)> {
    let mut input = Input(bytes);
    let ttl = Ttl {
        millis: input.i64()?,
    };
    let kind = LeaseKind::from_byte(input.u8()?).ok_or_else(damaged)?;
    Ok((ttl, kind))
}

fn push_sized(out: &mut Vec<u8>, len: usize, write: impl FnOnce(&mut Vec<u8>)) {
    // Requests are bounded far below 4 GiB, so the length always fits.
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_le_bytes());
    write(out);
}

fn damaged() -> Error {
    Error::Storage("a row of the data file is damaged".into())
}

/// What is left to read of a row.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| damaged())
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    fn sized(&mut self) -> Result<&'a [u8]> {
        let len = u32::from_le_bytes(self.array()?);
        self.take(len as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records() -> impl Strategy<Value = Record> {
        let numbers = any::<(i64, i64, i64, i64)>();
        (numbers, any::<Vec<u8>>()).prop_map(|((created, modified, version, lease), value)| {
            Record {
                created: Revision(created),
                modified: Revision(modified),
                version,
                lease: LeaseId(lease),
                value: value.into(),
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            key: Vec<u8>,
            put in proptest::option::of(records()),
            previous in proptest::option::of(records()),
        ) {
            let event = Event { key: key.into(), put, previous };
            let mut bytes = Vec::new();
            encode_event(&event, &mut bytes);
            prop_assert_eq!(event_key(&bytes).unwrap(), event.key.as_ref());
            prop_assert_eq!(decode_event(&bytes).unwrap(), event);
        }

        #[test]
        fn any_bytes_are_an_event_or_an_error(bytes: Vec<u8>) {
            let _ = decode_event(&bytes);
            let _ = decode_record(&bytes);
            let _ = decode_lease(&bytes);
        }
    }

    #[test]
    fn a_lease_keeps_its_milliseconds_and_kind() {
        let row = encode_lease(Ttl { millis: 1234 }, LeaseKind::Session);
        assert_eq!(
            decode_lease(&row).unwrap(),
            (Ttl { millis: 1234 }, LeaseKind::Session)
        );
        assert!(decode_lease(&[0; 8]).is_err());
    }
}
