//! The used messages of the Open Inference Protocol, declared by hand: field numbers are the protocol's;
//! unneeded fields are left out (a reader skips them).

use http::uri::PathAndQuery;
use prost::bytes::Bytes;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// A picture of 640 px is 5 MB, a batch of them more; gRPC's usual limit is 4.
const MOST_MESSAGE_BYTES: usize = 256 << 20;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Nothing {}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Ready {
    #[prost(bool, tag = "1")]
    pub ready: bool,
}

/// Which model: of ModelReady and ModelMetadata.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Which {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub version: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Metadata {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, repeated, tag = "2")]
    pub versions: Vec<String>,
    #[prost(string, tag = "3")]
    pub platform: String,
    #[prost(message, repeated, tag = "4")]
    pub inputs: Vec<Described>,
    #[prost(message, repeated, tag = "5")]
    pub outputs: Vec<Described>,
}

/// A tensor without its numbers.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Described {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub datatype: String,
    #[prost(int64, repeated, tag = "3")]
    pub shape: Vec<i64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SubmittedPicture {
    #[prost(string, tag = "1")]
    pub model_name: String,
    #[prost(string, tag = "2")]
    pub model_version: String,
    #[prost(message, repeated, tag = "5")]
    pub inputs: Vec<Described>,
    #[prost(message, repeated, tag = "6")]
    pub outputs: Vec<Wanted>,
    #[prost(bytes = "bytes", repeated, tag = "7")]
    pub raw_input_contents: Vec<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Wanted {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Answer {
    #[prost(string, tag = "1")]
    pub model_name: String,
    #[prost(string, tag = "2")]
    pub model_version: String,
    #[prost(message, repeated, tag = "5")]
    pub outputs: Vec<Given>,
    #[prost(bytes = "bytes", repeated, tag = "6")]
    pub raw_output_contents: Vec<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Given {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub datatype: String,
    #[prost(int64, repeated, tag = "3")]
    pub shape: Vec<i64>,
    /// If the server doesn't send raw bytes.
    #[prost(message, optional, tag = "5")]
    pub contents: Option<Contents>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Contents {
    #[prost(float, repeated, tag = "6")]
    pub fp32_contents: Vec<f32>,
}

/// One call of the service.
async fn call<Q, A>(channel: Channel, method: &'static str, question: Q) -> Result<A, Status>
where
    Q: prost::Message + Send + Sync + 'static,
    A: prost::Message + Default + Send + Sync + 'static,
{
    let mut grpc = Grpc::new(channel)
        .max_decoding_message_size(MOST_MESSAGE_BYTES)
        .max_encoding_message_size(MOST_MESSAGE_BYTES);
    grpc.ready().await.map_err(|error| Status::unavailable(root(&error)))?;
    let answer: Response<A> =
        grpc.unary(Request::new(question), PathAndQuery::from_static(method), ProstCodec::default()).await?;
    Ok(answer.into_inner())
}

/// The root cause of an error: the layers between are details of the library.
pub(super) fn root(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

pub(super) async fn server_ready(channel: Channel) -> Result<Ready, Status> {
    call(channel, "/inference.GRPCInferenceService/ServerReady", Nothing {}).await
}

pub(super) async fn model_ready(channel: Channel, which: Which) -> Result<Ready, Status> {
    call(channel, "/inference.GRPCInferenceService/ModelReady", which).await
}

pub(super) async fn model_metadata(channel: Channel, which: Which) -> Result<Metadata, Status> {
    call(channel, "/inference.GRPCInferenceService/ModelMetadata", which).await
}

pub(super) async fn model_infer(channel: Channel, question: SubmittedPicture) -> Result<Answer, Status> {
    call(channel, "/inference.GRPCInferenceService/ModelInfer", question).await
}
