//! The tables of the data file, and the version of their format.
//!
//! | table | key | value | who writes it |
//! |---|---|---|---|
//! | `keys` | key | the live record | every put and delete |
//! | `history` | (revision, index in the revision) | the event, with the record before it | every put and delete |
//! | `leases` | lease ID | TTL in ms, kind | grant and revoke |
//! | `alarms` | (alarm, member ID) | nothing | Maintenance.Alarm, a full disk quota |
//! | `meta` | name | number | creation, start, compaction |
//! | `member` | name | protobuf | Cluster.MemberUpdate, which makes the table |
//!
//! So a lock's put or delete touches two tables. The current revision is that of the last row of
//! `history`, which compaction never removes. A history row carries the record that it replaced:
//! an older revision is the live keys with the rows after it undone, `prev_kv` needs no second
//! read, and compaction is the removal of a prefix.

use redb::{ReadOnlyTable, Table, TableDefinition};

/// The type of a key in `keys`.
pub type KeysKey = &'static [u8];
/// The type of a key in `history`: revision, index within it.
pub type HistoryKey = (i64, u32);
/// The type of most values; [`super::codec`] has their layouts.
pub type Encoded = &'static [u8];

/// `keys`, open for writing.
pub type KeysTable<'t> = Table<'t, KeysKey, Encoded>;
/// `history`, open for writing.
pub type HistoryTable<'t> = Table<'t, HistoryKey, Encoded>;
/// `leases`, open for writing.
pub type LeasesTable<'t> = Table<'t, i64, Encoded>;
/// `keys` of a snapshot.
pub type KeysSnapshot = ReadOnlyTable<KeysKey, Encoded>;
/// `history` of a snapshot.
pub type HistorySnapshot = ReadOnlyTable<HistoryKey, Encoded>;

/// Live keys.
pub const KEYS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("keys");
/// What each kept revision did.
pub const HISTORY: TableDefinition<(i64, u32), &[u8]> = TableDefinition::new("history");
/// Leases that have been granted and not revoked.
pub const LEASES: TableDefinition<i64, &[u8]> = TableDefinition::new("leases");
/// Alarms that have been raised and not disarmed: etcd's `AlarmType`, and whose.
pub const ALARMS: TableDefinition<(i32, u64), ()> = TableDefinition::new("alarms");
/// Numbers about the store as a whole; the names are below.
pub const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

/// What operators have said of the member. Absent until they have.
pub const MEMBER: TableDefinition<&str, &[u8]> = TableDefinition::new("member");

/// The format that this version writes, and the newest that it reads.
pub const FORMAT: u64 = 1;

/// Name in `meta`: the format of the file.
pub const META_FORMAT: &str = "format";
/// Name in `meta`: the cluster ID that every response carries; chosen at creation.
pub const META_CLUSTER: &str = "cluster_id";
/// Name in `meta`: the member ID that every response carries; chosen at creation.
pub const META_MEMBER: &str = "member_id";
/// Name in `meta`: the term of the last start; one more at each start, so it never goes down.
pub const META_TERM: &str = "raft_term";
/// Name in `member`: a `Member` with the peer URLs, and nothing else.
pub const MEMBER_PEERS: &str = "peers";
/// Name in `meta`: the compacted revision; absent before the first compaction.
pub const META_COMPACTED: &str = "compacted";
/// The last revision that a client asked to compact; none where there is no such row.
pub const META_ASKED: &str = "compacted-as-asked";
