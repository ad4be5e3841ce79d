//! The ID of a session: its lease, and the token that resumes it.

use bytes::Bytes;

use crate::service::turn::hex;
use crate::types::LeaseId;

/// The ID.
#[must_use]
pub fn spell(lease: LeaseId, token: &[u8]) -> String {
    let token: String = token.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{token}", hex(lease))
}

/// Reads an ID; none if this server never gave it out.
#[must_use]
pub fn read(id: &[u8]) -> Option<(LeaseId, Bytes)> {
    let (lease, token) = std::str::from_utf8(id).ok()?.split_once('-')?;
    let lease = LeaseId(i64::from_str_radix(lease, 16).ok()?);
    let pairs = token.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    let token: Vec<u8> = bytes.collect::<Option<_>>()?;
    // One spelling, so that a session cannot be present twice.
    (spell(lease, &token).as_bytes() == id).then(|| (lease, token.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spelt_is_read() {
        let id = spell(LeaseId(0x1f), &[0, 0xab]);
        assert_eq!(id, "1f-00ab");
        assert_eq!(
            read(id.as_bytes()),
            Some((LeaseId(0x1f), Bytes::from_static(&[0, 0xab])))
        );
    }

    #[test]
    fn what_is_no_id() {
        for text in [
            "", "1", "-", "1f-0", "1f-00aB", "01f-00", "+1f-00", "1f-+1", "1f-00-", "x-00",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
        assert_eq!(read(b"\xff-00"), None);
    }
}
