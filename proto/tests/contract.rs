//! Our .proto files say what etcd's say: the descriptor set, listed line by line, is the listing of
//! etcd's own files in `contract.txt`.
//!
//! The lines, by example:
//!
//! ```text
//! message etcdserverpb.RequestOp
//! etcdserverpb.RequestOp.request_put = 2 etcdserverpb.PutRequest optional oneof request
//! enum mvccpb.Event.EventType
//! mvccpb.Event.EventType.DELETE = 1
//! service etcdserverpb.Watch
//! etcdserverpb.Watch/Watch (stream etcdserverpb.WatchRequest) returns (stream etcdserverpb.WatchResponse)
//! ```

use std::collections::BTreeSet;

use latchd_proto::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    ServiceDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

/// The lines that make up etcd's files in a descriptor set, sorted and unique.
#[derive(Default)]
struct Listing(BTreeSet<String>);

impl Listing {
    fn of(set: &FileDescriptorSet) -> Self {
        let mut listing = Self::default();
        let etcds = set
            .file
            .iter()
            .filter(|file| file.name().starts_with("etcd/"));
        for file in etcds {
            let package = file.package();
            for message in &file.message_type {
                listing.message(package, message);
            }
            for an_enum in &file.enum_type {
                listing.enumeration(package, an_enum);
            }
            for service in &file.service {
                listing.service(package, service);
            }
        }
        listing
    }

    fn line(&mut self, line: String) {
        assert!(self.0.insert(line.clone()), "twice: {line}");
    }

    fn message(&mut self, scope: &str, message: &DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        self.line(format!("message {name}"));
        for field in &message.field {
            let oneof = field.oneof_index.map_or(String::new(), |index| {
                format!(" oneof {}", message.oneof_decl[index as usize].name())
            });
            self.line(format!(
                "{name}.{} = {} {} {}{oneof}",
                field.name(),
                field.number(),
                type_name(field),
                label(field),
            ));
        }
        for nested in &message.nested_type {
            self.message(&name, nested);
        }
        for nested in &message.enum_type {
            self.enumeration(&name, nested);
        }
    }

    fn enumeration(&mut self, scope: &str, an_enum: &EnumDescriptorProto) {
        let name = format!("{scope}.{}", an_enum.name());
        self.line(format!("enum {name}"));
        for value in &an_enum.value {
            self.line(format!("{name}.{} = {}", value.name(), value.number()));
        }
    }

    fn service(&mut self, scope: &str, service: &ServiceDescriptorProto) {
        let name = format!("{scope}.{}", service.name());
        self.line(format!("service {name}"));
        for method in &service.method {
            self.line(format!(
                "{name}/{} ({}{}) returns ({}{})",
                method.name(),
                stream(method.client_streaming()),
                without_dot(method.input_type()),
                stream(method.server_streaming()),
                without_dot(method.output_type()),
            ));
        }
    }
}

fn type_name(field: &FieldDescriptorProto) -> &str {
    match field.r#type() {
        Type::Message | Type::Enum => without_dot(field.type_name()),
        // TYPE_INT64 is written int64 in a .proto file; the API has these and no others.
        Type::Int64 => "int64",
        Type::Uint64 => "uint64",
        Type::Uint32 => "uint32",
        Type::Bool => "bool",
        Type::String => "string",
        Type::Bytes => "bytes",
        other => other.as_str_name(),
    }
}

fn label(field: &FieldDescriptorProto) -> &'static str {
    match field.label() {
        Label::Optional => "optional",
        Label::Required => "required",
        Label::Repeated => "repeated",
    }
}

fn stream(streaming: bool) -> &'static str {
    if streaming { "stream " } else { "" }
}

/// Descriptors name types in full, with a dot ahead.
fn without_dot(name: &str) -> &str {
    name.strip_prefix('.').unwrap_or(name)
}

fn descriptors() -> FileDescriptorSet {
    FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("a valid descriptor set")
}

/// The lines of `contract.txt`, without the remarks at its head.
fn contract() -> Vec<&'static str> {
    include_str!("contract.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect()
}

#[test]
fn names_and_numbers_are_those_of_etcd() {
    let ours = Listing::of(&descriptors()).0;
    let etcd: BTreeSet<String> = contract().into_iter().map(String::from).collect();
    let missing: Vec<_> = etcd.difference(&ours).collect();
    let surplus: Vec<_> = ours.difference(&etcd).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "only in etcd: {missing:#?}\nonly here: {surplus:#?}"
    );
}

#[test]
fn the_table_is_sorted_and_whole() {
    let lines = contract();
    assert!(lines.is_sorted());
    let starting = |word: &str| lines.iter().filter(|line| line.starts_with(word)).count();
    assert_eq!(starting("service "), 8);
    assert_eq!(starting("message "), MESSAGES);
    assert_eq!(
        lines.iter().filter(|line| line.contains('/')).count(),
        METHODS
    );
}

const MESSAGES: usize = 117;
const METHODS: usize = 49;

#[test]
fn the_descriptor_set_can_be_served_by_reflection() {
    let set = descriptors();
    let mut known = BTreeSet::new();
    for file in &set.file {
        for import in &file.dependency {
            assert!(known.contains(import), "{} before {import}", file.name());
        }
        assert!(
            file.source_code_info.is_none(),
            "{} with comments",
            file.name()
        );
        known.insert(file.name().to_owned());
    }
}

/// The gateway's names: protobuf's rule for JSON capitalizes after an underscore and leaves the rest,
/// so that `TTL` stays, and `remaining_TTL` becomes `remainingTTL`.
#[test]
fn json_names_follow_protobufs_rule() {
    let set = descriptors();
    let fields = set
        .file
        .iter()
        .flat_map(|file| &file.message_type)
        .flat_map(|message| &message.field);
    for field in fields {
        let mut camel = String::new();
        let mut upper = false;
        for c in field.name().chars() {
            match c {
                '_' => upper = true,
                c if upper => {
                    camel.push(c.to_ascii_uppercase());
                    upper = false;
                }
                c => camel.push(c),
            }
        }
        assert_eq!(field.json_name(), camel);
    }
}
