//! Range: what is left out of a range, by revision; and what is left out of an
//! answer.

use anyhow::Result;
use latchd_proto::etcdserverpb::{
    RangeRequest,
    range_request::{SortOrder, SortTarget},
};

use crate::suite::{Case, IntoOp, Session, all_of, prefix, put};

/// How a filter is set: the lower and the upper bound, in writes from the start;
/// 0 leaves one out.
const BOUNDS: [(&str, i64, i64); 8] = [
    ("from the first", 1, 0),
    ("from the middle", 4, 0),
    ("from the last", 7, 0),
    ("from after the last", 8, 0),
    ("to the first", 0, 1),
    ("to the middle", 0, 4),
    ("between two", 3, 5),
    ("between two the wrong way round", 5, 3),
];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, min, max) in BOUNDS {
        cases.push(case(
            format!("by mod revision {name}"),
            move |s, request| {
                request.min_mod_revision = bound(s, min);
                request.max_mod_revision = bound(s, max);
            },
        ));
        cases.push(case(
            format!("by create revision {name}"),
            move |s, request| {
                request.min_create_revision = bound(s, min);
                request.max_create_revision = bound(s, max);
            },
        ));
    }
    cases.extend(combined());
    cases.extend(shortened());
    cases
}

fn bound(s: &Session, writes: i64) -> i64 {
    if writes == 0 { 0 } else { s.revision(writes) }
}

/// Filters together with one another and with all else.
fn combined() -> Vec<Case> {
    vec![
        case("by both revisions", |s, request| {
            request.max_create_revision = s.revision(3);
            request.min_mod_revision = s.revision(4);
        }),
        case("by mod revision before the limit", |s, request| {
            request.min_mod_revision = s.revision(6);
            request.limit = 1;
        }),
        case(
            "by create revision, the youngest first, one",
            |s, request| {
                request.max_create_revision = s.revision(3);
                request.sort_target = SortTarget::Create.into();
                request.sort_order = SortOrder::Descend.into();
                request.limit = 1;
            },
        ),
        case("by create revision, only counted", |s, request| {
            request.min_create_revision = s.revision(2);
            request.count_only = true;
        }),
        case("by mod revision, only keys", |s, request| {
            request.max_mod_revision = s.revision(4);
            request.keys_only = true;
        }),
        case("by mod revision at an older revision", |s, request| {
            request.revision = s.revision(5);
            request.max_mod_revision = s.revision(3);
        }),
        case("by negative revisions", |_, request| {
            request.min_mod_revision = -1;
            request.min_create_revision = i64::MIN;
        }),
        case("to a negative mod revision", |_, request| {
            request.max_mod_revision = -1
        }),
        case("to a negative create revision", |_, request| {
            request.max_create_revision = -5
        }),
        case("from the greatest mod revision", |_, request| {
            request.min_mod_revision = i64::MAX;
        }),
        case("to the greatest create revision", |_, request| {
            request.max_create_revision = i64::MAX;
        }),
    ]
}

/// Less than whole keys.
fn shortened() -> Vec<Case> {
    vec![
        case("only keys", |_, request| request.keys_only = true),
        case("only keys, two", |_, request| {
            request.keys_only = true;
            request.limit = 2;
        }),
        case("only keys by value", |_, request| {
            request.keys_only = true;
            request.sort_target = SortTarget::Value.into();
            request.sort_order = SortOrder::Descend.into();
        }),
        case("only the count", |_, request| request.count_only = true),
        case("only the count, with a limit", |_, request| {
            request.count_only = true;
            request.limit = 2;
        }),
        case("only the count, sorted", |_, request| {
            request.count_only = true;
            request.sort_target = SortTarget::Mod.into();
            request.sort_order = SortOrder::Ascend.into();
        }),
        case("only keys and only the count", |_, request| {
            request.keys_only = true;
            request.count_only = true;
        }),
        case("only the count at an older revision", |s, request| {
            request.count_only = true;
            request.revision = s.revision(3);
        }),
        case("only keys at an older revision", |s, request| {
            request.keys_only = true;
            request.revision = s.revision(5);
        }),
        case("serializable", |_, request| request.serializable = true),
        case("serializable at an older revision", |s, request| {
            request.serializable = true;
            request.revision = s.revision(2);
        }),
        case("a negative limit", |_, request| request.limit = -1),
        case("a negative limit, sorted", |_, request| {
            request.limit = -3;
            request.sort_target = SortTarget::Version.into();
            request.sort_order = SortOrder::Ascend.into();
        }),
        case("a limit of exactly all", |_, request| request.limit = 6),
        case("a limit of all but one", |_, request| request.limit = 5),
        case("the greatest limit", |_, request| request.limit = i64::MAX),
    ]
}

fn case(name: impl Into<String>, set: impl Fn(&Session, &mut RangeRequest) + 'static) -> Case {
    let name = format!("range: {}", name.into());
    Case::new(name, async move |s: &mut Session| {
        scene(s).await?;
        let mut request = prefix("k");
        set(s, &mut request);
        s.call(request.clone()).await;
        s.range_stream(request).await
    })
}

/// Six keys; created in writes 1, 2, 2, 3, 5, 7 and changed up to write 7.
async fn scene(s: &mut Session) -> Result<()> {
    s.call(put("k3", "c")).await.ok()?;
    s.call(all_of(vec![put("k1", "b").op(), put("k2", "a").op()]))
        .await
        .ok()?;
    s.call(put("k5", "f")).await.ok()?;
    s.call(put("k1", "e")).await.ok()?;
    s.call(put("k0", "d")).await.ok()?;
    s.call(put("k3", "a")).await.ok()?;
    s.call(put("k9", "z")).await.ok()?;
    Ok(())
}
