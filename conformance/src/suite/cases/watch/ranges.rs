//! Which keys a watch is about.

use latchd_proto::etcdserverpb::WatchCreateRequest;

use super::{add, watching};
use crate::suite::{Case, Session, delete_range, put};

/// Each range sees its part of the same writes, now and in replay.
pub fn cases() -> Vec<Case> {
    let all: [(&str, &[u8], &[u8]); 13] = [
        ("one key", b"b", b""),
        ("a prefix", b"b", b"c"),
        ("from a key on", b"b", b"\0"),
        ("all keys", b"\0", b"\0"),
        ("no key, no end", b"", b""),
        ("no key, to an end", b"", b"b"),
        ("no key, from there on", b"", b"\0"),
        ("from a key to itself", b"b", b"b"),
        ("backwards", b"b", b"a"),
        ("up to a key, without it", b"a", b"b"),
        ("the key of one zero byte", b"\0", b""),
        ("bytes that are no text", b"\xff", b"\xff\xff"),
        ("to an end of zero bytes", b"b", b"\0\0"),
    ];
    let case = |(name, key, range_end): (&str, &'static [u8], &'static [u8])| {
        Case::new(format!("range: {name}"), async move |s: &mut Session| {
            let request = WatchCreateRequest {
                key: key.into(),
                range_end: range_end.into(),
                ..Default::default()
            };
            let mut live = s.watch("live");
            let answer = add(s, &mut live, request.clone()).await?;
            if answer.canceled {
                return s.finish_by_an_event(&mut live).await;
            }
            let keys: [&[u8]; 6] = [b"\0", b"a", b"b", b"b/1", b"c", b"\xff\x01"];
            for key in keys {
                s.quietly(put(key, "1")).await?;
            }
            s.quietly(delete_range(&b"\0"[..], &b"\0"[..])).await?;
            s.drain(&mut live).await?;
            let start_revision = s.revision(1);
            let replayed = WatchCreateRequest {
                start_revision,
                ..request
            };
            let mut w = watching(s, [replayed]).await?;
            s.drain(&mut w).await
        })
    };
    all.into_iter().map(case).collect()
}
