//! The messages of gRPC's own services, as far as the cases send and show them.

#![allow(missing_docs)]

use prost::{Message, Oneof};
use serde::Serialize;

/// `grpc.health.v1`: what is asked.
#[derive(Clone, PartialEq, Eq, Message, Serialize)]
pub struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    pub service: String,
}

/// `grpc.health.v1`: the answer; 1 is SERVING, 2 NOT_SERVING, 3 SERVICE_UNKNOWN.
#[derive(Clone, PartialEq, Eq, Message, Serialize)]
pub struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    pub status: i32,
}

/// `grpc.health.v1`: nothing is asked.
#[derive(Clone, PartialEq, Eq, Message, Serialize)]
pub struct HealthListRequest {}

/// `grpc.health.v1`: the answers by service.
#[derive(Clone, PartialEq, Eq, Message, Serialize)]
pub struct HealthListResponse {
    #[prost(btree_map = "string, message", tag = "1")]
    pub statuses: std::collections::BTreeMap<String, HealthCheckResponse>,
}

/// `grpc.reflection`: one question, in either version.
#[derive(Clone, PartialEq, Eq, Message, Serialize)]
pub struct ReflectionRequest {
    #[prost(string, tag = "1")]
    pub host: String,
    #[prost(oneof = "Question", tags = "3, 4, 5, 6, 7")]
    pub question: Option<Question>,
}

/// What may be asked.
#[derive(Clone, PartialEq, Eq, Oneof, Serialize)]
pub enum Question {
    #[prost(string, tag = "3")]
    FileByFilename(String),
    #[prost(string, tag = "4")]
    FileContainingSymbol(String),
    #[prost(message, tag = "5")]
    FileContainingExtension(Extension),
    #[prost(string, tag = "6")]
    AllExtensionNumbersOfType(String),
    #[prost(string, tag = "7")]
    ListServices(String),
}

/// An extension of a message, by its number.
#[derive(Clone, PartialEq, Eq, Message, Serialize)]
pub struct Extension {
    #[prost(string, tag = "1")]
    pub containing_type: String,
    #[prost(int32, tag = "2")]
    pub extension_number: i32,
}

/// `grpc.reflection`: one answer.
#[derive(Clone, PartialEq, Eq, Message, Serialize)]
pub struct ReflectionResponse {
    #[prost(string, tag = "1")]
    pub valid_host: String,
    #[prost(message, optional, tag = "2")]
    pub original_request: Option<ReflectionRequest>,
    #[prost(oneof = "Reply", tags = "4, 5, 6, 7")]
    pub reply: Option<Reply>,
}

/// What may be answered.
#[derive(Clone, PartialEq, Eq, Oneof, Serialize)]
pub enum Reply {
    #[prost(message, tag = "4")]
    Files(Files),
    #[prost(message, tag = "5")]
    Extensions(Extensions),
    #[prost(message, tag = "6")]
    Services(Services),
    #[prost(message, tag = "7")]
    Error(Refusal),
}

/// Encoded files.
#[derive(Clone, PartialEq, Eq, Message, Serialize)]
pub struct Files {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub files: Vec<Vec<u8>>,
}

/// Numbers of a type's extensions.
#[derive(Clone, PartialEq, Eq, Message, Serialize)]
pub struct Extensions {
    #[prost(string, tag = "1")]
    pub base_type_name: String,
    #[prost(int32, repeated, tag = "2")]
    pub numbers: Vec<i32>,
}

/// Services by name.
#[derive(Clone, PartialEq, Eq, Message, Serialize)]
pub struct Services {
    #[prost(message, repeated, tag = "1")]
    pub services: Vec<Service>,
}

/// One service.
#[derive(Clone, PartialEq, Eq, Message, Serialize)]
pub struct Service {
    #[prost(string, tag = "1")]
    pub name: String,
}

/// An error within the stream.
#[derive(Clone, PartialEq, Eq, Message, Serialize)]
pub struct Refusal {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
}
