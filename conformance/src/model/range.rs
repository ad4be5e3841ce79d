//! What a Range makes of the keys that it finds: filters, order, limit, and what is left of each.

use std::cmp::Ordering;

use bytes::Bytes;
use latchd_proto::{
    etcdserverpb::{
        RangeRequest, RangeResponse,
        range_request::{SortOrder, SortTarget},
    },
    mvccpb::KeyValue,
};

use super::store::{Keys, Span};

/// All of an answer but its header.
pub(super) fn read(request: &RangeRequest, keys: &Keys) -> RangeResponse {
    let span = Span::new(&request.key, &request.range_end);
    let mut found: Vec<KeyValue> = keys
        .values()
        .filter(|kv| span.contains(&kv.key))
        .cloned()
        .collect();
    // Before filters and limit, and of all keys.
    let count = found.len() as i64;
    if request.count_only {
        found.clear();
    }
    let limit = usize::try_from(request.limit).map_or(usize::MAX, |limit| match limit {
        0 => usize::MAX,
        limit => limit,
    });
    if is_default_order(request) && !has_filters(request) {
        // One more than wanted, in key order, also where a target without an order sorts below.
        found.truncate(limit.saturating_add(1));
    }
    found.retain(|kv| passes(request, kv));
    sort(request, &mut found);
    let more = found.len() > limit;
    found.truncate(limit);
    if request.keys_only {
        found.iter_mut().for_each(|kv| strip(request, kv));
    }
    RangeResponse {
        header: None,
        kvs: found,
        more,
        count,
    }
}

/// Whether keys are taken as they come.
pub(super) fn is_default_order(request: &RangeRequest) -> bool {
    match request.sort_order() {
        SortOrder::None => true,
        SortOrder::Ascend => request.sort_target() == SortTarget::Key,
        SortOrder::Descend => false,
    }
}

pub(super) fn has_filters(request: &RangeRequest) -> bool {
    request.min_mod_revision != 0
        || request.max_mod_revision != 0
        || request.min_create_revision != 0
        || request.max_create_revision != 0
}

fn passes(request: &RangeRequest, kv: &KeyValue) -> bool {
    let within = |min: i64, max: i64, revision: i64| {
        (min == 0 || revision >= min) && (max == 0 || revision <= max)
    };
    within(
        request.min_mod_revision,
        request.max_mod_revision,
        kv.mod_revision,
    ) && within(
        request.min_create_revision,
        request.max_create_revision,
        kv.create_revision,
    )
}

/// Equal ones keep their order, also when it is reversed. etcd's sort does so for at most twelve
/// keys and promises nothing beyond.
fn sort(request: &RangeRequest, found: &mut [KeyValue]) {
    let by = |left: &KeyValue, right: &KeyValue| -> Ordering {
        match request.sort_target() {
            SortTarget::Key => left.key.cmp(&right.key),
            SortTarget::Version => left.version.cmp(&right.version),
            SortTarget::Create => left.create_revision.cmp(&right.create_revision),
            SortTarget::Mod => left.mod_revision.cmp(&right.mod_revision),
            SortTarget::Value => left.value.cmp(&right.value),
        }
    };
    match request.sort_order() {
        SortOrder::Descend => found.sort_by(|left, right| by(right, left)),
        SortOrder::None | SortOrder::Ascend => found.sort_by(by),
    }
}

/// `keys_only` is answered from the index of keys, which has no leases, unless the values are
/// needed for the order.
fn strip(request: &RangeRequest, kv: &mut KeyValue) {
    kv.value = Bytes::new();
    if request.sort_target() != SortTarget::Value {
        kv.lease = 0;
    }
}
