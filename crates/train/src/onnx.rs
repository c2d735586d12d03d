//! The parts of an ONNX file that training reads and changes: initializers, constants, metadata.
//!
//! A message is a list of fields (Protocol Buffers' wire format); those that aren't changed are passed on byte for byte.

use crate::error::{Error, Result};
use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};
use std::fmt;

/// Field numbers of onnx.proto3.
const MODEL_GRAPH: u32 = 7;
const MODEL_METADATA: u32 = 14;
const GRAPH_NODE: u32 = 1;
const GRAPH_INITIALIZER: u32 = 5;

/// `TensorProto`, without the kinds of data that no detector has.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    #[prost(string, tag = "8")]
    pub name: String,
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
}

/// `TensorProto.DataType`.
const FLOAT: i32 = 1;
const FLOAT16: i32 = 10;

impl Tensor {
    /// Its numbers, if they are floats of one size or another.
    pub fn floats(&self) -> Option<Vec<f32>> {
        match self.data_type {
            FLOAT if self.raw_data.is_empty() => Some(self.float_data.clone()),
            FLOAT => {
                Some(self.raw_data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
            }
            FLOAT16 => {
                let numbers = self.raw_data.as_chunks().0.iter();
                Some(numbers.map(|&bytes| half::f16::from_le_bytes(bytes).to_f32()).collect())
            }
            _ => None,
        }
    }

    /// Replaces its numbers; how they are kept stays.
    pub fn set_floats(&mut self, numbers: &[f32]) {
        self.float_data.clear();
        self.raw_data = match self.data_type {
            FLOAT16 => numbers.iter().flat_map(|&number| half::f16::from_f32(number).to_le_bytes()).collect(),
            _ => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
        };
    }
}

/// `NodeProto`, as far as it is read.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Node {
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
}

/// `AttributeProto`, as far as it is read.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Attribute {
    #[prost(message, optional, tag = "5")]
    pub tensor: Option<Tensor>,
}

/// `StringStringEntryProto`.
#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// A field as it is written: number, kind, and what follows (of a message or text its bytes without their length).
struct Field {
    number: u32,
    wire_type: WireType,
    content: Vec<u8>,
}

/// A model whose weights can be changed.
pub(crate) struct Model {
    fields: Vec<Field>,
    graph: Vec<Field>,
}

#[allow(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn damaged(error: impl fmt::Display) -> Error {
    Error::Damaged { reason: error.to_string() }
}

impl Model {
    pub fn read(file: &[u8]) -> Result<Self> {
        let fields = split(file)?;
        let graph = fields.iter().find(|field| field.number == MODEL_GRAPH);
        let graph = split(&graph.ok_or_else(|| damaged("it has no graph"))?.content)?;
        Ok(Self { fields, graph })
    }

    pub fn write(&self) -> Vec<u8> {
        let graph = join(&self.graph);
        let mut out = Vec::new();
        for field in &self.fields {
            write_field(field, if field.number == MODEL_GRAPH { &graph } else { &field.content }, &mut out);
        }
        out
    }

    fn of_graph<M: Message + Default>(&self, number: u32) -> Result<Vec<M>> {
        let wanted = self.graph.iter().filter(|field| field.number == number);
        wanted.map(|field| M::decode(&field.content[..]).map_err(damaged)).collect()
    }

    pub fn initializers(&self) -> Result<Vec<Tensor>> {
        self.of_graph(GRAPH_INITIALIZER)
    }

    pub fn nodes(&self) -> Result<Vec<Node>> {
        self.of_graph(GRAPH_NODE)
    }

    /// Lets `change` have each initializer.
    pub fn change_initializers(&mut self, mut change: impl FnMut(&mut Tensor)) -> Result<()> {
        for field in self.graph.iter_mut().filter(|field| field.number == GRAPH_INITIALIZER) {
            let mut tensor = Tensor::decode(&field.content[..]).map_err(damaged)?;
            change(&mut tensor);
            field.content = tensor.encode_to_vec();
        }
        Ok(())
    }

    pub fn metadata(&self, key: &str) -> Option<String> {
        let entries = self.fields.iter().filter(|field| field.number == MODEL_METADATA);
        entries
            .filter_map(|field| Entry::decode(&field.content[..]).ok())
            .find(|entry| entry.key == key)
            .map(|entry| entry.value)
    }

    /// Replaces the entry, or adds it.
    pub fn set_metadata(&mut self, key: &str, value: &str) {
        let is_it = |field: &Field| {
            field.number == MODEL_METADATA
                && Entry::decode(&field.content[..]).is_ok_and(|entry| entry.key == key)
        };
        self.fields.retain(|field| !is_it(field));
        let content = Entry { key: key.to_owned(), value: value.to_owned() }.encode_to_vec();
        self.fields.push(Field { number: MODEL_METADATA, wire_type: WireType::LengthDelimited, content });
    }
}

fn split(message: &[u8]) -> Result<Vec<Field>> {
    let mut rest = message;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (number, wire_type) = decode_key(&mut rest).map_err(damaged)?;
        let length = match wire_type {
            WireType::Varint => {
                let mut after = rest;
                decode_varint(&mut after).map_err(damaged)?;
                rest.len() - after.len()
            }
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::LengthDelimited => {
                usize::try_from(decode_varint(&mut rest).map_err(damaged)?).map_err(damaged)?
            }
            WireType::StartGroup | WireType::EndGroup => return Err(damaged("it has groups")),
        };
        let (content, after) = rest.split_at_checked(length).ok_or_else(|| damaged("it breaks off"))?;
        fields.push(Field { number, wire_type, content: content.to_owned() });
        rest = after;
    }
    Ok(fields)
}

fn join(fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        write_field(field, &field.content, &mut out);
    }
    out
}

fn write_field(field: &Field, content: &[u8], out: &mut Vec<u8>) {
    encode_key(field.number, field.wire_type, out);
    if field.wire_type == WireType::LengthDelimited {
        encode_varint(content.len() as u64, out);
    }
    out.extend_from_slice(content);
}
