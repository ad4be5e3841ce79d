//! Lease: grants, keepalives, revokes, what keys they hold, and their end.

use crate::suite::Case;

mod expiry;
mod grants;
mod keepalives;
mod keys;
mod revokes;

pub fn cases() -> Vec<Case> {
    let parts = [
        grants::cases(),
        keepalives::cases(),
        keys::cases(),
        revokes::cases(),
        expiry::cases(),
    ];
    parts.into_iter().flatten().collect()
}
