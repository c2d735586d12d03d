//! ONNX files as exporters write them: small models whose outputs are weights, or come from a few nodes.

use half::f16;
use prost::Message;

/// `TensorProto.DataType`.
pub const FLOAT: i32 = 1;
/// 64-bit integers.
pub const INT64: i32 = 7;
/// Of one byte.
pub const BOOL: i32 = 9;
/// Half precision.
pub const HALF: i32 = 10;

/// `ModelProto`; field numbers here and below are those of onnx.proto3.
#[derive(Clone, PartialEq, Message)]
pub struct Model {
    /// Of the format.
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    /// What it computes.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<Graph>,
    /// Versions of the operators.
    #[prost(message, repeated, tag = "8")]
    pub operators: Vec<Operators>,
    /// Such as the classes' names.
    #[prost(message, repeated, tag = "14")]
    pub metadata: Vec<Property>,
}

/// `OperatorSetIdProto` of the usual domain.
#[derive(Clone, PartialEq, Message)]
pub struct Operators {
    /// Its number.
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// `StringStringEntryProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Property {
    /// Its name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its text.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// `GraphProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Graph {
    /// In order of their run.
    #[prost(message, repeated, tag = "1")]
    pub nodes: Vec<Node>,
    /// Required by the format.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Constants by name.
    #[prost(message, repeated, tag = "5")]
    pub weights: Vec<Tensor>,
    /// What a run takes.
    #[prost(message, repeated, tag = "11")]
    pub inputs: Vec<Value>,
    /// What a run gives: names of weights or of nodes' outputs.
    #[prost(message, repeated, tag = "12")]
    pub outputs: Vec<Value>,
}

/// `NodeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Node {
    /// Names of what it takes.
    #[prost(string, repeated, tag = "1")]
    pub inputs: Vec<String>,
    /// Names of what it gives.
    #[prost(string, repeated, tag = "2")]
    pub outputs: Vec<String>,
    /// The operator.
    #[prost(string, tag = "4")]
    pub operator: String,
    /// Such as a loop's body.
    #[prost(message, repeated, tag = "5")]
    pub attributes: Vec<Attribute>,
}

/// `AttributeProto` that holds a graph.
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its graph.
    #[prost(message, optional, boxed, tag = "6")]
    pub graph: Option<Box<Graph>>,
    /// `AttributeProto.AttributeType`; 5 is a graph.
    #[prost(int32, tag = "20")]
    pub kind: i32,
}

/// `TensorProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    /// Its shape.
    #[prost(int64, repeated, tag = "1")]
    pub sizes: Vec<i64>,
    /// Such as [`FLOAT`].
    #[prost(int32, tag = "2")]
    pub element: i32,
    /// By which nodes and outputs refer to it.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Little-endian.
    #[prost(bytes = "vec", tag = "9")]
    pub bytes: Vec<u8>,
    /// Where its numbers are, if they are in another file.
    #[prost(message, repeated, tag = "13")]
    pub outside: Vec<Property>,
    /// 1 if they are.
    #[prost(int32, tag = "14")]
    pub location: i32,
}

/// `ValueInfoProto` of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What it holds.
    #[prost(message, optional, tag = "2")]
    pub kind: Option<Kind>,
}

/// `TypeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Kind {
    /// Of a tensor.
    #[prost(message, optional, tag = "1")]
    pub tensor: Option<TensorKind>,
}

/// `TypeProto.Tensor`.
#[derive(Clone, PartialEq, Message)]
pub struct TensorKind {
    /// Such as [`FLOAT`].
    #[prost(int32, tag = "1")]
    pub element: i32,
    /// Its sizes.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
}

/// `TensorShapeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Shape {
    /// One for each size.
    #[prost(message, repeated, tag = "1")]
    pub dimensions: Vec<Dimension>,
}

/// `TensorShapeProto.Dimension` with a number.
#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    /// The size.
    #[prost(int64, tag = "1")]
    pub value: i64,
}

/// Describes an input or output.
pub fn value(name: &str, element: i32, sizes: &[i64]) -> Value {
    let dimensions = sizes.iter().map(|&value| Dimension { value }).collect();
    let tensor = Some(TensorKind { element, shape: Some(Shape { dimensions }) });
    Value { name: name.into(), kind: Some(Kind { tensor }) }
}

/// Weights of any element, from floats.
pub fn tensor(name: &str, element: i32, sizes: &[i64], numbers: &[f32]) -> Tensor {
    let bytes = |&number: &f32| match element {
        HALF => f16::from_f32(number).to_le_bytes().to_vec(),
        INT64 => (number as i64).to_le_bytes().to_vec(),
        BOOL => vec![u8::from(number != 0.0)],
        _ => number.to_le_bytes().to_vec(),
    };
    Tensor {
        sizes: sizes.to_vec(),
        element,
        name: name.into(),
        bytes: numbers.iter().flat_map(bytes).collect(),
        ..Tensor::default()
    }
}

/// A node without attributes.
pub fn node(operator: &str, inputs: &[&str], outputs: &[&str]) -> Node {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Node { inputs: owned(inputs), outputs: owned(outputs), operator: operator.into(), ..Node::default() }
}

/// The file of a model with this graph and metadata.
pub fn file(graph: Graph, metadata: &[(&str, &str)]) -> Vec<u8> {
    let metadata =
        metadata.iter().map(|&(key, value)| Property { key: key.into(), value: value.into() }).collect();
    let graph = Some(Graph { name: "exported".into(), ..graph });
    Model { ir_version: 9, graph, operators: vec![Operators { version: 17 }], metadata }.encode_to_vec()
}
