//! An inference server for tests that can be as wrong as real ones: on a port of its own, gone when dropped.
//!
//! Its model has the layout of YOLOv8 with one class for pictures of 64 × 64 px, and sees one box wherever one looks. The messages are declared
//! here anew, so that client and server agree by the protocol and not by sharing code.

use prost::bytes::Bytes;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll};
use tokio::runtime::Runtime;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

pub const SIDE: usize = 64;
/// Grid cells of 64 px at strides 8, 16 and 32.
const CELLS: usize = 64 + 16 + 4;

#[derive(Clone, PartialEq, prost::Message)]
struct Ready {
    #[prost(bool, tag = "1")]
    ready: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Name {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Tensor {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    datatype: String,
    #[prost(int64, repeated, tag = "3")]
    shape: Vec<i64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metadata {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, repeated, tag = "2")]
    versions: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    inputs: Vec<Tensor>,
    #[prost(message, repeated, tag = "5")]
    outputs: Vec<Tensor>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Infer {
    #[prost(string, tag = "1")]
    model_name: String,
    #[prost(message, repeated, tag = "5")]
    inputs: Vec<Tensor>,
    #[prost(bytes = "bytes", repeated, tag = "7")]
    raw: Vec<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Inferred {
    #[prost(string, tag = "1")]
    model_name: String,
    #[prost(string, tag = "2")]
    model_version: String,
    #[prost(message, repeated, tag = "5")]
    outputs: Vec<Tensor>,
    #[prost(bytes = "bytes", repeated, tag = "6")]
    raw: Vec<Bytes>,
}

/// What is wrong with its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// It never answers.
    Silent,
    /// One cell too few.
    Shape,
    /// Fewer bytes than it says.
    Short,
    /// Another output than the model has.
    Unnamed,
    /// An error of its own, with a traceback.
    Error,
    /// Every number is a NaN.
    NotFinite,
}

/// How it behaves; changed while it runs.
#[derive(Clone, Debug)]
pub struct Manner {
    pub fault: Fault,
    pub version: String,
    pub score: f32,
    /// −1 where any number of pictures is taken at once.
    pub pictures: i64,
    /// Bytes, a pixel's channels beside each other.
    pub takes_bytes: bool,
    /// Answers are held back until so many questions are there.
    pub together: usize,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            fault: Fault::None,
            version: "1".into(),
            score: 0.75,
            pictures: 1,
            takes_bytes: false,
            together: 1,
        }
    }
}

#[derive(Default)]
struct Seen {
    under_way: usize,
    most_under_way: usize,
    at_once: BTreeSet<i64>,
    last: Bytes,
}

struct Shared {
    manner: Mutex<Manner>,
    seen: Mutex<Seen>,
    changed: Condvar,
}

pub struct Fake {
    shared: Arc<Shared>,
    address: SocketAddr,
    tls: Option<(String, String)>,
    runtime: Option<Runtime>,
}

impl Fake {
    pub fn start(manner: Manner) -> Self {
        Self::start_with(manner, None)
    }

    /// `tls`: certificate and key, PEM.
    pub fn start_with(manner: Manner, tls: Option<(String, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared { manner: Mutex::new(manner), seen: Mutex::default(), changed: Condvar::new() };
        let mut fake = Self { shared: Arc::new(shared), address, tls, runtime: None };
        fake.listen(listener);
        fake
    }

    fn listen(&mut self, listener: TcpListener) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let service = Completed(self.shared.clone());
        let mut server = Server::builder();
        if let Some((certificate, key)) = &self.tls {
            server = server
                .tls_config(ServerTlsConfig::new().identity(Identity::from_pem(certificate, key)))
                .unwrap();
        }
        listener.set_nonblocking(true).unwrap();
        let _within = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        runtime.spawn(server.add_service(service).serve_with_incoming(incoming));
        self.runtime = Some(runtime);
    }

    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://localhost:{}", self.address.port())
    }

    pub fn change(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.shared.manner.lock().unwrap());
    }

    /// All connections break.
    pub fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// On the same port as before.
    pub fn start_again(&mut self) {
        // The port is free as soon as the runtime has let go of its listener.
        let listener = loop {
            match TcpListener::bind(self.address) {
                Ok(listener) => break listener,
                Err(_) => std::thread::yield_now(),
            }
        };
        self.listen(listener);
    }

    pub fn most_under_way(&self) -> usize {
        self.seen().most_under_way
    }

    /// How many pictures came at once, each number once.
    pub fn at_once(&self) -> Vec<i64> {
        self.seen().at_once.iter().copied().collect()
    }

    /// What the last question held.
    pub fn last(&self) -> Bytes {
        self.seen().last.clone()
    }

    /// Waits until so many questions wait for their answers.
    pub fn wait_for_questions(&self, count: usize) {
        let seen = self.seen();
        drop(self.shared.changed.wait_while(seen, |seen| seen.under_way < count).unwrap());
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen.lock().unwrap()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop();
    }
}

