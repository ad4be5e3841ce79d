//! RangeStream: what it streams and what it refuses. The forms of its range are in
//! `range_ends`, its other options in `range_filters` and `range_odd`.

use anyhow::Result;
use latchd_proto::etcdserverpb::{
    RangeRequest,
    range_request::{SortOrder, SortTarget},
};

use crate::suite::{Case, IntoOp, Session, all_of, prefix, put};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (target, order, name) in [
        (SortTarget::Key, SortOrder::Ascend, "by key, ascending"),
        (SortTarget::Key, SortOrder::Descend, "by key, descending"),
        (
            SortTarget::Version,
            SortOrder::None,
            "by version, in no order",
        ),
        (SortTarget::Create, SortOrder::Ascend, "by create revision"),
        (
            SortTarget::Value,
            SortOrder::Descend,
            "by value, descending",
        ),
    ] {
        cases.push(streamed(name, 4, move |_, request| {
            request.sort_target = target.into();
            request.sort_order = order.into();
        }));
    }
    for (keys, limit) in [
        (9, 0),
        (10, 0),
        (11, 0),
        (35, 0),
        (35, 10),
        (35, 11),
        (35, 34),
        (35, 35),
        (35, 36),
    ] {
        let name = match limit {
            0 => format!("{keys} keys"),
            limit => format!("{limit} of {keys} keys"),
        };
        cases.push(streamed(&name, keys, move |_, request| {
            request.limit = limit
        }));
    }
    cases.push(streamed("only keys of many", 25, |_, request| {
        request.keys_only = true
    }));
    cases.push(streamed("only the count of many", 25, |_, request| {
        request.count_only = true
    }));
    cases.push(streamed("many at an older revision", 25, |s, request| {
        request.revision = s.revision(1);
    }));
    cases.push(streamed("serializable", 12, |_, request| {
        request.serializable = true
    }));
    cases.extend(sizes());
    cases
}

/// Pieces become longer or shorter, as the values are.
fn sizes() -> Vec<Case> {
    const KIB: usize = 1 << 10;
    let all = [
        ("values of 60 KiB", 60, 60 * KIB),
        ("values of 100 KiB", 40, 100 * KIB),
        ("values of 500 KiB", 25, 500 * KIB),
    ];
    let case = |(name, keys, bytes): (&str, usize, usize)| {
        Case::new(
            format!("range stream: {name}"),
            async move |s: &mut Session| {
                for at in 0..keys {
                    s.quietly(put(format!("k/{at:02}"), vec![b'v'; bytes]))
                        .await?;
                }
                s.range_stream(prefix("k/")).await
            },
        )
    };
    all.into_iter().map(case).collect()
}

/// So many keys as a stream.
fn streamed(name: &str, keys: usize, set: impl Fn(&Session, &mut RangeRequest) + 'static) -> Case {
    Case::new(
        format!("range stream: {name}"),
        async move |s: &mut Session| {
            scene(s, keys).await?;
            s.call(put("k/00", "again")).await;
            let mut request = prefix("k/");
            set(s, &mut request);
            s.range_stream(request).await
        },
    )
}

async fn scene(s: &mut Session, keys: usize) -> Result<()> {
    let puts = (0..keys).map(|at| put(format!("k/{at:02}"), format!("v{at}")).op());
    s.call(all_of(puts.collect())).await.ok()?;
    Ok(())
}
