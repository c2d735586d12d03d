//! Accepts connections at the page's TCP port and answers their requests by HTTP/1.1, within limits of number and time.
//!
//! Viewers' WebRTC connections share the port: a network that lets the page through lets these through as well. The first byte tells them
//! apart: WebRTC's is the length of a short packet, which no request by HTTP begins with.

use crate::web::connections::{self, Connection, Connections, Limits, RequestInFlight};
use crate::web::request::client;
use crate::web::request::problem::Problem;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use axum::serve::Listener;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use pigweight_live::webrtc::TcpEntrance;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower_http::timeout::TimeoutBody;

/// A connection sends the head of a request within this time: after it is opened, and after each response.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest silence within a request's body; uploads have a shorter one of their own, and say so.
const BODY_SILENCE_TIMEOUT: Duration = Duration::from_secs(90);
/// A client that takes no bytes for this long, or whose machine is gone, is given up. A browser that pauses a video asks again when it goes on.
#[cfg(target_os = "linux")]
const UNREAD_TIMEOUT: Duration = Duration::from_secs(300);
/// Bytes of a head, and of what is read ahead.
const MOST_BUFFERED_BYTES: usize = 64 << 10;
/// Connections that are told that there is no room. Further ones are closed without a word.
const MOST_REFUSED: usize = 64;
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);

/// What was written to a connection and isn't on its way yet. The system would keep megabytes, and what lies there comes late.
#[cfg(target_os = "linux")]
const MOST_UNSENT_BYTES: u32 = 128 << 10;

/// Both ends of the connection that a request came by.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionEnds {
    /// The client, or the proxy in front of this server.
    pub client: IpAddr,
    /// The address of this machine at which it was reached.
    pub reached_at: IpAddr,
}

/// Serves until `shutdown`, and then until the requests in flight are answered.
pub async fn serve(
    mut listener: TcpListener,
    webrtc: Option<TcpEntrance>,
    router: Router,
    limits: Limits,
    mut shutdown: watch::Receiver<bool>,
) {
    let connections = Connections::new(limits);
    let refused = Arc::new(Semaphore::new(MOST_REFUSED));
    let server = Server { router, webrtc, shutdown: shutdown.clone() };
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            // Its own handling of errors: a process without free file descriptors waits.
            (stream, client) = Listener::accept(&mut listener) => {
                configure(&stream);
                // Without an address it is gone already, and so will its requests be.
                let reached_at = stream.local_addr().map_or(Ipv4Addr::LOCALHOST.into(), |address| address.ip());
                let ends = ConnectionEnds { client: client.ip(), reached_at };
                if let Some(connection) = connections.admit(client.ip()) {
                    tasks.spawn(server.clone().hold(stream, ends, connection));
                } else {
                    metrics::counter!("pigweight_http_connections_refused_total").increment(1);
                    if let Ok(place) = refused.clone().try_acquire_owned() {
                        tasks.spawn(async move {
                            refuse(stream).await;
                            drop(place);
                        });
                    }
                }
            }
            Some(_ended) = tasks.join_next() => {}
            // A dropped sender stops the server as well.
            _ = shutdown.wait_for(|&is_shutdown| is_shutdown) => break,
        }
    }
    drop(listener);
    while tasks.join_next().await.is_some() {}
}

/// None of these is needed for an answer.
fn configure(stream: &TcpStream) {
    let _slower = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    {
        let socket = socket2::SockRef::from(stream);
        // Without it, live video and pictures are later where a network is slow.
        let _later = socket.set_tcp_notsent_lowat(MOST_UNSENT_BYTES);
        let _longer = socket.set_tcp_user_timeout(Some(UNREAD_TIMEOUT));
        let _longer = socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(UNREAD_TIMEOUT / 2));
    }
}

#[derive(Clone)]
struct Server {
    router: Router,
    webrtc: Option<TcpEntrance>,
    shutdown: watch::Receiver<bool>,
}

impl Server {
    /// To the end of a connection.
    async fn hold(mut self, stream: TcpStream, ends: ConnectionEnds, connection: Arc<Connection>) {
        if let Some(webrtc) = self.webrtc.take() {
            let is_webrtc = tokio::select! {
                is_webrtc = is_webrtc(&stream) => is_webrtc,
                () = connection.closed_for_others() => None,
                _ = self.shutdown.wait_for(|&is_shutdown| is_shutdown) => None,
            };
            match is_webrtc {
                Some(false) => {}
                Some(true) => return webrtc.take(stream),
                None => return,
            }
        }
        let (router, of_requests) = (self.router, connection.clone());
        let service = hyper::service::service_fn(move |request| {
            answer(router.clone(), request, ends, of_requests.clone())
        });
        let stream = TrackedStream { stream, _connection: connection.clone() };
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(MOST_BUFFERED_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut served = pin!(served);
        let is_shutdown = async {
            // A dropped sender stops the server as well.
            let _dropped = self.shutdown.wait_for(|&is_shutdown| is_shutdown).await;
        };
        tokio::select! {
            // A client that breaks off, or sends what is no request, has been answered by hyper if that was possible.
            _ended = served.as_mut() => {}
            () = connection.closed_for_others() => {}
            () = is_shutdown => {
                served.as_mut().graceful_shutdown();
                let _ended = served.await;
            }
        }
    }
}

/// Waits for the first byte, and leaves it where it is. Returns whether it is WebRTC's; `None` if none came.
async fn is_webrtc(stream: &TcpStream) -> Option<bool> {
    let mut first = [0];
    let peeked = tokio::time::timeout(HEAD_TIMEOUT, stream.peek(&mut first)).await;
    matches!(peeked, Ok(Ok(1))).then(|| TcpEntrance::is_for(first[0]))
}

async fn answer(
    router: Router,
    mut request: Request<Incoming>,
    ends: ConnectionEnds,
    connection: Arc<Connection>,
) -> Result<Response<Body>, Infallible> {
    let in_flight = connection.begin_request();
    let is_upgrade = request.headers().contains_key(header::UPGRADE);
    if is_upgrade && !connection.become_socket() {
        return Ok(no_room("this address has as many WebSockets open as it may"));
    }
    request.extensions_mut().insert(ConnectInfo(ends));
    let request = request.map(|body| Body::new(TimeoutBody::new(BODY_SILENCE_TIMEOUT, body)));
    let service = TowerToHyperService::new(router);
    let response = client::scope(connections::client_of(ends.client), service.call(request)).await?;
    if is_upgrade && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        connection.stay_http();
    }
    Ok(response.map(|body| Body::new(BodyInFlight { body, _in_flight: in_flight })))
}