#[derive(Clone)]
struct Completed(Arc<Shared>);

impl tonic::server::NamedService for Completed {
    const NAME: &'static str = "inference.GRPCInferenceService";
}

/// A method whose answer needs no waiting.
struct Plain<A>(A);

impl<A: Clone + Send + 'static> tonic::server::UnaryService<Name> for Plain<A> {
    type Response = A;
    type Future = BoxFuture<Response<A>, Status>;

    fn call(&mut self, _: Request<Name>) -> Self::Future {
        let answer = self.0.clone();
        Box::pin(async move { Ok(Response::new(answer)) })
    }
}

struct Inferring(Arc<Shared>);

impl tonic::server::UnaryService<Infer> for Inferring {
    type Response = Inferred;
    type Future = BoxFuture<Response<Inferred>, Status>;

    fn call(&mut self, request: Request<Infer>) -> Self::Future {
        let shared = self.0.clone();
        Box::pin(async move { answer(&shared, request.into_inner()).await })
    }
}

/// Counts a question while it is under way, also one that is broken off.
struct UnderWay<'a>(&'a Shared);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.seen.lock().unwrap().under_way -= 1;
    }
}

async fn answer(shared: &Shared, question: Infer) -> Result<Response<Inferred>, Status> {
    let manner = shared.manner.lock().unwrap().clone();
    let input = &question.inputs[0];
    let pictures = input.shape[0];
    {
        let mut seen = shared.seen.lock().unwrap();
        seen.under_way += 1;
        seen.most_under_way = seen.most_under_way.max(seen.under_way);
        seen.at_once.insert(pictures);
        seen.last = question.raw[0].clone();
        shared.changed.notify_all();
    }
    let _under_way = UnderWay(shared);
    let expected = if manner.takes_bytes { "UINT8" } else { "FP32" };
    assert_eq!((question.model_name.as_str(), input.datatype.as_str()), ("pigs", expected));
    if manner.together > 1 {
        // Those who come together are answered together.
        while shared.seen.lock().unwrap().most_under_way < manner.together {
            tokio::task::yield_now().await;
        }
    }
    let cells = if manner.fault == Fault::Shape { CELLS - 1 } else { CELLS };
    let mut numbers: Vec<f32> = Vec::new();
    for _ in 0..pictures {
        for (value, other) in [(32.0, 8.0), (24.0, 8.0), (20.0, 4.0), (10.0, 4.0), (manner.score, 0.001)] {
            numbers.extend((0..cells).map(|cell| if cell == 27 { value } else { other }));
        }
    }
    match manner.fault {
        Fault::None | Fault::Shape | Fault::Unnamed => {}
        Fault::Silent => std::future::pending().await,
        Fault::Error => return Err(Status::internal("Traceback:\n  File \"model.py\"\nout of memory")),
        Fault::Short => drop(numbers.pop()),
        Fault::NotFinite => numbers.fill(f32::NAN),
    }
    let name = if manner.fault == Fault::Unnamed { "boxes" } else { "output0" };
    let raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    Ok(Response::new(Inferred {
        model_name: question.model_name,
        model_version: manner.version,
        outputs: vec![tensor(name, "FP32", &[pictures, 5, cells as i64])],
        raw: vec![raw.into()],
    }))
}

fn tensor(name: &str, datatype: &str, shape: &[i64]) -> Tensor {
    Tensor { name: name.into(), datatype: datatype.into(), shape: shape.to_vec() }
}

impl Service<http::Request<Body>> for Completed {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let shared = self.0.clone();
        Box::pin(async move {
            let manner = shared.manner.lock().unwrap().clone();
            let side = SIDE as i64;
            let input = if manner.takes_bytes {
                tensor("images", "UINT8", &[manner.pictures, side, side, 3])
            } else {
                tensor("images", "FP32", &[manner.pictures, 3, side, side])
            };
            let metadata = Metadata {
                name: "pigs".into(),
                versions: vec![manner.version],
                inputs: vec![input],
                outputs: vec![tensor("output0", "FP32", &[manner.pictures, 5, CELLS as i64])],
            };
            let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            let response = match method.as_str() {
                "ServerReady" | "ModelReady" => {
                    tonic::server::Grpc::new(ProstCodec::default())
                        .unary(Plain(Ready { ready: true }), request)
                        .await
                }
                "ModelMetadata" => {
                    tonic::server::Grpc::new(ProstCodec::default()).unary(Plain(metadata), request).await
                }
                "ModelInfer" => {
                    tonic::server::Grpc::new(ProstCodec::default())
                        .max_decoding_message_size(64 << 20)
                        .unary(Inferring(shared), request)
                        .await
                }
                _ => Status::unimplemented("no such method").into_http(),
            };
            Ok(response)
        })
    }
}
