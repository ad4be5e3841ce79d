//! What messages look like, from the descriptors that the types were made from: the names and
//! kinds of their fields, and which message an RPC takes.

use std::collections::HashMap;
use std::sync::LazyLock;

use latchd_proto::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    MethodDescriptorProto,
};

/// The shapes of everything that is served.
pub static SHAPES: LazyLock<Shapes> = LazyLock::new(Shapes::compiled_in);

/// Every message, enum and RPC of the API.
#[derive(Default)]
pub struct Shapes {
    messages: HashMap<String, MessageShape>,
    enums: HashMap<String, EnumShape>,
    methods: HashMap<String, MethodShape>,
}

/// A message's fields, under each name that they have in JSON.
#[derive(Default)]
pub struct MessageShape(HashMap<String, FieldShape>);

/// An enum's numbers, by name.
#[derive(Default)]
pub struct EnumShape(HashMap<String, i32>);

/// A field of a message.
#[derive(Clone, Debug)]
pub struct FieldShape {
    /// As etcd spells it.
    pub name: String,
    /// Its number on the wire.
    pub number: u32,
    /// What it holds.
    pub kind: Kind,
    /// Whether it holds a list of that.
    pub repeated: bool,
    /// The group of which at most one may be set.
    pub oneof: Option<i32>,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// 32 bits with a sign.
    Int32,
    /// 64 bits with a sign.
    Int64,
    /// 32 bits.
    Uint32,
    /// 64 bits.
    Uint64,
    /// Text.
    String,
    /// Bytes, in base64.
    Bytes,
    /// A name or number of that enum.
    Enum(String),
    /// A message of that name.
    Message(String),
}

/// An RPC.
#[derive(Clone, Debug)]
pub struct MethodShape {
    /// The message that it takes.
    pub takes: String,
    /// The message that it answers with.
    pub answers: String,
    /// Whether it takes a stream of them.
    pub takes_stream: bool,
    /// Whether it answers with a stream of them.
    pub answers_stream: bool,
}

impl Shapes {
    fn compiled_in() -> Shapes {
        let described = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET);
        let files = described.expect("the descriptor set was compiled in").file;
        let mut shapes = Shapes::default();
        for file in &files {
            let scope = format!(".{}", file.package());
            for message in &file.message_type {
                shapes.add_message(&scope, message);
            }
            for each in &file.enum_type {
                shapes.add_enum(&scope, each);
            }
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    shapes.methods.insert(path, MethodShape::of(method));
                }
            }
        }
        shapes
    }

    fn add_message(&mut self, scope: &str, message: &DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        for inner in &message.nested_type {
            self.add_message(&name, inner);
        }
        for each in &message.enum_type {
            self.add_enum(&name, each);
        }
        self.messages.insert(name, MessageShape::of(message));
    }

    fn add_enum(&mut self, scope: &str, each: &EnumDescriptorProto) {
        let values = each.value.iter();
        let numbers = values.map(|value| (value.name().to_owned(), value.number()));
        let name = format!("{scope}.{}", each.name());
        self.enums.insert(name, EnumShape(numbers.collect()));
    }

    /// The message of that full name, which begins with a dot.
    #[must_use]
    pub fn message(&self, name: &str) -> Option<&MessageShape> {
        self.messages.get(name)
    }

    /// The number that an enum gives a name.
    #[must_use]
    pub fn enum_number(&self, of: &str, name: &str) -> Option<i32> {
        self.enums.get(of)?.0.get(name).copied()
    }

    /// The paths of all RPCs.
    #[cfg(test)]
    pub fn rpcs(&self) -> impl Iterator<Item = &str> {
        self.methods.keys().map(String::as_str)
    }

    /// The RPC of that path, `/package.Service/Method`.
    #[must_use]
    pub fn method(&self, path: &str) -> Option<&MethodShape> {
        self.methods.get(path)
    }
}

impl MessageShape {
    fn of(message: &DescriptorProto) -> MessageShape {
        let mut fields = HashMap::new();
        for field in &message.field {
            let shape = FieldShape::of(field);
            fields.insert(field.json_name().to_owned(), shape.clone());
            fields.insert(field.name().to_owned(), shape);
        }
        MessageShape(fields)
    }

    /// The field that JSON calls `name`.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&FieldShape> {
        self.0.get(name)
    }
}

impl FieldShape {
    fn of(field: &FieldDescriptorProto) -> FieldShape {
        FieldShape {
            name: field.name().to_owned(),
            number: u32::try_from(field.number()).expect("field numbers are positive"),
            kind: Kind::of(field),
            repeated: field.label() == Label::Repeated,
            oneof: field.oneof_index,
        }
    }
}

impl Kind {
    fn of(field: &FieldDescriptorProto) -> Kind {
        match field.r#type() {
            Type::Bool => Kind::Bool,
            Type::Int32 => Kind::Int32,
            Type::Int64 => Kind::Int64,
            Type::Uint32 => Kind::Uint32,
            Type::Uint64 => Kind::Uint64,
            Type::String => Kind::String,
            Type::Bytes => Kind::Bytes,
            Type::Enum => Kind::Enum(field.type_name().to_owned()),
            Type::Message => Kind::Message(field.type_name().to_owned()),
            // Whoever adds such a field to the .proto files sees this in every test.
            other => panic!("{}: the gateway does not read a {other:?}", field.name()),
        }
    }

    /// How protobuf calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::Int32 => "int32",
            Kind::Int64 => "int64",
            Kind::Uint32 => "uint32",
            Kind::Uint64 => "uint64",
            Kind::String => "string",
            Kind::Bytes => "bytes",
            Kind::Enum(_) => "enum",
            Kind::Message(_) => "message",
        }
    }
}

impl MethodShape {
    fn of(method: &MethodDescriptorProto) -> MethodShape {
        MethodShape {
            takes: method.input_type().to_owned(),
            answers: method.output_type().to_owned(),
            takes_stream: method.client_streaming(),
            answers_stream: method.server_streaming(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_is_referred_to_is_there() {
        let fields = SHAPES.messages.values().flat_map(|shape| shape.0.values());
        for field in fields {
            match &field.kind {
                Kind::Enum(name) => assert!(SHAPES.enums.contains_key(name), "{name}"),
                Kind::Message(name) => assert!(SHAPES.message(name).is_some(), "{name}"),
                _ => {}
            }
        }
        for method in SHAPES.methods.values() {
            assert!(SHAPES.message(&method.takes).is_some(), "{method:?}");
        }
    }

    #[test]
    fn both_names_of_a_field() {
        let range = SHAPES.message(".etcdserverpb.RangeRequest").unwrap();
        for name in ["range_end", "rangeEnd"] {
            assert_eq!(range.field(name).unwrap().number, 2, "{name}");
        }
        assert!(range.field("RangeEnd").is_none());
        let grant = SHAPES.message(".etcdserverpb.LeaseGrantRequest").unwrap();
        assert!(grant.field("TTL").is_some() && grant.field("ttl").is_none());
        let order = ".etcdserverpb.RangeRequest.SortOrder";
        assert_eq!(SHAPES.enum_number(order, "DESCEND"), Some(2));
    }
}