fn no_room(what: &str) -> Response<Body> {
    Problem::unavailable(format!("{what}; close some, or try again later")).into_response()
}

/// Tells a client that there is no room for its connection.
async fn refuse(stream: TcpStream) {
    let service = hyper::service::service_fn(answer_that_there_is_no_room);
    let served = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
    let _in_time = tokio::time::timeout(REFUSAL_TIMEOUT, served).await;
}

async fn answer_that_there_is_no_room(_request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    Ok(no_room("this server has as many connections open as it may"))
}

/// A response's body: its request is in flight until it is sent.
struct BodyInFlight {
    body: Body,
    _in_flight: RequestInFlight,
}

impl HttpBody for BodyInFlight {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection keeps its place also after it has become a WebSocket.
struct TrackedStream {
    stream: TcpStream,
    _connection: Arc<Connection>,
}

impl AsyncRead for TrackedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for TrackedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::post;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const LIMITS: Limits = Limits { in_all: 8, of_client: 2, sockets_of_client: 1 };

    /// A server that answers with what it is sent, on a clock that runs when nobody does anything.
    async fn start() -> (SocketAddr, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", post(|body: Bytes| async move { body }));
        let (shutdown, is_shutdown) = watch::channel(false);
        let serving = tokio::spawn(serve(listener, None, router, LIMITS, is_shutdown));
        (address, shutdown, serving)
    }

    async fn connect(address: SocketAddr, sent: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        stream
    }

    /// What comes until the server closes the connection.
    async fn rest(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        // A reset is an end as well.
        let _reset = stream.read_to_end(&mut text).await;
        String::from_utf8(text).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_send_a_whole_head_in_time_is_closed() {
        let (address, _shutdown, _serving) = start().await;
        for sent in ["", "P", "POST / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "] {
            let begun = tokio::time::Instant::now();
            assert_eq!(rest(connect(address, sent).await).await, "", "{sent:?}");
            assert_eq!(begun.elapsed().as_secs(), HEAD_TIMEOUT.as_secs(), "{sent:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_kept_after_an_answer_is_closed_when_it_stays_silent() {
        let (address, _shutdown, _serving) = start().await;
        let begun = tokio::time::Instant::now();
        let request = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello";
        let told = rest(connect(address, request).await).await;
        assert!(told.starts_with("HTTP/1.1 200 ") && told.ends_with("hello"), "{told}");
        assert_eq!(begun.elapsed().as_secs(), HEAD_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_in_the_middle_is_given_up() {
        let (address, _shutdown, _serving) = start().await;
        let begun = tokio::time::Instant::now();
        let told = rest(
            connect(address, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhel").await,
        )
        .await;
        assert!(!told.contains("200 OK"), "{told}");
        assert_eq!(begun.elapsed().as_secs(), BODY_SILENCE_TIMEOUT.as_secs());
    }

    /// A request in flight whose body is still to come.
    async fn begin_request(address: SocketAddr) -> TcpStream {
        let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
        let mut stream = connect(address, head).await;
        let mut told = [0; 12];
        stream.read_exact(&mut told).await.unwrap();
        assert_eq!(&told, b"HTTP/1.1 100");
        stream
    }

    #[tokio::test]
    async fn who_has_too_much_in_flight_is_told_when_to_come_again() {
        let (address, _shutdown, _serving) = start().await;
        let mut busy = Vec::new();
        for _ in 0..LIMITS.of_client {
            busy.push(begin_request(address).await);
        }
        let told = rest(connect(address, "POST / HTTP/1.1\r\nHost: localhost\r\n\r\n").await).await;
        assert!(told.starts_with("HTTP/1.1 503 ") && told.contains("retry-after: 10"), "{told}");
        assert!(told.contains("as many connections open as it may"), "{told}");
        for mut stream in busy {
            stream.write_all(b"hello").await.unwrap();
            assert!(rest(stream).await.ends_with("hello"));
        }
    }

    #[tokio::test]
    async fn requests_in_flight_are_answered_when_the_server_stops_and_silent_connections_are_closed() {
        let (address, shutdown, serving) = start().await;
        let silent = connect(address, "").await;
        let mut busy = begin_request(address).await;
        shutdown.send_replace(true);
        assert_eq!(rest(silent).await, "");
        busy.write_all(b"hello").await.unwrap();
        assert!(rest(busy).await.ends_with("hello"));
        serving.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
