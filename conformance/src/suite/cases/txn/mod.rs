//! Txn: what it compares, what it does, and what it refuses.

use crate::suite::Case;

mod compares;
mod duplicates;
mod limits;
mod odd_compares;
mod operations;
mod refused;

pub fn cases() -> Vec<Case> {
    let parts = [
        compares::cases(),
        odd_compares::cases(),
        operations::cases(),
        duplicates::cases(),
        limits::cases(),
        refused::cases(),
    ];
    parts.into_iter().flatten().collect()
}
