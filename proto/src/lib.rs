//! etcd's v3 API, as of etcd 3.7.1, in Rust, and [what latchd adds to it](latchd::v1).
//!
//! One module for each protobuf package, named as the package is, because generated types refer to
//! one another by that path. A module holds
//!
//! - the messages, with `bytes` fields as [`Bytes`](prost::bytes::Bytes), so that a key taken from
//!   a request is shared and not copied;
//! - for each service `Xyz`: `xyz_client::XyzClient`, `xyz_server::{Xyz, XyzServer}`;
//! - [`serde`] for every message, in the JSON that etcd's gateway speaks: snake_case names out,
//!   camelCase taken too, 64-bit integers as strings, bytes as base64, enums by name, defaults left
//!   out, unknown fields ignored.
//!
//! ```
//! use latchd_proto::etcdserverpb::PutRequest;
//!
//! let put = PutRequest { key: "a".into(), lease: 7, ..Default::default() };
//! # use prost::Message;
//! assert_eq!(put.encode_to_vec(), [0x0a, 1, b'a', 0x18, 7]);
//! ```
//!
//! The files that the types are made from lie in `etcd/` and `latchd/` beside the sources. They are
//! written for this crate; in `etcd/` the names and numbers are etcd's, and a test holds them to a
//! table of etcd's.
//! Messages that only members send one another (raft entries, membership) are absent on purpose.

mod codec;

/// Keys and events.
#[allow(missing_docs, clippy::all, clippy::unwrap_used)]
pub mod mvccpb {
    tonic::include_proto!("mvccpb");
    include!(concat!(env!("OUT_DIR"), "/mvccpb.serde.rs"));
}

/// Users, roles and permissions.
#[allow(missing_docs, clippy::all, clippy::unwrap_used)]
pub mod authpb {
    tonic::include_proto!("authpb");
    include!(concat!(env!("OUT_DIR"), "/authpb.serde.rs"));
}

/// The services KV, Watch, Lease, Cluster, Maintenance and Auth.
#[allow(missing_docs, clippy::all, clippy::unwrap_used)]
pub mod etcdserverpb {
    tonic::include_proto!("etcdserverpb");
    include!(concat!(env!("OUT_DIR"), "/etcdserverpb.serde.rs"));
}

/// The service Lock.
#[allow(missing_docs, clippy::all, clippy::unwrap_used)]
pub mod v3lockpb {
    tonic::include_proto!("v3lockpb");
    include!(concat!(env!("OUT_DIR"), "/v3lockpb.serde.rs"));
}

/// The service Election.
#[allow(missing_docs, clippy::all, clippy::unwrap_used)]
pub mod v3electionpb {
    tonic::include_proto!("v3electionpb");
    include!(concat!(env!("OUT_DIR"), "/v3electionpb.serde.rs"));
}

/// What latchd adds to etcd's API.
pub mod latchd {
    /// The service Locks.
    #[allow(missing_docs, clippy::all, clippy::unwrap_used)]
    pub mod v1 {
        tonic::include_proto!("latchd.v1");
        include!(concat!(env!("OUT_DIR"), "/latchd.v1.serde.rs"));
    }
}

/// An encoded `google.protobuf.FileDescriptorSet` of all six packages, for gRPC reflection and for
/// walking messages by name. Without comments.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));
