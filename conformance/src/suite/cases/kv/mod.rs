//! KV: Range in all its forms, Put, DeleteRange, and frames that no client sends.

use crate::suite::Case;

mod delete;
mod frames;
mod put;
mod range;
mod range_ends;
mod range_filters;
mod range_odd;
mod range_stream;

pub fn cases() -> Vec<Case> {
    let parts = [
        range::cases(),
        range_ends::cases(),
        range_filters::cases(),
        range_odd::cases(),
        range_stream::cases(),
        put::cases(),
        delete::cases(),
        frames::cases(),
    ];
    parts.into_iter().flatten().collect()
}
