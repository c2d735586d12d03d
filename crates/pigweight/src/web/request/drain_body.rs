//! Reads the unread rest of a request's body, so that the client receives the response.
//!
//! If a server closes a connection while the client's bytes are still arriving, the system resets it, and
//! the reset discards the response that the client hasn't read yet (RFC 9112, section 9.6): a client that sends too much would
//! see "connection reset" instead of what to do about it.

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// The most bytes read after a response; a client that sends more finds the connection closed.
const MAX_BYTES: u64 = 16 << 20;
/// The longest time spent on it.
const MAX_TIME: Duration = Duration::from_secs(2);

/// Responds, and then reads the rest of the body within the limits.
pub async fn read_the_rest(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    // Reading would make a client that waits for `100 Continue` send its body.
    let waits = request.headers().contains_key(header::EXPECT);
    let (parts, body) = request.into_parts();
    let body = SharedBody(Arc::new(Mutex::new(Reading { body, is_begun: false })));
    let response = next.run(Request::from_parts(parts, Body::new(body.clone()))).await;
    if !waits || body.lock().is_begun {
        // A timeout needs no handling: there is nothing else to try.
        let _in_time = tokio::time::timeout(MAX_TIME, body.drain()).await;
    }
    response
}

struct Reading {
    body: Body,
    is_begun: bool,
}

/// A body that its reader may drop without losing the rest.
#[derive(Clone)]
struct SharedBody(Arc<Mutex<Reading>>);

impl SharedBody {
    fn lock(&self) -> std::sync::MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn drain(mut self) {
        let mut bytes = 0;
        while bytes < MAX_BYTES
            && let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut self).poll_frame(context)).await
        {
            bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
    }
}

impl HttpBody for SharedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut reading = self.lock();
        reading.is_begun = true;
        Pin::new(&mut reading.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.lock().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().body.size_hint()
    }
}
