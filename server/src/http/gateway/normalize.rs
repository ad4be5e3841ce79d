//! A request in JSON becomes the message that gRPC would carry, driven by the descriptors.
//!
//! The normal form is protobuf's own, not JSON for pbjson: some of what etcd 3.7.1 takes has no
//! form that pbjson reads, such as the number of an enum value that nobody knows. What is taken and
//! what is refused follows Go's protojson with `DiscardUnknown`, which etcd's gateway reads with.

use std::fmt;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost::encoding::{self, WireType};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::number::{whole, whole_in_string};
use super::shapes::{FieldShape, Kind, MessageShape, SHAPES};

/// How much of a wrong value its refusal repeats, in characters.
const QUOTED: usize = 40;

/// Why a body is no message; the words follow the JSON parser and protojson.
pub type Malformed = serde_json::Error;

/// The message of that shape which `json` says, encoded.
pub fn encoded(shape: &MessageShape, json: &str) -> Result<Vec<u8>, Malformed> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let message = MessageSeed(shape).deserialize(&mut reader)?;
    reader.end()?;
    Ok(message)
}

/// Reads an object as a message.
struct MessageSeed<'a>(&'a MessageShape);

impl<'de> DeserializeSeed<'de> for MessageSeed<'_> {
    type Value = Vec<u8>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Vec<u8>, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_> {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Vec<u8>, A::Error> {
        let mut message = PartialMessage::default();
        while let Some(field) = object.next_key_seed(NameSeed(self.0))? {
            match field {
                Some(field) => {
                    message.once(field)?;
                    let into = &mut message;
                    object.next_value_seed(FieldSeed { field, into })?;
                }
                None => passed_over(object.next_value()?)?,
            }
        }
        Ok(message.wire)
    }
}

/// Looks at a value that no field takes. It is JSON, and need not be understood; but half of a
/// surrogate pair is no text, which only reading it shows.
fn passed_over<E: Error>(value: &RawValue) -> Result<(), E> {
    let json = value.get();
    if json.contains("\\ud") || json.contains("\\uD") {
        serde_json::from_str::<serde_json::Value>(json).map_err(E::custom)?;
    }
    Ok(())
}

/// A message whose fields are being read.
#[derive(Default)]
struct PartialMessage {
    wire: Vec<u8>,
    /// The numbers of the fields that there were, null or not.
    seen: Vec<u32>,
    /// The groups of which one field is set.
    chosen: Vec<i32>,
}

impl PartialMessage {
    fn once<E: Error>(&mut self, field: &FieldShape) -> Result<(), E> {
        if self.seen.contains(&field.number) {
            return Err(E::custom(format_args!("duplicate field {:?}", field.name)));
        }
        self.seen.push(field.number);
        Ok(())
    }

    fn choose<E: Error>(&mut self, field: &FieldShape) -> Result<(), E> {
        let Some(group) = field.oneof else {
            return Ok(());
        };
        if self.chosen.contains(&group) {
            let name = &field.name;
            return Err(E::custom(format_args!(
                "{name:?}: its oneof is already set"
            )));
        }
        self.chosen.push(group);
        Ok(())
    }
}

/// Finds the field that a name means; `None` for one that is not known.
struct NameSeed<'a>(&'a MessageShape);

impl<'de, 'a> DeserializeSeed<'de> for NameSeed<'a> {
    type Value = Option<&'a FieldShape>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_identifier(self)
    }
}

impl<'a> Visitor<'_> for NameSeed<'a> {
    type Value = Option<&'a FieldShape>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.field(name))
    }
}

/// Reads what a field is set to; null sets nothing.
struct FieldSeed<'a> {
    field: &'a FieldShape,
    into: &'a mut PartialMessage,
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for FieldSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value for {}", self.field.name)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        let FieldSeed { field, into } = self;
        if field.repeated {
            let wire = &mut into.wire;
            return reader.deserialize_seq(ListVisitor { field, wire });
        }
        into.choose(field)?;
        let wire = &mut into.wire;
        ValueSeed { field, wire }.deserialize(reader)
    }
}

/// Reads a list, in which null is no value.
struct ListVisitor<'a> {
    field: &'a FieldShape,
    wire: &'a mut Vec<u8>,
}

impl<'de> Visitor<'de> for ListVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list for {}", self.field.name)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let ListVisitor { field, wire } = self;
        while list.next_element_seed(ValueSeed { field, wire })?.is_some() {}
        Ok(())
    }
}

