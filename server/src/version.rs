//! Versions that clients ask for.

/// latchd's own.
pub const LATCHD: &str = env!("CARGO_PKG_VERSION");
/// The etcd whose behaviour is served; clients choose their ways by it.
pub const ETCD: &str = "3.7.1";
/// The cluster version of that etcd.
pub const CLUSTER: &str = "3.7.0";
/// The cluster version, as Downgrade answers it.
pub const CLUSTER_SHORT: &str = "3.7";
/// The minor version that a downgrade of that etcd may go to.
pub const DOWNGRADE_TARGET: (u32, u32) = (3, 6);
/// The storage version of that etcd.
pub const STORAGE: &str = "3.7.0";

/// What `--version` prints after the program's name. The second line is etcd's own, which
/// launchers look for.
pub const LONG: &str = concat!(env!("CARGO_PKG_VERSION"), "\netcd Version: 3.7.1");
