//! Range and RangeStream: from where to where.

use anyhow::Result;
use bytes::Bytes;

use crate::suite::{Case, Session, put, range};

/// Name, key, range end.
type Ends = (&'static str, &'static [u8], &'static [u8]);

const ENDS: [Ends; 22] = [
    ("a key that is there", b"b", b""),
    ("a key that is not", b"bb", b""),
    ("an end after the key", b"b", b"d"),
    ("an end that is there is not in it", b"a", b"b"),
    ("a start that is not there", b"aa", b"c"),
    ("an end that is the key", b"b", b"b"),
    ("an end before the key", b"c", b"a"),
    ("an end right after the key", b"b", b"b\0"),
    (
        "an end right after the key with more below it",
        b"a/",
        b"a/\0",
    ),
    ("everything from a key", b"b", b"\0"),
    ("everything from behind the last", b"\xff\xff\xff", b"\0"),
    ("everything", b"\0", b"\0"),
    ("a start of one zero byte", b"\0", b"b"),
    ("a start of two zero bytes", b"\0\0", b"b"),
    ("an end of two zero bytes", b"\0", b"\0\0"),
    ("a prefix", b"a/", b"a0"),
    ("a prefix with its own key", b"a", b"b"),
    ("a prefix of nothing", b"zz", b"z{"),
    ("a prefix of 0xff", b"\xff", b"\0"),
    ("an end of 0xff", b"c", b"\xff"),
    ("an end of two 0xff", b"c", b"\xff\xff"),
    ("bytes that are no text", b"\x80", b"\xc0"),
];

pub fn cases() -> Vec<Case> {
    let case = |(name, key, end): Ends| {
        Case::new(format!("range: {name}"), async move |s: &mut Session| {
            scene(s).await?;
            s.call(range(key, end)).await;
            s.range_stream(range(key, end)).await
        })
    };
    ENDS.into_iter().map(case).collect()
}

async fn scene(s: &mut Session) -> Result<()> {
    let keys: [&[u8]; 15] = [
        b"a",
        b"a/",
        b"a/\0",
        b"a/1",
        b"a/2",
        b"a0",
        b"b",
        b"b\0",
        b"b\0\0",
        b"c",
        b"\0",
        b"\0\x01",
        b"\x80\xfe",
        b"\xff",
        b"\xff\xff",
    ];
    for key in keys {
        s.call(put(Bytes::from_static(key), "v")).await.ok()?;
    }
    Ok(())
}
