//! Range: each target of a sort in each order with each kind of limit, now and at
//! earlier revisions.

use anyhow::Result;
use latchd_proto::etcdserverpb::{
    RangeRequest,
    range_request::{SortOrder, SortTarget},
};

use crate::suite::{Case, IntoOp, Session, all_of, delete, prefix, put};

const TARGETS: [(&str, SortTarget); 5] = [
    ("key", SortTarget::Key),
    ("version", SortTarget::Version),
    ("create revision", SortTarget::Create),
    ("mod revision", SortTarget::Mod),
    ("value", SortTarget::Value),
];

const ORDERS: [(&str, SortOrder); 3] = [
    ("in no order", SortOrder::None),
    ("ascending", SortOrder::Ascend),
    ("descending", SortOrder::Descend),
];

const LIMITS: [(&str, i64); 4] = [
    ("all", 0),
    ("the first", 1),
    ("the first three", 3),
    ("at most a hundred", 100),
];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (target_name, target) in TARGETS {
        for (order_name, order) in ORDERS {
            for (limit_name, limit) in LIMITS {
                let request = RangeRequest {
                    sort_target: target.into(),
                    sort_order: order.into(),
                    limit,
                    ..prefix("k/")
                };
                let name = format!("range: {limit_name} by {target_name} {order_name}");
                cases.push(Case::new(name, async move |s: &mut Session| {
                    scene(s).await?;
                    for revision in [0, s.revision(5), s.revision(7), s.revision(9)] {
                        s.call(RangeRequest {
                            revision,
                            ..request.clone()
                        })
                        .await;
                    }
                    Ok(())
                }));
            }
        }
    }
    cases
}

/// Seven keys whose orders by key, version, creation, change and value are five
/// different ones, with equals in each but the first; two neighbours; one deletion.
async fn scene(s: &mut Session) -> Result<()> {
    for (key, value) in [("k/d", "4"), ("k/b", "9"), ("j", "before")] {
        s.call(put(key, value)).await.ok()?;
    }
    let pair = all_of(vec![put("k/g", "5").op(), put("k/a", "5").op()]);
    s.call(pair).await.ok()?;
    for (key, value) in [("k/b", "1"), ("k/b", "1"), ("k/e", ""), ("k/c", "77")] {
        s.call(put(key, value)).await.ok()?;
    }
    s.call(delete("k/c")).await.ok()?;
    let pair = all_of(vec![
        put("k/a", "8").op(),
        put("k/f", "10").op(),
        put("k0", "after").op(),
    ]);
    s.call(pair).await.ok()?;
    s.call(put("k/c", "77")).await.ok()?;
    Ok(())
}
