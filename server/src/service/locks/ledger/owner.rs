//! Whose a wait is when deadlocks are looked for.

use std::fmt;
use std::sync::Arc;

use crate::types::LeaseId;

/// Who has several keys that depend on one another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A session or lease.
    Lease(LeaseId),
    /// One that was named in Acquire.
    Named(Arc<str>),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Lease(lease) => f.write_str(&lease.hex()),
            Owner::Named(name) => f.write_str(name),
        }
    }
}
