//! From a lock's name to its keys, exactly as Go's `concurrency.Mutex` makes them.

use crate::types::LeaseId;

/// Everything under it contends for the lock.
pub(crate) fn directory(name: &str) -> String {
    format!("{name}/")
}

/// The key with which a lease contends for the lock.
pub(crate) fn contender(name: &str, lease: LeaseId) -> String {
    format!("{name}/{lease}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_go() {
        assert_eq!(contender("job", LeaseId(0x1f)), "job/1f");
        assert_eq!(directory("a/b"), "a/b/");
        // Go does not tidy names either, and keys must be the same to exclude one another.
        assert_eq!(contender("job/", LeaseId(1)), "job//1");
    }
}
