//! Frames that no generated client sends: what a server makes of them is part of
//! its behaviour too.

use latchd_proto::etcdserverpb::{PutResponse, RangeResponse, TxnResponse};

use crate::suite::{Case, Session, everything, rpc::Payload};

const RANGE: &str = "/etcdserverpb.KV/Range";
const PUT: &str = "/etcdserverpb.KV/Put";
const TXN: &str = "/etcdserverpb.KV/Txn";

pub fn cases() -> Vec<Case> {
    vec![
        frames::<RangeResponse>("an empty message", RANGE, &[b""]),
        frames::<PutResponse>(
            "a field that nobody knows",
            PUT,
            &[b"\x0a\x01k\x12\x01v\xfa\x7f\x01x"],
        ),
        frames::<PutResponse>(
            "a field twice: the last counts",
            PUT,
            &[b"\x0a\x01a\x0a\x01b\x12\x01v"],
        ),
        frames::<PutResponse>("a field of another type", PUT, &[b"\x08\x01\x12\x01v"]),
        frames::<PutResponse>("a length beyond the end", PUT, &[b"\x0a\x09k"]),
        frames::<PutResponse>("a number without an end", PUT, &[b"\x0a\x01k\x18\xff\xff"]),
        frames::<PutResponse>("field number zero", PUT, &[b"\x02\x01k"]),
        frames::<PutResponse>("a group that is not closed", PUT, &[b"\x0a\x01k\x13"]),
        frames::<PutResponse>("a bool of 2", PUT, &[b"\x0a\x01k\x12\x01v\x20\x02"]),
        frames::<RangeResponse>(
            "an int64 of ten bytes",
            RANGE,
            &[b"\x0a\x01k\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"],
        ),
        frames::<TxnResponse>("an operation of no kind", TXN, &[b"\x12\x00"]),
        frames::<TxnResponse>(
            "an operation of two kinds: the last counts",
            TXN,
            &[b"\x12\x0e\x0a\x03\x0a\x01a\x12\x07\x0a\x01b\x12\x02v2"],
        ),
        frames::<TxnResponse>(
            "a nested message in two parts is merged",
            TXN,
            &[b"\x12\x0a\x12\x03\x0a\x01a\x12\x03\x12\x01v"],
        ),
        frames::<RangeResponse>("no message at all", RANGE, &[]),
        frames::<RangeResponse>(
            "two messages for one answer",
            RANGE,
            &[b"\x0a\x01a", b"\x0a\x01b"],
        ),
        frames::<RangeResponse>(
            "a method that is not there",
            "/etcdserverpb.KV/Sort",
            &[b""],
        ),
        frames::<RangeResponse>(
            "a service that is not there",
            "/etcdserverpb.Queue/Push",
            &[b""],
        ),
        frames::<RangeResponse>("a path without a method", "/etcdserverpb.KV", &[b""]),
        frames::<RangeResponse>("a package that is not there", "/mvccpb.KV/Range", &[b""]),
    ]
}

fn frames<A: Payload>(name: &str, path: &'static str, messages: &'static [&'static [u8]]) -> Case {
    Case::new(format!("frames: {name}"), async move |s: &mut Session| {
        s.raw::<A>(path, messages).await?;
        s.call(everything()).await;
        Ok(())
    })
}