/// Reads one value and writes it with its field's number.
struct ValueSeed<'a> {
    field: &'a FieldShape,
    wire: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        let ValueSeed { field, wire } = self;
        if let Kind::Message(name) = &field.kind {
            let shape = SHAPES
                .message(name)
                .ok_or_else(|| D::Error::custom(format_args!("there is no message {name}")))?;
            let message = MessageSeed(shape).deserialize(reader)?;
            write_bytes(field.number, &message, wire);
            return Ok(());
        }
        let text = <&RawValue as serde::Deserialize>::deserialize(reader)?.get();
        match Scalar::read(&field.kind, text) {
            Some(scalar) => scalar.write(field.number, wire),
            None => return Err(invalid(field, text)),
        }
        Ok(())
    }
}

fn invalid<E: Error>(field: &FieldShape, text: &str) -> E {
    let shown: String = text.chars().take(QUOTED).collect();
    let (kind, name) = (field.kind.name(), &field.name);
    E::custom(format_args!(
        "invalid value for {kind} field {name}: {shown}"
    ))
}

/// A value that is not a message.
enum Scalar {
    Varint(u64),
    Bytes(Vec<u8>),
    /// A name that its enum does not know: the field stays unset.
    Unknown,
}

impl Scalar {
    /// Reads the text of one JSON value.
    fn read(kind: &Kind, text: &str) -> Option<Scalar> {
        match kind {
            Kind::Bool => match text {
                "true" => Some(Scalar::Varint(1)),
                "false" => Some(Scalar::Varint(0)),
                _ => None,
            },
            Kind::Int32 => integer::<i32>(text).map(|number| Scalar::signed(number.into())),
            Kind::Int64 => integer::<i64>(text).map(Scalar::signed),
            Kind::Uint32 => integer::<u32>(text).map(|number| Scalar::Varint(number.into())),
            Kind::Uint64 => integer::<u64>(text).map(Scalar::Varint),
            Kind::String => string(text).map(|text| Scalar::Bytes(text.into_bytes())),
            Kind::Bytes => bytes(&string(text)?).map(Scalar::Bytes),
            Kind::Enum(of) => match string(text) {
                Some(name) => SHAPES
                    .enum_number(of, &name)
                    .map_or(Some(Scalar::Unknown), |number| {
                        Some(Scalar::signed(number.into()))
                    }),
                None => whole::<i32>(text).map(|number| Scalar::signed(number.into())),
            },
            Kind::Message(_) => None,
        }
    }

    /// As protobuf has it: two's complement of 64 bits, whatever the width.
    fn signed(number: i64) -> Scalar {
        Scalar::Varint(number.cast_unsigned())
    }

    fn write(&self, field: u32, wire: &mut Vec<u8>) {
        match self {
            Scalar::Varint(number) => {
                encoding::encode_key(field, WireType::Varint, wire);
                encoding::encode_varint(*number, wire);
            }
            Scalar::Bytes(bytes) => write_bytes(field, bytes, wire),
            Scalar::Unknown => {}
        }
    }
}

fn write_bytes(field: u32, bytes: &[u8], wire: &mut Vec<u8>) {
    encoding::encode_key(field, WireType::LengthDelimited, wire);
    encoding::encode_varint(bytes.len() as u64, wire);
    wire.extend_from_slice(bytes);
}

/// The text of a JSON string.
fn string(text: &str) -> Option<String> {
    text.starts_with('"')
        .then(|| serde_json::from_str(text).ok())
        .flatten()
}

fn integer<T: TryFrom<i128>>(text: &str) -> Option<T> {
    match string(text) {
        Some(inner) => whole_in_string(&inner),
        None => whole(text),
    }
}

/// Either alphabet, with or without padding; line ends are passed over, as Go does.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let alphabet = if text.contains(['-', '_']) {
        &URL_SAFE
    } else {
        &STANDARD
    };
    let padding = if text.len().is_multiple_of(4) {
        DecodePaddingMode::RequireCanonical
    } else {
        DecodePaddingMode::RequireNone
    };
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(padding);
    let engine = GeneralPurpose::new(alphabet, config);
    if text.contains(['\r', '\n']) {
        return engine.decode(text.replace(['\r', '\n'], "")).ok();
    }
    engine.decode(text).ok()
}

#[cfg(test)]
mod tests;
